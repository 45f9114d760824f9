"""Performs the steps of a group with one decode: files in the scratch directory, then a record of them all."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar, assert_never

from service import metrics
from service.core import command, dash, playlists, products, storyboard, verify
from service.core.places import Area
from service.core.plan import Adopt, Assemble, Cut, Draw, Encode, Group, Join, group_digest
from service.core.record import Record, Spent, StepRecord
from service.core.step import Package, Progressive, Storyboard, Variant
from service.core.tracks import AudioTrack, VideoTrack
from service.runtime import made
from service.runtime.captioner import Captioner
from service.runtime.desk import Desk
from service.runtime.encoder import Encoder
from service.runtime.files import fetched, recorded
from service.runtime.ledger import Ledger
from service.runtime.progress import Stopwatch
from service.runtime.tools import Films, Pictures, Target

T = TypeVar("T")

_NOTHING = Spent(wall_seconds=0, cpu_seconds=0, peak_memory_bytes=0)


@dataclass(frozen=True, kw_only=True)
class Performer:
    """Does what a plan says, with the tools it is given; `versions` of them go into every record."""

    pictures: Pictures
    films: Films
    captioner: Captioner
    versions: dict[str, str]

    @property
    def encoder(self) -> Encoder:
        """What makes tracks and pictures of clips."""
        return Encoder(films=self.films, pictures=self.pictures)

    async def perform(self, group: Group, desk: Desk, ledger: Ledger, *, on_share: Callable[[float], None]) -> None:
        """Make every step of `group` and commit them together."""
        watch = Stopwatch()
        if isinstance(group, Cut) and await ledger.found(group_digest(group)):
            return  # by a worker that has the same message, or another one about the same version
        match group:
            case Draw():
                steps, spent = await self._draw(group, desk)
            case Encode():
                steps, spent = await self.encoder.encode(group, desk, on_share)
            case Cut():
                steps, spent = await self.encoder.cut(group, desk, on_share)
            case Join():
                steps, spent = await self.encoder.join(group, desk.folder, ledger)
            case Assemble():
                steps, spent = await self._assemble(group, desk.folder, ledger)
            case Adopt():
                steps, spent = await self.captioner.adopt(group, desk, ledger)
            case _:
                assert_never(group)
        metrics.stage_seconds.labels(type(group).__name__.lower()).observe(watch.seconds())
        if not isinstance(group, Join):
            metrics.cpu_seconds.inc(spent.cpu_seconds)
        area: Area | None = "work" if isinstance(group, Cut) else None
        await ledger.add(group_digest(group), steps, spent, desk.folder, area=area)
        on_share(1.0)

    async def _draw(self, group: Draw, desk: Desk) -> tuple[list[StepRecord], Spent]:
        await desk.source()
        variants = [named.step for named in group.steps if isinstance(named.step, Variant)]
        background = variants[0].background if variants else "#ffffff"
        drawn = await self.pictures.draw(
            desk.folder,
            command.SOURCE,
            [_target(variant) for variant in variants],
            formats=group.picture.formats,
            background=background,
            limits=desk.limits,
        )
        return [await recorded(named, desk.folder, hint=drawn.hint) for named in group.steps], drawn.spent

    async def _assemble(self, group: Assemble, folder: Path, ledger: Ledger) -> tuple[list[StepRecord], Spent]:
        records, spent = [], _NOTHING
        for named in group.steps:
            match named.step:
                case Progressive() as step:
                    spent = await self._progressive(step, folder, ledger)
                case Package() as step:
                    _package(step, folder, ledger)
                case Storyboard() as step:
                    _storyboard(step, folder, ledger)
                case _:
                    raise AssertionError(f"{named.step} is not assembled")
            records.append(await recorded(named, folder))
        return records, spent

    async def _progressive(self, step: Progressive, folder: Path, ledger: Ledger) -> Spent:
        files = [await _local(digest, folder, ledger) for digest in (step.video, step.audio) if digest]
        (target,) = products.expected(step)
        lasts = _longest([track for digest in (step.video, step.audio) if digest for track in _tracks(digest, ledger)])
        argv = command.remux(files, target.name)
        spent = (await self.films.run(folder, argv, seconds=lasts, on_share=lambda _share: None)).spent
        verify.check_progressive(step, await self.films.inspect(folder, target.name), seconds=lasts)
        return spent


def _target(variant: Variant) -> Target:
    return Target(
        file=variant.name,
        width=variant.width,
        height=variant.height,
        format=variant.format,
        quality=variant.quality,
        animated=variant.animated,
    )


async def _local(digest: str, folder: Path, ledger: Ledger) -> str:
    """The CMAF file of a step that is done: still here, or fetched from where an earlier attempt put it."""
    _, step = ledger.done[digest]
    track = step.files[0]
    await fetched(digest, track.name, folder, ledger)
    return track.name


def _package(step: Package, folder: Path, ledger: Ledger) -> None:
    """Playlists over tracks that may lie in several folders, all of them beside this step's own."""
    found, captions = _found(step.tracks, ledger), _found(step.captions, ledger)
    videos = [_placed(record, done.video) for record, done in found if done.video]
    audios = [_placed(record, done.audio) for record, done in found if done.audio]
    hls_file, dash_file = products.expected(step)
    texts = [_placed(record, done.captions) for record, done in captions if done.captions]
    hls = playlists.multivariant(videos, audios, texts)
    mpd = dash.manifest(videos, audios, texts, duration=_longest([*videos, *audios]))
    sizes = {_beside(record) + file.name: file.bytes for record, done in [*found, *captions] for file in done.files}
    for file, text in ((hls_file, hls), (dash_file, mpd)):
        verify.check_playlist(text, sizes)
        made.write(folder / file.name, text)


def _storyboard(step: Storyboard, folder: Path, ledger: Ledger) -> None:
    """Beside the folder of its sheets."""
    record, sprites = ledger.done[step.sprites]
    (target,) = products.expected(step)
    made.write(
        folder / target.name, storyboard.vtt(step.layout, [_beside(record) + file.name for file in sprites.files])
    )


def _found(digests: Sequence[str], ledger: Ledger) -> list[tuple[Record, StepRecord]]:
    return [ledger.done[digest] for digest in digests]


def _tracks(digest: str, ledger: Ledger) -> list[VideoTrack | AudioTrack]:
    _, step = ledger.done[digest]
    return [track for track in (step.video, step.audio) if track]


def _longest(found: Sequence[VideoTrack | AudioTrack]) -> float:
    return max(track.duration for track in found)


def _placed(record: Record, track: T) -> T:
    """The track with its folder as seen from a folder beside it."""
    return replace(track, folder=_beside(record))  # type: ignore[type-var]  # both kinds of track are dataclasses


def _beside(record: Record) -> str:
    """The folder of a record as seen from a folder beside it."""
    return f"../{record.folder.rstrip('/').rpartition('/')[2]}/"
