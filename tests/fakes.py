"""Named in-memory fakes with the real error types: queue, store, uploads, outcomes, and tools that make tiny files.

Every call to a fake goes over a `Wire`, where tests count calls, hold them, fail them, or cut the worker off.
"""

import asyncio
import hashlib
import json
import math
import re
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from fractions import Fraction
from itertools import count
from pathlib import Path
from typing import Any, Literal

from service.core import loudness, posters, sniff, storyboard, waveform, webvtt
from service.core.boxes import Fragment, Index
from service.core.captions import Cue, Word
from service.core.job import Job, Later
from service.core.loudness import Measured
from service.core.media import AudioStream, Clip, Picture, TextStream, Timeline, VideoStream
from service.core.outcome import Conflict, LeaseLost, Reason, Rejected, Superseded, Unavailable
from service.core.recipe import Limits
from service.core.record import Hint, Label, Spent
from service.core.screening import Traits
from service.core.sniff import StreamFile
from service.core.verify import Found, Ran
from service.core.waveform import Pair
from service.runtime.lease import Message
from service.runtime.ports import Head, Look, Sibling, Stored, anything
from service.runtime.tools import Declined, Drawn, Heard, Page, Pending, Seen, Shown, Speech, Target

Hook = Callable[[str], Awaitable[None]]


async def nothing(_call: str) -> None:
    """What happens on a wire that nobody tampers with."""


@dataclass(kw_only=True)
class Wire:
    """What calls go over: `before` and `after` are told each of them, such as `write media/a/manifest.json`."""

    before: Hook = nothing
    after: Hook = nothing
    calls: list[str] = field(default_factory=list)

    @asynccontextmanager
    async def call(self, name: str, what: object = "") -> AsyncIterator[None]:
        """The block is the effect of the call."""
        told = f"{name} {what}".strip()
        self.calls.append(told)
        await self.before(told)
        yield
        await self.after(told)

    def count(self, *names: str) -> int:
        """How many calls of these names there were."""
        return sum(told.split()[0] in names for told in self.calls)


@dataclass(kw_only=True)
class Clock:
    """Seconds that pass when a test says so."""

    now: float = 1_000.0

    def __call__(self) -> float:
        return self.now


@dataclass(kw_only=True)
class Letter:
    """A message in a `FakeQueue`; `receipt` is that of its last receive."""

    body: str
    visible_at: float
    receive_count: int = 0
    receipt: str | None = None


@dataclass(frozen=True, kw_only=True)
class Dead:
    """A dead letter."""

    body: str
    reason: str
    detail: str
    message_id: str


