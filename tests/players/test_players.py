"""Finished streams in a real browser: start, change of rung, seeks and the end, in every player that sites use."""

from collections.abc import Callable, Iterator
from pathlib import Path
from subprocess import run

import ffmpeg
import pytest

from service.core import dash, playlists, storyboard, tracks
from tests.core.renditions import needs_ffmpeg, picture_folder, sound_folder

player = pytest.importorskip("tests.players.player", reason="playwright is not installed")

SECONDS = 12
RATE = "30000/1001"
CUES = "WEBVTT\n\n00:00.500 --> 00:02.000\nfirst\n\n00:06.000 --> 00:08.000\nsecond\n"

#: A tile a second, on three sheets.
BOARD = storyboard.Layout(seconds=SECONDS, width=160, height=90, columns=2, rows=2, count=12)

pytestmark = needs_ffmpeg

Play = Callable[["player.Browser", Path, str], "player.Report"]


@pytest.fixture(scope="module")
def browser() -> "Iterator[player.Browser]":
    """One browser for all; each play has a profile of its own. Installs the players the first time."""
    if missing := player.why_not():
        pytest.skip(missing)
    with player.chromium() as running:
        yield running


@pytest.fixture(scope="module")
def site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two rungs, two languages and captions, each in a folder of its own; manifests of all of them and of parts."""
    root = tmp_path_factory.mktemp("site")
    clip = {"seconds": str(SECONDS), "rate": RATE}
    videos = [
        picture_folder(root / "~360p", size="640x360", bit_rate="700k", **clip),
        picture_folder(root / "~180p", size="320x180", bit_rate="200k", **clip),
    ]
    audios = [
        sound_folder(root / "~en", seconds=str(SECONDS), language="en"),
        sound_folder(root / "~de", seconds=str(SECONDS), language="de", stream=1),
    ]
    texts = [_captions(root / "~text")]
    for name, parts in {"all": (videos, audios, texts), "video": (videos, []), "audio": ([], audios[:1])}.items():
        (root / name).mkdir()
        (root / name / "index.m3u8").write_text(playlists.multivariant(*parts))
        (root / name / "index.mpd").write_text(dash.manifest(*parts, duration=SECONDS))
    return root


@pytest.fixture(scope="module")
def board(site: Path) -> str:
    """Where below the site the storyboard of its larger rung is."""
    folder = site / "~board"
    folder.mkdir()
    frames = storyboard.sampled(ffmpeg.input(str(site / "~360p/video.mp4")), BOARD)
    small = frames.filter("scale", BOARD.width, BOARD.height).filter("format", storyboard.PIXELS)
    argv = ffmpeg.compile(storyboard.sprites(small, BOARD))
    run([argv[0], "-nostdin", "-v", "error", *argv[1:]], cwd=folder, check=True)
    (folder / storyboard.VTT).write_text(storyboard.vtt(BOARD, BOARD.names))
    return f"~board/{storyboard.VTT}"


def _captions(folder: Path) -> tracks.CaptionTrack:
    folder.mkdir()
    (folder / "en.vtt").write_text(CUES)
    (folder / "en.m3u8").write_text(playlists.captions(file="en.vtt", duration=SECONDS))
    return tracks.CaptionTrack(folder="../~text/", file="en.vtt", playlist="en.m3u8", language="en", name="English")


HLS = pytest.param(player.play_hls, "index.m3u8", id="hls.js")
SHAKA_HLS = pytest.param(player.play_hls_in_shaka, "index.m3u8", id="shaka-hls")
SHAKA_DASH = pytest.param(player.play_dash, "index.mpd", id="shaka-dash")


def _check_playback(report: "player.Report") -> None:
    """The whole stream was there: it started at zero, went on after each seek, and ended, with no complaint."""
    notes = [note for note in report.notes if not note.startswith("bufferStalledError")]  # a slow machine's
    assert (report.errors, notes) == ((), [])
    assert report.duration == pytest.approx(SECONDS, abs=0.05)
    assert report.first_buffered == pytest.approx(0, abs=0.03)
    assert report.started > 0
    assert SECONDS / 2 < report.sought_middle < SECONDS / 2 + 2
    assert SECONDS - 1 < report.sought_end <= SECONDS + 0.05
    assert report.ended


@pytest.mark.parametrize(("play", "manifest"), [HLS, SHAKA_HLS, SHAKA_DASH])
def test_ladder_with_sounds_and_captions_plays(
    browser: "player.Browser", site: Path, play: Play, manifest: str
) -> None:
    """A ladder plays from start to end, changes rung both ways, and offers both languages and the captions."""
    report = play(browser, site, f"all/{manifest}")
    _check_playback(report)
    assert (report.levels, report.switched_down, report.switched_up) == (2, True, True)
    assert (report.sounds, report.captions) == (2, 1)
    assert report.cues == (player.Cue(0.5, 2, "first"), player.Cue(6, 8, "second"))
    assert [texts for _, texts in report.active] == [("second",), ()]
    assert (report.heard, report.seen, report.width, report.height) == (True, True, 640, 360)


@pytest.mark.parametrize(("play", "manifest"), [HLS, SHAKA_DASH])
def test_sound_alone_plays(browser: "player.Browser", site: Path, play: Play, manifest: str) -> None:
    """A stream without pictures plays from start to end."""
    report = play(browser, site, f"audio/{manifest}")
    _check_playback(report)
    assert (report.heard, report.seen) == (True, False)


@pytest.mark.parametrize(("play", "manifest"), [HLS, SHAKA_DASH])
def test_pictures_alone_play(browser: "player.Browser", site: Path, play: Play, manifest: str) -> None:
    """A silent ladder plays from start to end and changes rung both ways."""
    report = play(browser, site, f"video/{manifest}")
    _check_playback(report)
    assert (report.levels, report.switched_down, report.switched_up) == (2, True, True)
    assert (report.heard, report.seen) == (False, True)


def test_a_rendition_plays_as_plain_src(browser: "player.Browser", site: Path) -> None:
    """The CMAF file of a rung is also an MP4 that a plain video element plays and seeks in."""
    report = player.play_native(browser, site, "~180p/video.mp4")
    _check_playback(report)
    assert (report.heard, report.seen, report.width, report.height) == (False, True, 320, 180)


@pytest.mark.parametrize("manifest", ["index.m3u8", "index.mpd"])
def test_thumbnails_of_a_storyboard(browser: "player.Browser", site: Path, board: str, manifest: str) -> None:
    """For a time shaka shows the tile of it, from the right sheet, and on it is what the video shows then."""
    found = player.thumbnails(browser, site, f"all/{manifest}", board, [0.2, 1.5, 3.9, 4.1, 11.9])

    places = [("1", 0, 0), ("1", 160, 0), ("1", 160, 90), ("2", 0, 0), ("3", 160, 90)]
    assert [(f"/~board/storyboard-{sheet}.jpg", x, y) for sheet, x, y in places] == [
        (one.sheet, one.x, one.y) for one in found
    ]
    assert [(0, 1), (1, 1), (3, 1), (4, 1), (11, 1)] == [(one.start, one.seconds) for one in found]
    assert {(160, 90)} == {(one.width, one.height) for one in found}
    assert max(one.off for one in found) < 12  # levels of 255: the tiles beside it are 15 or more off


def test_a_broken_stream_is_reported(browser: "player.Browser", site: Path) -> None:
    """The harness sees what is wrong: a file that is missing ends in errors, not in a pass."""
    report = player.play_native(browser, site, "missing.mp4")
    assert any(error.startswith("404") for error in report.errors)
    assert not report.ended


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        (None, range(10)),
        ("bytes=0-3", range(4)),
        ("bytes=4-", range(4, 10)),
        ("bytes=-3", range(7, 10)),
        ("bytes=8-99", range(8, 10)),
        ("bytes=10-", None),
        ("bytes=-", None),
        ("bytes=3-1", None),
        ("lines=0-1", None),
    ],
)
def test_the_server_understands_ranges(header: str | None, expected: range | None) -> None:
    """Byte ranges are those of RFC 9110, 14.1.2; what cannot be satisfied is 416."""
    from tests.players.server import byte_range

    assert expected == byte_range(header, 10)
