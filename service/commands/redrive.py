"""`redrive`: dead letters by reason, then back to the queues that they came from, or away for good.

Looking hides letters for a while and releases them at the end. What is done is done to the letters that were seen and
to no others: a letter that comes back dies as a new one, and is not sent round and round.
"""

from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterator, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime
from functools import partial
from typing import Any

from service import app
from service.aws import sqs
from service.aws.sqs import Letter
from service.commands.letters import Letters, each, holding
from service.config import Settings
from service.core import job as jobs
from service.core.job import Ended, Job
from service.core.outcome import MediaWorkerError, Misconfigured

DIED = "died"  # the reason of letters that SQS moved itself, since no worker lived to settle them
WITHHELD = frozenset({"poison", "forged"})  # no worker will ever take these: they go back by name alone

_EXCERPT = 100  # characters of a body that names no key

Act = Callable[[Sequence[Letter]], Awaitable[list[Letter]]]  #: what is done to up to ten letters: to which it was


@dataclass(frozen=True, kw_only=True)
class Box:
    """A dead-letter queue, and the URLs of the queues that lead there, by their names."""

    letters: Letters
    queues: Mapping[str, str]

    def origin(self, letter: Letter) -> str:
        """The name of the queue that it came from; the first, where several share the box and it does not say."""
        name = (letter.origin or "").rpartition(":")[2]
        return next(
            (one for one, url in self.queues.items() if url.rpartition("/")[2] == name), next(iter(self.queues))
        )


@dataclass(kw_only=True)
class Group:
    """The letters of one queue and reason, by their ids; `detail` and `about` are an example's."""

    queue: str
    reason: str
    oldest: datetime
    detail: str
    about: str
    ids: set[str] = field(default_factory=set)


@dataclass(frozen=True, kw_only=True)
class Seen:
    """What was seen of the letters of these queues, and how many more than that SQS counts, about."""

    queues: tuple[str, ...]
    groups: tuple[Group, ...]
    unseen: int


@dataclass(frozen=True, kw_only=True)
class Settled:
    """How many letters were sent back or deleted, and how many of those that should have been were not."""

    done: int
    left: int


async def look(box: Box) -> Seen:
    """Every letter in a box, once; nothing but ids and an example a reason is kept."""
    groups: dict[tuple[str, str], Group] = {}
    count = await box.letters.count()
    async with holding(box.letters, count) as hold:
        async for new in hold.rounds(count):
            for letter in new:
                _add(groups, box.origin(letter), letter)
    seen = sum(len(group.ids) for group in groups.values())
    return Seen(queues=tuple(box.queues), groups=tuple(groups.values()), unseen=max(0, count - seen))


def _add(groups: dict[tuple[str, str], Group], queue: str, letter: Letter) -> None:
    reason = letter.reason or DIED
    if (queue, reason) not in groups:
        groups[queue, reason] = Group(
            queue=queue, reason=reason, oldest=letter.sent_at, detail=letter.detail, about=about(letter.body)
        )
    group = groups[queue, reason]
    group.oldest = min(group.oldest, letter.sent_at)
    group.ids.add(letter.id)


def about(body: str) -> str:
    """The key that a message is about, or how it begins."""
    try:
        read = jobs.read(body)
    except MediaWorkerError:
        return body[:_EXCERPT]
    match read:
        case (Job(key=key), *_):
            return key
        case (Ended(speech=speech), *_):
            return f"speech {speech}"
    return body[:_EXCERPT]


def chosen(groups: Sequence[Group], *, reasons: Collection[str]) -> list[Group]:
    """Those of the reasons that were named; without any, those that a worker may do better with."""
    return [group for group in groups if (group.reason in reasons if reasons else group.reason not in WITHHELD)]