@dataclass(kw_only=True)
class FakeQueue:
    """A queue as SQS is one: visibility on `clock`, and of a message's receipts the last one alone is good.

    `dead` is the dead-letter queue, or None where there is none; `poll_seconds` are real ones.
    """

    url: str = "fake"
    clock: Callable[[], float] = field(default_factory=Clock)
    wire: Wire = field(default_factory=Wire)
    visibility: float = 30
    poll_seconds: float = 0.01
    dead: list[Dead] | None = field(default_factory=list)
    letters: dict[str, Letter] = field(default_factory=dict)
    _numbers: Any = field(default_factory=count)
    _arrived: asyncio.Event = field(default_factory=asyncio.Event)

    def put(self, body: str) -> str:
        """A message arrives; its id."""
        name = f"message-{next(self._numbers)}"
        self.letters[name] = Letter(body=body, visible_at=self.clock())
        self._arrived.set()
        return name

    async def receive(self, most: int, *, wait: int | None = None) -> list[Message]:
        """Up to `most` visible messages; waits for the first `wait` seconds, or as long as a long poll does."""
        async with self.wire.call("receive", most):
            if not (found := self._visible()[:most]):
                await self._poll(self.poll_seconds if wait is None else wait)
                found = self._visible()[:most]
            return [self._given(name) for name in found]

    def _visible(self) -> list[str]:
        return [name for name, letter in self.letters.items() if letter.visible_at <= self.clock()]

    async def _poll(self, seconds: float) -> None:
        self._arrived.clear()
        try:
            await asyncio.wait_for(self._arrived.wait(), seconds)
        except TimeoutError:
            return

    def _given(self, name: str) -> Message:
        letter = self.letters[name]
        letter.receive_count += 1
        letter.receipt = f"{name}#{letter.receive_count}"
        letter.visible_at = self.clock() + self.visibility
        return Message(
            id=name, receipt=letter.receipt, body=letter.body, receive_count=letter.receive_count, queue=self.url
        )

    def _held(self, message: Message) -> Letter:
        letter = self.letters.get(message.id)
        if letter is None or letter.receipt != message.receipt or letter.visible_at <= self.clock():
            raise LeaseLost(f"{message.receipt} is no longer good")
        return letter

    async def extend(self, message: Message, seconds: float) -> None:
        """Hide for `seconds` from now, or raise LeaseLost."""
        async with self.wire.call("extend", seconds):
            self._held(message).visible_at = self.clock() + seconds

    async def release(self, message: Message, after: int) -> None:
        """Let it be seen again after `after` seconds; nothing where it is not ours any more."""
        async with self.wire.call("release", after):
            try:
                self._held(message).visible_at = self.clock() + after
            except LeaseLost:
                return
            self._arrived.set()

    async def delete(self, message: Message) -> None:
        """Acknowledge; nothing where it is not ours any more."""
        async with self.wire.call("delete", message.id):
            letter = self.letters.get(message.id)
            if letter and letter.receipt == message.receipt:
                del self.letters[message.id]

    async def send(self, bodies: list[str], *, delay: int = 0) -> None:
        """Put new messages into the same queue, to be seen after `delay` seconds."""
        async with self.wire.call("send", len(bodies)):
            for body in bodies:
                self.letters[self.put(body)].visible_at += delay

    async def bury(self, message: Message, body: str, *, reason: str, detail: str) -> bool:
        """Copy to the dead letters; False where there are none."""
        async with self.wire.call("bury", reason):
            if self.dead is None:
                return False
            self.dead.append(Dead(body=body, reason=reason, detail=detail, message_id=message.id))
            return True


@dataclass(kw_only=True)
class FakeStore:
    """The output bucket: `objects` may be shared by several, each with a wire of its own."""

    wire: Wire = field(default_factory=Wire)
    objects: dict[str, bytes] = field(default_factory=dict)
    types: dict[str, str] = field(default_factory=dict)

    async def read(self, key: str) -> Stored | None:
        """A small object, or None."""
        async with self.wire.call("read", key):
            body = self.objects.get(key)
            return None if body is None else Stored(body=body, etag=_etag(body))

    async def write(self, key: str, body: bytes, *, replaces: str | None) -> str:
        """Put where the ETag is `replaces`, or where nothing is."""
        async with self.wire.call("write", key):
            there = self.objects.get(key)
            if (None if there is None else _etag(there)) != replaces:
                raise Conflict(f"{key}: somebody else was first")
            self._put(key, body, "application/json")
            return _etag(body)

    async def overwrite(self, key: str, body: bytes) -> None:
        """Put, whatever was there."""
        async with self.wire.call("overwrite", key):
            self._put(key, body, "application/json")

    async def upload(self, key: str, path: Path, *, content_type: str, sha256: str) -> None:
        """Put a file; refused where it is not the one that was hashed."""
        async with self.wire.call("upload", key):
            body = path.read_bytes()
            if hashlib.sha256(body).hexdigest() != sha256:
                raise Unavailable("PutObject: BadDigest")
            self._put(key, body, content_type)

    async def download(self, key: str, path: Path) -> None:
        """Get one of our own files."""
        async with self.wire.call("download", key):
            path.write_bytes(self._there(key))

    async def copy(self, source: str, target: str, *, content_type: str, size: int) -> None:
        """Copy one of our own files."""
        async with self.wire.call("copy", target):
            assert size == len(self._there(source))
            self._put(target, self._there(source), content_type)

    async def keys(self, prefix: str) -> list[str]:
        """Every key that begins with `prefix`; a call for each thousand."""
        found = sorted((key for key in self.objects if key.startswith(prefix)), key=str.encode)
        for page in range(0, max(1, len(found)), 1000):
            async with self.wire.call("keys", f"{prefix} {page}"):
                found = sorted((key for key in self.objects if key.startswith(prefix)), key=str.encode)
        return found

    async def delete(self, keys: list[str]) -> None:
        """Delete; a call for each thousand."""
        for at in range(0, len(keys), 1000):
            async with self.wire.call("delete", len(keys)):
                for key in keys[at : at + 1000]:
                    self.objects.pop(key, None)
                    self.types.pop(key, None)

    def _put(self, key: str, body: bytes, content_type: str) -> None:
        self.objects[key], self.types[key] = body, content_type

    def _there(self, key: str) -> bytes:
        if key not in self.objects:
            raise Conflict(f"{key}: NoSuchKey")
        return self.objects[key]


