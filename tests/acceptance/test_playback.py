"""What the service publishes, in the players that sites use, in a real browser."""

import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path

import pytest

from scripts import samples
from service.core import webvtt
from service.core.captions import Cue
from service.core.manifest import Manifest
from service.core.record import Outcome
from tests.core.renditions import needs_ffmpeg

player = pytest.importorskip("tests.players.player", reason="playwright is not installed")

pytestmark = needs_ffmpeg

_ENCODED = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac"]
_SECONDS = 18
_LATE = 2  # seconds

Play = Callable[..., "player.Report"]
Played = Callable[[str, str, Play], "player.Report"]


def _files() -> dict[str, list[str]]:
    """How ffmpeg makes each upload; the clip says `samples.SPEECH`."""
    return {
        "clip.mp4": [
            *_input(f"testsrc2=size=960x540:rate=20:duration={_SECONDS}"),
            *_voice(samples.SPEECH, _SECONDS),
            *_ENCODED,
        ],
        "tone.flac": _input("sine=frequency=440:duration=12"),
        # Its clock does not begin at zero, and its sound begins later still, and ends a trace after two segments.
        "late.mkv": [
            *[*_input("testsrc2=size=320x180:rate=25:duration=8"), "-itsoffset", str(_LATE)],
            *[*_voice(samples.SPEECH[:2], 6), *_ENCODED, "-output_ts_offset", "5"],
        ],
    }


def _voice(sentences: Sequence[str], seconds: int) -> list[str]:
    tone = f"sine=frequency=440:duration={seconds}"
    return _input(samples.speech(sentences, seconds=seconds) if samples.speaks() else tone)


def _input(source: str) -> list[str]:
    return ["-f", "lavfi", "-i", source]


