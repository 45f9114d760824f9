"""Whether a track is what was asked for."""

from collections.abc import Callable, Iterable
from dataclasses import replace
from fractions import Fraction

import pytest

from service.core import dash, playlists, tracks, verify
from service.core.boxes import Fragment, Index
from service.core.media import Clip
from service.core.outcome import Reason, Rejected, Unavailable
from service.core.record import Damaged, Spent
from service.core.step import Rendition, Sound
from service.core.verify import Found, Ran
from tests.core.samples import PHONE, SONG
from tests.core.test_step import PROGRESSIVE, RENDITION, SOUND


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
        samples=round(seconds * 25),
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


SPENT = Spent(wall_seconds=1, cpu_seconds=1, peak_memory_bytes=1)


@pytest.mark.parametrize(
    ("container", "errors", "missing", "expected"),
    [
        ("mov,mp4,m4a,3gp,3g2,mj2", 0, 0.0, None),
        ("mov,mp4,m4a,3gp,3g2,mj2", 1, 0.0, Damaged(errors=1, first="h264: x")),
        ("mov,mp4,m4a,3gp,3g2,mj2", 0, 1.5, Damaged(missing=1.5)),
        ("mpegts", 2, 0.0, None),
        ("mpegts", 3, 0.0, Damaged(errors=3, first="h264: x")),
        ("mpegts", 2, 1.5, Damaged(missing=1.5)),
    ],
)
def test_damage(container: str, errors: int, missing: float, expected: Damaged | None):
    """What could not be decoded, and sound that is missing; each track of a recording may end within a frame."""
    ran = Ran(spent=SPENT, errors=errors, first="h264: x" if errors else "")
    assert expected == verify.damage(ran, replace(PHONE, container=container), missing=missing)


MET = [None, Damaged(missing=1.5), Damaged(errors=3, first="a"), Damaged(errors=2, first="b", missing=1.0)]


def test_damage_of_several_commands():
    """What each met in its own part is added up; the longest loss of sound is the loss."""
    assert Damaged(errors=5, first="a", missing=1.5) == verify.together(MET)


def test_damage_that_several_commands_met_alike():
    """Two that read the same bytes meet the same errors: who met the most has met them all."""
    assert Damaged(errors=3, first="a", missing=1.5) == verify.worst(MET)


@pytest.mark.parametrize("summed", [verify.together, verify.worst])
def test_no_damage_of_several_commands(summed: Callable[[Iterable[Damaged | None]], Damaged | None]):
    """Nothing where none met any, and that of one where only one did."""
    only = Damaged(errors=2, first="a", missing=1.0)
    assert (None, None, only) == (summed([]), summed([None, None]), summed([None, only, None]))


@pytest.mark.parametrize(
    ("damage", "says"),
    [
        (Damaged(errors=1, first="h264: secret"), "It is damaged: 1 part of it could not be decoded."),
        (Damaged(errors=1200), "It is damaged: 1,200 parts of it could not be decoded."),
        (
            Damaged(errors=2, missing=1.5),
            "It is damaged: 2 parts of it could not be decoded, and 1.5 s of its sound are missing.",
        ),
        (Damaged(missing=1.5), "It is damaged: 1.5 s of its sound are missing."),
    ],
)
def test_the_policy_is_what_ends_a_damaged_source(damage: Damaged, says: str):
    """It is published as far as it goes, or refused in words that an uploader may read."""
    verify.check_damage(damage, "publish")
    verify.check_damage(None, "reject")
    with pytest.raises(Rejected) as caught:
        verify.check_damage(damage, "reject")
    assert (Reason.DAMAGED, says) == (caught.value.reason, caught.value.message)


@pytest.mark.parametrize(
    ("ends", "seconds", "expected"),
    [
        (((0, 10.0), (1, 10.0)), 10.0, 0.0),
        (((0, 10.0), (1, 10.0)), 9.0, 0.0),
        (((0, 10.0), (1, 10.0)), 8.5, 1.5),
        (((0, 10.0), (1, 4.0)), 4.0, 0.0),
        (((0, 1000.0), (1, 1000.0)), 980.0, 0.0),
        (((0, 1000.0), (1, 1000.0)), 979.0, 21.0),
        (((0, 10.0), (1, 4.0)), 9.0, 0.0),
        (((0, 10.0),), 1.0, 0.0),
        ((), 1.0, 0.0),
    ],
)
def test_sound_that_is_missing(ends: tuple[tuple[int, float], ...], seconds: float, expected: float):
    """By where the packets of its own track end; what was examined before anybody noted that is let pass."""
    source = replace(PHONE, timeline=replace(PHONE.timeline, ends=ends))
    assert expected == verify.missing(SOUND, lasting(seconds), source)


