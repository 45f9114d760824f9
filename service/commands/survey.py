"""What reprocessing would do of all sources below a prefix, by their records: nothing is downloaded."""

from collections.abc import AsyncGenerator, Iterable
from contextlib import aclosing

from service.commands.catalogue import Catalogue, OnProgress, in_order
from service.core import places, plan, survey
from service.core.recipe import Recipe
from service.core.sources import Listed, Sample
from service.core.survey import Known, Survey, Surveyed
from service.runtime import surroundings
from service.runtime.lease import Message
from service.runtime.ledger import Ledger

SAMPLE = 1000  #: objects that are looked at where there are more: some four requests each

_NOBODY = Message(id="survey", receipt="", body="", receive_count=0, queue="")


async def surveyed(
    catalogue: Catalogue,
    *,
    old: Recipe | None = None,
    after: str = "",
    limit: int | None = None,
    sample: int = SAMPLE,
    on_progress: OnProgress = lambda _looked: None,
) -> Surveyed:
    """What workers with the catalogue's recipe would do of the first `limit` sources after `after`.

    Of more than `sample` that many are looked at, of 0 all; what `old` would have to make as well is told apart.
    """
    found = catalogue.sources(after=after, limit=limit)
    if not sample:
        return await _of_all(catalogue, found, old=old, on_progress=on_progress)
    chosen = Sample(sample)
    async with aclosing(found):
        async for one in found:
            chosen.offer(one)
    part = await _of_all(catalogue, _each(chosen.chosen), old=old, on_progress=on_progress)
    if chosen.objects <= sample:
        return part
    return Surveyed(survey=part.survey, objects=chosen.objects, bytes=chosen.bytes, looked=part.looked)


async def _each(found: Iterable[Listed]) -> AsyncGenerator[Listed, None]:
    for one in found:
        yield one


async def _of_all(
    catalogue: Catalogue, found: AsyncGenerator[Listed, None], *, old: Recipe | None, on_progress: OnProgress
) -> Surveyed:
    """What is gone by the time it is looked at is none of them."""
    sums, objects, size = Survey(), 0, 0

    async def look(one: Listed) -> tuple[Listed, Known | None]:
        return one, await known(catalogue, one.bucket, one.key)

    async with aclosing(in_order(found, look)) as looked:
        async for one, version in looked:
            if version is None:
                continue
            objects, size = objects + 1, size + version.size
            _add(sums, version, one.key, catalogue.recipe, old)
            on_progress(objects)
    return Surveyed(survey=sums, objects=objects, bytes=size, looked=objects)


def _add(sums: Survey, version: Known, key: str, recipe: Recipe, old: Recipe | None) -> None:
    rules = recipe.rules(key)
    owed = [named.digest for named in survey.foresee(version, old.rules(key)).again] if old else []
    sums.add(survey.foresee(version, rules), rules.prices, owed=owed)


async def known(catalogue: Catalogue, bucket: str, key: str) -> Known | None:
    """What records tell of the newest version, read as the worker reads them; None where there is none."""
    head = await catalogue.uploads.head(bucket, key)
    if head is None:
        return None
    version = places.version(bucket, key, head.version_id, head.etag, head.last_modified)
    at = catalogue.at(bucket, key)
    ledger = await Ledger.load(catalogue.store, at, version=version, message=_NOBODY, made_by={}, first=False)
    media = ledger.media
    return Known(
        version=version,
        size=head.size,
        archived=head.archived,
        media=media,
        done=ledger.steps,
        decided=ledger.decision.says if ledger.decision else None,
        beside=await surroundings.look(catalogue.uploads, head, media) if media else plan.NOTHING_BESIDE,
    )
