"""The gate before any decoding: what is too much or makes no sense is refused, with the limit it broke."""

import math
from dataclasses import dataclass, field

from service.core.cadence import Cadence
from service.core.media import Clip, Media, Picture, Timeline
from service.core.outcome import Reason, Rejected
from service.core.recipe import Limits


def check_head(size: int, limits: Limits, *, archived: bool) -> None:
    """Refuse by what S3 says of the object, before it is fetched.

    :raises Rejected: `archived`, `empty` or `too_large`.
    """
    if archived:
        raise Rejected(Reason.ARCHIVED, "The file lies in an archive tier of S3: restore it first.")
    if size == 0:
        raise Rejected(Reason.EMPTY, "The file has no content.")
    if size > limits.bytes:
        raise Rejected(Reason.TOO_LARGE, f"The file has {size:,} bytes; at most {limits.bytes:,} are accepted.")


_MAX_SIDE = 16_384  # pixels: what x264 takes

#: Pixels of an animation's canvas: a WebP of 170 bytes with one of 119 megapixels took 3.2 GB, some 30 bytes a pixel.
MAX_CANVAS = 4096 * 4096


def check_clip(clip: Clip, limits: Limits) -> None:
    """Refuse by the headers alone.

    :raises Rejected: with the limit that was broken.
    """
    if clip.probe_score < clip.sniffed.least_score:
        raise Rejected(Reason.UNSUPPORTED_TYPE, "The file is no image, video or sound of a known type.")
    if clip.streams > limits.streams:
        raise Rejected(Reason.TOO_MANY_STREAMS, f"It has {clip.streams} tracks; at most {limits.streams} are accepted.")
    if clip.video and clip.video.width * clip.video.height > limits.pixels:
        raise Rejected(
            Reason.TOO_MANY_PIXELS,
            f"Its picture is {clip.video.width} x {clip.video.height}; at most {limits.pixels:,} pixels are accepted.",
        )
    if clip.video and max(clip.video.width, clip.video.height) > _MAX_SIDE:
        raise Rejected(Reason.TOO_MANY_PIXELS, f"Its picture is over {_MAX_SIDE:,} pixels long, more than H.264 holds.")
    if clip.duration and clip.duration > limits.seconds:
        raise _too_long(clip.duration, limits)


#: Containers whose header says how long they last; elsewhere ffprobe estimates, or reads the last packet.
_DECLARING = frozenset({"mov", "matroska", "avi", "flv", "asf", "wav", "flac", "aiff", "caf", "au"})
_TOLERANCE = 0.02  # of the declared duration


def check_timeline(clip: Clip, timeline: Timeline) -> None:
    """Refuse what has a header but no content, and what ends long before its header says.

    :raises Rejected: `no_media` or `damaged`.
    """
    if timeline.packets == 0:
        raise Rejected(Reason.NO_MEDIA, "The file has headers, but neither frames nor samples.")
    if not clip.duration or not set(clip.container.split(",")) & _DECLARING:
        return
    tolerated = max(1.0, clip.duration * _TOLERANCE, timeline.longest_gap)
    reach = max(timeline.reach, timeline.end)  # the declared duration counts from zero, whatever begins later
    if clip.duration - reach > tolerated:
        raise Rejected(
            Reason.DAMAGED,
            f"It should last {clip.duration:.1f} s, but ends after {reach:.1f} s: it was cut off.",
        )


def check_again(media: Media, limits: Limits) -> None:
    """Refuse what was examined under other limits.

    :raises Rejected: with the limit that it breaks by now.
    """
    match media:
        case Clip():
            check_clip(media, limits)
            if media.timeline and media.timeline.reach > limits.seconds:
                raise _too_long(media.timeline.reach, limits)
        case Picture(width=width, height=height, frames=frames):
            if width * height > limits.pixels:
                message = f"It is {width} x {height}; at most {limits.pixels:,} pixels are accepted."
                raise Rejected(Reason.TOO_MANY_PIXELS, message)
            if media.animated and (frames > limits.frames or frames * width * height > limits.total_pixels):
                raise Rejected(Reason.TOO_MANY_FRAMES, f"It has {frames:,} frames, which are too many at this size.")
            if media.animated and width * height > MAX_CANVAS:
                message = f"It is {width} x {height}; at most {MAX_CANVAS:,} pixels are accepted of an animation."
                raise Rejected(Reason.TOO_MANY_PIXELS, message)


def _too_long(seconds: float, limits: Limits) -> Rejected:
    return Rejected(Reason.TOO_LONG, f"It lasts {seconds:,.0f} s; at most {limits.seconds:,} s are accepted.")


