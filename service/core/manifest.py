"""The page manifest: all that a page needs of an upload, and nothing that it must not know."""

from collections.abc import Iterable, Mapping
from datetime import datetime
from enum import StrEnum
from typing import Literal

from service.core import markup, places
from service.core.media import Clip, Kind, Media, Picture
from service.core.outcome import Reason, Rejected
from service.core.record import Document, Entry, File, Hint, Product, Record, Role, StepRecord

#: `pending`: they will come; `unavailable`: they could not be made; `none`: nobody speaks, or none were asked for.
CaptionState = Literal["none", "pending", "machine", "uploaded", "unavailable"]


class Status(StrEnum):
    """The state of the source's newest version."""

    PROCESSING = "processing"
    READY = "ready"
    REJECTED = "rejected"
    QUARANTINED = "quarantined"
    FAILED = "failed"
    DELETED = "deleted"


_ANOTHER_LENGTH = 1.0  # seconds: sound may go on after the picture, and frames be padded, but not by so much

_WAITING = {
    Reason.MODERATION_REVIEW: "It will be shown when a person has looked at it.",
    Reason.MODERATION_UNAVAILABLE: "It could not be checked yet; it will be shown when it has been.",
}

FINAL = frozenset(Status) - {Status.PROCESSING}


class Why(Document):
    """Why the version is not ready; the message is for the person who uploaded it."""

    code: Reason
    message: str


class Source(Document):
    """Which version of the source the status speaks of."""

    etag: str | None = None
    version_id: str | None = None
    last_modified: str | None = None
    size: int | None = None


class Serving(Document):
    """What a page may show now; `duration` in seconds. `damaged`: parts of the source could not be decoded."""

    kind: Kind
    width: int | None = None
    height: int | None = None
    duration: float | None = None
    products: tuple[Product, ...]
    placeholder: Hint | None = None
    captions: CaptionState = "none"
    damaged: bool = False
    html: str


class Manifest(Document):
    """`media/<name>/manifest.json`. Each write is one `revision` further; `eta_seconds` count from `updated_at`."""

    media_worker: Literal[1] = 1
    status: Status
    reason: Why | None = None
    percent: int | None = None
    eta_seconds: int | None = None
    started_at: datetime | None = None
    revision: int
    updated_at: datetime
    source: Source
    serving: Serving | None = None


def processing(
    before: Manifest | None,
    source: Source,
    *,
    percent: int,
    eta_seconds: int | None,
    started_at: datetime,
    now: datetime,
) -> Manifest:
    """A version that is under way; what was served before still is."""
    far = {"percent": percent, "eta_seconds": eta_seconds, "started_at": started_at}
    return _next(before, source, now, status=Status.PROCESSING, **far)


def ready(before: Manifest | None, source: Source, serving: Serving, *, now: datetime) -> Manifest:
    """A version that is published."""
    return _next(before, source, now, status=Status.READY, serving=serving)


def rejected(before: Manifest | None, source: Source, error: Rejected, *, now: datetime) -> Manifest:
    """A version that will never be published; what was served before still is, unless this one may not be shown."""
    why = Why(code=error.reason, message=error.message)
    withdrawn = {"serving": None} if error.reason is Reason.MODERATION_BLOCKED else {}
    return _next(before, source, now, status=Status.REJECTED, reason=why, **withdrawn)


def quarantined(before: Manifest | None, source: Source, reason: Reason, *, now: datetime) -> Manifest:
    """A version that is not public before somebody has looked at it; what was served before still is."""
    why = Why(code=reason, message=_WAITING[reason])
    return _next(before, source, now, status=Status.QUARANTINED, reason=why)


def failed(before: Manifest | None, source: Source, *, now: datetime) -> Manifest:
    """A version that this service could not handle, for no fault of the file."""
    why = Why(code=Reason.INTERNAL, message="It could not be processed; the operator has been told.")
    return _next(before, source, now, status=Status.FAILED, reason=why)


