"""The recipe: what it leaves out is shipped, what is unclear is refused by name."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core import recipe
from service.core.outcome import Misconfigured
from service.core.recipe import Recipe
from tests.core.samples import RULES, SHIPPED, rules


def read(text: str) -> Recipe:
    """A recipe over the shipped one."""
    return recipe.read(text, shipped=SHIPPED)


def test_shipped():
    """The shipped recipe is whole by itself, and an empty one says the same."""
    alone = recipe.read(SHIPPED, shipped=SHIPPED)
    assert alone == read("")
    assert (320, 640, 1280, 1920) == alone.general.images.widths
    assert [1080, 720, 480, 360, 240] == [rung.height for rung in alone.general.video.ladder]
    assert () == alone.prefixes


def test_changes_one_entry():
    """A table changes what it names and leaves the rest; a list is replaced whole."""
    changed = rules("[images]\nwidths = [100]\nquality = { webp = 60 }")
    images = RULES.images.model_copy(
        update={"widths": (100,), "quality": RULES.images.quality.model_copy(update={"webp": 60})}
    )
    assert RULES.model_copy(update={"images": images}) == changed


@pytest.mark.parametrize(
    ("text", "entry"),
    [
        ("[image]\nwidths = [1]", "recipe: image: there is no such entry"),
        ("[images]\nwidth = [1]", "recipe: images.width: there is no such entry"),
        ("[images.quality]\navif = 50", "recipe: images.quality.avif: there is no such entry"),
        (
            "[video]\nladder = [{ height = 720, max_bit_rate = 100_000, fps = 5 }]",
            "recipe: video.ladder.0.fps: there is",
        ),
        (
            "[moderation]\nprovider = 'none'",
            "recipe: moderation.provider: Input should be 'rekognition', 'local' or 'off'",
        ),
        ("[moderation]\nprovider = false", "recipe: moderation.provider: "),
        (
            "[moderation.local]\nrules = [{ label = 'Violence', block = 90 }]",
            'recipe: moderation: local.rules: "Violence" is nothing that this provider can see',
        ),
        (
            "[moderation.rekognition]\nrules = [{ label = 'Explicit Nudety', block = 90 }]",
            'recipe: moderation: rekognition.rules: "Explicit Nudety" is nothing that',
        ),
        (
            "[moderation.local]\nrules = [{ label = 'Explicit', review = 90, block = 60 }]",
            "recipe: moderation.local.rules.0: review must not lie above block",
        ),
        (
            "[moderation.local]\nrules = [{ label = 'Explicit', block = 10 }]",
            "recipe: moderation.local.rules.0.block: ",
        ),
        (
            "[moderation.local]\nrules = [{ label = 'Explicit', block = 101 }]",
            "recipe: moderation.local.rules.0.block: ",
        ),
        (
            "[moderation.local]\nrules = [{ label = 'Explicit' }, { label = 'Explicit', block = 50 }]",
            'recipe: moderation.local: label "Explicit" has two rules',
        ),
        ("[moderation.local]\nrules = []", "recipe: moderation.local.rules: "),
        ("[moderation]\nunknown = { review = nan }", "recipe: moderation.unknown.review: "),
        ("[captions]\nlanguage = 'english'", "recipe: captions.language: "),
        ("[captions]\nlanguages = ['en-US']", "recipe: captions: languages: one is no choice"),
        ("[spend]\nday = -1.0", "recipe: spend.day: "),
        ("[prices]\nrekognition_picture = 1.0", "recipe: prices.rekognition_picture: there is no such entry"),
        ("[limits]\nseconds = 0", "recipe: limits.seconds: Input should be greater than 0"),
        ("[limits]\nseconds = 43_200", "recipe: limits.seconds: Input should be less than or equal to 39600"),
        ("[limits]\nbytes = '1 GB'", "recipe: limits.bytes: Input should be a valid integer"),
        ("[limits]\nbytes = '100'", "recipe: limits.bytes: Input should be a valid integer"),
        ("[limits]\nstreams = true", "recipe: limits.streams: Input should be a valid integer"),
        ("[limits]\ngap_seconds = inf", "recipe: limits.gap_seconds: Input should be a finite number"),
        ("[limits]\ngap_seconds = nan", "recipe: limits.gap_seconds: Input should be"),
        ("[images]\nplaceholder = 'yes'", "recipe: images.placeholder: Input should be a valid boolean"),
        ("[images]\nwidths = []", "recipe: images.widths: "),
        ("[images]\nwidths = [640, 320]", "recipe: images: widths must ascend"),
        ("[images]\nwidths = [320, 320]", "recipe: images: widths must ascend"),
        ("[images]\nwidths = [0, 320]", "recipe: images: widths must ascend"),
        ("[images]\nwidths = [16384]", "recipe: images: widths must ascend"),
        ("[images]\nwidths = [320.0]", "recipe: images.widths.0: Input should be a valid integer"),
        ("[images]\nwidths = '320'", "recipe: images.widths: has to be a list"),
        ("[images]\nformats = ['png']", "recipe: images.formats.0: Input should be 'webp' or 'jpeg'"),
        ("[images]\nformats = ['webp', 'webp']", "recipe: images: formats must not repeat"),
        ("[images]\nbackground = 'white'", "recipe: images.background: String should match"),
        ("images = 3", "recipe: images: Input should be a valid dictionary"),
        ("[video]\npreset = 'placebo'", "recipe: video.preset: Input should be 'ultrafast'"),
        ("[video]\nladder = [{ height = 720 }]", "recipe: video.ladder.0.max_bit_rate: is missing"),
        (
            "[video]\nladder = [{height=480,max_bit_rate=100_000},{height=720,max_bit_rate=200_000}]",
            "recipe: video: ladder must descend in height",
        ),
        ("[audio]\nbit_rate = 1", "recipe: audio.bit_rate: Input should be greater than or equal to 32000"),
        ("ignore = '*.tmp'", "recipe: ignore must be a list of shell patterns"),
        ("ignore = [3]", "recipe: ignore must be a list of shell patterns"),
        ("prefix = 5", r"recipe: each \[\[prefix\]\] needs match"),
        ("prefix = 'a/'", r"recipe: each \[\[prefix\]\] needs match"),
        ("prefix = [1]", r"recipe: each \[\[prefix\]\] needs match"),
        ("[[prefix]]", r"recipe: each \[\[prefix\]\] needs match"),
        ("[[prefix]]\nmatch = ''", r"recipe: each \[\[prefix\]\] needs match"),
        ("[[prefix]]\nmatch = 'a/'\n[[prefix]]\nmatch = 'a/'", 'recipe: prefix "a/": there are two'),
        ("[[prefix]]\nmatch = 'a/'\nwidths = [1]", 'recipe: prefix "a/": widths: there is no such entry'),
        ("[[prefix]]\nmatch = 'a/'\nignore = ['b']", 'recipe: prefix "a/": ignore: there is no such entry'),
        (
            "[[prefix]]\nmatch = 'a/'\n[prefix.video]\ncrf = 1",
            'recipe: prefix "a/": video.crf: Input should be greater',
        ),
        ("widths = [", "recipe: not valid TOML: "),
    ],
)
def test_refused(text: str, entry: str):
    """An entry that is unknown, of the wrong type or contradictory is named in the error."""
    with pytest.raises(Misconfigured, match=f"^{entry}"):
        read(text)


def test_missing_entry():
    """What not even the shipped recipe says is missed by name."""
    with pytest.raises(Misconfigured, match=r"^recipe: audio: is missing"):
        recipe.read("", shipped=SHIPPED.partition("[audio]")[0])


PREFIXES = """
[images]
widths = [100, 200]
[[prefix]]
match = "avatars/"
[prefix.images]
widths = [64]
[[prefix]]
match = "avatars/large/"
[prefix.video]
crf = 30
"""


@pytest.mark.parametrize(
    ("key", "widths", "crf"),
    [
        ("photo.jpg", (100, 200), 23),
        ("avatars/me.jpg", (64,), 23),
        ("avatars/large/me.jpg", (100, 200), 30),
        ("avatars", (100, 200), 23),
        ("my/avatars/me.jpg", (100, 200), 23),
    ],
)
def test_prefixes(key: str, widths: tuple[int, ...], crf: int):
    """The longest prefix that matches changes the general rules, not those of a shorter prefix."""
    found = read(PREFIXES).rules(key)
    assert (widths, crf) == (found.images.widths, found.video.crf)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("photos/", True),
        ("/", True),
        ("map.geojson", True),
        ("maps/a.geojson", True),
        (".DS_Store", True),
        ("photos/.DS_Store", True),
        ("photos/Thumbs.db", True),
        ("map.GEOJSON", False),
        ("map.geojson.jpg", False),
        ("photo.jpg", False),
        ("line\nbreak/", True),
    ],
)
def test_ignores(key: str, *, expected: bool):
    """Keys that are no uploads are known by shell patterns over the whole key."""
    assert expected == read("").ignores(key)


def test_own_ignore_rules():
    """A recipe's ignore list takes the place of the shipped one."""
    found = read('ignore = ["*.tmp", "[ab]?/*"]')
    assert [True, True, False] == [found.ignores(key) for key in ("x.tmp", "a1/x", "photos/")]