@dataclass(kw_only=True)
class _Span:
    """From the first to the last moment that was added, in seconds."""

    first: float = math.inf
    end: float = -math.inf

    def add(self, begin: float, end: float) -> None:
        self.first, self.end = min(self.first, begin), max(self.end, end)

    @property
    def length(self) -> float:
        return max(0.0, self.end - self.first)


@dataclass(kw_only=True)
class Clock:
    """Reads packet times one by one, and refuses as soon as those of the main track, `stream`, go wrong.

    A file of three kilobytes can claim frames that lie a million seconds apart; whoever fills such a gap with
    frames needs gigabytes. So this runs before anything is decoded.
    """

    limits: Limits
    stream: int
    packet_seconds: float = 0.0  #: for a packet that does not say how long it lasts
    _main: _Span = field(default_factory=_Span, init=False)
    _all: _Span = field(default_factory=_Span, init=False)
    _last: float = field(default=0.0, init=False)
    _gap: float = field(default=0.0, init=False)
    _key: float | None = field(default=None, init=False)  #: when the last keyframe was
    _gop: float = field(default=0.0, init=False)
    _packets: int = field(default=0, init=False)
    _shown: int = field(default=0, init=False)
    _streams: set[int] = field(default_factory=set, init=False)
    _ends: dict[int, float] = field(default_factory=dict, init=False)
    _cadence: Cadence = field(init=False)

    def __post_init__(self) -> None:
        self._cadence = Cadence(interval=self.packet_seconds)

    def read(self, line: str) -> None:
        """One line of `stream,pts_time,dts_time,duration_time,flags`, then side data's names; times are seconds or N/A.

        :raises Rejected: `bad_timestamps`, `too_long` or `encrypted`.
        """
        if ",Encryption info" in line:  # ISO/IEC 23001-7: what is left of it when ffprobe has named the codec below
            raise Rejected(Reason.ENCRYPTED, "The file is encrypted (DRM); upload it without protection.")
        *times, flags = (*line.strip().split(","), "", "", "", "", "")[:5]
        stream, pts, dts, lasts = (_number(text) for text in times)
        main = stream == self.stream
        if stream is not None:
            self._streams.add(int(stream))
        time = dts if dts is not None else pts
        if time is None and not main:
            return  # nothing to learn; blank lines too, which ffprobe writes after a packet's side data
        if time is None:
            time = self._last + self.packet_seconds if self._packets else 0.0
        shown = pts if pts is not None else time
        end = shown + (lasts or (self.packet_seconds if main else 0.0))
        if "D" not in flags:  # what an edit list cuts away is decoded, but not shown
            self._show(stream, shown, end)
        if main:
            self._step(time, key=flags.startswith("K"))
            self._cadence.add(pts, key=flags.startswith("K"), intact=_intact(flags, line))
        if self._all.length > self.limits.seconds:
            raise _too_long(self._all.length, self.limits)

    def timeline(self) -> Timeline:
        """What was read."""
        return Timeline(
            duration=self._main.length,
            packets=self._shown,
            longest_gap=self._gap,
            reach=self._all.length,
            end=max(0.0, self._all.end),
            streams=tuple(sorted(self._streams)),
            longest_gop=max(self._gop, self._last - self._key) if self._key is not None else self._main.length,
            ends=tuple((stream, end - self._all.first) for stream, end in sorted(self._ends.items())),
            keyframes=self._cadence.keyframes,
            regular=self._cadence.regular,
            closed=self._cadence.closed,
            intact=self._cadence.intact,
            reorder=self._cadence.reorder,
            landmarks=tuple(self._cadence.landmarks) if self._cadence.regular else (),
        )

    def _show(self, stream: float | None, shown: float, end: float) -> None:
        self._all.add(shown, end)
        if stream is not None:
            self._ends[int(stream)] = max(end, self._ends.get(int(stream), end))
        if stream == self.stream:
            self._main.add(shown, end)
            self._shown += 1

    def _step(self, time: float, *, key: bool) -> None:
        gap = abs(time - self._last) if self._packets else 0.0
        self._packets += 1
        self._gap, self._last = max(self._gap, gap), time
        if key:
            self._gop, self._key = max(self._gop, time - (time if self._key is None else self._key)), time
        if gap > self.limits.gap_seconds:
            raise Rejected(
                Reason.BAD_TIMESTAMPS,
                f"Its clock jumps by {gap:,.0f} s from one frame to the next; "
                f"at most {self.limits.gap_seconds:,.0f} s are accepted.",
            )


def _intact(flags: str, line: str) -> bool:
    """Whether a packet is neither corrupt nor to be thrown away (an edit list's work), nor sets the decoder up anew."""
    return not set(flags) & {"C", "D"} and ",New Extradata" not in line


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if abs(value) < 1e12 else None
