"""What records say, in words for people."""

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from service.core import covers
from service.core.record import Because, Captioned, Cost, Damaged, Moderated

_UNITS = {"rekognition_image": "image(s) by Rekognition", "transcribe_minute": "minute(s) by Transcribe"}
_SKIPPED = {"small": "it is too small for any provider", "nothing_to_see": "there is nothing to see in it"}
_NONE = {
    "no_speech": "nobody speaks",
    "language": "in no language that the model knows",
    "refused": "the provider refuses the sound",
    "unreadable": "the provider's answer can't be read",
    "too_short": "the sound is too short",
    "too_long": "the sound is too long for the provider",
    "damaged": "those that were uploaded can't be read",
    "empty": "nothing is in those that were uploaded",
    "unavailable": "they could not be made; the worker's log says why",
}
_POSTERS = {
    covers.SHOWN: "uploaded beside it",
    covers.UNAVAILABLE: "a frame: nobody could be asked about the one beside it; reprocess it to ask again",
    "review": "a frame: moderation has doubts about the one beside it",
    "block": "a frame: moderation blocks the one beside it",
}
_WITHOUT = {
    "pending": "are being written down: they join the page when they are there",
    "unavailable": "none: they could not be made; the worker's log says why",
}

Shown = Mapping[str, Any] | None  #: a clip or a picture, as outcome records have it


def units(bought: Mapping[str, float]) -> str:
    """What is bought, by the names of the price table."""
    return ", ".join(f"{count:.4g} {_UNITS.get(unit, unit)}" for unit, count in bought.items())


def age(seconds: float) -> str:
    """The two largest parts of a time."""
    seconds = max(0, int(seconds))
    minutes, hours, days = seconds // 60, seconds // 3600, seconds // 86_400
    if days:
        return f"{days} d {hours % 24} h"
    if hours:
        return f"{hours} h {minutes % 60} min"
    return f"{minutes} min" if minutes else f"{seconds} s"


def because(one: Because, media: Shown) -> str:
    """A label, how sure the provider is of it, where it was seen, and the rule that it falls under."""
    rule = "" if one.rule == one.label else f", by the rule {one.rule}"
    return f"{one.label} {one.confidence:.4g} %{_seen_at(one.at, media)}{rule}"


def _seen_at(at: float, media: Shown) -> str:
    match media:
        case {"seconds": _}:
            return f" at {timedelta(seconds=int(at))}" if at >= 60 else f" at {at:.4g} s"
        case {"frames": int(frames)} if frames > 1:
            return f" in frame {at + 1:.0f} of {frames}"
    return ""


def moderation(found: Moderated) -> str:
    """The verdict, and whose it is."""
    match found.by:
        case "off":
            return f"{found.says}: the recipe asks nobody"
        case "reviewer":
            return f"{found.says}: a reviewer said so"
    model = f" ({found.model})" if found.model else ""
    return f"{found.says}, by {found.by}{model}"


def coverage(found: Moderated) -> str | None:
    """How much was looked at; None where nobody was to look."""
    if found.skipped:
        return f"nothing was shown to it: {_SKIPPED.get(found.skipped, found.skipped)}"
    if not found.planned:
        return None
    alike = f", {found.alike} of them so like others that these spoke for them" if found.alike else ""
    gap = f", at most {found.gap:.4g} s that no frame stands for" if found.gap else ""
    ended = "" if found.complete or found.planned == 1 else "; what was seen in some made the rest needless"
    return f"{found.planned} frame(s){alike}{gap}{ended}"


def damage(found: Damaged) -> str:
    """What of the source could not be decoded; what can be is published all the same."""
    parts = f"{found.errors:,} part{'s' if found.errors > 1 else ''} could not be decoded ({found.first})"
    sound = f"{found.missing:.1f} s of sound are missing"
    return ", ".join(said for said, by in ((parts, found.errors), (sound, found.missing)) if by)


def captions(found: Captioned | None, state: str) -> str | None:
    """Whose captions there are, or why there are none; None where none were asked for. `state` as on the page."""
    if found is None or state == "pending":
        return _WITHOUT.get(state)
    if found.none:
        return f"none: {_NONE.get(found.none, found.none)}"
    uploaded = "found in it" if found.embedded else "uploaded beside it"
    whose = f"written down by {found.model or 'a machine'}" if found.machine else uploaded
    return f"{found.language or 'of an unknown language'}, {found.cues} cue(s), {whose}"


def poster(told: str) -> str:
    """What became of the one that was uploaded."""
    return _POSTERS.get(told, f"a frame: the one beside it was refused ({told})")


def cost(found: Cost) -> str:
    """What was bought, what this machine did, and dollars for both."""
    bought = [f"{units({line.unit: line.count})} ${line.dollars:.4g}" for line in found.lines]
    done = [f"{found.cpu_seconds:.4g} CPU seconds", f"{found.bytes_in:,} bytes in", f"{found.bytes_out:,} bytes out"]
    return f"${found.dollars:.6f}: {', '.join([*bought, *done])}"
