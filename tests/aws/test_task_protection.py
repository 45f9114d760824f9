"""The endpoint of the ECS agent: what it is asked, and whatever it answers. A real HTTP server takes its place."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, field

import aiohttp
import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer

from service.aws import task_protection
from service.aws.task_protection import TaskProtection
from service.core.outcome import Unavailable

ARN = "arn:aws:ecs:eu-central-1:123456789012:task/media-prod/0123456789abcdef"
HELD = {"protection": {"ExpirationDate": "2026-11-24T01:00:00Z", "ProtectionEnabled": True, "TaskArn": ARN}}
FREE = {"protection": {"ExpirationDate": None, "ProtectionEnabled": False, "TaskArn": ARN}}
BLOCKED = {"failure": {"Arn": ARN, "Reason": "DEPLOYMENT_BLOCKED", "Detail": None}}


@dataclass(kw_only=True)
class Agent:
    """Gives one answer, and keeps what it was asked."""

    status: int = 200
    body: str = json.dumps(HELD)
    seconds: float = 0
    asked: list[tuple[str, str, object]] = field(default_factory=list)

    async def answer(self, request: web.Request) -> web.Response:
        """Any path, any method."""
        self.asked.append((request.method, request.path, await request.json()))
        await asyncio.sleep(self.seconds)
        return web.Response(status=self.status, text=self.body, content_type="application/json")


@pytest.fixture(name="agent")
def _agent() -> Agent:
    return Agent()


@pytest.fixture(name="protection")
async def _protection(agent: Agent) -> AsyncIterator[TaskProtection]:
    app = web.Application()
    app.router.add_route("*", "/{path:.*}", agent.answer)
    async with TestServer(app) as server, aiohttp.ClientSession() as session:
        yield TaskProtection(session, uri=f"{server.make_url('/api/0123')}")


async def test_it_asks_for_an_hour(agent: Agent, protection: TaskProtection) -> None:
    """As the developer guide has it; asking again begins the hour anew."""
    assert await protection.protect()
    asked = {"ProtectionEnabled": True, "ExpiresInMinutes": 60}
    assert [("PUT", "/api/0123/task-protection/v1/state", asked)] == agent.asked


async def test_it_gives_it_up(agent: Agent, protection: TaskProtection) -> None:
    """Without a time."""
    agent.body = json.dumps(FREE)
    await protection.expose()
    assert [("PUT", "/api/0123/task-protection/v1/state", {"ProtectionEnabled": False})] == agent.asked


@pytest.mark.parametrize("status", [200, 400])
async def test_a_blocked_deployment_means_leave(status: int, agent: Agent, protection: TaskProtection) -> None:
    """The body tells, whatever the status is."""
    agent.status, agent.body = status, json.dumps(BLOCKED)
    assert not await protection.protect()


@pytest.mark.parametrize(
    ("status", "answer", "expected"),
    [
        (400, {"failure": {"Arn": ARN, "Reason": "TASK_NOT_VALID"}}, "TASK_NOT_VALID"),
        (400, {"error": {"Arn": ARN, "Code": "AccessDenied", "Message": "no right"}}, "AccessDenied: no right"),
        (404, "page not found", "can't be read"),
        (200, [], "can't be read"),
        (200, {}, "None: None"),
    ],
    ids=["standalone task", "denied", "no endpoint", "no object", "nothing"],
)
async def test_anything_else_is_no_answer(
    status: int, answer: object, expected: str, agent: Agent, protection: TaskProtection
) -> None:
    """The worker goes on without; the log says why."""
    agent.status, agent.body = status, json.dumps(answer)
    for call in (protection.protect, protection.expose):
        with pytest.raises(Unavailable, match=expected):
            await call()


async def test_what_is_no_json_is_no_answer(agent: Agent, protection: TaskProtection) -> None:
    """Something in between may answer in its place."""
    agent.status, agent.body = 502, "<html>"
    with pytest.raises(Unavailable, match="can't be read"):
        await protection.protect()


async def test_it_does_not_wait_for_ever(
    agent: Agent, protection: TaskProtection, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A hanging agent must not keep a worker from its messages."""
    monkeypatch.setattr(task_protection, "_TIMEOUT", aiohttp.ClientTimeout(total=0.2))
    agent.seconds = 30
    with pytest.raises(Unavailable):
        await protection.protect()


async def test_an_agent_that_is_not_there() -> None:
    """Nobody listens."""
    async with aiohttp.ClientSession() as session:
        with pytest.raises(Unavailable):
            await TaskProtection(session, uri="http://127.0.0.1:9/api").protect()
