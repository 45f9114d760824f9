"""What people read of records: words, not codes."""

from datetime import UTC, datetime

import pytest

from service.commands.process import Ended
from service.core.manifest import Manifest, Serving, Source, Status, Why
from service.core.outcome import Reason
from service.core.record import Because, Captioned, Cost, Line, Moderated, Outcome
from service.core.step import Rendition, Screen, Step, Subtitles, Transcript
from service.tables import results, words

NOW = datetime(2026, 1, 2, tzinfo=UTC)
HIT = Because(label="Weapons", confidence=81.25, at=75, rule="Violence")
MODERATED = Moderated(says="review", by="rekognition", policy="p", because=(HIT,), model="rekognition 7.0", planned=9)


@pytest.mark.parametrize(
    ("media", "told"),
    [
        ({"seconds": 90.0}, "Weapons 81.25 % at 0:01:15, by the rule Violence"),
        ({"frames": 80}, "Weapons 81.25 % in frame 76 of 80, by the rule Violence"),
        ({"frames": 1}, "Weapons 81.25 %, by the rule Violence"),
        (None, "Weapons 81.25 %, by the rule Violence"),
    ],
)
def test_a_reason_says_where_it_was_seen(media: words.Shown, told: str) -> None:
    """A time of a clip, a frame of an animation; a still has nothing to choose from."""
    assert told == words.because(HIT, media)


@pytest.mark.parametrize(
    ("found", "told"),
    [
        ({}, "review, by rekognition (rekognition 7.0)"),
        ({"says": "allow", "by": "off", "model": None}, "allow: the recipe asks nobody"),
        ({"says": "block", "by": "reviewer", "model": None}, "block: a reviewer said so"),
        ({"says": "allow", "by": "local", "model": None}, "allow, by local"),
    ],
)
def test_whose_verdict_it_is(found: dict[str, object], told: str) -> None:
    """The provider with its model, a person, or nobody."""
    assert told == words.moderation(MODERATED.model_copy(update=found))


@pytest.mark.parametrize(
    ("found", "told"),
    [
        ({}, "9 frame(s)"),
        (
            {"alike": 3, "gap": 2.0},
            "9 frame(s), 3 of them so like others that these spoke for them, at most 2 s that no frame stands for",
        ),
        ({"complete": False}, "9 frame(s); what was seen in some made the rest needless"),
        ({"skipped": "small"}, "nothing was shown to it: it is too small for any provider"),
        ({"skipped": "unheard_of"}, "nothing was shown to it: unheard_of"),
        ({"planned": 0}, None),
    ],
)
def test_how_much_was_looked_at(found: dict[str, object], told: str | None) -> None:
    """The coverage, or why there is none."""
    assert told == words.coverage(MODERATED.model_copy(update=found))


@pytest.mark.parametrize(
    ("found", "state", "told"),
    [
        (Captioned(language="en", model="m", cues=3), "machine", "en, 3 cue(s), written down by m"),
        (Captioned(language="de", machine=False, cues=3), "uploaded", "de, 3 cue(s), uploaded beside it"),
        (Captioned(none="no_speech"), "none", "none: nobody speaks"),
        (Captioned(none="brand_new"), "none", "none: brand_new"),
        (Captioned(none="no_speech"), "pending", "are being written down: they join the page when they are there"),
        (None, "pending", "are being written down: they join the page when they are there"),
        (None, "unavailable", "none: they could not be made; the worker's log says why"),
        (None, "none", None),
    ],
)
def test_whose_captions_they_are(found: Captioned | None, state: str, told: str | None) -> None:
    """Or why there are none."""
    assert told == words.captions(found, state)


def test_a_bill() -> None:
    """The sum first, then what it is made of."""
    lines = (Line(unit="rekognition_image", count=12, dollars=0.012), Line(unit="new_unit", count=1, dollars=0.5))
    cost = Cost(lines=lines, cpu_seconds=3.25, bytes_in=1000, bytes_out=2_000_000, dollars=0.5120446)
    told = (
        "$0.512045: 12 image(s) by Rekognition $0.012, 1 new_unit $0.5, "
        "3.25 CPU seconds, 1,000 bytes in, 2,000,000 bytes out"
    )
    assert told == words.cost(cost)


@pytest.mark.parametrize(
    ("seconds", "told"), [(-1, "0 s"), (59, "59 s"), (61, "1 min"), (7260, "2 h 1 min"), (180_000, "2 d 2 h")]
)
def test_ages(seconds: float, told: str) -> None:
    """Two parts are enough at 3 a.m."""
    assert told == words.age(seconds)


RUNG = Rendition(
    name="240p",
    width=426,
    height=240,
    frame_rate="30",
    crf=23,
    max_bit_rate=400_000,
    preset="fast",
    gop_seconds=2.0,
)


@pytest.mark.parametrize(
    ("step", "told"),
    [
        (Screen(provider="local", at=(0.0,), pad=False), "moderation"),
        (Transcript(provider="whisper", stream=0, language=None, languages=()), "captions"),
        (Subtitles(key="a.mp4.de.vtt", etag="e", language="de"), "captions de"),
        (RUNG, "rendition 240p"),
    ],
)
def test_steps_have_names(step: Step, told: str) -> None:
    """Of what is made, not of how."""
    assert told == results._label(step)


def ended(reason: Reason | None, **outcome: object) -> Ended:
    """A file that ended so."""
    source = Source(etag="e", last_modified="now")
    why = Why(code=reason, message="For the public.") if reason else None
    serving = Serving(kind="video", products=(), captions="unavailable", html="") if reason is None else None
    found = Manifest(status=Status.QUARANTINED, reason=why, revision=1, updated_at=NOW, source=source, serving=serving)
    base = {"version": "v", "bucket": "b", "key": "a", "etag": "e", "version_id": None, "size": 1, "status": "s"}
    rest = {"cause": "c", "started_at": NOW, "worker": "w", "recipe": "r"}
    return Ended(key="a", manifest=found, outcome=Outcome.model_validate(base | rest | outcome))


def test_the_operator_is_told_more_than_the_public() -> None:
    """What was seen, or why nobody could be asked; all others read the message that the uploader does."""
    review = ended(Reason.MODERATION_REVIEW, moderation=MODERATED, media={"seconds": 90.0})
    assert "moderation_review: Weapons 81.25 % at 0:01:15, by the rule Violence" == results._made(review)
    unavailable = ended(Reason.MODERATION_UNAVAILABLE, message="local: no answer")
    assert "moderation_unavailable: local: no answer" == results._made(unavailable)
    assert "moderation_review: For the public." == results._made(ended(Reason.MODERATION_REVIEW))
    assert "damaged: For the public." == results._made(ended(Reason.DAMAGED))
    assert "video, 0 products, no captions: see show" == results._made(ended(None))
