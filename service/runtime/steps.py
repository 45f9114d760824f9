"""Performs the steps of a group with one decode: files in the scratch directory, then a record of them all."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar, assert_never

from service import metrics
from service.core import command, covers, dash, playlists, products, storyboard, verify
from service.core.outcome import Rejected
from service.core.places import Area
from service.core.plan import Adopt, Assemble, Cut, Draw, Encode, Extract, Join, Making, Redraw, Remux, group_digest
from service.core.record import Record, Spent, StepRecord
from service.core.step import Package, Progressive, Storyboard, UploadedPoster, Variant
from service.core.tracks import AudioTrack, VideoTrack
from service.logs import log
from service.runtime import made
from service.runtime.captioner import Captioner
from service.runtime.desk import Desk
from service.runtime.encoder import Encoder, targets
from service.runtime.files import fetched, recorded
from service.runtime.ledger import Ledger
from service.runtime.progress import Stopwatch
from service.runtime.reel import NOTHING
from service.runtime.tools import Films, Pictures, Target

T = TypeVar("T")

_COVER = "cover"  # the file of a poster that lies beside the source


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

    async def perform(self, group: Making, desk: Desk, ledger: Ledger, *, on_share: Callable[[float], None]) -> None:
        """Make every step of `group` and commit them together."""
        watch = Stopwatch()
        if isinstance(group, Cut) and await ledger.found(group_digest(group)):
            return  # by a worker that has the same message, or another one about the same version
        steps, spent = await self._made(group, desk, ledger, on_share)
        metrics.stage_seconds.labels(type(group).__name__.lower()).observe(watch.seconds())
        if not isinstance(group, Join):
            metrics.cpu_seconds.inc(spent.cpu_seconds)
        area: Area | None = "work" if isinstance(group, Cut) else None
        await ledger.add(group_digest(group), steps, spent, desk.folder, area=area)
        on_share(1.0)

    async def _made(
        self, group: Making, desk: Desk, ledger: Ledger, on_share: Callable[[float], None]
    ) -> tuple[list[StepRecord], Spent]:
        match group:
            case Draw():
                return await self._draw(group, desk)
            case Remux():
                return await self.encoder.remux(group, desk, on_share)
            case Encode():
                return await self.encoder.encode(group, desk, ledger, on_share)
            case Cut():
                return await self.encoder.cut(group, desk, on_share)
            case Join():
                return await self.encoder.join(group, desk.folder, ledger)
            case Assemble():
                return await self._assemble(group, desk.folder, ledger)
            case Adopt():
                return await self.captioner.adopt(group, desk, ledger)
            case Extract():
                return await self.captioner.extract(group, desk, ledger)
            case Redraw():
                return await self._redraw(group, desk, ledger)
            case _:
                assert_never(group)

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

    async def _redraw(self, group: Redraw, desk: Desk, ledger: Ledger) -> tuple[list[StepRecord], Spent]:
        """A poster that was uploaded; that it can't be decoded is noted, and is no failure of the video."""
        (named,) = group.steps
        assert isinstance(named.step, UploadedPoster)
        step, seen = named.step, ledger.steps[named.step.cover].picture
        assert seen
        try:
            await desk.beside(step.key, step.etag, desk.folder / _COVER, most=covers.most_bytes(desk.limits))
            drawn = await self.pictures.draw(
                desk.folder,
                _COVER,
                targets(step),
                formats=seen.formats,
                background=step.background,
                limits=desk.limits,
            )
        except Rejected as error:
            log.warning("poster_refused", because=error.message)
            refused = StepRecord(digest=named.digest, kind=type(step).__name__, refused=(error.reason.value,))
            return [refused], NOTHING
        return [await recorded(named, desk.folder, hint=drawn.hint)], drawn.spent

    async def _assemble(self, group: Assemble, folder: Path, ledger: Ledger) -> tuple[list[StepRecord], Spent]:
        records, spent = [], NOTHING
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
        video, sound = [await _local(digest, folder, ledger) if digest else None for digest in (step.video, step.audio)]
        (target,) = products.expected(step)
        lasts = _longest([track for digest in (step.video, step.audio) if digest for track in _tracks(digest, ledger)])
        argv = command.remux(video, sound, target.name)
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
