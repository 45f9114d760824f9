"""Forces interleavings: of all calls that wait, one at a time goes on, in an order that a seed decides."""

import asyncio
from collections.abc import Coroutine
from random import Random
from typing import Any

from tests.fakes import Wire


class Referee:
    """Lets no call go on before every player waits at one, or is done: so an order is the same on any machine."""

    def __init__(self, seed: int) -> None:
        self._random = Random(seed)
        self._waiting: dict[str, list[asyncio.Future[None]]] = {}
        self.order: list[str] = []  #: who went on, and with which call

    def wire(self, player: str) -> Wire:
        """What all calls of one player go over."""
        self._waiting[player] = []

        async def wait(call: str) -> None:
            turn = asyncio.get_running_loop().create_future()
            self._waiting[player].append(turn)
            await turn
            self.order.append(f"{player} {call}")

        return Wire(before=wait)

    async def play(self, **players: Coroutine[Any, Any, None]) -> dict[str, BaseException | None]:
        """Run all of them to their ends; what each failed with."""
        tasks = {name: asyncio.ensure_future(work) for name, work in players.items()}
        while not all(task.done() for task in tasks.values()):
            await self._gather_at_calls(tasks)
            ready = sorted(name for name, waiting in self._waiting.items() if waiting)
            if ready:
                waiting = self._waiting[self._random.choice(ready)]
                turn = waiting.pop(self._random.randrange(len(waiting)))
                if not turn.cancelled():
                    turn.set_result(None)
        return {name: task.exception() for name, task in tasks.items()}

    async def _gather_at_calls(self, tasks: dict[str, "asyncio.Task[None]"]) -> None:
        for _ in range(3):
            await asyncio.sleep(0)  # the call that went on has its effect
        while any(not task.done() and not self._waiting[name] for name, task in tasks.items()):  # noqa: ASYNC110
            await asyncio.sleep(0)  # somebody computes, perhaps in a thread: nobody tells when that is over
