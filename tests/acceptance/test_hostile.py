"""A worker whose decoders have been taken over by what was uploaded."""

import json
import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.resources import Client, Resources
from service.core.manifest import Manifest
from service.core.outcome import Reason
from service.tools import landlock
from tests.acceptance.samples import sample
from tests.acceptance.service import running
from tests.acceptance.site import Site

STUBS = Path(__file__).parents[1] / "tools/stubs"
HEAD = b"\0\0\0\x18ftypisom\0\0\2\0isommp41"
SECRET = "planted-9f2c"


@pytest.fixture(name="site")
def _site(resources: Resources, client_of: Callable[[str], Client]) -> Site:
    return Site(resources=resources, s3=client_of("s3"), sqs=client_of("sqs"))


@pytest.fixture(name="programs")
def _programs(tmp_path: Path) -> Path:
    """A folder with a hostile ffmpeg and ffprobe."""
    folder = tmp_path / "programs"
    folder.mkdir()
    for name in ("ffmpeg", "ffprobe"):
        (folder / name).write_text(f"#!{sys.executable} -I\n{(STUBS / 'hostile.py').read_text()}")
        (folder / name).chmod(0o755)
    return folder


def attacks(port: int, target: Path) -> dict[str, tuple[list[object], Reason]]:
    """What each upload makes its decoder try, and why that job ends."""
    outside = {"write": ([str(target)], Reason.DAMAGED), "link_to": ([str(target)], Reason.DAMAGED)}
    return {
        "connect": ([port], Reason.DAMAGED),
        "send_what_it_finds": ([port], Reason.DAMAGED),
        "kill_its_parent": ([], Reason.DAMAGED),
        "trace_its_parent": ([], Reason.DAMAGED),
        "become_a_shell": ([], Reason.DAMAGED),
        "fork": ([], Reason.DAMAGED),
        "ignore_sigterm": ([], Reason.TIME_LIMIT),
        "eat_memory": ([], Reason.MEMORY_LIMIT),
        **(outside if landlock.abi() else {}),  # without it, permissions alone count, and a test may be root
    }


@pytest.mark.timeout(180)
def test_only_the_attackers_jobs_suffer(site: Site, programs: Path, tmp_path: Path) -> None:
    """Each is rejected with its reason; nobody hears of a secret, nothing is left anywhere, and good work goes on."""
    target = tmp_path / "target"
    good = sample(tmp_path, "picture.jpg")
    with socket.create_server(("127.0.0.1", 0)) as canary:
        canary.settimeout(0)
        tried = attacks(canary.getsockname()[1], target)
        settings = {"HOSTILE": programs, "MEDIA_CHILD_MEMORY_MB": 256, "CANARY": SECRET}
        with running(site.resources, tmp_path, program="tests.acceptance.hostile_worker", **settings) as service:
            for attack, (arguments, _) in tried.items():
                body = json.dumps({"attack": attack, "arguments": arguments}).encode()
                site.upload(f"{attack}.mp4", HEAD + body)
            site.upload("good.jpg", good)
            ended = {attack: site.final(f"{attack}.mp4", seconds=60) for attack in tried}
            picture = site.final("good.jpg")
            assert service.process.poll() is None
        with pytest.raises(BlockingIOError):
            canary.accept()
    assert "ready" == picture.status
    assert {attack: reason for attack, (_, reason) in tried.items()} == {
        attack: _reason(manifest) for attack, manifest in ended.items()
    }
    assert not os.path.lexists(target)
    assert SECRET not in service.log.read_text()


def _reason(manifest: Manifest) -> str | None:
    return manifest.reason.code if manifest.reason else None
