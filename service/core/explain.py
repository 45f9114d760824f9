"""Why a step is planned, what it should cost, and what to do about a reason: text for people."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from fractions import Fraction

from service.core import pieces, spend
from service.core.media import Clip, Media, Picture
from service.core.outcome import Reason
from service.core.plan import Adopt, Assemble, Extract, Group, Join, Plan, Redraw, Remux, Vet
from service.core.recipe import Prices
from service.core.step import (
    Copy,
    Cover,
    Embedded,
    Package,
    Piece,
    Placeholder,
    Poster,
    Preview,
    Progressive,
    Rendition,
    Screen,
    Sound,
    Sprites,
    Step,
    Storyboard,
    Subtitles,
    Transcript,
    UploadedPoster,
    Variant,
    Waveform,
)

#: Pixels a second that one core encodes, by preset: libx264 of FFmpeg 5.1 on a 2.5 GHz server core, decoding included.
_PIXELS_A_SECOND = {"ultrafast": 120e6, "superfast": 80e6, "veryfast": 45e6, "faster": 28e6, "fast": 20e6}
_SLOW_PRESET = 10e6
_PICTURE_PIXELS_A_SECOND = {"webp": 8e6, "jpeg": 40e6}
_SOUND_SECONDS_A_SECOND = 60.0


@dataclass(frozen=True, kw_only=True)
class Estimate:
    """What is still to do should cost: time of one core, units by the price table's names, and dollars for both."""

    cpu_seconds: float
    units: Mapping[str, float]
    dollars: float


def reasons(planned: Plan, media: Media, *, screen: Screen | None = None) -> list[tuple[Step, str]]:
    """All that would be done, moderation first, each with its rule; the largest rung also says why it is no copy."""
    steps = [*([screen] if screen else []), *(named.step for named in planned.steps)]
    top = next((step for step in steps if isinstance(step, Rendition)), None)
    no_copy = f"; not copied: {planned.against[0]}" if planned.against else ""
    return [(step, why(step, media) + (no_copy if step is top else "")) for step in steps]


def why(step: Step, media: Media) -> str:
    """The rule that asks for `step`, with the numbers that it was decided by."""
    match step, media:
        case Variant(), Picture():
            kept = "animation kept" if step.animated else "first frame" if media.animated else "still"
            return f"{step.width} of {media.width} pixels wide, quality {step.quality}, {kept}"
        case Copy(), _:
            return f"copied: it complies, and has no more than {step.max_bit_rate // 1000} kb/s"
        case Rendition(), Clip(video=video) if video:
            return (
                f"{step.width} x {step.height} of {video.width} x {video.height}, {_rate(step):.4g} frames/s, "
                f"CRF {step.crf}, at most {step.max_bit_rate // 1000} kb/s"
            )
        case Sound(), Clip():
            loud = f", brought to {step.loudness:g} LUFS" if step.loudness else ""
            return f"track {step.stream}, {step.channels} channel(s), {step.bit_rate // 1000} kb/s{loud}"
        case Progressive(), _:
            return "one file for a plain src, no encode"
        case Package(), _:
            return f"HLS and DASH over {len(step.tracks)} track(s), no encode"
        case Placeholder(), _:
            return "ThumbHash and colour"
    return _why_drawn(step) or _why_asked(step, media)


def _why_drawn(step: Step) -> str:
    """The same for pictures of a clip."""
    match step:
        case Poster(sizes=((width, height), *_)):
            return f"the best of {len(step.at)} frame(s), {width} x {height} and smaller"
        case UploadedPoster(sizes=((width, height), *_)):
            return f"{step.key}, {width} x {height} and smaller"
        case Sprites(layout=layout):
            return f"{layout.count} frame(s) of {layout.width} x {layout.height} on {layout.sheets} sheet(s)"
        case Storyboard(layout=layout):
            return f"a frame every {layout.interval:.3g} s for the seek bar, no encode"
        case Preview():
            return f"{step.seconds:g} s from {step.at:g} s on, {step.width} x {step.height}"
        case Waveform():
            return f"of track {step.sound.stream}"
        case _:
            return ""


def _why_asked(step: Step, media: Media) -> str:
    """The same for what is not made of the upload, but said of it, or beside it."""
    match step, media:
        case Screen(), Clip():
            return f"{len(step.at)} frame(s) of {media.seconds:.4g} s, shown to {step.provider}"
        case Screen(), Picture():
            return f"{len(step.at)} of {media.frames} page(s) or frame(s), shown to {step.provider}"
        case Transcript(), _:
            return f"track {step.stream}, heard by {step.provider}, {_language(step)}"
        case Subtitles(), _:
            return f"{step.key}, in {step.language}: was uploaded beside it"
        case Cover(), _:
            return f"{step.key}: was uploaded beside it to be the poster, shown to {_asked(step.provider)}"
        case Embedded(), _:
            return f"track {step.stream}, in {step.language or 'an unknown language'}: the upload has it as text"
    return ""


def _asked(provider: str) -> str:
    return "nobody" if provider == "off" else provider


