"""What happens to a bucket: uploads, replacements, deletions, uploads again; and how its events are delivered."""

import json
from collections.abc import Sequence
from dataclasses import dataclass, field
from random import Random
from urllib.parse import quote_plus

from scripts.chaos_run.corpus import Corpus, Upload

_AWKWARD = (
    "IMG {} 1234.JPG",
    "a+b%d {}.mp4",
    "c#1?x=y&z {}.png",
    "../../etc/{}",
    "-{}",
    "üñï/日本語 {} 🎬.jpeg",
    "line\n{}.jpg",
    "{}/manifest.json",
    "~tilde/{}.jpg",
    "%2F{}%2F",
    "a//{}.jpg",
)
_RECENT = 12  # keys: what is changed is mostly still being worked on
_DELAYS = (0, 0, 0, 0, 1, 2, 4)  # seconds; so events come in another order than they were sent
_AGAIN = 0.2  # of all events come twice
_NONSENSE = 0.01  # of all messages are nobody's


@dataclass(frozen=True, kw_only=True)
class Put:
    """Somebody uploads, for the first time or again."""

    key: str
    upload: Upload


@dataclass(frozen=True, kw_only=True)
class Delete:
    """Somebody deletes."""

    key: str


Op = Put | Delete


def told(ops: int, corpus: Corpus, random: Random) -> list[Op]:
    """A story of so many operations: seven of ten are first uploads."""
    there: list[str] = []
    gone: list[str] = []
    story: list[Op] = []
    for number in range(ops):
        chance = random.random()
        if chance < 0.16 and there:
            story.append(Put(key=random.choice(there[-_RECENT:]), upload=corpus.any(random)))
        elif chance < 0.24 and there:
            key = there.pop(random.randrange(max(0, len(there) - _RECENT), len(there)))
            gone.append(key)
            story.append(Delete(key=key))
        elif chance < 0.30 and gone:
            key = gone.pop(random.randrange(len(gone)))
            there.append(key)
            story.append(Put(key=key, upload=corpus.any(random)))
        else:
            there.append(_key(number, random))
            story.append(Put(key=there[-1], upload=corpus.any(random)))
    return story


def _key(number: int, random: Random) -> str:
    name = f"k{number:05}k"
    return random.choice(_AWKWARD).format(name) if random.random() < 0.2 else f"uploads/{name}"


@dataclass(frozen=True, kw_only=True)
class Letter:
    """One message, to be seen after `delay` seconds."""

    body: str
    delay: int
    duplicate: bool = False
    dead: bool = False  #: whether it belongs among the dead letters


@dataclass(kw_only=True)
class Courier:
    """Says what messages an event becomes: once or twice, in any of three shapes, sooner or later."""

    bucket: str
    random: Random
    dead: list[str] = field(default_factory=list)  #: bodies

    def letters(self, op: Op) -> list[Letter]:
        """The messages that tell of an operation, and perhaps one of nobody's."""
        found = [Letter(body=self._event(op), delay=self.random.choice(_DELAYS))]
        if self.random.random() < _AGAIN:
            found.append(Letter(body=self._event(op), delay=self.random.randrange(10), duplicate=True))
        if self.random.random() < _NONSENSE:
            body = f'{{"nonsense": {self.random.randrange(10**9)}}}'
            self.dead.append(body)
            found.append(Letter(body=body, delay=0, dead=True))
        return found

    def _event(self, op: Op) -> str:
        shapes = (self._notification, self._topic, self._bus)
        return self.random.choice(shapes)(op)

    def _notification(self, op: Op) -> str:
        record = {
            "eventVersion": "2.1",
            "eventSource": "aws:s3",
            "eventName": "ObjectCreated:Put" if isinstance(op, Put) else "ObjectRemoved:Delete",
            "s3": {"bucket": {"name": self.bucket}, "object": {"key": quote_plus(op.key, safe="/")}},
        }
        return json.dumps({"Records": [record]})

    def _topic(self, op: Op) -> str:
        return json.dumps({"Type": "Notification", "Message": self._notification(op)})

    def _bus(self, op: Op) -> str:
        type_ = "Object Created" if isinstance(op, Put) else "Object Deleted"
        detail = {"bucket": {"name": self.bucket}, "object": {"key": op.key}}
        return json.dumps({"source": "aws.s3", "detail-type": type_, "detail": detail})


def keys(ops: Sequence[Op]) -> set[str]:
    """Every key of a story."""
    return {op.key for op in ops}
