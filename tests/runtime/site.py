"""A whole service on fakes: uploads, pipelines, and what a site owner finds in the store."""

import hashlib
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from importlib.resources import files
from pathlib import Path
from tempfile import TemporaryDirectory
from urllib.parse import unquote

from service.core import recipe
from service.core.job import Job, Later, Type
from service.core.manifest import Manifest, Source, Status, speaks_of
from service.core.places import Places, is_record, name, quota
from service.core.recipe import Recipe
from service.core.record import Outcome, Product, Record
from service.runtime.allowance import Allowance
from service.runtime.captioner import Captioner
from service.runtime.examine import Examiner
from service.runtime.lease import Message
from service.runtime.moderation import Moderator
from service.runtime.pipeline import Pipeline
from service.runtime.publish import Publisher
from service.runtime.reviews import Reviews
from service.runtime.room import Room
from service.runtime.screener import Screener
from service.runtime.steps import Performer
from service.runtime.trial import Trials
from tests.fakes import (
    FakeFilms,
    FakeJudge,
    FakeOutcomes,
    FakePictures,
    FakeReader,
    FakeScribe,
    FakeStore,
    FakeUploads,
    Version,
    Wire,
)

PUBLIC_URL = "https://media.example"
S3_CALLS = ("read", "write", "overwrite", "upload", "download", "copy", "keys", "delete", "head", "fetch")
TOOL_CALLS = ("inspect", "draw", "probe", "run", "index")

_SMALL = """
images = {{ widths = {widths}, placeholder = true }}
limits = {{ bytes = 100_000 }}
video.ladder = [{{ height = 360, max_bit_rate = 800_000 }}, {{ height = 240, max_bit_rate = 400_000 }}]
moderation.provider = "{moderation}"
moderation.patience_seconds = 0
captions.provider = "{captions}"
"""


def rules(*widths: int, moderation: str = "off", captions: str = "off", more: str = "") -> Recipe:
    """The shipped recipe with these widths of images and two rungs of video; nobody is asked but whom a test names."""
    text = _SMALL.format(widths=list(widths or (320, 640)), moderation=moderation, captions=captions) + more
    return recipe.read(text, shipped=(files("service") / "recipe.toml").read_text())


def received(identity: str = "message", count: int = 1) -> Message:
    """One receive of a message."""
    return Message(id=identity, receipt="", body="", receive_count=count, queue="fake")


def job(key: str, type_: Type = "process") -> Job:
    """What a message asks for."""
    return Job(bucket="uploads", key=key, type=type_, cause="test")