def _language(step: Transcript) -> str:
    if step.language:
        return f"in {step.language}"
    return f"in one of {', '.join(step.languages)}" if step.languages else "in whatever language it is"


def _rate(step: Rendition) -> float:
    """Frames a second."""
    return float(Fraction(step.frame_rate))


def cpu_seconds(step: Step, media: Media) -> float:
    """About how long one core works on `step`: what benches on a server core gave, not a promise."""
    match step, media:
        case Variant(), Picture():
            frames = media.frames if step.animated else 1
            return step.width * step.height * frames / _PICTURE_PIXELS_A_SECOND[step.format]
        case Rendition(), Clip():
            return _encoding(step, media.seconds)
        case Piece(), Clip():
            lasts = float(pieces.lasts(step) or pieces.SECONDS)
            return sum(_encoding(rung, lasts) for rung in step.rungs)
        case Sound(), Clip():
            return media.seconds / _SOUND_SECONDS_A_SECOND
    return 0.0


def _encoding(step: Rendition, seconds: float) -> float:
    pixels = step.width * step.height * _rate(step) * seconds
    return pixels / _PIXELS_A_SECOND.get(step.preset, _SLOW_PRESET)


def weight(group: Group, media: Media) -> float:
    """How much of the work a group is, beside others of the same plan: CPU seconds, and one for all that is no work."""
    if isinstance(group, Assemble | Join | Adopt | Extract | Remux | Vet | Redraw):
        return 1.0
    return 1.0 + sum(cpu_seconds(named.step, media) for named in group.steps)


def cost(plan: Plan, media: Media, prices: Prices, *, screen: Screen | None = None) -> Estimate:
    """About what the steps cost that are still to do, were they all bought; `screen` is what is seen before them."""
    groups = (*plan.groups, *([plan.later] if plan.later else []))
    steps: list[Step] = [named.step for group in groups for named in group.steps]
    steps += [screen] if screen else []
    seconds = sum(cpu_seconds(step, media) for step in steps)
    units = {"rekognition_image": _images(steps), "transcribe_minute": _minutes(steps, media)}
    bought = {unit: count for unit, count in units.items() if count}
    bill = spend.cost(bought, prices, cpu_seconds=seconds, bytes_in=0, bytes_out=0)
    return Estimate(cpu_seconds=seconds, units=bought, dollars=bill.dollars)


def _images(steps: Iterable[Step]) -> int:
    asked = [step for step in steps if isinstance(step, Screen | Cover) and step.provider == "rekognition"]
    return sum(len(step.at) if isinstance(step, Screen) else 1 for step in asked)


def _minutes(steps: Iterable[Step], media: Media) -> float:
    heard = [step for step in steps if isinstance(step, Transcript) and step.provider == "transcribe"]
    return len(heard) * spend.minutes(media.seconds) if isinstance(media, Clip) else 0.0


REMEDIES: dict[Reason, str] = {
    Reason.EMPTY: "Upload it again: nothing arrived.",
    Reason.UNSUPPORTED_TYPE: "Export it as JPEG, PNG, MP4 or MP3, or add its key to `ignore` in the recipe.",
    Reason.TOO_LARGE: "Raise limits.bytes in the recipe, or upload a smaller file.",
    Reason.TOO_MANY_PIXELS: "Raise limits.pixels in the recipe if pictures of this size are meant.",
    Reason.TOO_MANY_FRAMES: "Raise limits.frames or limits.total_pixels in the recipe, or upload it as a video.",
    Reason.TOO_LONG: "Raise limits.seconds in the recipe if films of this length are meant.",
    Reason.TOO_MANY_STREAMS: "Raise limits.streams in the recipe, or export it with fewer tracks.",
    Reason.NO_MEDIA: "It has headers but no content: export or record it again.",
    Reason.DAMAGED: "Upload it again; if that does not help, the original is damaged.",
    Reason.ENCRYPTED: "Upload it without DRM.",
    Reason.ARCHIVED: "Restore it from the archive tier; the restore starts a new job.",
    Reason.BAD_TIMESTAMPS: "Remux it (ffmpeg -i IN -c copy OUT), or raise limits.gap_seconds in the recipe.",
    Reason.TIME_LIMIT: "It took too long: use a larger task, or a faster preset in the recipe.",
    Reason.MEMORY_LIMIT: "It took too much memory: raise MEDIA_CHILD_MEMORY_MB and the task's memory.",
    Reason.MODERATION_BLOCKED: (
        "Nothing, if the rules of the recipe are right about it; else change them and reprocess it, "
        "or let it pass with `media-worker review approve`."
    ),
    Reason.MODERATION_REVIEW: "Look at it: `media-worker review list` shows why it waits, then approve or reject it.",
    Reason.MODERATION_UNAVAILABLE: (
        "Nobody could be asked whether it may be shown; it is tried again. Read above why, see with `media-worker "
        "doctor` that the provider answers and that spend allows it, or decide with `media-worker review`."
    ),
    Reason.SUPERSEDED: "Nothing: a newer version took its place.",
    Reason.INTERNAL: "Read its failures (`media-worker show`), mend the cause, then `media-worker redrive`.",
}
