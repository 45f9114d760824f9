"""The gate before any decoding: what is too much or makes no sense is refused, with the limit it broke."""

from dataclasses import dataclass, field

from service.core.media import Clip, Timeline
from service.core.outcome import Reason, Rejected
from service.core.recipe import Limits

#: Below this, ffprobe only guesses: text and random bytes pass for MP3 with 1 to 25 (libavformat's scores).
_LEAST_PROBE_SCORE = 26


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


def check_clip(clip: Clip, limits: Limits) -> None:
    """Refuse by the headers alone.

    :raises Rejected: with the limit that was broken.
    """
    if not clip.certain and clip.probe_score < _LEAST_PROBE_SCORE:
        raise Rejected(Reason.UNSUPPORTED_TYPE, "The file is no image, video or sound of a known type.")
    if clip.video and clip.video.width * clip.video.height > limits.pixels:
        raise Rejected(
            Reason.TOO_MANY_PIXELS,
            f"Its picture is {clip.video.width} x {clip.video.height}; at most {limits.pixels:,} pixels are accepted.",
        )
    if clip.duration and clip.duration > limits.seconds:
        raise _too_long(clip.duration, limits)


def check_timeline(timeline: Timeline) -> None:
    """Refuse what has a header but no content.

    :raises Rejected: `no_media`.
    """
    if timeline.packets == 0:
        raise Rejected(Reason.NO_MEDIA, "The file has headers, but neither frames nor samples.")


def _too_long(seconds: float, limits: Limits) -> Rejected:
    return Rejected(Reason.TOO_LONG, f"It lasts {seconds:,.0f} s; at most {limits.seconds:,} s are accepted.")


@dataclass(kw_only=True)
class Clock:
    """Reads the packet times of the main track one by one, and refuses as soon as they go wrong.

    A file of three kilobytes can claim frames that lie a million seconds apart; whoever fills such a gap with
    frames needs gigabytes. So this runs before anything is decoded.
    """

    limits: Limits
    packet_seconds: float = 0.0  #: for a packet that does not say how long it lasts
    _first: float | None = field(default=None, init=False)
    _last: float = field(default=0.0, init=False)
    _end: float = field(default=0.0, init=False)
    _gap: float = field(default=0.0, init=False)
    _packets: int = field(default=0, init=False)

    def read(self, line: str) -> None:
        """One line of `pts_time,dts_time,duration_time`, each a number of seconds or N/A.

        :raises Rejected: `bad_timestamps` or `too_long`.
        """
        pts, dts, lasts = (_number(text) for text in (*line.strip().split(","), "", "")[:3])
        self._packets += 1
        time = dts if dts is not None else pts
        if time is None:
            time = self._last + self.packet_seconds if self._packets > 1 else 0.0
        self._step(time)
        shown = pts if pts is not None else time
        self._end = max(self._end, shown + (lasts or self.packet_seconds))
        self._first = shown if self._first is None else min(self._first, shown)
        self._check_length()

    def timeline(self) -> Timeline:
        """What was read."""
        duration = self._end - self._first if self._first is not None else 0.0
        return Timeline(duration=duration, packets=self._packets, longest_gap=self._gap)

    def _step(self, time: float) -> None:
        gap = abs(time - self._last) if self._packets > 1 else 0.0
        self._gap, self._last = max(self._gap, gap), time
        if gap > self.limits.gap_seconds:
            raise Rejected(
                Reason.BAD_TIMESTAMPS,
                f"Its clock jumps by {gap:,.0f} s from one frame to the next; "
                f"at most {self.limits.gap_seconds:,.0f} s are accepted.",
            )

    def _check_length(self) -> None:
        duration = self.timeline().duration
        if duration > self.limits.seconds:
            raise _too_long(duration, self.limits)


def _number(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if abs(value) < 1e12 else None
