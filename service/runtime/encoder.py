"""Makes tracks and pictures of a clip: one decode, then all that comes of it side by side."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from service.core import (
    compliance,
    copies,
    copying,
    encoding,
    loudness,
    pieces,
    playlists,
    posters,
    products,
    tracks,
    verify,
    waveform,
    waveform_picture,
)
from service.core.boxes import Index
from service.core.command import SAMPLE_RATE
from service.core.media import Clip
from service.core.outcome import Reason, Rejected, Unseekable
from service.core.plan import Cut, Encode, Join, Named, Remux
from service.core.recipe import Limits
from service.core.record import Damaged, Hint, Loudness, Spent, StepRecord
from service.core.step import Copy, Piece, Poster, Rendition, Sound, Step, UploadedPoster, Waveform, digest
from service.logs import log
from service.runtime import made
from service.runtime.beside import both
from service.runtime.desk import Desk
from service.runtime.files import fetched, recorded
from service.runtime.ledger import Ledger
from service.runtime.reel import NOTHING, added
from service.runtime.tools import Films, Page, Pictures, Target

_LOOKED_AT = 640  # pixels of the longer side, of what a poster is chosen by


@dataclass(frozen=True, kw_only=True)
class _Drawn:
    """What came of the pictures of a clip."""

    hint: Hint | None = None
    spent: Spent = NOTHING


@dataclass(frozen=True, kw_only=True)
class _Mastered:
    """What came of its sounds: how loud each one was, what was lost, and what it cost."""

    levels: dict[Sound, Loudness]
    damaged: Damaged | None = None
    spent: Spent = NOTHING


@dataclass(frozen=True, kw_only=True)
class _Made:
    """What the steps of one decode have in common; `former` are the sounds that were made before."""

    clip: Clip
    folder: Path
    damaged: Damaged | None
    drawn: _Drawn
    mastered: _Mastered
    former: Mapping[Sound, Loudness | None]
    rhythm: str | None


@dataclass(frozen=True, kw_only=True)
class Encoder:
    """Runs the commands, and checks what comes of them."""

    films: Films
    pictures: Pictures

    async def remux(
        self, group: Remux, desk: Desk, on_share: Callable[[float], None]
    ) -> tuple[list[StepRecord], Spent]:
        """The source's picture as it is, or a record of what is wrong with that: nobody rejects an upload for it."""
        await desk.source()
        ((named, copy),) = [(named, named.step) for named in group.steps if isinstance(named.step, Copy)]
        track, spent = desk.folder / products.track_file(copy), NOTHING
        try:
            argv = copying.copy(group.clip, track.name, desk.limits)
            ran = await self.films.run(desk.folder, argv, seconds=group.clip.seconds, on_share=on_share)
            spent, index = ran.spent, await self.films.index(track)
            faults = await self.films.faults(track, index, group.clip, max_bit_rate=copy.max_bit_rate)
            faults += (f"reading it met errors: {ran.first}",) if ran.errors else ()
        except Rejected as error:
            faults = (f"copying it failed: {error.message}",)
        if faults:
            log.info("not_copied", because=faults)
            made.remove(track)
            return [_refused(named, faults)], spent
        record = await _track(named, copy, index, desk.folder)
        return [record.model_copy(update={"rhythm": compliance.rhythm(index)})], spent

    async def encode(
        self, group: Encode, desk: Desk, ledger: Ledger, on_share: Callable[[float], None]
    ) -> tuple[list[StepRecord], Spent]:
        """Everything of one decode; sound is encoded while the poster is drawn.

        :raises Unseekable: when keyframes alone, or a moment that was sought, are not enough.
        """
        await desk.source()
        if not group.sparse:
            return await self._encode(group, desk, ledger, on_share)
        try:
            return await self._encode(group, desk, ledger, on_share)
        except Rejected as error:  # the whole will tell
            raise Unseekable(f"its keyframes alone: {error}") from error

    async def _encode(
        self, group: Encode, desk: Desk, ledger: Ledger, on_share: Callable[[float], None]
    ) -> tuple[list[StepRecord], Spent]:
        clip, folder, steps = group.clip, desk.folder, [named.step for named in group.steps]
        argv = encoding.encode(group, desk.limits)
        ran = await self.films.run(folder, argv, seconds=clip.heard_until, on_share=on_share)
        poster, mastered = await both(
            self._poster([step for step in steps if isinstance(step, Poster)], folder, desk.limits),
            self._master(clip, [step for step in steps if isinstance(step, Sound)], folder, desk.limits),
        )
        damaged = verify.worst([verify.damage(ran, clip), mastered.damaged])
        common = _Made(
            clip=clip,
            folder=folder,
            damaged=damaged,
            drawn=poster,
            mastered=mastered,
            former=_former(steps, ledger),
            rhythm=group.rhythm,
        )
        records = [await self._encoded(named, common) for named in group.steps]
        return records, added(ran.spent, poster.spent, mastered.spent)

    async def cut(self, group: Cut, desk: Desk, on_share: Callable[[float], None]) -> tuple[list[StepRecord], Spent]:
        """One piece in several renditions.

        :raises Unseekable: when it is not what was asked for, perhaps for where it was begun alone.
        """
        await desk.source()
        argv = encoding.encode_piece(group.piece, group.clip, desk.limits)
        lasts = pieces.lasts(group.piece) or max(0, group.clip.seconds - pieces.begins(group.piece))
        try:
            ran = await self.films.run(desk.folder, argv, seconds=float(lasts), on_share=on_share)
            for rung in group.piece.rungs:
                verify.check_piece(group.piece, await self.films.index(desk.folder / pieces.file(group.piece, rung)))
        except Rejected as error:
            raise Unseekable(f"piece {group.piece.number}: {error}") from error
        damaged = verify.damage(ran, group.clip)
        return [await recorded(named, desk.folder, damaged=damaged) for named in group.steps], ran.spent

    async def join(self, group: Join, folder: Path, ledger: Ledger) -> tuple[list[StepRecord], Spent]:
        """What was spent on the pieces is what was spent on the whole: their records go when this one is there."""
        records, parts = [], [named.step for named in group.pieces if isinstance(named.step, Piece)]
        done = [ledger.done[piece.digest] for piece in group.pieces]
        damaged = verify.together(step.damaged for _, step in done)
        for named in group.steps:
            assert isinstance(named.step, Rendition)
            rung = named.step
            names = [pieces.file(part, rung) for part in parts]
            for piece, name in zip(group.pieces, names, strict=True):
                await fetched(piece.digest, name, folder, ledger)
            (track, *_) = products.expected(rung)
            await self.films.join(folder, names, track.name)
            records.append(await self._rendition(named, group.clip, folder, damaged=damaged, rhythm=group.rhythm))
        return records, added(*(record.spent for record, _ in done))

    async def _encoded(self, named: Named, of: _Made) -> StepRecord:
        match named.step:
            case Rendition():
                return await self._rendition(named, of.clip, of.folder, damaged=of.damaged, rhythm=of.rhythm)
            case Sound() as step:
                return await self._sound(named, step, of)
            case Waveform() as step:
                await self._waveform(step, of)
            case _:
                pass
        return await recorded(named, of.folder, hint=of.drawn.hint, damaged=of.damaged)

    async def _rendition(
        self, named: Named, clip: Clip, folder: Path, *, damaged: Damaged | None, rhythm: str | None
    ) -> StepRecord:
        """Nothing is kept of one beside a copy of `rhythm`, if it does not fit there, or the copy shows damage."""
        step = named.step
        assert isinstance(step, Rendition)
        index = await self.films.index(folder / products.track_file(step))
        verify.check_track(step, index, clip)
        verify.check_frames(step, index)
        if rhythm and (found := copies.unfit(index, damaged, rhythm)):
            log.info("not_copied", because=found)
            made.remove(folder / products.track_file(step))
            return _refused(named, found, damaged)
        return await _track(named, step, index, folder, damaged)

    async def _sound(self, named: Named, step: Sound, of: _Made) -> StepRecord:
        track, playlist = (one.name for one in products.expected(step))
        index: Index = await self.films.index(of.folder / track)
        verify.check_track(step, index, of.clip)
        lost = verify.missing(step, index, of.clip)
        _write_playlist(of.folder, playlist, playlists.media(index, file=track), track)
        audio = tracks.audio_track(
            index,
            file=track,
            playlist=playlist,
            channels=step.channels,
            sample_rate=SAMPLE_RATE,
            stream=step.stream,
            language=step.language,
        )
        damaged = verify.worst([of.damaged, Damaged(missing=lost) if lost else None])
        record = await recorded(named, of.folder, audio=audio, damaged=damaged)
        return record.model_copy(update={"loudness": of.mastered.levels.get(step)})

    async def _master(self, clip: Clip, sounds: Sequence[Sound], folder: Path, limits: Limits) -> _Mastered:
        """Encode what was measured, each track with the gain that brings it to its target."""
        levels = {sound: await self._level(sound, folder) for sound in sounds if sound.loudness is not None}
        if not levels:
            return _Mastered(levels=levels)
        argv = encoding.master(clip, {sound: level.gain for sound, level in levels.items()}, limits)
        ran = await self.films.run(folder, argv, seconds=clip.heard_until, on_share=lambda _share: None)
        return _Mastered(levels=levels, damaged=verify.damage(ran, clip), spent=ran.spent)

    async def _level(self, sound: Sound, folder: Path) -> Loudness:
        assert sound.loudness is not None
        log = folder / encoding.measure(sound)
        found = await self.films.loudness(log)
        made.remove(log)
        gain = loudness.gain(found, target=sound.loudness, ceiling=sound.true_peak)
        return Loudness(
            integrated=found.integrated if found else None, true_peak=found.true_peak if found else -66.0, gain=gain
        )

    async def _waveform(self, step: Waveform, of: _Made) -> None:
        """Of what is heard: after the gain."""
        log = of.folder / encoding.course(step)
        pairs = await self.films.levels(log)
        made.remove(log)
        level = of.mastered.levels.get(step.sound) or of.former.get(step.sound)
        course = waveform.make(
            pairs, rate=SAMPLE_RATE, samples_per_pixel=step.samples_per_pixel, gain=level.gain if level else 0.0
        )
        made.write(of.folder / products.WAVEFORM_JSON, waveform.document(course))
        made.write(of.folder / products.WAVEFORM_PNG, waveform_picture.draw(course))

    async def _poster(self, steps: Sequence[Poster], folder: Path, limits: Limits) -> _Drawn:
        """The best of the frames that were decoded, which may be fewer than were asked for."""
        if not steps:
            return _Drawn()
        (step,) = steps
        candidates = [posters.CANDIDATES % number for number in range(1, len(step.at) + 1)]
        found = [name for name in candidates if made.is_file(folder / name)]
        if not found:
            raise Rejected(Reason.DAMAGED, "No frame of it could be decoded.")
        pages = [Page(source=name, page=0, file=f"{name}.jpg") for name in found]
        shown = await self.pictures.frames(folder, pages, formats=("PPM",), side=_LOOKED_AT, limits=limits)
        best = found[posters.best(shown.traits)]
        drawn = await self.pictures.draw(
            folder, best, targets(step), formats=("PPM",), background="#000000", limits=limits
        )
        for page in pages:
            made.remove(folder / page.source)
            made.remove(folder / page.file)
        return _Drawn(hint=drawn.hint, spent=added(shown.spent, drawn.spent))


