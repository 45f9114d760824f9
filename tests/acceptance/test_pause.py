"""`pause` and `resume` with a worker that runs: nothing is received, it stays healthy, and goes on."""

import time
import urllib.request
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.resources import Client, Resources
from tests.acceptance.samples import sample
from tests.acceptance.service import running, wait_for
from tests.acceptance.site import Site
from tests.test_cli import run

QUIET = 'moderation.provider = "off"\n'


@pytest.fixture(name="site")
def _site(resources: Resources, client_of: Callable[[str], Client]) -> Site:
    return Site(resources=resources, s3=client_of("s3"), sqs=client_of("sqs"))


@pytest.mark.timeout(180)
def test_a_paused_worker_takes_nothing_and_goes_on(site: Site, tmp_path: Path) -> None:
    """Uploads wait meanwhile; probes say that it is well; the log says when it began and ended."""
    settings = site.resources.environment("/")
    with running(site.resources, tmp_path, program="tests.acceptance.hurried_worker", recipe=QUIET) as service:
        assert 0 == run("pause", "intake", "--why", "we move", **settings).code
        wait_for(lambda: service.lines("paused") or None, seconds=40, what="the worker to pause")
        site.upload("picture.jpg", sample(tmp_path, "picture.jpg"))
        time.sleep(3)
        assert site.manifest("picture.jpg") is None
        for probe in ("healthz", "readyz"):
            with urllib.request.urlopen(f"http://127.0.0.1:{service.port}/{probe}") as answer:
                assert 200 == answer.status
        assert 0 == run("resume", "intake", **settings).code
        assert "ready" == site.final("picture.jpg", seconds=60).status
        told = [(line["event"], line["queue"]) for event in ("paused", "resumed") for line in service.lines(event)]
    assert [("paused", "intake"), ("resumed", "intake")] == told
