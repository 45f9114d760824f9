"""What waits for a review: a block each, since links are long and have to stay whole."""

import shlex
from collections.abc import Callable, Iterator, Sequence
from datetime import datetime

from rich.text import Text

from service.commands.waiting import Listed, Waiting
from service.core.outcome import Reason
from service.tables import words
from service.tables.cells import printable

_REASONS = {
    Reason.MODERATION_REVIEW: "a rule of the recipe wants a person to look",
    Reason.MODERATION_UNAVAILABLE: "nobody could be asked",
}


def waiting_lines(listed: Listed, *, now: datetime, options: Callable[[Waiting], Sequence[str]]) -> Iterator[Text]:
    """Lines, none of them to be wrapped; `options` are what a command about one needs besides."""
    if not listed.waiting:
        yield Text("Nothing waits for a review.")
        return
    for one in listed.waiting:
        yield Text.assemble((printable(one.key), "bold"), f", revision {one.revision}")
        yield from (Text(f"  {head:<8} {value}") for head, value in _rows(one, now, options(one)))
        yield Text()
    if listed.more:
        yield Text(f"{listed.more} more: --limit {len(listed.waiting) + listed.more}")


def _rows(one: Waiting, now: datetime, options: Sequence[str]) -> Iterator[tuple[str, str]]:
    yield "since", f"{one.since:%Y-%m-%d %H:%M:%S}, {words.age((now - one.since).total_seconds())} ago"
    yield "reason", f"{one.reason}: {_REASONS.get(Reason(one.reason), '')}"
    yield from (("why", words.because(because, one.media)) for because in one.because)
    if one.detail:
        yield "why", " ".join(printable(one.detail).split())
    yield from (("look", link) for link in one.links)
    for verb in ("approve", "reject"):
        yield verb, shlex.join(["media-worker", "review", verb, one.key, "--revision", str(one.revision), *options])


def waiting_document(one: Waiting, *, now: datetime) -> dict[str, object]:
    """One version that waits, for machines."""
    return {
        "key": one.key,
        "bucket": one.bucket,
        "revision": one.revision,
        "since": one.since.isoformat(),
        "seconds": round((now - one.since).total_seconds()),
        "reason": one.reason,
        "detail": one.detail,
        "because": [because.model_dump(mode="json") for because in one.because],
        "links": list(one.links),
    }