def targets(step: Poster | UploadedPoster) -> list[Target]:
    """The files of a poster."""
    return [
        Target(file=products.poster_file(step, format_, size), width=size[0], height=size[1], format=format_, quality=q)
        for format_, q in zip(step.formats, step.quality, strict=True)
        for size in step.sizes
    ]


def _refused(named: Named, why: tuple[str, ...], damaged: Damaged | None = None) -> StepRecord:
    return StepRecord(digest=named.digest, kind=type(named.step).__name__, refused=why, damaged=damaged)


async def _track(
    named: Named, step: Copy | Rendition, index: Index, folder: Path, damaged: Damaged | None = None
) -> StepRecord:
    """A rung with its playlists."""
    track, playlist, i_frames = (one.name for one in products.expected(step))
    _write_playlist(folder, playlist, playlists.media(index, file=track), track)
    _write_playlist(folder, i_frames, playlists.i_frames(index, file=track), track)
    video = tracks.video_track(
        index,
        file=track,
        playlist=playlist,
        i_frames=i_frames,
        width=step.width,
        height=step.height,
        frame_rate=step.frame_rate,
    )
    return await recorded(named, folder, video=video, damaged=damaged)


def _former(steps: Sequence[Step], ledger: Ledger) -> dict[Sound, Loudness | None]:
    """How loud the sounds are whose waveform alone is still to do."""
    sounds = [step.sound for step in steps if isinstance(step, Waveform)]
    digests = {sound: digest(sound, version=ledger.version) for sound in sounds}
    return {sound: ledger.steps[named].loudness for sound, named in digests.items() if named in ledger.steps}


def _write_playlist(folder: Path, name: str, text: str, track: str) -> None:
    """See that every entry lies in its file, and write it."""
    verify.check_playlist(text, {track: (folder / track).stat().st_size})
    made.write(folder / name, text)
