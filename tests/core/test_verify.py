"""Whether a track is what was asked for."""

from dataclasses import replace
from fractions import Fraction

import pytest

from service.core import verify
from service.core.boxes import Fragment, Index
from service.core.media import Clip
from service.core.outcome import Reason, Rejected
from service.core.step import Rendition, Sound
from tests.core.samples import PHONE, SONG
from tests.core.test_step import RENDITION, SOUND


def lasting(seconds: float, *, priming: float = 0) -> Index:
    """The index of a track of one fragment."""
    fragment = Fragment(offset=900, bytes=100, duration=Fraction(seconds), starts_with_key=True, key_frame_bytes=10)
    return Index(
        init_bytes=700,
        sidx_offset=700,
        sidx_bytes=200,
        codec="avc1.64001f",
        timescale=1000,
        priming=Fraction(priming),
        segments=(fragment,),
    )


def clip(seconds: float) -> Clip:
    """A video of so many seconds."""
    return replace(PHONE, timeline=replace(PHONE.timeline, duration=seconds))


@pytest.mark.parametrize(
    ("step", "source", "seconds"),
    [
        (RENDITION, clip(10), 10.0),
        (RENDITION, clip(10), 9.0),
        (RENDITION, clip(10), 30.0),
        (RENDITION, clip(1000), 980.0),
        (RENDITION, clip(0.5), 0.04),
        (SOUND, PHONE, 0.5),
        (SOUND, PHONE, 100.0),
        (SOUND, SONG, 9.5),
    ],
)
def test_whole(step: Rendition | Sound, source: Clip, seconds: float):
    """A second or two per cent may be missing; sound beside a picture may end when it likes."""
    assert None is verify.check_track(step, lasting(seconds), source)


@pytest.mark.parametrize(
    ("step", "source", "index", "says"),
    [
        (RENDITION, clip(10), lasting(8.9), "should last 10.0 s, but only 8.9 s"),
        (RENDITION, clip(1000), lasting(979), "should last 1000.0 s, but only 979.0 s"),
        (SOUND, SONG, lasting(8.0), "should last 10.0 s, but only 8.0 s"),
        (SOUND, SONG, lasting(10.0, priming=2.0), "should last 10.0 s, but only 8.0 s"),
        (RENDITION, clip(0.1), lasting(0.0), "Nothing in it could be decoded"),
        (SOUND, PHONE, lasting(0.02, priming=0.02), "Nothing in it could be decoded"),
    ],
)
def test_cut_short(step: Rendition | Sound, source: Clip, index: Index, says: str):
    """ffmpeg ends well on a truncated file: what is too short is damaged all the same."""
    with pytest.raises(Rejected, match=says) as caught:
        verify.check_track(step, index, source)
    assert Reason.DAMAGED == caught.value.reason
