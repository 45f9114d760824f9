"""`audit`: sources whose page manifest does not tell of their newest version, or that are gone and still shown."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime, timedelta

from service.commands.catalogue import BATCH, Backfill, Catalogue, OnProgress, in_order
from service.commands.survey import known
from service.core import audit, survey
from service.core.audit import Audit, Kind
from service.core.job import Job
from service.core.manifest import Manifest, Source, Status
from service.core.places import Places
from service.core.record import Outcome
from service.core.sources import Listed
from service.core.step import Cover, Subtitles
from service.runtime.page import Page
from service.runtime.ports import Head


@dataclass(frozen=True, kw_only=True)
class _Found:
    """What is wrong with an object, if anything is; `young` where its event may still be under way.

    `key` is None where nothing tells it any more; then there is the key of the page manifest.
    """

    bucket: str
    key: str | None
    size: int
    kind: Kind | None = None
    young: bool = False
    manifest: str = ""


@dataclass(kw_only=True)
class Auditor:
    """Looks at sources as they are `now`; what is younger than `older_than` is not judged.

    What is wrong is sent to `backfill`, where there is one.
    """

    catalogue: Catalogue
    older_than: timedelta
    now: datetime
    backfill: Backfill | None = None

    async def audit(self, *, gone: bool, on_progress: OnProgress = lambda _looked: None) -> Audit:
        """Look at every source, and with `gone` at every page manifest.

        :raises Unavailable: when the queue did not take all of it; those that it took find everything done then.
        """
        result, jobs = Audit(), list[Job]()
        async with aclosing(in_order(self.catalogue.all(), self._source)) as sources:
            async for found in sources:
                result.looked.add(found.bucket, str(found.key), found.size)
                await self._note(found, result, jobs)
                on_progress(result.looked.objects)
        if gone:
            async with aclosing(in_order(self._manifests(), self._withdrawn)) as left:
                async for found in left:
                    await self._note(found, result, jobs)
        await self._send(jobs, result)
        return result

    async def _note(self, found: _Found, result: Audit, jobs: list[Job]) -> None:
        if found.kind is None:
            return
        if found.key is None:
            result.nameless.add(self.catalogue.output_bucket, found.manifest, found.size)
        elif found.young:
            result.young.add(found.bucket, found.key, found.size)
        else:
            result.wrong[found.kind].add(found.bucket, found.key, found.size)
            jobs.append(Job(bucket=found.bucket, key=found.key, type="process", cause="audit", requested_at=self.now))
        if len(jobs) == BATCH:
            await self._send(jobs, result)

    async def _send(self, jobs: list[Job], result: Audit) -> None:
        if self.backfill and jobs:
            await self.backfill.send(jobs)
            result.enqueued += len(jobs)
        jobs.clear()

    async def _source(self, one: Listed) -> _Found:
        above = await self.catalogue.parent(one)
        kind = await (self._captions(one, above) if above else self._version(one))
        young = kind is not Kind.UNFINISHED and self.now - one.modified < self.older_than
        return _Found(bucket=one.bucket, key=one.key, size=one.size, kind=kind, young=young)

    async def _version(self, one: Listed) -> Kind | None:
        """What is wrong with a source; S3 is asked for the object itself only where the listing leaves a doubt."""
        found = (await Page.read(self.catalogue.store, self.catalogue.at(one.bucket, one.key))).manifest
        if not audit.needs_head(found, one):
            return audit.kind(found, found.source if found else one.source, archived=False, now=self.now)
        head = await self.catalogue.uploads.head(one.bucket, one.key)
        if head is None:
            return None  # it was deleted meanwhile
        return audit.kind(found, _source(head), archived=head.archived, now=self.now)

    async def _captions(self, one: Listed, above: str) -> Kind | None:
        """Whether a source that is published would take these captions, or this poster, and has not looked at them."""
        page = await Page.read(self.catalogue.store, self.catalogue.at(one.bucket, above))
        version = await known(self.catalogue, one.bucket, above)
        if version is None or page.manifest is None or page.manifest.status is not Status.READY:
            return None
        again = survey.foresee(version, self.catalogue.recipe.rules(above)).again
        missing = any(isinstance(named.step, Cover | Subtitles) and named.step.key == one.key for named in again)
        return Kind.CAPTIONS if missing else None

    async def _manifests(self) -> AsyncGenerator[tuple[str, str], None]:
        """The bucket and the name of everything below the roots that has a page manifest."""
        catalogue = self.catalogue
        for bucket, prefix in audit.manifests_of(catalogue.roots, several_buckets=catalogue.several_buckets):
            async with aclosing(catalogue.uploads.listing(catalogue.output_bucket, prefix)) as listed:
                async for one in listed:
                    if name := audit.name_of(one.key):
                        yield bucket, name

    async def _withdrawn(self, found: tuple[str, str]) -> _Found:
        """Whether a source is gone, and its manifest does not say so; when it went is not known."""
        bucket, name = found
        at = Places(name=name)
        key = audit.key_of(name, bucket, several_buckets=self.catalogue.several_buckets)
        if key and await self.catalogue.uploads.head(bucket, key):
            return _Found(bucket=bucket, key=key, size=0)
        shown = (await Page.read(self.catalogue.store, at)).manifest
        if shown is None or shown.status is Status.DELETED:
            return _Found(bucket=bucket, key=key, size=0)
        if key is None:
            return await self._nameless(bucket, at, shown)
        return _Found(bucket=bucket, key=key, size=shown.source.size or 0, kind=Kind.GONE)

    async def _nameless(self, bucket: str, at: Places, shown: Manifest) -> _Found:
        """The same for a name that is a hash: the key is in the outcome records."""
        key, size = await self._recorded(at), shown.source.size or 0
        if key and not self._is_below_roots(bucket, key):
            return _Found(bucket=bucket, key=key, size=size)
        if key and await self.catalogue.uploads.head(bucket, key):
            return _Found(bucket=bucket, key=key, size=size)
        return _Found(bucket=bucket, key=key, size=size, kind=Kind.GONE, manifest=at.manifest)

    async def _recorded(self, at: Places) -> str | None:
        for record in await self.catalogue.store.keys(at.versions):
            if record.endswith("/outcome.json") and (stored := await self.catalogue.store.read(record)):
                return Outcome.model_validate_json(stored.body).key
        return None

    def _is_below_roots(self, bucket: str, key: str) -> bool:
        return any(bucket == root.bucket and key.startswith(root.prefix) for root in self.catalogue.roots)


def _source(head: Head) -> Source:
    return Source(etag=head.etag, version_id=head.version_id, last_modified=head.last_modified, size=head.size)