@dataclass(frozen=True, kw_only=True)
class Version:
    """One version of an upload; a delete marker has no body."""

    head: Head
    body: bytes | None


@dataclass(kw_only=True)
class FakeUploads:
    """The input bucket; a `versioned` one keeps what is deleted or replaced."""

    versioned: bool = False
    wire: Wire = field(default_factory=Wire)
    history: dict[tuple[str, str], list[Version]] = field(default_factory=dict)
    archived: set[str] = field(default_factory=set)
    _numbers: Any = field(default_factory=count)

    def put(self, key: str, body: bytes, *, bucket: str = "uploads", language: str | None = None) -> Head:
        """Somebody uploads, and may say which language is spoken."""
        head = replace(self._head(bucket, key, body), language=language)
        self._add(Version(head=head, body=body))
        return head

    def delete(self, key: str, *, bucket: str = "uploads") -> None:
        """Somebody deletes."""
        if self.versioned:
            self._add(Version(head=self._head(bucket, key, b""), body=None))
        else:
            self.history.pop((bucket, key), None)

    def undelete(self, key: str, *, bucket: str = "uploads") -> None:
        """Somebody removes the delete marker."""
        marker = self.history[bucket, key].pop()
        assert marker.body is None

    def newest(self, key: str, *, bucket: str = "uploads") -> Version | None:
        """What the key holds now."""
        versions = self.history.get((bucket, key), [])
        return versions[-1] if versions and versions[-1].body is not None else None

    async def head(self, bucket: str, key: str) -> Head | None:
        """The object as it is now, or None where there is none."""
        async with self.wire.call("head", key):
            found = self.newest(key, bucket=bucket)
            return replace(found.head, archived=key in self.archived) if found else None

    async def beside(self, bucket: str, key: str) -> list[Sibling]:
        """The newest of every object whose key goes on from `key` with a dot."""
        async with self.wire.call("beside", key):
            keys = sorted(one for where, one in self.history if where == bucket and one.startswith(f"{key}."))
            found = [version.head for one in keys if (version := self.newest(one, bucket=bucket))]
            return [Sibling(key=head.key, etag=head.etag) for head in found]

    async def fetch(self, head: Head, path: Path, *, look: Look = anything) -> None:
        """This version by its id, or else the newest if that still has this ETag."""
        async with self.wire.call("fetch", head.key):
            body = self._body(head)
            look(body[: sniff.HEAD_BYTES])
            path.write_bytes(body)

    def _body(self, head: Head) -> bytes:
        versions = self.history.get((head.bucket, head.key), [])
        fitting = [v for v in versions if v.head.version_id == head.version_id and v.head.etag == head.etag]
        if not fitting or (head.version_id is None and fitting[-1] is not versions[-1]):
            raise Superseded(f"{head.key} holds another version by now")
        assert fitting[-1].body is not None
        return fitting[-1].body

    def _add(self, version: Version) -> None:
        versions = self.history.setdefault((version.head.bucket, version.head.key), [])
        versions[:] = [*versions, version] if self.versioned else [version]

    def _head(self, bucket: str, key: str, body: bytes) -> Head:
        number = next(self._numbers)
        return Head(
            bucket=bucket,
            key=key,
            etag=_etag(body).strip('"'),
            version_id=f"v{number}" if self.versioned else None,
            last_modified=(datetime(2026, 1, 1, tzinfo=UTC) + timedelta(seconds=number)).isoformat(),
            size=len(body),
        )


@dataclass(kw_only=True)
class FakeOutcomes:
    """Whoever is told of final states: `told` are the messages with their keys."""

    wire: Wire = field(default_factory=Wire)
    told: list[tuple[str, dict[str, Any]]] = field(default_factory=list)

    async def publish(self, body: str, *, idempotency_key: str) -> None:
        """Send one message."""
        async with self.wire.call("tell", idempotency_key):
            self.told.append((idempotency_key, json.loads(body)))


