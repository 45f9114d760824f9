"""Which renditions a video gets: bounded by the source, never upscaled, portrait-aware."""

from fractions import Fraction

from service.core.media import VideoStream
from service.core.recipe import Video
from service.core.step import Rendition

#: A rung whose height is above this share of the next larger one's costs an encode and gives no choice.
_TOO_CLOSE = Fraction(8, 10)
#: A source's bit rate is no reason to spend more than this multiple of it (PeerTube's rule is the same).
_SOURCE_BIT_RATE = 1.3
_STANDARD_RATES = tuple(
    Fraction(*r) for r in ((24000, 1001), (24, 1), (25, 1), (30000, 1001), (30, 1), (50, 1), (60000, 1001), (60, 1))
)
_LEAST_RATE = Fraction(5)
SHORTEST = 0.001  # seconds: what lasts less has no rate to measure
_SAME_RATE = Fraction(5, 100)  # a constant-rate recording may lack a few frames


def rungs(video: VideoStream, wanted: Video, *, frame_rate: Fraction, bit_rate: int | None) -> tuple[Rendition, ...]:
    """The ladder from the largest rung down; sizes in pixels as displayed, always even.

    :param bit_rate: of the source's picture in bits a second, or None where nobody knows.
    """
    short = min(video.width, video.height)
    return tuple(
        _rendition(video, wanted, height=height, frame_rate=frame_rate, bit_rate=bit_rate)
        for height in _heights(short, wanted)
    )


def _heights(short: int, wanted: Video) -> list[int]:
    """Configured heights below the source's, and the source's own (or the largest configured) on top."""
    heights = [min(short, wanted.ladder[0].height)]
    for rung in wanted.ladder:
        if rung.height <= heights[-1] * _TOO_CLOSE:
            heights.append(rung.height)
    return heights


def _rendition(
    video: VideoStream, wanted: Video, *, height: int, frame_rate: Fraction, bit_rate: int | None
) -> Rendition:
    scale = Fraction(height, min(video.width, video.height))
    return Rendition(
        name=f"{height}p",
        width=_even(video.width * scale, at_most=video.width),
        height=_even(video.height * scale, at_most=video.height),
        frame_rate=str(frame_rate),
        crf=wanted.crf,
        max_bit_rate=_max_bit_rate(wanted, height, bit_rate),
        preset=wanted.preset,
        gop_seconds=wanted.gop_seconds,
    )


def _max_bit_rate(wanted: Video, height: int, bit_rate: int | None) -> int:
    """The rung's own, or that of the next larger rung for a source between two; never far above the source's."""
    fitting = [rung.max_bit_rate for rung in wanted.ladder if rung.height >= height]
    most = fitting[-1] if fitting else wanted.ladder[0].max_bit_rate
    return max(64_000, min(most, int(bit_rate * _SOURCE_BIT_RATE))) if bit_rate else most


def _even(pixels: Fraction, *, at_most: int) -> int:
    """4:2:0 needs even sides; two pixels are the least that H.264 takes."""
    return max(2, min(round(pixels / 2), at_most // 2) * 2)


def frame_rate(declared: Fraction, *, packets: int, duration: float, at_most: int) -> Fraction:
    """The constant rate of every rendition: the declared one where the packets bear it out, else a standard one.

    Halved until it is at most `at_most`: 120 frames a second become 60, not an uneven 50.
    """
    known = duration > SHORTEST and packets > 1
    measured = Fraction(packets / duration).limit_denominator(1001) if known else declared
    rate = declared if abs(declared - measured) < measured * _SAME_RATE else _standard(measured)
    rate = max(rate, _LEAST_RATE)
    while rate > at_most:
        rate /= 2
    return rate


def _standard(measured: Fraction) -> Fraction:
    """The least standard rate that drops no frame of a variable-rate source."""
    return next((rate for rate in _STANDARD_RATES if rate >= measured * Fraction(98, 100)), measured)
