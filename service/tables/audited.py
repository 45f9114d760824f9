"""What an audit found."""

from collections.abc import Iterator

from rich.filesize import decimal
from rich.table import Table

from service.core.audit import MEANINGS, Audit, Heap
from service.tables.cells import short, table


def audited_table(result: Audit) -> Table:
    """A row for each kind that there is something of, the first few keys in it."""
    rows = [(str(kind), MEANINGS[kind], heap) for kind, heap in sorted(result.wrong.items())]
    rows += [("young", "its event is under way, most likely: not judged", result.young)] if result.young.objects else []
    if result.nameless.objects:
        rows.append(("nameless", "as gone, but nothing tells the key any more: delete these by hand", result.nameless))
    told = [(kind, f"{heap.objects:,}", decimal(heap.bytes), why, "\n".join(_first(heap))) for kind, why, heap in rows]
    return table(["kind", "objects", "bytes", "that is", "such as"], told)


def _first(heap: Heap) -> Iterator[str]:
    yield from (short(key, 60) for _, key in heap.first)
    if heap.objects > len(heap.first):
        yield "…"


def audited_line(result: Audit) -> str:
    """How much was looked at, and whether all is well."""
    looked = f"{result.looked.objects:,} object(s), {decimal(result.looked.bytes)}, looked at"
    if wrong := result.objects + result.nameless.objects:
        return f"{looked}: {wrong:,} to mend"
    young = ", but for the young ones" if result.young.objects else ""
    return f"{looked}: nothing is lost{young}"


def audited_document(result: Audit, *, queue: str | None) -> dict[str, object]:
    """What an audit found, for machines; `queue` is where it was sent to."""
    return {
        "looked": _document(result.looked, keys=False),
        "young": _document(result.young),
        "found": {str(kind): _document(heap) for kind, heap in sorted(result.wrong.items())},
        "nameless": _document(result.nameless),
        "enqueued": result.enqueued,
        "queue": queue,
    }


def _document(heap: Heap, *, keys: bool = True) -> dict[str, object]:
    first = [{"bucket": bucket, "key": key} for bucket, key in heap.first]
    return {"objects": heap.objects, "bytes": heap.bytes} | ({"first": first} if keys else {})