async def no_time(_job: Job) -> None:
    """Work that is done at once."""


@dataclass(kw_only=True)
class FakePipeline:
    """What a worker drives: does `work` with each job, and keeps what was done, what failed and what was given up."""

    work: Callable[[Job], Awaitable[None]] = no_time
    begun: list[str] = field(default_factory=list)
    done: list[str] = field(default_factory=list)
    failures: list[str] = field(default_factory=list)
    given_up: list[str] = field(default_factory=list)

    async def process(self, job: Job, message: Message) -> tuple[Later, ...]:
        """Do the work."""
        self.begun.append(job.key)
        await self.work(job)
        self.done.append(job.key)
        return ()

    async def note_failure(self, job: Job, message: Message, error: BaseException) -> int:
        """How many failures of the key there are by now."""
        self.failures.append(job.key)
        return self.failures.count(job.key)

    async def give_up(self, job: Job, message: Message) -> None:
        """Publish that it failed."""
        self.given_up.append(job.key)


_JPEG, _MATROSKA = b"\xff\xd8\xff", b"\x1aE\xdf\xa3"
_SPENT = Spent(wall_seconds=0.1, cpu_seconds=0.1, peak_memory_bytes=1)
_MADE = re.compile(r"[\w%-]+\.(mp4|m4a|ppm|jpg|webp|flac|s16le)")  # what a file that ffmpeg is to write is called
_LOG = re.compile(r"ametadata=file=([\w.-]+):mode=print")
_TILES = re.compile(r"trim=end_frame=([0-9]+)\[\w+\];\[\w+\]tile=([0-9]+)x([0-9]+)")
_PEAK = 0.355  # of full scale, in every sound: -9.0 dBTP
_PAIRS = ((-0.5, 0.25), (-0.25, 0.5))  # of every waveform


def photo(*, width: int = 900, height: int = 600, fault: str = "", note: str = "") -> bytes:
    """An upload that the fake tools take for a JPEG; a `fault` is the reason that drawing it is rejected with."""
    return _JPEG + json.dumps({"width": width, "height": height, "fault": fault, "note": note}).encode()


def film(
    *,
    width: int = 640,
    height: int = 360,
    seconds: float = 4,
    fault: str = "",
    note: str = "",
    loudness: Sequence[float | None] = (-23.0,),
    heard: float | None = None,
    shown: int | None = None,
    errors: int = 0,
    texts: Sequence[tuple[str | None, str]] = (),
) -> bytes:
    """An upload that the fake tools take for a Matroska file; no `width` for sound alone.

    It has a sound track for each `loudness` in LUFS, None for silence, of which `heard` seconds can be decoded. Only
    `shown` different frames are found where a poster is looked for, and each decode meets so many `errors`. Each of
    `texts` is a track of subtitles: its language and what is taken out of it, "" for one that can't be decoded.
    """
    said = {"width": width, "height": height, "seconds": seconds, "fault": fault, "note": note}
    more = {"loudness": list(loudness), "heard": heard, "shown": shown, "errors": errors, "texts": list(texts)}
    return _MATROSKA + json.dumps(said | more).encode()


def unlike(page: Page) -> Traits:
    """What is measured of a page that is like no other one, bright and sharp."""
    dhash = int.from_bytes(hashlib.sha256(f"{page.source} {page.page}".encode()).digest()[:8])
    return Traits(dhash=dhash, luma=128, deviation=64, sharpness=500, colour=(128, 128, 128), fields=bytes(256))