def test_digest():
    """A digest names the rules: the same for the same, another for any change."""
    texts = ("", "[video]\ncrf = 24", "[audio]\nbit_rate = 96_000", "[limits]\npixels = 1")
    assert rules("").digest() == RULES.digest()
    assert len(texts) == len({rules(text).digest() for text in texts})


def parsed(text: str) -> Recipe | Misconfigured:
    """What a text gives: an operator's mistake is always told as one."""
    try:
        return read(text)
    except Misconfigured as error:
        return error


_VALUE = st.sampled_from(
    ["1", "-1", "0.5", "true", "'x'", "[]", "[1]", "{}", "{ a = 1 }", "1979-05-27", "inf", "[[1]]"]
)
_ENTRY = st.sampled_from(
    "ignore prefix limits images video audio limits.bytes images.widths images.quality images.formats video.ladder "
    "video.gop_seconds prefix.match unheard.of".split()
)


@given(st.lists(st.tuples(_ENTRY, _VALUE), max_size=3))
def test_any_value_anywhere(entries: list[tuple[str, str]]):
    """Whatever stands where, a recipe is read or refused with a message that begins with `recipe: `."""
    match parsed("\n".join(f"{name} = {value}" for name, value in entries)):
        case Misconfigured() as error:
            assert str(error).startswith("recipe: ")
        case found:
            assert found.general


def test_moderation_is_on_by_default():
    """Off has to be said; a prefix may say something else than the rest."""
    assert "local" == RULES.moderation.provider
    changed = read("[[prefix]]\nmatch = 'own/'\nmoderation = { provider = 'off' }")
    assert ("off", "local") == (
        changed.rules("own/a.jpg").moderation.provider,
        changed.rules("a.jpg").moderation.provider,
    )
    assert {"off", "local"} == {one.moderation.provider for one in changed.all_rules}


def test_rules_of_either_provider_are_at_hand():
    """Another provider is one word: its rules are shipped; a list of one's own replaces them."""
    assert "Hate Symbols" in [rule.label for rule in RULES.moderation.rekognition.rules]
    mine = rules("[moderation.rekognition]\nrules = [{ label = 'Violence', block = 80 }]").moderation.rekognition.rules
    assert [("Violence", None, 80)] == [(rule.label, rule.review, rule.block) for rule in mine]
