"""Performs the steps of a group with one decode: files in the scratch directory, then a record of them all."""

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import TypeVar, assert_never

from service import metrics
from service.core import command, dash, playlists, products, sniff, tracks, verify
from service.core.media import Clip, Media, Picture
from service.core.outcome import Reason, Rejected, Unavailable
from service.core.plan import Assemble, Draw, Encode, Group, Named, group_digest
from service.core.recipe import Limits
from service.core.record import File, Hint, Record, Spent, StepRecord
from service.core.step import Package, Placeholder, Poster, Progressive, Rendition, Sound, Variant
from service.core.tracks import AudioTrack, VideoTrack
from service.runtime import made
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
    versions: dict[str, str]

    def source(self, folder: Path) -> Path:
        """Where the upload goes: a constant name, whatever its key."""
        return folder / command.SOURCE

    async def examine(self, folder: Path, size: int, limits: Limits) -> Media:
        """Say what the upload is: by its first bytes, then by its headers and packet times.

        :raises Rejected: for everything that is not media within the limits.
        """
        with metrics.stage_seconds.labels("examine").time():
            match sniff.sniff(_head(self.source(folder))):
                case sniff.PictureFile(formats=formats):
                    return await self.pictures.inspect(folder, formats, limits)
                case sniff.StreamFile() as sniffed:
                    return await self.films.probe(folder, sniffed, size, limits)

    async def decode(self, media: Media, folder: Path, limits: Limits) -> None:
        """Read the upload to its end and keep nothing.

        :raises Rejected: for what can't be decoded.
        """
        match media:
            case Picture(formats=formats):
                await self.pictures.draw(
                    folder, command.SOURCE, [], formats=formats, background="#ffffff", limits=limits
                )
            case Clip():
                argv = command.decode(media, limits)
                await self.films.run(folder, argv, seconds=media.seconds, on_share=lambda _share: None)

    async def perform(
        self, group: Group, folder: Path, limits: Limits, ledger: Ledger, *, on_share: Callable[[float], None]
    ) -> None:
        """Make every step of `group` and commit them together."""
        watch = Stopwatch()
        match group:
            case Draw():
                steps, spent = await self._draw(group, folder, limits)
            case Encode():
                steps, spent = await self._encode(group, folder, limits, on_share)
            case Assemble():
                steps, spent = await self._assemble(group, folder, ledger)
            case _:
                assert_never(group)
        metrics.stage_seconds.labels(type(group).__name__.lower()).observe(watch.seconds())
        metrics.cpu_seconds.inc(spent.cpu_seconds)
        await self._commit(group, steps, spent, folder, ledger)
        on_share(1.0)

    async def _draw(self, group: Draw, folder: Path, limits: Limits) -> tuple[list[StepRecord], Spent]:
        variants = [named.step for named in group.steps if isinstance(named.step, Variant)]
        background = variants[0].background if variants else "#ffffff"
        drawn = await self.pictures.draw(
            folder,
            command.SOURCE,
            [_target(variant) for variant in variants],
            formats=group.picture.formats,
            background=background,
            limits=limits,
        )
        return [await _record(named, folder, hint=drawn.hint) for named in group.steps], drawn.spent

    async def _encode(
        self, group: Encode, folder: Path, limits: Limits, on_share: Callable[[float], None]
    ) -> tuple[list[StepRecord], Spent]:
        argv = command.encode(group, limits)
        spent = await self.films.run(folder, argv, seconds=group.clip.seconds, on_share=on_share)
        return [await self._encoded(named, group.clip, folder, limits) for named in group.steps], spent

    async def _encoded(self, named: Named, clip: Clip, folder: Path, limits: Limits) -> StepRecord:
        match named.step:
            case Rendition() as step:
                return await self._rendition(named, step, clip, folder)
            case Sound() as step:
                return await self._sound(named, step, clip, folder)
            case Poster() as step:
                return await _record(named, folder, hint=await self._poster(step, folder, limits))
            case Variant() | Placeholder() | Progressive() | Package():
                raise AssertionError(f"{named.step} is not made by encoding")
            case _:
                assert_never(named.step)

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
                case Variant() | Placeholder() | Rendition() | Sound() | Poster():
                    raise AssertionError(f"{named.step} is not assembled")
                case _:
                    assert_never(named.step)
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

    async def _commit(
        self, group: Group, steps: Sequence[StepRecord], spent: Spent, folder: Path, ledger: Ledger
    ) -> None:
        digest = group_digest(group)
        record = Record(
            version=ledger.version,
            digest=digest,
            folder=ledger.folder(digest),
            made_at=datetime.now(UTC),
            made_by=self.versions,
            spent=spent,
            steps=tuple(steps),
        )
        await ledger.commit(record, [file for step in steps for file in step.files], folder)


def _head(path: Path) -> bytes:
    with path.open("rb") as file:
        return file.read(sniff.HEAD_BYTES)


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
        files=tuple([await _file(one, folder) for one in products.expected(named.step)]),
        placeholder=hint if shows_hint else None,
        video=video,
        audio=audio,
    )


async def _file(expected: products.Expected, folder: Path) -> File:
    size, sha256 = await asyncio.to_thread(made.measured, folder / expected.name)
    if size == 0:
        raise Unavailable(f"{expected.name} was made empty")
    return File(
        name=expected.name, content_type=expected.content_type, bytes=size, sha256=sha256, product=expected.entry
    )


async def _local(digest: str, folder: Path, ledger: Ledger) -> str:
    """The CMAF file of a step that is done: still here, or fetched from where an earlier attempt put it."""
    record, step = ledger.done[digest]
    track = step.files[0]
    path = folder / track.name
    if not made.is_file(path):
        made.remove(path)
        await ledger.store.download(record.folder + track.name, path)
    return track.name


def _package(step: Package, folder: Path, ledger: Ledger) -> None:
    """Playlists over tracks that may lie in several folders, all of them beside this step's own."""
    found = [ledger.done[digest] for digest in step.tracks]
    videos = [_placed(record, done.video) for record, done in found if done.video]
    audios = [_placed(record, done.audio) for record, done in found if done.audio]
    hls_file, dash_file = products.expected(step)
    made.write(folder / hls_file.name, playlists.multivariant(videos, audios))
    made.write(folder / dash_file.name, dash.manifest(videos, audios, duration=_longest([*videos, *audios])))


def _tracks(digest: str, ledger: Ledger) -> list[VideoTrack | AudioTrack]:
    _, step = ledger.done[digest]
    return [track for track in (step.video, step.audio) if track]


def _longest(found: Sequence[VideoTrack | AudioTrack]) -> float:
    return max(track.duration for track in found)


def _placed(record: Record, track: T) -> T:
    """The track with its folder as seen from a folder beside it."""
    name = record.folder.rstrip("/").rpartition("/")[2]
    return replace(track, folder=f"../{name}/")  # type: ignore[type-var]  # both kinds of track are dataclasses