@dataclass(kw_only=True)
class FakePictures:
    """Draws files of a few bytes, the same for the same source; `traits` says what is measured of pages."""

    wire: Wire = field(default_factory=Wire)
    traits: Callable[[Page], Traits] = unlike

    async def inspect(self, folder: Path, formats: Sequence[str], limits: Limits) -> Picture:
        """What the upload says of itself."""
        async with self.wire.call("inspect"):
            said = _said(folder / "in", _JPEG)
            width, height = said["width"], said["height"]
            return Picture(formats=tuple(formats), width=width, height=height, frames=1, animated=False, alpha=False)

    async def draw(
        self,
        folder: Path,
        source: str,
        targets: Sequence[Target],
        *,
        formats: Sequence[str],
        background: str,
        limits: Limits,
    ) -> Drawn:
        """A line of text for each target."""
        async with self.wire.call("draw", " ".join(target.file for target in targets)):
            drawn = (folder / source).read_bytes()
            if source in {"in", "cover"}:
                _fail(_said(folder / source, _JPEG))
            for target in targets:
                text = f"{target.format} {target.width}x{target.height} q{target.quality} of {_etag(drawn)}"
                (folder / target.file).write_text(text)
            return Drawn(hint=Hint(thumbhash=_etag(drawn)[1:9], color="#102030"), spent=_SPENT)

    async def frames(
        self, folder: Path, pages: Sequence[Page], *, formats: Sequence[str], side: int, limits: Limits
    ) -> Shown:
        """A line of text for each page."""
        async with self.wire.call("frames", " ".join(page.file for page in pages)):
            for page in pages:
                drawn = (folder / page.source).read_bytes()
                if page.source == "in":
                    _fail(_said(folder / page.source, _JPEG))
                (folder / page.file).write_text(f"page {page.page} of {_etag(drawn)} in {side}")
            return Shown(traits=tuple(self.traits(page) for page in pages), spent=_SPENT)


@dataclass(kw_only=True)
class FakeJudge:
    """Sees nothing but the labels that `labels` gives to a file; costs what `unit` says."""

    name: str = "local"
    unit: str | None = None
    model: str = "fake-1"
    wire: Wire = field(default_factory=Wire)
    labels: Callable[[str], tuple[Label, ...]] = lambda _file: ()

    async def look(self, folder: Path, file: str) -> Seen:
        """The labels of a file that is there."""
        async with self.wire.call("look", file):
            assert (folder / file).is_file()
            return Seen(labels=self.labels(file), model=self.model)


@dataclass(kw_only=True)
class FakeScribe:
    """Hears `said` in everything. Elsewhere, where `away` is true: begun once, and heard when it is in `ended`.

    It `declines` for a reason, where it has one.
    """

    name: str = "whisper"
    unit: str | None = None
    sound: Literal["flac", "s16le"] = "s16le"
    said: str = "Hello there."
    away: bool = False
    declines: str | None = None
    wire: Wire = field(default_factory=Wire)
    begun: dict[str, int] = field(default_factory=dict)
    ended: set[str] = field(default_factory=set)

    def minutes(self, seconds: float) -> float:
        """As it is billed."""
        return seconds / 60 if self.unit else 0.0

    async def find(self, speech: Speech) -> Heard | Pending | Declined | None:
        """What was begun, if it was."""
        async with self.wire.call("find", speech.name):
            if speech.name in self.ended:
                return self._heard(speech)
            return Pending() if self.away and speech.name in self.begun else None

    async def listen(self, speech: Speech, folder: Path, file: str) -> Heard | Pending | Declined:
        """Hear a file that is there, or begin to."""
        async with self.wire.call("listen", speech.name):
            assert (folder / file).is_file()
            self.begun[speech.name] = self.begun.get(speech.name, 0) + 1
            return Pending() if self.away else self._heard(speech)

    def _heard(self, speech: Speech) -> Heard | Declined:
        if self.declines:
            return Declined(why=self.declines, detail="for no other reason")
        said = enumerate(self.said.split())
        words = tuple(Word(text=text, start=0.5 + at * 0.5, end=0.9 + at * 0.5) for at, text in said)
        return Heard(words=words, language=speech.language or "en", model="fake-1")


@dataclass(kw_only=True)
class FakeReader:
    """Reads captions in this process."""

    wire: Wire = field(default_factory=Wire)

    async def read(self, folder: Path, file: str) -> tuple[Cue, ...]:
        """The cues of a WebVTT file."""
        async with self.wire.call("read_captions", file):
            return webvtt.parse((folder / file).read_bytes())


