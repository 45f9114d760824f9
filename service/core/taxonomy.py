"""The labels that moderation providers are known to give, so that a rule on what nobody will ever see is refused.

Rekognition's are those of content moderation model 7, in the spelling of the developer guide, "Using the image and
video moderation APIs", Label Categories (docs.aws.amazon.com/rekognition/latest/dg/moderation-api.html).
"""

from collections.abc import Iterator, Mapping
from types import MappingProxyType

_Tree = Mapping[str, "_Tree"]

_REKOGNITION: _Tree = {
    "Explicit": {
        "Explicit Nudity": {
            "Exposed Male Genitalia": {},
            "Exposed Female Genitalia": {},
            "Exposed Buttocks or Anus": {},
            "Exposed Female Nipple": {},
        },
        "Explicit Sexual Activity": {},
        "Sex Toys": {},
    },
    "Non-Explicit Nudity of Intimate parts and Kissing": {
        "Non-Explicit Nudity": {
            "Bare Back": {},
            "Exposed Male Nipple": {},
            "Partially Exposed Buttocks": {},
            "Partially Exposed Female Breast": {},
            "Implied Nudity": {},
        },
        "Obstructed Intimate Parts": {"Obstructed Female Nipple": {}, "Obstructed Male Genitalia": {}},
        "Kissing on the Lips": {},
    },
    "Swimwear or Underwear": {"Female Swimwear or Underwear": {}, "Male Swimwear or Underwear": {}},
    "Violence": {
        "Weapons": {},
        "Graphic Violence": {
            "Weapon Violence": {},
            "Physical Violence": {},
            "Self-Harm": {},
            "Blood & Gore": {},
            "Explosions and Blasts": {},
        },
    },
    "Visually Disturbing": {
        "Death and Emaciation": {"Emaciated Bodies": {}, "Corpses": {}},
        "Crashes": {"Air Crash": {}},
    },
    "Drugs & Tobacco": {
        "Products": {"Pills": {}},
        "Drugs & Tobacco Paraphernalia & Use": {"Smoking": {}},
    },
    "Alcohol": {"Alcohol Use": {"Drinking": {}}, "Alcoholic Beverages": {}},
    "Rude Gestures": {"Middle Finger": {}},
    "Gambling": {},
    "Hate Symbols": {"Nazi Party": {}, "White Supremacy": {}, "Extremist": {}},
}

_LOCAL: _Tree = {"Explicit": {}}


def _flat(tree: _Tree, parent: str = "") -> Iterator[tuple[str, str]]:
    for label, below in tree.items():
        yield label, parent
        yield from _flat(below, label)


#: By provider: each label it can give, and the label right above it ("" at the top).
TAXONOMIES: Mapping[str, Mapping[str, str]] = MappingProxyType(
    {
        "local": MappingProxyType(dict(_flat(_LOCAL))),
        "rekognition": MappingProxyType(dict(_flat(_REKOGNITION))),
    }
)


def sees(provider: str, label: str) -> bool:
    """Whether `provider` can give `label`, spelled exactly so; False for a provider without a taxonomy."""
    return label in TAXONOMIES.get(provider, {})


def parents(provider: str, label: str) -> tuple[str, ...]:
    """The labels above `label`, the nearest first; () at the top and for what this table does not know."""
    known = TAXONOMIES.get(provider, {})
    above = known.get(label, "")
    return (above, *parents(provider, above)) if above else ()