def test_frames():
    """As many as the duration says at a constant rate, and as the encoder counted."""
    verify.check_frames(RENDITION, lasting(4))
    verify.check_frames(RENDITION, lasting(4), encoded=100)
    with pytest.raises(Unavailable, match="720p: 100 frames were written, 101 encoded"):
        verify.check_frames(RENDITION, lasting(4), encoded=101)
    with pytest.raises(Unavailable, match="720p: 90 frames were written, 100 encoded"):
        verify.check_frames(RENDITION, replace(lasting(4), samples=90))


INDEX = replace(lasting(4), segments=(lasting(2).segments[0], replace(lasting(2).segments[0], offset=1000)))
MEDIA = playlists.media(INDEX, file="720p.mp4")
I_FRAMES = playlists.i_frames(INDEX, file="720p.mp4")
CAPTIONS = playlists.captions(file="en.vtt", duration=4.0)
TRACK = replace(
    tracks.video_track(
        INDEX, file="720p.mp4", playlist="720p.m3u8", i_frames="i.m3u8", width=1280, height=720, frame_rate="25"
    ),
    folder="../b/",
)
MASTER = playlists.multivariant([TRACK], [])
DASH = dash.manifest([TRACK], [], duration=4.0)
WHOLE = {"720p.mp4": 1100, "en.vtt": 9, "../b/720p.mp4": 1100, "../b/720p.m3u8": 1, "../b/i.m3u8": 1}


@pytest.mark.parametrize("text", [MEDIA, I_FRAMES, CAPTIONS, MASTER, DASH])
def test_what_playlists_name(text: str):
    """Every entry of those that are written lies in its file."""
    verify.check_playlist(text, WHOLE)
    with pytest.raises(Unavailable, match="which was not made"):
        verify.check_playlist(text, {})


@pytest.mark.parametrize(
    ("text", "sizes", "says"),
    [
        (MEDIA, {"720p.mp4": 1099}, "names bytes 900 to 1100 of 720p.mp4, which has 1099"),
        (I_FRAMES, {"720p.mp4": 1009}, "names bytes 1000 to 1010 of 720p.mp4, which has 1009"),
        (MEDIA, {"720p.mp4": 699}, "names bytes 0 to 700"),
        (MEDIA.replace("200@900", "0@900"), {}, "names bytes 900 to 900"),
        (MEDIA.replace("200@900", "200@-900"), {}, "'200@-900' is no byte range"),
        (MEDIA.replace("200@900", "200"), {}, "'200' is no byte range"),
        (MEDIA.replace("4.000000", "0.000000"), {}, "takes no time"),
        (MEDIA.replace("#EXT-X-ENDLIST\n", ""), {}, "does not end"),
        ("#EXTM3U\n#EXT-X-ENDLIST\n", {}, "names nothing"),
        ("", {}, "can't be read"),
        (CAPTIONS, {"en.vtt": 0}, "names bytes 0 to 0 of en.vtt, which has 0"),
        (MASTER, {"../b/i.m3u8": 0}, "bytes 0 to 0 of ../b/i.m3u8"),
        (DASH, {"../b/720p.mp4": 899}, "names bytes 700 to 900"),
        (DASH, {"../b/720p.mp4": 699}, "names bytes "),
        (DASH.replace("700-899", "700-"), {}, "'700-' is no byte range"),
        (DASH.replace("700-899", "899-700"), {}, "names bytes 899 to 701"),
        (DASH[:-20], {}, "can't be read"),
    ],
)
def test_entries_outside_of_their_files(text: str, sizes: dict[str, int], says: str):
    """None of it is the upload's fault, so it is tried again."""
    with pytest.raises(Unavailable) as caught:
        verify.check_playlist(text, WHOLE | sizes)
    assert says in str(caught.value)


def test_a_joined_file_has_every_frame():
    """Where it is known how many there are."""
    found = Found(kinds=("audio", "video"), duration=10.0, frames=250)
    verify.check_progressive(PROGRESSIVE, found, seconds=10.0)
    verify.check_progressive(PROGRESSIVE, found, seconds=10.0, frames=250)
    with pytest.raises(Unavailable, match="251 frames were joined to 250"):
        verify.check_progressive(PROGRESSIVE, found, seconds=10.0, frames=251)