@dataclass(kw_only=True)
class FakeFilms:
    """Encodes files of a few bytes, which say how long they last; `commands` are those that were run."""

    wire: Wire = field(default_factory=Wire)
    commands: list[list[str]] = field(default_factory=list)

    async def probe(self, folder: Path, sniffed: StreamFile, size: int, limits: Limits) -> Clip:
        """What the upload says of itself."""
        async with self.wire.call("probe"):
            said = _said(folder / "in", _MATROSKA)
            return _clip(said, sniffed, size)

    async def run(self, folder: Path, argv: Sequence[str], *, seconds: float, on_share: Callable[[float], None]) -> Ran:
        """A file for each output that the command names, and each log that its graphs name."""
        made = [name for word in argv if _MADE.fullmatch(word) for name in _numbered(word, argv)]
        logs = [name for word in argv for name in _LOG.findall(word)]
        async with self.wire.call("run", " ".join(made)):
            self.commands.append(list(argv))
            on_share(0.5)
            sources = [word.removeprefix("file:") for word in argv if word.startswith("file:")]
            read = [(folder / name).read_bytes() for name in sources]
            said = _said(folder / "in", _MATROSKA) if set(sources) == {"in"} else None
            if said:
                _fail(said)
                _write_texts(folder, argv, said)
                for name in logs:
                    (folder / name).write_text(_log(name, said))
            for name in _found(made, said):
                _write_made(folder / name, _lasting(name, said, seconds), [_etag(body) for body in read])
            errors = said["errors"] if said else 0
            return Ran(spent=_SPENT, errors=errors, first="h264: concealing errors" if errors else "")

    async def loudness(self, path: Path) -> Measured | None:
        """What the log says."""
        async with self.wire.call("loudness", path.name):
            return loudness.parse(_logged(path))

    async def levels(self, path: Path) -> tuple[Pair, ...]:
        """What the log says."""
        async with self.wire.call("levels", path.name):
            return waveform.parse(_logged(path))

    async def faults(self, path: Path, index: Index, clip: Clip, *, max_bit_rate: int) -> tuple[str, ...]:
        """None: whether it complies, the upload says."""
        async with self.wire.call("faults", path.name):
            return ()

    async def join(self, folder: Path, names: Sequence[str], target: str) -> None:
        """As long as its pieces together."""
        async with self.wire.call("join", target):
            read = [(folder / name).read_bytes() for name in names]
            seconds = sum(json.loads(body)["seconds"] for body in read)
            _write_made(folder / target, seconds, [_etag(body) for body in read])
            for name in names:
                (folder / name).unlink()

    async def inspect(self, folder: Path, name: str) -> Found:
        """Sound, and a picture where the name says so."""
        async with self.wire.call("inspect", name):
            kinds = ("audio", "video") if name == "video.mp4" else ("audio",)
            return Found(kinds=kinds, duration=float(json.loads((folder / name).read_text())["seconds"]))

    async def index(self, path: Path) -> Index:
        """Fragments of two seconds."""
        async with self.wire.call("index", path.name):
            lengths = _lengths(json.loads(path.read_text())["seconds"])
            return _index(lengths, codec="mp4a.40.2" if _is_sound(path.name) else "avc1.64001f")


def _numbered(name: str, argv: Sequence[str]) -> list[str]:
    """The files that ffmpeg writes by this name: as many as its graph gives, or as it may, where it is a pattern."""
    if "%" not in name:
        return [name]
    graphs = " ".join(argv)
    if name == posters.CANDIDATES:
        count = 1 + graphs.count("lt(prev_t")  # the first frame, and one for each time
    elif name == storyboard.SHEETS:
        ((tiles, columns, rows),) = _TILES.findall(graphs)
        count = math.ceil(int(tiles) / (int(columns) * int(rows)))
    else:
        count = int(argv[argv.index("-frames:v") + 1])
    return [name % number for number in range(1, count + 1)]


def _found(made: Sequence[str], said: dict[str, Any] | None) -> list[str]:
    """Fewer candidates for a poster where times fall between two frames."""
    shown = said["shown"] if said else None
    missing = {posters.CANDIDATES % number for number in range(shown + 1, 100)} if shown is not None else set[str]()
    return [name for name in made if name not in missing]


def _lasting(name: str, said: dict[str, Any] | None, seconds: float) -> float:
    """How long a file lasts: a sound may end before the picture does."""
    return float(said["heard"]) if said and said["heard"] is not None and _is_sound(name) else seconds


def _is_sound(name: str) -> bool:
    return name.startswith("audio")


