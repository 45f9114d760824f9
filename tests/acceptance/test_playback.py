"""What the service publishes, in the players that sites use, in a real browser."""

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from service.core.manifest import Manifest

player = pytest.importorskip("tests.players.player", reason="playwright is not installed")

_PICTURE = ["-f", "lavfi", "-i", "testsrc2=size=960x540:rate=30:duration=12"]
_SOUND = ["-f", "lavfi", "-i", "sine=frequency=440:duration=12"]


@pytest.fixture(name="site", scope="module")
def _site(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder that `media-worker process` published a video and a sound file to."""
    root = tmp_path_factory.mktemp("site")
    uploads = root / "uploads"
    uploads.mkdir()
    encoded = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p", "-c:a", "aac"]
    for name, argv in {"clip.mp4": [*_PICTURE, *_SOUND, *encoded], "tone.flac": [*_SOUND]}.items():
        subprocess.run(["ffmpeg", "-v", "error", "-nostdin", *argv, str(uploads / name)], check=True)
    argv = [sys.executable, "-m", "service", "process", str(uploads), "--out", str(root / "out"), "--json"]
    subprocess.run(argv, check=True, capture_output=True)
    return root / "out"


@pytest.fixture(name="browser", scope="module")
def _browser() -> "Iterator[player.Browser]":
    if missing := player.why_not():
        pytest.skip(missing)
    with player.chromium() as running:
        yield running


def _path(site: Path, key: str, role: str) -> str:
    manifest = Manifest.model_validate(json.loads((site / "media" / key / "manifest.json").read_text()))
    assert manifest.serving
    return next(product.url for product in manifest.serving.products if product.role == role).lstrip("/")


@pytest.mark.parametrize(
    ("key", "role", "play"),
    [
        ("clip.mp4", "hls", player.play_hls),
        ("clip.mp4", "hls", player.play_hls_in_shaka),
        ("clip.mp4", "dash", player.play_dash),
        ("clip.mp4", "progressive", player.play_native),
        ("tone.flac", "hls", player.play_hls),
        ("tone.flac", "dash", player.play_dash),
        ("tone.flac", "audio", player.play_native),
    ],
)
def test_products_play_to_the_end(browser: "player.Browser", site: Path, key: str, role: str, play: object) -> None:
    """Starts at zero, seeks to the middle and near the end, ends, is heard and seen, and nothing complains."""
    report = play(browser, site, _path(site, key, role))  # type: ignore[operator]  # one of the functions above

    assert () == report.errors
    assert report.duration == pytest.approx(12, abs=0.1)
    assert report.started > 0
    assert report.sought_middle > 5
    assert report.sought_end > 10
    assert report.ended
    assert report.heard
    assert report.seen == key.endswith(".mp4")


@pytest.mark.parametrize("play", [player.play_hls, player.play_hls_in_shaka, player.play_dash])
def test_every_rung_is_offered(browser: "player.Browser", site: Path, play: object) -> None:
    """A 540-line source gets its own size and the rungs below it, and a player changes between them both ways."""
    role = "dash" if play is player.play_dash else "hls"
    report = play(browser, site, _path(site, "clip.mp4", role))  # type: ignore[operator]

    assert (3, True, True) == (report.levels, report.switched_down, report.switched_up)


@pytest.mark.parametrize("name", ["index.m3u8", "index.mpd"])
def test_the_stable_addresses_play_too(browser: "player.Browser", site: Path, name: str) -> None:
    """An alias is a copy in another folder of the same depth: its relative addresses still hold."""
    play = player.play_hls if name.endswith("m3u8") else player.play_dash

    assert () == play(browser, site, f"media/clip.mp4/~/{name}").errors
