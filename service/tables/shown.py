"""All that is known of one upload."""

from rich.table import Table

from service.commands.show import Shown
from service.core import explain, manifest
from service.core.manifest import Manifest
from service.core.outcome import Reason
from service.core.record import Outcome
from service.tables import words
from service.tables.cells import printable, table

Rows = list[tuple[str, str]]


def shown_document(shown: Shown) -> dict[str, object]:
    """All that is known of one upload, for machines."""
    found = shown.manifest.model_dump(mode="json") if shown.manifest else None
    outcome = shown.outcome.model_dump(mode="json") if shown.outcome else None
    return {
        "key": shown.key,
        "manifest_key": shown.manifest_key,
        "manifest": found,
        "outcome": outcome,
        "decision": shown.decision.model_dump(mode="json") if shown.decision else None,
        "lags": shown.lags,
    }


def shown_table(shown: Shown) -> Table:
    """All that is known of one upload, and what to do about it."""
    rows = [("key", printable(shown.key)), ("manifest", shown.manifest_key)]
    if shown.head:
        rows.append(("source", f"{shown.head.size:,} bytes, ETag {shown.head.etag}, of {shown.head.last_modified}"))
    if shown.manifest:
        rows += _of_manifest(shown.manifest)
    if shown.outcome:
        rows += _of_outcome(shown.outcome, shown.manifest)
    if said := shown.decision:
        rows.append(("reviewed", f"{said.says}: {said.by}, {said.at:%Y-%m-%d %H:%M:%S}, of revision {said.revision}"))
    rows.append(("what to do", _advice(shown)))
    return table(["", ""], rows)


def _of_manifest(found: Manifest) -> Rows:
    percent = f", {found.percent} %" if found.percent is not None else ""
    at = f"{found.updated_at:%Y-%m-%d %H:%M:%S}"
    rows = [("status", f"{found.status}{percent}, revision {found.revision}, of {at}")]
    rows += [("reason", f"{found.reason.code}: {found.reason.message}")] if found.reason else []
    return rows + [("product", f"{p.role}: {p.url}") for p in (found.serving.products if found.serving else ())]


def _of_outcome(outcome: Outcome, found: Manifest | None) -> Rows:
    rows = [("worker", f"{outcome.worker}, recipe {outcome.recipe}, cause {outcome.cause}")]
    public = found.reason.message if found and found.reason else None
    rows += [("because", outcome.message)] if outcome.message and outcome.message != public else []
    if said := outcome.moderation:
        lines = [words.moderation(said), *(words.because(one, outcome.media) for one in said.because)]
        rows.append(("moderation", "\n".join(lines)))
        rows += [("looked at", told)] if (told := words.coverage(said)) else []
    state = found.serving.captions if found and found.serving else "none"
    rows += [("damaged", words.damage(outcome.damaged))] if outcome.damaged else []
    rows += [("captions", told)] if (told := words.captions(outcome.captions, state)) else []
    rows += [("poster", words.poster(outcome.poster))] if outcome.poster else []
    rows += [("cost", words.cost(outcome.cost))] if outcome.cost else []
    return rows + [("failure", f"{failure.at:%Y-%m-%d %H:%M:%S} {failure.error}") for failure in outcome.failures]


def _advice(shown: Shown) -> str:
    if shown.manifest is None:
        return "Nothing is known of this key: is it spelled as in S3, and does its bucket notify the queue?"
    if shown.lags and shown.gone:
        return "The object is gone, but not what was made of it: its delete event is still under way, or was lost."
    if shown.lags:
        return "The object is newer than its manifest: its event is still under way, or was lost."
    if shown.manifest.reason:
        return explain.REMEDIES[Reason(shown.manifest.reason.code)]
    return "Nothing." if shown.manifest.status in manifest.FINAL else "Wait: it is being worked on."
