"""/healthz, /readyz and /metrics, on a port of their own."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from aiohttp import web
from prometheus_client import CONTENT_TYPE_LATEST

from service import metrics
from service.runtime.worker import Pulse

PULSE = web.AppKey("pulse", Pulse)
WITHIN = web.AppKey("within", float)


def application(pulse: Pulse, *, within: float) -> web.Application:
    """The endpoints; `within` is how many seconds ago the loop may have turned."""
    app = web.Application()
    app[PULSE], app[WITHIN] = pulse, within
    app.router.add_get("/healthz", _alive)
    app.router.add_get("/readyz", _ready)
    app.router.add_get("/metrics", _metrics)
    return app


async def _alive(request: web.Request) -> web.Response:
    """200 while the poll loop moves, or every slot is busy; else 503, and the orchestrator replaces the task."""
    pulse = request.app[PULSE]
    alive = pulse.alive(within=request.app[WITHIN])
    return web.json_response({"alive": alive, "busy": pulse.busy, "slots": pulse.slots}, status=200 if alive else 503)


async def _ready(request: web.Request) -> web.Response:
    """200 once the queue has answered, until the worker drains."""
    pulse = request.app[PULSE]
    ready = pulse.answered and not pulse.draining
    return web.json_response({"ready": ready, "draining": pulse.draining}, status=200 if ready else 503)


async def _metrics(_: web.Request) -> web.Response:
    return web.Response(body=metrics.render(), headers={"Content-Type": CONTENT_TYPE_LATEST})


@asynccontextmanager
async def serving(pulse: Pulse, *, host: str, port: int, within: float) -> AsyncIterator[int]:
    """Serve while the block runs; gives the port."""
    runner = web.AppRunner(application(pulse, within=within), access_log=None)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        assert runner.addresses
        yield runner.addresses[0][1]
    finally:
        await runner.cleanup()