@dataclass(kw_only=True)
class Site:
    """What outlives a worker: the buckets, and those who were told."""

    scratch: Path
    uploads: FakeUploads = field(default_factory=FakeUploads)
    store: FakeStore = field(default_factory=FakeStore)
    outcomes: FakeOutcomes = field(default_factory=FakeOutcomes)
    judge: FakeJudge = field(default_factory=FakeJudge)
    room: Room = field(default_factory=Room)
    grace: int = 0  #: seconds that what was replaced is kept
    scribe: FakeScribe = field(default_factory=FakeScribe)

    def pipeline(self, wire: Wire | None = None, recipe: Recipe | None = None) -> Pipeline:
        """A worker's, all of whose calls go over `wire`."""
        wire = wire or Wire()
        store = replace(self.store, wire=wire)
        outcomes = replace(self.outcomes, wire=wire)
        return Pipeline(
            uploads=replace(self.uploads, wire=wire),
            store=store,
            publisher=Publisher(store=store, outcomes=outcomes, public_url=PUBLIC_URL, worker="test"),
            trials=self._trials(wire, store),
            reviews=Reviews(store=store),
            recipe=recipe or rules(),
            several_buckets=False,
            grace_seconds=self.grace,
            job_seconds=60,
        )

    def _trials(self, wire: Wire, store: FakeStore) -> Trials:
        pictures, films = FakePictures(wire=wire), FakeFilms(wire=wire)
        scribe, reader = replace(self.scribe, wire=wire), FakeReader(wire=wire)
        captioner = Captioner(films=films, reader=reader, scribes={scribe.name: scribe}, store=store)
        judge = replace(self.judge, wire=wire)
        return Trials(
            uploads=replace(self.uploads, wire=wire),
            store=store,
            examiner=Examiner(pictures=pictures, films=films),
            performer=Performer(pictures=pictures, films=films, captioner=captioner, versions={"fake": "1"}),
            moderator=Moderator(screeners={judge.name: Screener(judge=judge, pictures=pictures, films=films)}),
            allowance=Allowance(store=store, rates={}),
            room=self.room,
            scratch=self._job,
            public_url=PUBLIC_URL,
        )

    @contextmanager
    def _job(self) -> Iterator[Path]:
        with TemporaryDirectory(dir=self.scratch) as folder:
            yield Path(folder)

    async def process(
        self, key: str, message: Message | None = None, *, recipe: Recipe | None = None, type_: Type = "process"
    ) -> Wire:
        """A worker of its own handles a message about `key`; gives the calls that it made."""
        wire = Wire()
        await self.pipeline(wire, recipe).process(job(key, type_), message or received())
        return wire

    async def deliver(
        self, one: Job, message: Message | None = None, *, wire: Wire | None = None, recipe: Recipe | None = None
    ) -> Later | None:
        """A worker of its own does any job; what it wants to be asked again, if anything: captions before a sweep."""
        later = await self.pipeline(wire, recipe).process(one, message or received())
        return next((one for one in later if one.job.type != "sweep"), later[0] if later else None)

    def public(self, key: str) -> set[str]:
        """All that anybody may fetch of `key`, but the page manifest."""
        at = places(key)
        return {one for one in self.store.objects if one.startswith(f"media/{at.name}/") and one != at.manifest}

    def held(self, key: str) -> set[str]:
        """All that waits, or waited, for a reviewer of `key`."""
        return {one for one in self.store.objects if one.startswith(places(key).held)}

    def manifest(self, key: str) -> Manifest | None:
        """The page manifest of `key`."""
        body = self.store.objects.get(places(key).manifest)
        return Manifest.model_validate_json(body) if body else None

    def ready(self, key: str) -> Manifest:
        """The page manifest of a key that is published."""
        found = self.manifest(key)
        assert found
        assert found.status == Status.READY
        return found

    def products(self, key: str) -> dict[str, bytes]:
        """What a page shows of `key`: the content of every product, by its URL's last part."""
        serving = self.ready(key).serving
        assert serving
        return {product.url.rpartition("/")[2]: self._content(product.url) for product in serving.products}

    def records(self, key: str) -> list[Record]:
        """The records of all versions of `key`."""
        found = [one for one in sorted(self.store.objects) if one.startswith(places(key).versions)]
        return [Record.model_validate_json(self.store.objects[one]) for one in found if is_record(one)]

    def outcome(self, key: str) -> Outcome:
        """The outcome record of the one version of `key`."""
        (found,) = [one for one in self.store.objects if one.startswith(places(key).versions) and "outcome" in one]
        return Outcome.model_validate_json(self.store.objects[found])

    @property
    def told(self) -> list[str]:
        """The idempotency keys of the messages so far."""
        return [key for key, _ in self.outcomes.told]

    def objects(self) -> dict[str, bytes]:
        """A copy of all that is in the store."""
        return dict(self.store.objects)

    def check(self, *keys: str, ready: bool = True, aliases: bool = True) -> None:
        """The state of every key is that of its newest version, and every object of the store is accounted for."""
        for key in keys:
            self._check_state(key, self.uploads.newest(key), ready=ready)
        expected = set().union(*(self._inventory(key) for key in keys))
        there = {one for one in self.store.objects if one != quota() and not one.startswith("records/~failures/")}
        if any(self._is_pending(key) for key in keys):
            there = {key for key in there if not key.startswith("work/~speech/")}
        if aliases:
            expected |= set().union(*(self._aliases(key) for key in keys))
        else:
            there = {key for key in there if "/~/" not in key}
        assert (set(), set()) == (expected - there, there - expected)

    def _is_pending(self, key: str) -> bool:
        found = self.manifest(key)
        return bool(found and found.serving and found.serving.captions == "pending")

    def _check_state(self, key: str, newest: Version | None, *, ready: bool) -> None:
        found = self.manifest(key)
        if newest is None:
            assert found is None or (found.status, found.serving) == (Status.DELETED, None)
            return
        assert found
        assert speaks_of(found, _source(newest)), f"{key} tells of {found.source}"
        assert not ready or found.status == Status.READY

    def _inventory(self, key: str) -> set[str]:
        """Every object that there has to be for `key`, by its manifest and records; what they say of each is true."""
        at, found = places(key), self.manifest(key)
        expected = {at.manifest} if found else set()
        expected |= {at.ticket} if found and found.status is Status.QUARANTINED else set()
        expected |= {one for one in self.store.objects if one.startswith(at.versions)}
        for record in self.records(key):
            for file, sha256 in self._files(record):
                assert sha256 == hashlib.sha256(self.store.objects[file]).hexdigest()
                expected.add(file)
        served = found.serving.products if found and found.serving else ()
        assert {_key(product.url) for product in served} <= expected
        return expected

    def _files(self, record: Record) -> list[tuple[str, str]]:
        """What has to be there of a record; frames that were flagged are gone when a reviewer has seen them."""
        found = [(record.folder + file.name, file.sha256) for step in record.steps for file in step.files]
        flagged = any(step.screening for step in record.steps)
        return [one for one in found if not flagged or one[0] in self.store.objects]

    def _aliases(self, key: str) -> set[str]:
        """The aliases that there have to be for `key`; each is the product that it stands for."""
        found = self.manifest(key)
        served = found.serving.products if found and found.serving else ()
        return {self._alias(product) for product in served if product.alias_url}

    def _alias(self, product: Product) -> str:
        assert product.alias_url
        assert self._content(product.url) == self._content(product.alias_url), f"{product.alias_url} is another one"
        return _key(product.alias_url)

    def _content(self, url: str) -> bytes:
        return self.store.objects[_key(url)]


def places(key: str) -> Places:
    """Where everything of `key` is."""
    return Places(name=name("uploads", key, several_buckets=False))


def _key(url: str) -> str:
    return unquote(url.removeprefix(f"{PUBLIC_URL}/"))


def _source(version: Version) -> Source:
    head = version.head
    return Source(etag=head.etag, version_id=head.version_id, last_modified=head.last_modified, size=head.size)
