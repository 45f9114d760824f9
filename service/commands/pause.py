"""`pause` and `resume`: which queues workers receive from, and how many tasks their ECS lanes may have meanwhile.

Either can end half way and be repeated. A pause writes down what it changes before it changes it, and what a pause
has set is never taken for what a lane had before; a resume forgets last. A deployment in between changes nothing of a
pause, unless it changes a lane's capacity itself (CloudFormation sends only properties that differ from the last
template's): workers go on receiving nothing then, and a resume keeps what was deployed.
"""

from collections.abc import AsyncIterator, Callable, Collection, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from service import app
from service.aws import s3
from service.aws.scaling import Lane, Scaling
from service.config import Settings
from service.core import places
from service.core.outcome import Conflict, Crowded, Misconfigured
from service.core.record import Capacity, Pause, Paused
from service.runtime import pauses
from service.runtime.ports import Store


class Queue(StrEnum):
    """The queues that a worker may poll."""

    INTAKE = "intake"
    HEAVY = "heavy"
    BACKFILL = "backfill"


LOCAL = "local"  # the stage of what is no deployment
STOPPED = Capacity(fewest=0, most=0)

_LANES: Mapping[str, Lane] = {"intake": "light", "heavy": "heavy", "backfill": "heavy"}
_TRIES = 5  # of writing the document while others do


class Lanes(Protocol):
    """How many tasks the lanes of a deployment may have, and have."""

    def target(self, lane: Lane) -> str:
        """The id of a lane's scalable target."""

    async def capacity(self, lane: Lane) -> Capacity:
        """How many tasks scaling may start."""

    async def limit(self, lane: Lane, to: Capacity) -> None:
        """Let scaling start so many."""

    async def bring(self, lane: Lane, within: Capacity) -> None:
        """Have as many tasks as are within."""


@dataclass(frozen=True, kw_only=True)
class Changed:
    """A lane that was given another capacity, or the same again; `former` is what it has without any pause.

    That is None where nobody wrote it down: somebody stopped the lane by hand.
    """

    lane: Lane
    now: Capacity
    former: Capacity | None


@dataclass(frozen=True, kw_only=True)
class Switch:
    """What is paused and resumed: the document that workers read, and the lanes of a deployment, if it is one."""

    store: Store
    lanes: Lanes | None

    async def pause(self, queues: Collection[Queue], *, by: str, why: str | None, now: datetime) -> Pause:
        """Have workers receive nothing from these queues; what is paused since earlier stays so."""
        new = {queue.value: Paused(since=now, by=by, why=why) for queue in queues}
        return await self._change(lambda pause: pause.model_copy(update={"queues": {**new, **pause.queues}}))

    async def stop(self, queues: Collection[Queue]) -> list[Changed]:
        """Stop the tasks of their lanes, or most of them: see `allowed`.

        :raises Misconfigured: when there are no such lanes, or they may not be changed.
        """
        return [await self._stop(self.lanes, lane) for lane in lanes_of(queues)] if self.lanes else []

    async def _stop(self, lanes: Lanes, lane: Lane) -> Changed:
        target, found = lanes.target(lane), await lanes.capacity(lane)

        def remember(pause: Pause) -> Pause:
            had = former(found, pause.lanes.get(target))
            return pause.model_copy(update={"lanes": {**pause.lanes, target: had}}) if had else pause

        pause = await self._change(remember)
        had = pause.lanes.get(target)
        return await self._give(lanes, lane, allowed(lane, pause.queues, had or STOPPED), had)

    async def start(self, queues: Collection[Queue]) -> list[Changed]:
        """Give the lanes of these queues what they had, or as much of it as the pauses that remain allow.

        :raises Misconfigured: when lanes are stopped, and this is told of no deployment.
        """
        pause, _ = await pauses.read(self.store)
        if self.lanes is None:
            if pause.lanes:
                stages = sorted({target.split("/")[1].removeprefix("media-") for target in pause.lanes})
                raise Misconfigured(f"its tasks were stopped as well: say --stage {' or '.join(stages)} (MEDIA_STAGE)")
            return []
        left = set(pause.queues) - set(queues)
        return [await self._start(self.lanes, lane, pause, left) for lane in lanes_of(queues)]

    async def _start(self, lanes: Lanes, lane: Lane, pause: Pause, left: Collection[str]) -> Changed:
        found = await lanes.capacity(lane)
        had = former(found, pause.lanes.get(lanes.target(lane)))
        return await self._give(lanes, lane, allowed(lane, left, had or found), had)

    async def _give(self, lanes: Lanes, lane: Lane, to: Capacity, had: Capacity | None) -> Changed:
        await lanes.limit(lane, to)
        await lanes.bring(lane, to)
        return Changed(lane=lane, now=to, former=had)

    async def resume(self, queues: Collection[Queue], started: Iterable[Changed]) -> Pause:
        """Have workers receive from these queues again, and forget what lanes had that have it again."""
        whole = {self.lanes.target(one.lane) for one in started if one.now == one.former} if self.lanes else set()

        def forget(pause: Pause) -> Pause:
            waits = {queue: since for queue, since in pause.queues.items() if queue not in queues}
            lanes = {target: had for target, had in pause.lanes.items() if target not in whole}
            return Pause(queues=waits, lanes=lanes)

        return await self._change(forget)

    async def _change(self, following: Callable[[Pause], Pause]) -> Pause:
        """Replace the document by the one that follows it; somebody else may do so at the same time."""
        for _ in range(_TRIES):
            pause, etag = await pauses.read(self.store)
            if (new := following(pause)) == pause:
                return pause
            try:
                await self.store.write(places.pause(), new.to_json(), replaces=etag)
            except Conflict:
                continue
            return new
        raise Crowded(f"{places.pause()} is being written by somebody else: try again")


def lanes_of(queues: Collection[str]) -> list[Lane]:
    """The ECS lanes that work these queues off, each once."""
    return list(dict.fromkeys(_LANES[queue] for queue in Queue if queue in queues))


def allowed(lane: Lane, paused: Collection[str], had: Capacity) -> Capacity:
    """What a lane may have while these queues are paused: nothing without the queue that it is for.

    Messages in the backfill queue count as work of the heavy lane, paused or not: they would start every task that it
    may have, for nothing. One task stays, so that films that are uploaded meanwhile are still made.
    """
    if any(queue in paused for queue, whose in _LANES.items() if whose == lane and queue != "backfill"):
        return STOPPED
    return _capped(had) if lane == "heavy" and "backfill" in paused else had


def _capped(had: Capacity) -> Capacity:
    return Capacity(fewest=min(1, had.fewest), most=min(1, had.most))


def former(found: Capacity, remembered: Capacity | None) -> Capacity | None:
    """What a lane had before any pause: what it has, unless a pause has set that."""
    if found.most == 0 or (remembered and found == _capped(remembered)):
        return remembered
    return found


@asynccontextmanager
async def switch(settings: Settings, *, stage: str) -> AsyncIterator[Switch]:
    """Over the output bucket, and the lanes of `stage` unless that is `local`."""
    async with AsyncExitStack() as stack:
        aws = app.Aws(settings, stack)
        store = s3.Store(
            await aws.client("s3", app.CONTROL), bucket=settings.output_bucket, owner=settings.bucket_owner
        )
        if stage == LOCAL:
            yield Switch(store=store, lanes=None)
            return
        autoscaling = await aws.client("application-autoscaling", app.CONTROL)
        ecs = await aws.client("ecs", app.CONTROL)
        yield Switch(store=store, lanes=Scaling(autoscaling, ecs, stage=stage))
