"""Digests: what names a step, and what it does not depend on."""

from dataclasses import asdict, fields, replace
from typing import Any, get_args

import pytest

from service.core import step
from service.core.step import (
    Copy,
    Cover,
    Embedded,
    Package,
    Piece,
    Placeholder,
    Poster,
    Preview,
    Progressive,
    Rendition,
    Screen,
    Sound,
    Sprites,
    Step,
    Storyboard,
    Subtitles,
    Transcript,
    UploadedPoster,
    Variant,
    Waveform,
)
from service.core.storyboard import Layout

VARIANT = Variant(
    name="320.webp", width=320, height=240, format="webp", quality=80, animated=False, background="#ffffff"
)
RENDITION = Rendition(
    name="720p",
    width=1280,
    height=720,
    frame_rate="25",
    crf=23,
    max_bit_rate=2_800_000,
    preset="veryfast",
    gop_seconds=2.0,
)
PIECE = Piece(number=1, first=7500, frames=7500, lead=25, rungs=(RENDITION,))
SOUND = Sound(name="audio", stream=1, channels=2, bit_rate=128_000, language="en", loudness=-16.0, true_peak=-1.5)
WAVEFORM = Waveform(sound=SOUND, samples_per_pixel=240)
POSTER = Poster(at=(0.0, 0.5), sizes=((640, 360), (320, 180)), formats=("webp", "jpeg"), quality=(80, 80))
LAYOUT = Layout(seconds=150.0, width=160, height=90, columns=10, rows=8, count=150)
SPRITES = Sprites(layout=LAYOUT)
STORYBOARD = Storyboard(layout=LAYOUT, sprites="c" * 40)
PREVIEW = Preview(at=3.0, seconds=3.0, width=320, height=180)
PROGRESSIVE = Progressive(video="a" * 40, audio="b" * 40, width=1280, height=720)
PACKAGE = Package(tracks=("a" * 40, "b" * 40))
SCREEN = Screen(provider="local", at=(0.5, 1.5), pad=False)
TRANSCRIPT = Transcript(provider="whisper", stream=1, language=None, languages=("en", "de"))
SUBTITLES = Subtitles(key="a.mp4.en.vtt", etag="0" * 32, language="en")
EMBEDDED = Embedded(stream=2, language="en", number=1, title="Full")
COVER = Cover(key="a.mp4.poster.jpg", etag="0" * 32, provider="local", small="pad")
UPLOADED_POSTER = UploadedPoster(
    key=COVER.key,
    etag=COVER.etag,
    cover="a" * 40,
    sizes=((640, 360), (320, 180)),
    formats=("webp", "jpeg"),
    quality=(80, 80),
    background="#ffffff",
)
COPY = Copy(name="1080p", width=1920, height=1080, frame_rate="25", max_bit_rate=5_000_000)
STEPS: list[Step] = [
    *(VARIANT, Placeholder(), COPY, RENDITION, PIECE, SOUND, WAVEFORM, POSTER, SPRITES, STORYBOARD, PREVIEW),
    *(PROGRESSIVE, PACKAGE),
    *(SCREEN, TRANSCRIPT, SUBTITLES, EMBEDDED, COVER, UPLOADED_POSTER),
]

_OTHER: dict[type, Any] = {
    str: "another",
    int: 7,
    float: 0.7,
    bool: True,
    tuple: ("jpeg",),
    type(None): "x",
    Sound: replace(SOUND, loudness=None),
    Layout: replace(LAYOUT, count=149),
}


def test_every_kind_has_an_epoch():
    """A maker without an epoch could never be made to do its work again."""
    assert {kind.__name__ for kind in get_args(Step)} == set(step.EPOCHS) == {type(one).__name__ for one in STEPS}


def test_digest_is_stable():
    """Digests are in records that are years old: this one may change only with an epoch or a parameter."""
    assert "a28201d6dc1640372e5a3340b0a523f89ed19154" == step.digest(VARIANT, version="0" * 32)


@pytest.mark.parametrize("one", STEPS, ids=lambda one: type(one).__name__)
def test_equal_steps_have_equal_digests(one: Step):
    """A digest is 40 hex digits of the values alone."""
    digest = step.digest(one, version="v")
    assert digest == step.digest(type(one)(**vars(one)), version="v")
    assert 40 == len(digest)
    assert int(digest, 16)


@pytest.mark.parametrize(
    ("one", "name"),
    [(one, field.name) for one in STEPS for field in fields(one)],
    ids=lambda one: one if isinstance(one, str) else type(one).__name__,
)
def test_every_parameter_counts(one: Step, name: str):
    """Whatever parameter changes, the step is another one."""
    changed = replace(one, **{name: _OTHER[type(getattr(one, name))]})
    assert step.digest(one, version="v") != step.digest(changed, version="v")


def test_digests_are_distinct():
    """No two kinds and no two versions of a source share a digest."""
    digests = [step.digest(one, version=version) for one in STEPS for version in ("v", "w", "")]
    assert len(digests) == len(set(digests))


def test_epoch_counts(monkeypatch: pytest.MonkeyPatch):
    """Raising a maker's epoch makes its steps anew, and no other's."""
    before = {type(one).__name__: step.digest(one, version="v") for one in STEPS}
    monkeypatch.setitem(step.EPOCHS, "Poster", step.EPOCHS["Poster"] + 1)
    after = {type(one).__name__: step.digest(one, version="v") for one in STEPS}
    assert {"Poster"} == {name for name in before if before[name] != after[name]}


def test_fingerprint_ignores_order_of_keys():
    """A fingerprint is of what a document says, not of how it is written down."""
    forwards, backwards = asdict(RENDITION), dict(reversed(asdict(RENDITION).items()))
    assert step.fingerprint(forwards) == step.fingerprint(backwards)
