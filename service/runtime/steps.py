"""Performs the steps of a group with one decode: files in the scratch directory, then a record of them all."""

from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TypeVar, assert_never

from service import metrics
from service.core import command, dash, pieces, playlists, products, tracks, verify
from service.core.media import Clip
from service.core.outcome import Reason, Rejected, Unseekable
from service.core.places import Area
from service.core.plan import Adopt, Assemble, Cut, Draw, Encode, Group, Join, Named, group_digest
from service.core.recipe import Limits
from service.core.record import Hint, Record, Spent, StepRecord
from service.core.step import Package, Piece, Placeholder, Poster, Progressive, Rendition, Sound, Variant
from service.core.tracks import AudioTrack, VideoTrack
from service.runtime import made
from service.runtime.captioner import Captioner
from service.runtime.desk import Desk
from service.runtime.files import filed
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

    async def perform(self, group: Group, desk: Desk, ledger: Ledger, *, on_share: Callable[[float], None]) -> None:
        """Make every step of `group` and commit them together."""
        watch = Stopwatch()
        if isinstance(group, Cut) and await ledger.found(group_digest(group)):
            return  # by a worker that has the same message, or another one about the same version
        match group:
            case Draw():
                steps, spent = await self._draw(group, desk)
            case Encode():
                steps, spent = await self._encode(group, desk, on_share)
            case Cut():
                steps, spent = await self._cut(group, desk, on_share)
            case Join():
                steps, spent = await self._join(group, desk.folder, ledger)
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
        return [await _record(named, desk.folder, hint=drawn.hint) for named in group.steps], drawn.spent

    async def _encode(
        self, group: Encode, desk: Desk, on_share: Callable[[float], None]
    ) -> tuple[list[StepRecord], Spent]:
        await desk.source()
        argv = command.encode(group, desk.limits)
        spent = await self.films.run(desk.folder, argv, seconds=group.clip.seconds, on_share=on_share)
        return [await self._encoded(named, group.clip, desk.folder, desk.limits) for named in group.steps], spent

    async def _cut(self, group: Cut, desk: Desk, on_share: Callable[[float], None]) -> tuple[list[StepRecord], Spent]:
        await desk.source()
        argv = command.encode_piece(group.piece, group.clip, desk.limits)
        lasts = pieces.lasts(group.piece) or max(0, group.clip.seconds - pieces.begins(group.piece))
        try:
            spent = await self.films.run(desk.folder, argv, seconds=float(lasts), on_share=on_share)
            for rung in group.piece.rungs:
                verify.check_piece(group.piece, await self.films.index(desk.folder / pieces.file(group.piece, rung)))
        except Rejected as error:  # perhaps for where it was begun alone: the whole will tell
            raise Unseekable(f"piece {group.piece.number}: {error}") from error
        return [await _record(named, desk.folder) for named in group.steps], spent

    async def _join(self, group: Join, folder: Path, ledger: Ledger) -> tuple[list[StepRecord], Spent]:
        """What was spent on the pieces is what was spent on the whole: their records go when this one is there."""
        records, parts = [], [named.step for named in group.pieces if isinstance(named.step, Piece)]
        for named in group.steps:
            assert isinstance(named.step, Rendition)
            rung = named.step
            names = [pieces.file(part, rung) for part in parts]
            for piece, name in zip(group.pieces, names, strict=True):
                await _fetched(piece.digest, name, folder, ledger)
            (track, *_) = products.expected(rung)
            await self.films.join(folder, names, track.name)
            records.append(await self._rendition(named, rung, group.clip, folder))
        return records, _sum([ledger.done[piece.digest][0].spent for piece in group.pieces])

    async def _encoded(self, named: Named, clip: Clip, folder: Path, limits: Limits) -> StepRecord:
        match named.step:
            case Rendition() as step:
                return await self._rendition(named, step, clip, folder)
            case Sound() as step:
                return await self._sound(named, step, clip, folder)
            case Poster() as step:
                return await _record(named, folder, hint=await self._poster(step, folder, limits))
            case _:
                raise AssertionError(f"{named.step} is not made by encoding")

    async def _rendition(self, named: Named, step: Rendition, clip: Clip, folder: Path) -> StepRecord:
        track, playlist, i_frames = (one.name for one in products.expected(step))
        index = await self.films.index(folder / track)
        verify.check_track(step, index, clip)
        made.write(folder / playlist, playlists.media(index, file=track))
        made.write(folder / i_frames, playlists.i_frames(index, file=track))
        video = tracks.video_track(
            index,
            file=track,
            playlist=playlist,
            i_frames=i_frames,
            width=step.width,
            height=step.height,
            frame_rate=step.frame_rate,
        )
        return await _record(named, folder, video=video)

    async def _sound(self, named: Named, step: Sound, clip: Clip, folder: Path) -> StepRecord:
        track, playlist = (one.name for one in products.expected(step))
        index = await self.films.index(folder / track)
        verify.check_track(step, index, clip)
        made.write(folder / playlist, playlists.media(index, file=track))
        audio = tracks.audio_track(
            index,
            file=track,
            playlist=playlist,
            channels=step.channels,
            sample_rate=command.SAMPLE_RATE,
            stream=step.stream,
            language=step.language,
        )
        return await _record(named, folder, audio=audio)

    async def _poster(self, step: Poster, folder: Path, limits: Limits) -> Hint | None:
        targets = [
            Target(file=products.poster_file(format_), width=step.width, height=step.height, format=format_, quality=q)
            for format_, q in zip(step.formats, step.quality, strict=True)
        ]
        if not made.is_file(folder / command.POSTER):
            raise Rejected(Reason.DAMAGED, "No frame of it could be decoded.")
        drawn = await self.pictures.draw(
            folder, command.POSTER, targets, formats=("PNG",), background="#000000", limits=limits
        )
        return drawn.hint

    async def _assemble(self, group: Assemble, folder: Path, ledger: Ledger) -> tuple[list[StepRecord], Spent]:
        records, spent = [], _NOTHING
        for named in group.steps:
            match named.step:
                case Progressive() as step:
                    spent = await self._progressive(step, folder, ledger)
                case Package() as step:
                    _package(step, folder, ledger)
                case _:
                    raise AssertionError(f"{named.step} is not assembled")
            records.append(await _record(named, folder))
        return records, spent

    async def _progressive(self, step: Progressive, folder: Path, ledger: Ledger) -> Spent:
        files = [await _local(digest, folder, ledger) for digest in (step.video, step.audio) if digest]
        (target,) = products.expected(step)
        lasts = _longest([track for digest in (step.video, step.audio) if digest for track in _tracks(digest, ledger)])
        argv = command.remux(files, target.name)
        spent = await self.films.run(folder, argv, seconds=lasts, on_share=lambda _share: None)
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