@pytest.fixture(name="site", scope="module")
def _site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that `media-worker process` published videos and a sound file to."""
    root = tmp_path_factory.mktemp("site")
    uploads = root / "uploads"
    uploads.mkdir()
    for name, argv in _files().items():
        subprocess.run(["ffmpeg", "-v", "error", "-nostdin", *argv, str(uploads / name)], check=True)
    argv = [sys.executable, "-m", "service", "process", str(uploads), "--out", str(root / "out"), "--json"]
    subprocess.run(argv, check=True, capture_output=True)
    return root / "out"


@pytest.fixture(name="played", scope="module")
def _played(site: Path) -> Iterator[Played]:
    """What comes of playing the product of a role, or at an address; each is played once for all tests."""
    if missing := player.why_not():
        pytest.skip(missing)
    with player.chromium() as browser:

        @cache
        def played(key: str, role: str, play: Play) -> "player.Report":
            path = role if "/" in role else _path(site, key, role)
            return play(browser, site, path, *([_captions(site, key)] if role == "progressive" else []))

        yield played


def _manifest(site: Path, key: str) -> Manifest:
    return Manifest.model_validate_json((site / "media" / key / "manifest.json").read_text())


def _path(site: Path, key: str, role: str) -> str:
    serving = _manifest(site, key).serving
    assert serving
    return next(product.url for product in serving.products if product.role == role).lstrip("/")


def _captions(site: Path, key: str) -> str | None:
    """The address of its WebVTT file, if it has one."""
    serving = _manifest(site, key).serving
    assert serving
    captions = (product for product in serving.products if product.role == "captions")
    return next((one.url.lstrip("/") for one in captions if one.content_type == "text/vtt"), None)


def _cues(site: Path, key: str) -> tuple[Cue, ...]:
    found = _captions(site, key)
    assert found
    return webvtt.parse((site / found).read_bytes())


@pytest.fixture(name="spoken")
def _spoken() -> str:
    """What the clip says."""
    if not samples.speaks():
        pytest.skip("this ffmpeg has no flite: nobody speaks")
    return " ".join(samples.SPEECH)


VIDEO = [
    ("hls", player.play_hls),
    ("hls", player.play_hls_in_shaka),
    ("dash", player.play_dash),
    ("progressive", player.play_native),
]
SOUND = [("hls", player.play_hls), ("dash", player.play_dash), ("audio", player.play_native)]


@pytest.mark.parametrize(
    ("key", "role", "play"), [*(("clip.mp4", *each) for each in VIDEO), *(("tone.flac", *each) for each in SOUND)]
)
def test_products_play_to_the_end(played: Played, key: str, role: str, play: Play) -> None:
    """Starts at zero, seeks to the middle and near the end, ends, is heard and seen, and nothing complains."""
    report = played(key, role, play)
    seconds = _SECONDS if key == "clip.mp4" else 12

    assert () == report.errors
    assert report.duration == pytest.approx(seconds, abs=0.1)
    assert report.first_buffered == pytest.approx(0, abs=0.03)
    assert report.started > 0
    assert report.sought_middle > seconds / 2
    assert report.sought_end > seconds - 1.2
    assert report.ended
    assert report.heard
    assert report.seen == key.endswith(".mp4")


@pytest.mark.parametrize(("role", "play"), VIDEO[:3])
def test_every_rung_is_offered(played: Played, role: str, play: Play) -> None:
    """A 540-line source gets its own size and the rungs below it, and a player changes between them both ways."""
    report = played("clip.mp4", role, play)

    assert (3, True, True) == (report.levels, report.switched_down, report.switched_up)


@pytest.mark.parametrize("name", ["index.m3u8", "index.mpd"])
def test_the_stable_addresses_play_too(played: Played, name: str) -> None:
    """An alias is a copy in another folder of the same depth: its relative addresses still hold."""
    play = player.play_hls if name.endswith("m3u8") else player.play_dash

    assert () == played("clip.mp4", f"media/clip.mp4/~/{name}", play).errors


@pytest.mark.parametrize(("role", "play"), VIDEO)
def test_captions_are_shown(played: Played, site: Path, spoken: str, role: str, play: Play) -> None:
    """At most a tenth of the words are wrong; each cue is there once, at its time, and after a seek the right one."""
    cues, report = _cues(site, "clip.mp4"), played("clip.mp4", role, play)

    assert (1, ()) == (report.captions, report.errors)
    assert _word_errors(spoken, " ".join(cue.text for cue in report.cues)) <= 0.1
    _check_cues(report, cues)
    assert [texts for _, texts in report.active] == [_said_at(cues, at) for at, _ in report.active]
    assert report.active[0][1]


def test_captions_keep_to_the_sound_that_begins_late(played: Played, site: Path, spoken: str) -> None:
    """Where neither the clock nor the sound begins at zero, the words come when they are heard."""
    cues, report = _cues(site, "late.mkv"), played("late.mkv", "hls", player.play_hls)

    assert (report.errors, report.ended) == ((), True)
    assert spoken.startswith(cues[0].lines[0])
    assert cues[0].start == pytest.approx(_LATE, abs=0.6)  # the voice takes half a second to begin
    assert report.first_buffered == pytest.approx(0, abs=0.03)
    _check_cues(report, cues)


def test_the_record_says_who_wrote_the_captions(site: Path, spoken: str) -> None:
    """The outcome names the model, the manifest that it was a machine; a tone has no captions, which is no failure."""
    clip, tone = _outcome(site, "clip.mp4"), _outcome(site, "tone.flac")

    assert spoken
    assert clip.captions
    assert tone.captions
    assert (clip.captions.machine, len(_cues(site, "clip.mp4"))) == (True, clip.captions.cues)
    assert "whisper tiny.en" in (clip.captions.model or "")
    assert (tone.status, tone.captions.none) == ("ready", "no_speech")
    for key, said in {"clip.mp4": "machine", "tone.flac": "none"}.items():
        serving = _manifest(site, key).serving
        assert serving
        assert said == serving.captions


def _outcome(site: Path, key: str) -> Outcome:
    (found,) = (site / "records" / key).glob("*/outcome.json")
    return Outcome.model_validate_json(found.read_text())


def _check_cues(report: "player.Report", cues: Sequence[Cue]) -> None:
    """The player shows the file's cues, each once, and no further from their times than a frame."""
    assert [_line(cue.text) for cue in report.cues] == [" ".join(cue.lines) for cue in cues]
    for shown, cue in zip(report.cues, cues, strict=True):
        assert (shown.start, shown.end) == pytest.approx((cue.start, cue.end), abs=0.04)


def _said_at(cues: Sequence[Cue], at: float) -> tuple[str, ...]:
    """As a browser has it in `activeCues`."""
    return tuple("\n".join(cue.lines) for cue in cues if cue.start <= at < cue.end)


def _line(text: str) -> str:
    return " ".join(text.split())


def _words(text: str) -> list[str]:
    return re.findall(r"[a-z0-9']+", text.lower())


def _word_errors(said: str, heard: str) -> float:
    """The word error rate: insertions, deletions and substitutions, for each word that was said."""
    wanted, found = _words(said), _words(heard)
    costs = list(range(len(found) + 1))
    for row, word in enumerate(wanted, start=1):
        before, costs[0] = costs[0], row
        for column, other in enumerate(found, start=1):
            step = min(before + (word != other), costs[column] + 1, costs[column - 1] + 1)
            before, costs[column] = costs[column], step
    return costs[-1] / len(wanted)


def test_word_errors() -> None:
    """A substitution, a deletion and an insertion count one each; case and punctuation nothing."""
    assert [0.0, 0.5, 0.5, 0.5] == [
        _word_errors("One, two.", heard) for heard in ("one two", "1 two", "two", "a one two")
    ]
