"""ECS task scale-in protection, by the agent's own endpoint: no credentials, no call to the ECS API.

Amazon ECS Developer Guide, "Amazon ECS task scale-in protection endpoint". It covers service auto scaling and
deployments; not Spot, which takes the task two minutes after SIGTERM.
"""

import json
from typing import Any

import aiohttp

from service.aws.errors import answered
from service.core.outcome import Unavailable

#: Above any renewal, below the three hours that CloudFormation waits for a protected task before it rolls back.
EXPIRES_MINUTES = 60
_TIMEOUT = aiohttp.ClientTimeout(total=5, connect=2)
_LEAVE = "DEPLOYMENT_BLOCKED"  # more protected tasks than the service wants


class TaskProtection:
    """Of the task that this process runs in; `uri` is its `ECS_AGENT_URI`."""

    def __init__(self, session: aiohttp.ClientSession, *, uri: str) -> None:
        self._session = session
        self._url = f"{uri.rstrip('/')}/task-protection/v1/state"

    async def protect(self) -> bool:
        """Ask to be spared for an hour from now; False when the service wants fewer tasks than are protected.

        :raises Unavailable: when the agent does not answer, or refuses for another reason.
        """
        reason = await self._put({"ProtectionEnabled": True, "ExpiresInMinutes": EXPIRES_MINUTES})
        if reason not in {None, _LEAVE}:
            raise Unavailable(f"task protection: {reason}")
        return reason is None

    async def expose(self) -> None:
        """Give the protection up.

        :raises Unavailable: when the agent does not answer, or refuses.
        """
        if reason := await self._put({"ProtectionEnabled": False}):
            raise Unavailable(f"task protection: {reason}")

    async def _put(self, state: dict[str, object]) -> str | None:
        """The reason of a refusal, or None. The answer's body counts, whatever its status is."""
        with answered("task protection"):
            async with self._session.put(self._url, json=state, timeout=_TIMEOUT) as answer:
                return _refusal(json.loads(await answer.text()))


def _refusal(answer: Any) -> str | None:
    if answer.get("protection"):
        return None
    if failure := answer.get("failure"):
        return str(failure.get("Reason"))
    error = answer.get("error") or {}
    return f"{error.get('Code')}: {error.get('Message')}"
