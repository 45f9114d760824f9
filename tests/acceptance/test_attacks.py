"""Hostile files against the real service: each ends as it should, soon and small, and nothing is reached or told."""

import secrets
import subprocess
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from socketserver import BaseRequestHandler, ThreadingTCPServer
from threading import Thread

import pytest
from prometheus_client.utils import floatToGoString

from scripts.resources import Client, Resources
from service.core.manifest import Manifest
from tests.acceptance.service import Service, running, wait_for
from tests.acceptance.site import Site
from tests.attacks.films import films
from tests.attacks.lures import Attacks, Lures, lures
from tests.attacks.pictures import MARKUP, pictures

#: As shipped, but for what would look at and listen to the few that are published.
QUICK = 'moderation.provider = "off"\ncaptions.provider = "off"\n'
SECONDS = 2.0  # that a file may take; a machine that does more than this test gets several times as much
SLOWER = 4.0
MEMORY = 128 << 20  # bytes of any child: the metric's last bound below 150 MB
PATIENCE = 150.0


@dataclass(frozen=True, kw_only=True)
class Canary:
    """A server that nobody may call; who did so nevertheless is in `callers`."""

    address: str
    callers: list[bytes]


@contextmanager
def canary() -> Iterator[Canary]:
    """Whatever the protocol: a connection is enough."""
    callers: list[bytes] = []

    class Called(BaseRequestHandler):
        def handle(self) -> None:
            callers.append(self.request.recv(1000))

    with ThreadingTCPServer(("127.0.0.1", 0), Called) as server:
        thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.05})
        thread.start()
        try:
            yield Canary(address=f"127.0.0.1:{server.server_address[1]}", callers=callers)
        finally:
            server.shutdown()
            thread.join()


@pytest.fixture(name="site")
def _site(resources: Resources, client_of: Callable[[str], Client]) -> Site:
    return Site(resources=resources, s3=client_of("s3"), sqs=client_of("sqs"))


def planted(folder: Path, secret: str) -> Path:
    """A film beside the scratch folder whose title, and whose every frame, is a secret."""
    path = folder / "secret.ts"
    source = f"color=size=64x48:rate=10:duration=1,drawtext=text={secret}:fontcolor=white"
    tags = ["-metadata", f"service_name={secret}", "-metadata", f"title={secret}"]
    subprocess.run(
        ["ffmpeg", "-v", "error", "-nostdin", "-f", "lavfi", "-i", source, "-c:v", "mpeg2video", *tags, str(path)],
        check=True,
    )
    return path


@pytest.mark.timeout(240)
def test_hostile_files_reach_and_tell_nothing(site: Site, tmp_path: Path) -> None:
    """Each has its reason or is harmless, within its seconds and megabytes; nobody is called, and no secret told."""
    secret = secrets.token_hex(12)
    with canary() as bird:
        to = Lures(canary=bird.address, file=planted(tmp_path, secret))
        attacks = {**lures(to), **pictures(), **films(tmp_path, to)}
        for key, (body, _) in attacks.items():
            site.upload(key, body)
        with running(site.resources, tmp_path, recipe=QUICK, PLANTED_SECRET=secret) as service:
            seconds = wait_for(lambda: _ended(service, attacks), seconds=PATIENCE, what="every attack to end")
            small, all_ = _children(service)
            letters = site.dead_letters()
        found = {key: site.manifest(key) for key in attacks}
        told = b"\n".join([service.log.read_bytes(), *_everything(site)])

    assert {key: reason or "ready" for key, (_, reason) in attacks.items()} == {k: _how(m) for k, m in found.items()}
    assert {} == {key: lasted for key, lasted in seconds.items() if lasted > SECONDS * SLOWER}
    assert small == all_ >= len(attacks)
    assert ([], []) == (bird.callers, letters)
    assert (False, False) == (secret.encode() in told, MARKUP in told)
    assert [] == [page.serving.html for page in found.values() if page and page.serving and _runs(page.serving.html)]


def _ended(service: Service, attacks: Attacks) -> Mapping[str, float] | None:
    """How long the worker had each, once it has had all of them."""
    lines = [line for line in service.lines("attempt_ended") if line["key"] in attacks]
    return {line["key"]: line["seconds"] for line in lines} if len(lines) >= len(attacks) else None


def _how(page: Manifest | None) -> str | None:
    return (page.reason.code if page.reason else page.status) if page else None


def _children(service: Service) -> tuple[int, int]:
    """How many decoders held no more than `MEMORY`, and how many there were."""
    with urllib.request.urlopen(f"http://127.0.0.1:{service.port}/metrics") as answer:
        lines = dict(line.rsplit(" ", 1) for line in answer.read().decode().splitlines() if line[0] != "#")
    name = "media_child_peak_memory_bytes"
    small = lines[f'{name}_bucket{{le="{floatToGoString(MEMORY)}"}}']
    return int(float(small)), int(float(lines[f"{name}_count"]))


def _everything(site: Site) -> Iterator[bytes]:
    """The content of every object that was written, and every outcome that was told."""
    yield from (site.read(key) or b"" for key in site.objects())
    yield repr(site.outcomes()).encode()


def _runs(html: str) -> bool:
    """Whether markup that is pasted into a page has more in it than a picture or a player."""
    return any(mark in html.lower() for mark in ("<script", "onload=", "javascript:", "\n#ext"))
