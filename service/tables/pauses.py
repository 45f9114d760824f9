"""What is paused, and what that does to the tasks."""

from collections.abc import Collection, Iterator, Sequence

from rich.text import Text

from service.commands.pause import STOPPED, Changed
from service.core.record import Capacity, Pause, Paused
from service.tables.cells import printable

_SOON = "within half a minute"  # the document is read each 15 s, and a paused queue is asked each 10


def since(paused: Paused) -> str:
    """Since when, by whom, and why."""
    why = f": {printable(paused.why)}" if paused.why else ""
    return f"paused since {paused.since:%Y-%m-%d %H:%M} UTC by {printable(paused.by)}{why}"


def paused_lines(pause: Pause, queues: Collection[str]) -> Iterator[Text]:
    """These queues, which are paused."""
    yield from (Text(f"{queue}: {since(pause.queues[queue])}") for queue in queues)
    yield Text(f"Workers receive nothing more from there {_SOON}; what runs goes on.")


def stopped_lines(changed: Sequence[Changed]) -> Iterator[Text]:
    """The lanes of these queues; none, where no stage was named."""
    for one in changed:
        had = f" ({_range(one.former)} before)" if one.former else ""
        yield Text(f"{one.lane} lane: {_tasks(one.now)}{had}")
        if one.now != STOPPED:
            yield Text(
                "  Messages in the backfill queue count as its work: the one task runs as long as they wait, which "
                "costs about ten cents an hour, and makes one film after the other."
            )
    if changed:
        yield Text(
            "Busy tasks finish their jobs first; one that is not spared has MEDIA_DRAIN_SECONDS for it, and what it "
            "does not finish goes on from its last record when the queue does."
        )
    else:
        yield Text("No stage was named: tasks on ECS, if there are any, go on running idly. --stage stops them.")


def resumed_lines(pause: Pause, queues: Collection[str], changed: Sequence[Changed]) -> Iterator[Text]:
    """These queues, which are no longer paused, and their lanes."""
    yield from (Text(f"{queue}: workers receive again {_SOON}") for queue in queues)
    for one in changed:
        if one.former is None:
            yield Text(
                f"{one.lane} lane: no task, and nobody wrote down how many there may be: set them with "
                "`aws application-autoscaling register-scalable-target`"
            )
        elif one.now == one.former:
            yield Text(f"{one.lane} lane: {_range(one.now)} tasks, as before; messages that wait start the first one")
        else:
            yield Text(f"{one.lane} lane: {_tasks(one.now)}, as long as other queues of it are paused")
    yield from (Text(f"{queue}: still {since(paused)}") for queue, paused in pause.queues.items())


def _tasks(capacity: Capacity) -> str:
    return "no task" if capacity == STOPPED else f"{capacity.most} task at most"


def _range(capacity: Capacity) -> str:
    return f"{capacity.fewest} to {capacity.most}"


def pause_document(pause: Pause, changed: Sequence[Changed]) -> dict[str, object]:
    """What is paused now, and the lanes that were changed, for machines."""
    lanes = {
        one.lane: {"now": one.now.model_dump(), "former": one.former.model_dump() if one.former else None}
        for one in changed
    }
    return {"queues": pause.model_dump(mode="json")["queues"], "lanes": lanes}