async def settle(box: Box, groups: Sequence[Group], act: Act, *, limit: int | None = None) -> Settled:
    """Do it to the letters of these groups, at most `limit` of them, as they come; bodies are never collected."""
    wanted = {letter for group in groups for letter in group.ids}
    most = len(wanted) if limit is None else min(limit, len(wanted))
    done = 0
    if not most:
        return Settled(done=0, left=0)
    count = max(len(wanted), await box.letters.count())
    async with holding(box.letters, count) as hold:
        async for new in hold.rounds(count):
            some = [letter for letter in new if letter.id in wanted][: most - done]
            gone = [letter for part in await each(act, some) for letter in part]
            hold.forget(gone)
            done += len(gone)
            if done >= most:
                break
    return Settled(done=done, left=most - done)


def drop(box: Box) -> Act:
    """Deletes letters for good."""
    return box.letters.delete


def send_back(box: Box, send: Callable[[str, Sequence[Letter]], Awaitable[list[Letter]]]) -> Act:
    """Sends letters to where they came from, bodies unchanged, and deletes those whose sending was confirmed.

    One that is sent and then can't be deleted will be there again: to send it twice does no harm.
    """

    async def act(letters: Sequence[Letter]) -> list[Letter]:
        gone: list[Letter] = []
        for queue, url in box.queues.items():
            if mine := [letter for letter in letters if box.origin(letter) == queue]:
                sent = await send(url, mine)
                gone += await box.letters.delete(sent) if sent else []
        return gone

    return act


@dataclass(frozen=True, kw_only=True)
class Desk:
    """All the boxes of a deployment, and the way back from them; `without` are queues that have none."""

    boxes: tuple[Box, ...]
    send: Callable[[str, Sequence[Letter]], Awaitable[list[Letter]]]
    without: tuple[str, ...]

    async def look(self) -> list[Seen]:
        """What there is in all of them."""
        return [await look(box) for box in self.boxes]

    async def settle(self, groups: Sequence[Group], *, delete: bool, limit: int | None) -> Settled:
        """Send the letters of these groups back, or delete them, at most `limit` in all."""
        done = left = 0
        for box in self.boxes:
            mine = [group for group in groups if group.queue in box.queues]
            act = drop(box) if delete else send_back(box, self.send)
            came = await settle(box, mine, act, limit=None if limit is None else limit - done)
            done, left = done + came.done, left + came.left
        return Settled(done=done, left=left)


@asynccontextmanager
async def desk(settings: Settings, *, queue: str | None) -> AsyncIterator[Desk]:
    """The boxes of all queues that are set, or of one of them.

    :raises Misconfigured: when that one is not set, or has no dead-letter queue.
    """
    if queue and queue not in settings.queue_urls:
        raise Misconfigured(f"redrive: no {queue} queue is set: MEDIA_{queue.upper()}_QUEUE_URL")
    async with AsyncExitStack() as stack:
        client = await app.Aws(settings, stack).client("sqs", app.CONTROL)
        found = {name: await _dead_letters(client, settings, name) for name in settings.queue_urls}
        if queue and not found[queue]:
            raise Misconfigured(f"redrive: the {queue} queue has no dead-letter queue: give it a redrive policy")
        urls = [url for name, url in found.items() if url and queue in {None, name}]
        yield Desk(
            boxes=tuple(_boxes(client, settings, found, urls)),
            send=partial(sqs.send_back, client),
            without=tuple(name for name, url in found.items() if not url),
        )


def _boxes(client: Any, settings: Settings, found: Mapping[str, str | None], urls: Sequence[str]) -> Iterator[Box]:
    """Each queue of letters once, although several queues may lead there."""
    for dead in dict.fromkeys(urls):
        queues = {name: url for name, url in settings.queue_urls.items() if found[name] == dead}
        yield Box(letters=sqs.DeadLetters(client, url=dead), queues=queues)


async def _dead_letters(client: Any, settings: Settings, name: str) -> str | None:
    told = settings.dead_letter_queue_url if name == "intake" else None
    return told or await sqs.dead_letters_of(client, settings.queue_urls[name])