def deleted(before: Manifest, *, now: datetime) -> Manifest:
    """A source that is gone, and everything made of it with it."""
    return _next(before, Source(), now, status=Status.DELETED, serving=None)


def _next(before: Manifest | None, source: Source, now: datetime, **values: object) -> Manifest:
    kept = {"serving": before.serving if before else None, "revision": before.revision + 1 if before else 1}
    return Manifest.model_validate(kept | {"updated_at": now, "source": source} | values)


def speaks_of(manifest: Manifest, source: Source) -> bool:
    """Whether the manifest's state is that of this version of the source."""
    if manifest.source.version_id or source.version_id:
        return manifest.source.version_id == source.version_id
    return (manifest.source.etag, manifest.source.last_modified) == (source.etag, source.last_modified)


def idempotency_key(name: str, manifest: Manifest) -> str:
    """The same for every message that tells of the same revision."""
    return f"{name}@{manifest.revision}"


def entries(records: Iterable[Record]) -> list[tuple[Record, File, Entry]]:
    """Every product of the records, in the order in which they were planned."""
    return [
        (record, file, file.product)
        for record in records
        for step in record.steps
        for file in step.files
        if file.product
    ]


def serve(
    media: Media,
    records: Iterable[Record],
    *,
    wanted: Mapping[str, int],
    base: str,
    at: places.Places,
    pending: bool = False,
) -> Serving:
    """What a page may show of `media`: the products of the steps in `wanted`, which gives their order.

    Two workers may have done one step at the same time: the first record that lists it counts.

    :param base: the public address that object keys are appended to.
    :param pending: whether captions are still being made.
    """
    done = {step.digest: (record, step) for record in reversed(tuple(records)) for step in record.steps}
    chosen = [done[digest] for digest in sorted(wanted, key=lambda digest: wanted[digest]) if digest in done]
    products = tuple(
        _product(record, file, file.product, base=base, at=at)
        for record, step in chosen
        for file in step.files
        if file.product
    )
    hints = (step.placeholder for _, step in chosen)
    width, height, duration = _measures(media)
    kind: Kind = "image" if isinstance(media, Picture) else media.kind
    hint = next((hint for hint in hints if hint), None)
    return Serving(
        kind=kind,
        width=width,
        height=height,
        duration=_lasts([step for _, step in chosen], duration),
        products=products,
        placeholder=hint,
        captions="pending" if pending else _captions(products),
        damaged=any(step.damaged for _, step in chosen),
        html=markup.write(kind, products, width=width, height=height) if products else "",  # blocked: nothing is made
    )


def _captions(products: Iterable[Product]) -> CaptionState:
    found = [product.machine for product in products if product.role is Role.CAPTIONS]
    return ("machine" if all(found) else "uploaded") if found else "none"


def _lasts(steps: Iterable[StepRecord], said: float | None) -> float | None:
    """What the media says of itself, unless what was decoded of it is another length: packets need not say theirs."""
    made = [track.duration for step in steps if (track := step.video or step.audio)]
    longest = max(made, default=said)
    return longest if said is None or longest is None or longest - said > _ANOTHER_LENGTH else said


def _measures(media: Media) -> tuple[int | None, int | None, float | None]:
    match media:
        case Picture():
            return media.width, media.height, None
        case Clip(video=None):
            return None, None, round(media.seconds, 3)
        case Clip(video=video):
            assert video
            return video.width, video.height, round(media.seconds, 3)


def _product(record: Record, file: File, entry: Entry, *, base: str, at: places.Places) -> Product:
    return Product(
        role=entry.role,
        url=places.url(base, record.folder + file.name),
        alias_url=places.url(base, at.alias(entry.alias)) if entry.alias else None,
        content_type=file.content_type,
        bytes=file.bytes,
        width=entry.width,
        height=entry.height,
        bandwidth=entry.bandwidth,
        language=entry.language,
        machine=entry.machine,
        label=entry.label,
    )