def _log(name: str, said: dict[str, Any]) -> str:
    """What ffmpeg's `ametadata` prints about a sound track, as far as somebody reads it."""
    track, _, kind = name.removesuffix(".txt").partition(".")
    if kind == "levels":
        said_of = (("Min_level", low, "Max_level", high) for low, high in _PAIRS)
        return "".join("lavfi.astats.Overall.{}={}\nlavfi.astats.Overall.{}={}\n".format(*one) for one in said_of)
    level = said["loudness"][int(track.partition("-")[2] or 0)]
    integrated, peak = (-70.0, 0.0) if level is None else (level, _PEAK)
    return f"lavfi.r128.I={integrated:.3f}\nlavfi.r128.true_peak={peak:.3f}\n"


def _logged(path: Path) -> str:
    if not path.is_file():
        raise Rejected(Reason.DAMAGED, "Decoding it left something else than the files that were to be made.")
    return path.read_text()


def _said(path: Path, magic: bytes) -> dict[str, Any]:
    body = path.read_bytes()
    try:
        return dict(json.loads(body.removeprefix(magic)))
    except ValueError as error:
        raise Rejected(Reason.DAMAGED, "Its headers could not be read.") from error


def _fail(said: dict[str, Any]) -> None:
    if said["fault"]:
        raise Rejected(Reason(said["fault"]), "It was made to be refused.")


def _clip(said: dict[str, Any], sniffed: StreamFile, size: int) -> Clip:
    picture = VideoStream(
        index=0,
        codec="h264",
        width=said["width"],
        height=said["height"],
        frame_rate=Fraction(25),
        bit_rate=1_000_000,
        interlaced=False,
        transfer=None,
    )
    sounds = tuple(
        AudioStream(index=index, codec="aac", channels=2, sample_rate=48_000, language=None, default=True)
        for index in range(1, 1 + len(said["loudness"]))
    )
    texts = tuple(
        TextStream(index=index, codec="subrip", language=language, title=None, default=False, forced=False)
        for index, (language, _) in enumerate(said["texts"], 1 + len(sounds))
    )
    seconds, tracks = float(said["seconds"]), (picture, *sounds) if said["width"] else sounds
    return Clip(
        container="matroska,webm",
        size=size,
        duration=seconds,
        bit_rate=None,
        video=picture if said["width"] else None,
        audio=sounds,
        streams=len(tracks),
        probe_score=100,
        sniffed=sniffed,
        texts=texts,
        timeline=Timeline(
            duration=seconds,
            packets=int(seconds * 25),
            longest_gap=0.04,
            reach=seconds,
            ends=tuple((stream.index, seconds) for stream in tracks),
        ),
    )


def _write_texts(folder: Path, argv: Sequence[str], said: dict[str, Any]) -> None:
    first = 1 + len(said["loudness"])
    for name in (word for word in argv if re.fullmatch(r"text-[0-9]+\.vtt", word)):
        text = said["texts"][int(name[5:-4]) - first][1]
        if not text:
            raise Rejected(Reason.DAMAGED, "It was made to be refused.")
        (folder / name).write_text(text)


def _write_made(path: Path, seconds: float, of: Sequence[str]) -> None:
    """A track has all the bytes that its index speaks of."""
    said = json.dumps({"name": path.name, "seconds": seconds, "of": of})
    length = 800 + 1000 * len(_lengths(seconds)) if path.suffix in {".mp4", ".m4a"} else 0
    path.write_text(said.ljust(length))


def _lengths(seconds: float) -> list[Fraction]:
    whole = Fraction(seconds)
    return [min(Fraction(2), whole - at) for at in range(0, int(whole) + 1, 2) if at < whole]


def _index(lengths: Sequence[Fraction], *, codec: str) -> Index:
    fragments = tuple(
        Fragment(offset=800 + 1000 * at, bytes=1000, duration=length, starts_with_key=True, key_frame_bytes=100)
        for at, length in enumerate(lengths)
    )
    return Index(
        init_bytes=700,
        sidx_offset=700,
        sidx_bytes=100,
        codec=codec,
        timescale=30_000,
        priming=Fraction(0),
        samples=round(sum(lengths) * 25),
        segments=fragments,
    )


def _etag(body: bytes) -> str:
    """As S3 has it for an object that was put in one piece."""
    return f'"{hashlib.md5(body, usedforsecurity=False).hexdigest()}"'
