"""Every reason that an upload can have, each brought about in a running service; `show` names it and what to do."""

import io
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
from PIL import Image

from scripts.resources import Client, Resources
from service.core import explain
from service.core.outcome import Reason
from tests.acceptance.samples import plain, sample
from tests.acceptance.service import environment, running
from tests.acceptance.site import Site

#: Small limits, so that small files exceed them; below `ask/` a provider is asked that is not there.
STRICT = """
captions.provider = "off"
images = { widths = [64], formats = ["jpeg"], placeholder = false }
limits = { bytes = 2_000_000, pixels = 100_000_000, frames = 5, seconds = 20, streams = 3, gap_seconds = 5 }

[[prefix]]
match = "ask/"
moderation = { provider = "rekognition", patience_seconds = 0 }
"""
#: Told of whoever is asked about a version that was replaced meanwhile; no page and no record ever says it.
NEVER_SHOWN = {Reason.SUPERSEDED}
NOWHERE = "http://127.0.0.1:9"  # discard: nobody listens


@pytest.fixture(name="site")
def _site(resources: Resources, client_of: Callable[[str], Client]) -> Site:
    return Site(resources=resources, s3=client_of("s3"), sqs=client_of("sqs"))


def ffmpeg(folder: Path, name: str, *arguments: str) -> bytes:
    """What ffmpeg makes of these arguments."""
    path = folder / name
    subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-y", *arguments, str(path)], check=True)
    return path.read_bytes()


def flat(width: int, height: int) -> bytes:
    """A PNG that is far larger when it is decoded."""
    out = io.BytesIO()
    Image.new("RGB", (width, height), "gray").save(out, "PNG", compress_level=1)
    return out.getvalue()


def animation(frames: int) -> bytes:
    """A GIF of so many frames."""
    pages = [Image.new("RGB", (32, 32), (n * 20, 90, 90)) for n in range(frames)]
    out = io.BytesIO()
    pages[0].save(out, "GIF", save_all=True, append_images=pages[1:])
    return out.getvalue()


def uploads(folder: Path) -> dict[str, tuple[bytes, Reason]]:
    """By key, a file and the reason that it is to have."""
    sound = ["-f", "lavfi", "-i", "sine=duration=1"]
    tracks = [part for n in range(4) for part in ("-map", f"{n}:a")]
    words = folder / "words.srt"
    words.write_text("1\n00:00:00,000 --> 00:00:01,000\nHello\n")
    cenc = ["-encryption_scheme", "cenc-aes-ctr", "-encryption_key", "0" * 32, "-encryption_kid", "1" * 32]
    pause = ["-f", "lavfi", "-i", "testsrc2=size=64x64:rate=10:duration=2,setpts='PTS+gt(N,9)*8/TB'"]
    picture = sample(folder, "picture.jpg").read_bytes()
    return {
        "empty.jpg": (b"", Reason.EMPTY),
        "report.pdf": (b"%PDF-1.7 " + bytes(100), Reason.UNSUPPORTED_TYPE),
        "large.jpg": (picture + bytes(2_000_000), Reason.TOO_LARGE),
        "wide.png": (flat(12_000, 9_000), Reason.TOO_MANY_PIXELS),
        "frames.gif": (animation(6), Reason.TOO_MANY_FRAMES),
        "long.mp3": (ffmpeg(folder, "long.mp3", "-f", "lavfi", "-i", "sine=duration=22"), Reason.TOO_LONG),
        "tracks.mka": (ffmpeg(folder, "tracks.mka", *sound * 4, *tracks), Reason.TOO_MANY_STREAMS),
        "words.mp4": (ffmpeg(folder, "words.mp4", "-i", str(words), "-map", "0", "-c:s", "mov_text"), Reason.NO_MEDIA),
        "half.jpg": (picture[: len(picture) // 2], Reason.DAMAGED),
        "drm.mp4": (ffmpeg(folder, "drm.mp4", *sound, "-c:a", "aac", *cenc), Reason.ENCRYPTED),
        "old.jpg": (picture, Reason.ARCHIVED),
        "pause.mkv": (ffmpeg(folder, "pause.mkv", *pause, "-c:v", "ffv1"), Reason.BAD_TIMESTAMPS),
        "heavy.png": (flat(11_000, 9_000), Reason.MEMORY_LIMIT),
        "blue.png": (plain(folder, "blue.png", "blue").read_bytes(), Reason.MODERATION_BLOCKED),
        "red.png": (plain(folder, "red.png", "red").read_bytes(), Reason.MODERATION_REVIEW),
        "ask/picture.jpg": (picture, Reason.MODERATION_UNAVAILABLE),
    }


#: These need a worker with a fault of its own.
FAULTS = {"slow.jpg": (b"\xff\xd8\xffslow", Reason.TIME_LIMIT), "bug.jpg": (b"\xff\xd8\xff bug", Reason.INTERNAL)}


def shown(site: Site, folder: Path, key: str) -> tuple[int, str]:
    """The exit code of `media-worker show`, and what it prints, in one line."""
    argv = [sys.executable, "-m", "service", "show", key]
    settings = environment(site.resources, folder) | {"COLUMNS": "250"}
    said = subprocess.run(argv, env=settings, capture_output=True, text=True, check=False)
    assert not said.stderr, said.stderr
    return said.returncode, " ".join(said.stdout.replace("│", " ").split())


@pytest.mark.timeout(240)
def test_show_names_the_reason_and_the_remedy(site: Site, tmp_path: Path) -> None:
    """One upload of each reason code; a bug counts five failed attempts before it is given up."""
    files = uploads(tmp_path)
    for key, (body, reason) in files.items():
        tier = {"StorageClass": "GLACIER"} if reason is Reason.ARCHIVED else {}
        site.s3.put_object(Bucket=site.resources.uploads, Key=key, Body=body, **tier)
    settings = {"MEDIA_CHILD_MEMORY_MB": 256, "AWS_ENDPOINT_URL_REKOGNITION": NOWHERE}
    with running(site.resources, tmp_path, program="tests.acceptance.doubled_worker", recipe=STRICT, **settings):
        found = {key: site.final(key, seconds=120) for key in files}
    for key, (body, _) in FAULTS.items():
        site.upload(key, body)
    with running(site.resources, tmp_path, program="tests.acceptance.faulty_worker", recipe=STRICT):
        for _ in range(4):
            site.notify("bug.jpg")  # five messages fail once each: one alone would wait between its tries
        found |= {key: site.final(key, seconds=60) for key in FAULTS}

    files |= FAULTS
    expected = {key: reason for key, (_, reason) in files.items()}
    assert expected == {key: page.reason.code for key, page in found.items() if page.reason}
    assert set(Reason) - NEVER_SHOWN == set(expected.values())
    for key, reason in expected.items():
        code, said = shown(site, tmp_path, key)
        assert (1, True, True) == (code, f"{reason}: " in said, " ".join(explain.REMEDIES[reason].split()) in said), (
            said
        )
