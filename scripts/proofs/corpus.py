"""Every `ok` video and sound of a corpus through the real command, and what came of it beside its source."""

from collections import Counter
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from fractions import Fraction
from pathlib import Path

from scripts.proofs import clips, likeness, published, samples
from scripts.proofs.clips import Clip, UnreadableError
from scripts.proofs.likeness import Likeness
from scripts.proofs.published import Published
from scripts.proofs.samples import Sample
from service.core.record import Role
from service.core.tracks import VideoTrack

LEAST_SSIM = 0.9  # of all frames of the top rung
_TINT = 4.0  # levels of 255: the wrong matrix or range is further off
_SLACK = 0.1  # seconds that a product may last longer or shorter, or two frames of a slow clip
_NOT_OURS = "unsupported_type"  # the one reason that is no failure: the format is none that the service takes
_AT_ONCE = 2


@dataclass(frozen=True, kw_only=True)
class Judged:
    """One file: what became of it, and what is `wrong` with that.

    Seconds are of the main track, by decoding; `made` is what was published of it.
    """

    key: str
    status: str
    note: str
    reason: tuple[str, str] | None = None
    size: tuple[int, int] | None = None
    seconds: float | None = None
    made: float | None = None
    likeness: Likeness | None = None
    hdr: bool = False
    wrong: tuple[str, ...] = field(default=())


@dataclass(frozen=True, kw_only=True)
class Findings:
    """All files of a corpus."""

    files: tuple[Judged, ...]

    @property
    def fine(self) -> bool:
        """Whether nothing is wrong with any of them, and there are some."""
        return bool(self.files) and not any(one.wrong for one in self.files)

    @property
    def ended(self) -> Counter[str]:
        """How many ended how."""
        return Counter(one.reason[0] if one.reason else one.status for one in self.files)


def prove(folder: Path, scratch: Path, *, only: str = "") -> Findings:
    """Process and judge all whose key has `only` in it; pictures to look at are left in `scratch`/pairs.

    :raises OSError: when the folder has no index.
    """
    chosen = [one for one in samples.read(folder) if only in one.key]
    ended = published.process({one.key: one.path for one in chosen}, scratch) if chosen else {}

    def judged(sample: Sample) -> Judged:
        return judge(sample, ended[sample.key], scratch / "pairs" / sample.key)

    with ThreadPoolExecutor(_AT_ONCE) as pool:
        return Findings(files=tuple(pool.map(judged, chosen)))


def judge(sample: Sample, made: Published, pairs: Path) -> Judged:
    """One file; one of a supported format that is not ready is wrong, unless ffmpeg can decode nothing of it either."""
    begun = Judged(key=sample.key, status=made.status, note=sample.note)
    if not made.ready:
        excused = made.reason[0] == _NOT_OURS or not clips.plays(sample.path)
        return replace(begun, reason=made.reason, wrong=() if excused else (": ".join(made.reason),))
    try:
        return _measured(begun, clips.read(sample.path), made, pairs)
    except UnreadableError as error:
        return replace(begun, wrong=(str(error),))


def _measured(begun: Judged, source: Clip, made: Published, pairs: Path) -> Judged:
    rungs, sounds = made.renditions(), made.sounds()
    wrong = [*_lengths(source, made), *_tracks_missing(source, made)]
    main = source.sound if source.video is None else source.video
    seconds = clips.seconds(source.path, main)
    if not rungs:
        return replace(begun, seconds=seconds, made=clips.seconds(sounds[0][1], 0), wrong=tuple(wrong))
    track, file = rungs[0]
    size = (track.width, track.height)
    alike = likeness.compared(source, file, size=size, rate=Fraction(track.frame_rate), folder=pairs)
    wrong += [*_shape(source, track), *looks(alike)]
    return replace(
        begun,
        size=size,
        seconds=seconds,
        made=clips.seconds(file, 0),
        likeness=alike,
        hdr=source.hdr is not None,
        wrong=tuple(wrong),
    )


def _tracks_missing(source: Clip, made: Published) -> Iterator[str]:
    if source.video is not None and not made.renditions():
        yield "its picture is missing"
    if source.sound is not None and not made.sounds() and clips.plays(source.path, source.sound):
        yield "its sound is missing"


def _lengths(source: Clip, made: Published) -> Iterator[str]:
    """Of the top rung, of the first sound, of the whole as one file, and as the manifest says."""
    slack = max(_SLACK, float(2 / source.rate))
    lengths = []
    for what, stream, files in (("picture", source.video, made.renditions()), ("sound", source.sound, made.sounds())):
        if stream is None or not files:
            continue
        wanted, found = clips.seconds(source.path, stream), clips.seconds(files[0][1], 0)
        lengths.append(wanted)
        if abs(wanted - found) > slack:
            yield f"its {what} lasts {found:.2f} s, not {wanted:.2f} s"
    whole = made.product(Role.PROGRESSIVE) or made.product(Role.AUDIO)
    if whole and lengths and abs(clips.declared(whole) - max(lengths)) > slack:
        yield f"the file for plain src lasts {clips.declared(whole):.2f} s, not {max(lengths):.2f} s"
    said = made.manifest.serving.duration if made.manifest and made.manifest.serving else None
    if said is not None and lengths and not min(lengths) - slack <= said <= max(lengths) + slack:
        yield f"the manifest says {said:.2f} s"


def _shape(source: Clip, track: VideoTrack) -> Iterator[str]:
    """Both sides are even, hence up to a pixel off each."""
    tall = track.width * source.height / source.width
    if abs(tall - track.height) > 1 + source.height / source.width:
        yield f"{source.width}x{source.height} became {track.width}x{track.height}: it is stretched"


def looks(alike: Likeness) -> Iterator[str]:
    """What is wrong with how a rendition looks."""
    if alike.upright is False:
        yield "it does not stand upright"
    if alike.ssim <= LEAST_SSIM:
        yield f"SSIM is {alike.ssim:.3f}"
    if alike.tint is not None and alike.tint > _TINT:
        yield f"its colour is {alike.tint:.0f} levels off"


def sheet(files: Sequence[Judged], target: Path, *, columns: int = 2) -> None:
    """One picture of the middle pair of each film: rendition left, source right."""
    likeness.sheet([one.likeness.pairs[len(one.likeness.pairs) // 2] for one in files if one.likeness], target, columns)
