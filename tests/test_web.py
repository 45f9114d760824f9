"""The endpoints that an orchestrator and a dashboard look at."""

from collections.abc import AsyncIterator

import aiohttp
import pytest

from service import metrics
from service.runtime.worker import Pulse
from service.web import health
from tests.fakes import Clock

WITHIN = 60.0


@pytest.fixture(name="pulse")
def _pulse() -> Pulse:
    return Pulse(slots=2, clock=Clock())


@pytest.fixture(name="get")
async def _get(pulse: Pulse) -> AsyncIterator[aiohttp.ClientSession]:
    async with (
        health.serving(pulse, host="127.0.0.1", port=0, within=WITHIN) as port,
        aiohttp.ClientSession(f"http://127.0.0.1:{port}") as session,
    ):
        yield session


async def answer(session: aiohttp.ClientSession, path: str) -> tuple[int, object]:
    """Status and document."""
    async with session.get(path) as response:
        return response.status, await response.json()


async def test_a_worker_that_has_not_begun_is_neither(get: aiohttp.ClientSession) -> None:
    """Both say so with 503."""
    assert (503, {"alive": False, "busy": 0, "slots": 2}) == await answer(get, "/healthz")
    assert (503, {"ready": False, "draining": False}) == await answer(get, "/readyz")


async def test_a_worker_whose_queue_answers_is_both(get: aiohttp.ClientSession, pulse: Pulse) -> None:
    """200, and how busy it is."""
    pulse.beat(polled=True)
    pulse.busy = 1
    assert (200, {"alive": True, "busy": 1, "slots": 2}) == await answer(get, "/healthz")
    assert (200, {"ready": True, "draining": False}) == await answer(get, "/readyz")


async def test_a_worker_whose_queue_is_silent_is_alive_and_not_ready(get: aiohttp.ClientSession, pulse: Pulse) -> None:
    """Another one would fare no better."""
    pulse.beat(polled=False)
    assert 200 == (await answer(get, "/healthz"))[0]
    assert 503 == (await answer(get, "/readyz"))[0]


async def test_a_loop_that_stands_still_is_dead(get: aiohttp.ClientSession, pulse: Pulse) -> None:
    """Unless every slot is busy: then nothing is received."""
    pulse.beat(polled=True)
    assert isinstance(pulse.clock, Clock)
    pulse.clock.now += WITHIN + 1
    assert 503 == (await answer(get, "/healthz"))[0]
    pulse.busy = 2
    assert 200 == (await answer(get, "/healthz"))[0]


async def test_a_draining_worker_is_alive_and_not_ready(get: aiohttp.ClientSession, pulse: Pulse) -> None:
    """It finishes what it has, and wants nothing more."""
    pulse.beat(polled=True)
    pulse.draining = True
    assert 200 == (await answer(get, "/healthz"))[0]
    assert (503, {"ready": False, "draining": True}) == await answer(get, "/readyz")


async def test_metrics_are_in_the_format_of_prometheus(get: aiohttp.ClientSession) -> None:
    """Every metric that the service has, by its name and with its help."""
    metrics.jobs.labels("ready", "").inc()
    async with get.get("/metrics") as response:
        text = await response.text()
        kind = response.headers["Content-Type"]
    assert kind.startswith("text/plain; version=")
    names = {family.name for family in metrics.REGISTRY.collect()}
    assert {line.split()[2].removesuffix("_total") for line in text.splitlines() if line.startswith("# HELP")} >= names
    assert 'media_jobs_total{reason="",status="ready"}' in text


async def test_nothing_else_is_served(get: aiohttp.ClientSession) -> None:
    """No index, and no other method."""
    async with get.get("/") as response:
        assert 404 == response.status
    async with get.post("/healthz") as response:
        assert 405 == response.status
