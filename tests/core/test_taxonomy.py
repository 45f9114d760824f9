"""What moderation providers can see."""

import tomllib
from collections import Counter
from importlib.resources import files

import pytest

from service.core import taxonomy

REKOGNITION = taxonomy.TAXONOMIES["rekognition"]


@pytest.mark.parametrize(
    ("label", "above"),
    [
        ("Explicit", ()),
        ("Explicit Nudity", ("Explicit",)),
        ("Exposed Male Genitalia", ("Explicit Nudity", "Explicit")),
        ("Kissing on the Lips", ("Non-Explicit Nudity of Intimate parts and Kissing",)),
        ("Implied Nudity", ("Non-Explicit Nudity", "Non-Explicit Nudity of Intimate parts and Kissing")),
        ("Blood & Gore", ("Graphic Violence", "Violence")),
        ("Air Crash", ("Crashes", "Visually Disturbing")),
        ("Smoking", ("Drugs & Tobacco Paraphernalia & Use", "Drugs & Tobacco")),
        ("Drinking", ("Alcohol Use", "Alcohol")),
        ("Extremist", ("Hate Symbols",)),
        ("Gambling", ()),
        ("A label of next year", ()),
        ("", ()),
    ],
)
def test_parents_lead_to_the_top(label: str, above: tuple[str, ...]) -> None:
    """The nearest label comes first; nothing is above the top or the unknown."""
    assert above == taxonomy.parents("rekognition", label)


def test_rekognition_has_three_levels() -> None:
    """Model 7 has 10 categories, 20 labels below them, and 22 at the third level."""
    levels = Counter(len(taxonomy.parents("rekognition", label)) for label in REKOGNITION)

    assert Counter({0: 10, 1: 20, 2: 22}) == levels


@pytest.mark.parametrize(
    ("provider", "label", "expected"),
    [
        ("local", "Explicit", True),
        ("local", "Violence", False),
        ("rekognition", "Sex Toys", True),
        ("rekognition", "sex toys", False),
        ("rekognition", "Suggestive", False),  # of model 6
        ("rekognition", "", False),
        ("off", "Explicit", False),
    ],
)
def test_a_provider_sees_its_own_labels_alone(provider: str, label: str, *, expected: bool) -> None:
    """Labels are compared exactly, and by provider."""
    assert expected == taxonomy.sees(provider, label)


def test_the_shipped_rules_name_labels_that_exist() -> None:
    """Every label of the default recipe is one that its provider gives."""
    shipped = tomllib.loads((files("service") / "recipe.toml").read_text())["moderation"]

    assert [] == [
        (provider, rule["label"])
        for provider in taxonomy.TAXONOMIES
        for rule in shipped[provider]["rules"]
        if not taxonomy.sees(provider, rule["label"])
    ]