async def _record(
    named: Named,
    folder: Path,
    *,
    hint: Hint | None = None,
    video: VideoTrack | None = None,
    audio: AudioTrack | None = None,
) -> StepRecord:
    shows_hint = isinstance(named.step, Placeholder | Poster)
    return StepRecord(
        digest=named.digest,
        kind=type(named.step).__name__,
        files=tuple([await filed(one, folder) for one in products.expected(named.step)]),
        placeholder=hint if shows_hint else None,
        video=video,
        audio=audio,
    )


async def _local(digest: str, folder: Path, ledger: Ledger) -> str:
    """The CMAF file of a step that is done: still here, or fetched from where an earlier attempt put it."""
    _, step = ledger.done[digest]
    track = step.files[0]
    await _fetched(digest, track.name, folder, ledger)
    return track.name


async def _fetched(digest: str, name: str, folder: Path, ledger: Ledger) -> None:
    """A file of a step that is done: still here, or fetched from where an earlier attempt put it."""
    record, _ = ledger.done[digest]
    path = folder / name
    if not made.is_file(path):
        made.remove(path)
        await ledger.store.download(record.folder + name, path)


def _sum(spent: Sequence[Spent]) -> Spent:
    units = Counter[str]()
    for one in spent:
        units.update(one.units)
    return Spent(
        wall_seconds=sum(one.wall_seconds for one in spent),
        cpu_seconds=sum(one.cpu_seconds for one in spent),
        peak_memory_bytes=max((one.peak_memory_bytes for one in spent), default=0),
        units=dict(units),
    )


def _package(step: Package, folder: Path, ledger: Ledger) -> None:
    """Playlists over tracks that may lie in several folders, all of them beside this step's own."""
    found = _found(step.tracks, ledger)
    videos = [_placed(record, done.video) for record, done in found if done.video]
    audios = [_placed(record, done.audio) for record, done in found if done.audio]
    hls_file, dash_file = products.expected(step)
    texts = [_placed(record, done.captions) for record, done in _found(step.captions, ledger) if done.captions]
    made.write(folder / hls_file.name, playlists.multivariant(videos, audios, texts))
    made.write(folder / dash_file.name, dash.manifest(videos, audios, texts, duration=_longest([*videos, *audios])))


def _found(digests: Sequence[str], ledger: Ledger) -> list[tuple[Record, StepRecord]]:
    return [ledger.done[digest] for digest in digests]


def _tracks(digest: str, ledger: Ledger) -> list[VideoTrack | AudioTrack]:
    _, step = ledger.done[digest]
    return [track for track in (step.video, step.audio) if track]


def _longest(found: Sequence[VideoTrack | AudioTrack]) -> float:
    return max(track.duration for track in found)


def _placed(record: Record, track: T) -> T:
    """The track with its folder as seen from a folder beside it."""
    name = record.folder.rstrip("/").rpartition("/")[2]
    return replace(track, folder=f"../{name}/")  # type: ignore[type-var]  # both kinds of track are dataclasses
