"""Captions: those that were uploaded beside a source or inside it, and those that a machine writes down."""

import asyncio
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from service.core import captions, command, places, playlists, products, texts, webvtt
from service.core.captions import Cue
from service.core.media import Clip
from service.core.outcome import Misconfigured, Rejected, Throttled
from service.core.plan import Adopt, Extract, Listen, Named, group_digest
from service.core.record import Captioned, Spent, StepRecord
from service.core.step import Embedded, Subtitles, Transcript
from service.core.tracks import CaptionTrack
from service.logs import log
from service.runtime import made
from service.runtime.allowance import Account
from service.runtime.desk import Desk
from service.runtime.files import filed
from service.runtime.ledger import Ledger
from service.runtime.ports import Store
from service.runtime.reel import NOTHING, added
from service.runtime.tools import CaptionReader, Declined, Films, Heard, Pending, Scribe, Speech

#: Seconds that taking subtitles out may take: FFmpeg needs the square of a text's length, 40 s for two megabytes.
_PATIENCE = 30.0
_READ_A_SECOND = 20_000_000  # bytes of a source on a slow disk


@dataclass(frozen=True, kw_only=True)
class _Sound:
    """One sound track of a clip."""

    clip: Clip
    stream: int


@dataclass(frozen=True, kw_only=True)
class Captioner:
    """Makes the steps that end in a caption track; `scribes` by the names that recipes call them."""

    films: Films
    reader: CaptionReader
    scribes: Mapping[str, Scribe]
    store: Store

    async def adopt(self, group: Adopt, desk: Desk, ledger: Ledger) -> tuple[list[StepRecord], Spent]:
        """The captions that lie beside the source; those that can't be read are noted, and are no fault of it."""
        return [await self._adopted(named, desk, ledger) for named in group.steps], NOTHING

    async def _adopted(self, named: Named, desk: Desk, ledger: Ledger) -> StepRecord:
        assert isinstance(named.step, Subtitles)
        found, file = Captioned(language=named.step.language, machine=False), f"subtitles.{named.step.language}"
        try:
            await desk.beside(named.step.key, named.step.etag, desk.folder / file, most=webvtt.MAX_INPUT)
            cues = await self.reader.read(desk.folder, file)
        except Rejected as error:
            log.warning("captions_refused", key=named.step.key, because=error.message)
            return _record(named, found.model_copy(update={"none": "damaged"}))
        return await _shown(named, cues, found, desk, ledger)

    async def extract(self, group: Extract, desk: Desk, ledger: Ledger) -> tuple[list[StepRecord], Spent]:
        """The subtitles that the source carries; those that can't be read are noted, and are no fault of it."""
        await desk.source()
        steps = [named.step for named in group.steps if isinstance(named.step, Embedded)]
        spent, lost = await self._taken_out(group.clip, steps, desk)
        return [await self._embedded(named, desk, ledger, lost=lost) for named in group.steps], spent

    async def _taken_out(self, clip: Clip, steps: Sequence[Embedded], desk: Desk) -> tuple[Spent, set[Embedded]]:
        """The file of each track, and the tracks that gave none: one that can't be decoded ends the command of all."""
        try:
            argv = texts.extract(clip, steps, desk.limits)
            async with asyncio.timeout(_PATIENCE + clip.size / _READ_A_SECOND):
                ran = await self.films.run(desk.folder, argv, seconds=clip.heard_until, on_share=lambda _share: None)
        except (Rejected, TimeoutError) as error:
            log.warning("subtitles_refused", tracks=[step.stream for step in steps], because=repr(error))
            if len(steps) == 1:
                return NOTHING, {*steps}
        else:
            return ran.spent, set()
        alone = [await self._taken_out(clip, [step], desk) for step in steps]
        return added(*(spent for spent, _ in alone)), set().union(*(lost for _, lost in alone))

    async def _embedded(self, named: Named, desk: Desk, ledger: Ledger, *, lost: set[Embedded]) -> StepRecord:
        assert isinstance(named.step, Embedded)
        found = Captioned(language=named.step.language, machine=False, embedded=True)
        if named.step in lost:
            return _record(named, found.model_copy(update={"none": "damaged"}))
        path = desk.folder / texts.file(named.step)
        try:
            cues = texts.spoken(await self.reader.read(desk.folder, path.name)) if _holds_something(path) else ()
        except Rejected as error:
            log.warning("subtitles_refused", tracks=[named.step.stream], because=error.message)
            return _record(named, found.model_copy(update={"none": "damaged"}))
        finally:
            made.remove(path)
        return await _shown(named, cues, found, desk, ledger, number=named.step.number, title=named.step.title)

    async def listen(self, group: Listen, desk: Desk, ledger: Ledger, account: Account) -> bool:
        """Have the sound heard and commit what was; False while it is being heard elsewhere: ask again later.

        :raises Transient: when nobody could be asked now.
        :raises Misconfigured: when nobody may be asked.
        :raises Overspent: when it would cost too much.
        """
        (named,) = group.steps
        assert isinstance(named.step, Transcript)
        scribe = self._scribe(named.step.provider)
        speech = _speech(named, named.step, group.clip)
        heard = await scribe.find(speech)
        if heard is None:
            heard = await self._ask(scribe, speech, _Sound(clip=group.clip, stream=named.step.stream), desk, account)
        if isinstance(heard, Pending):
            return False
        bought = scribe.minutes(speech.seconds) if scribe.unit and isinstance(heard, Heard) else 0.0
        record = await _heard(named, heard, desk, ledger)
        spent = heard.spent or NOTHING
        units = {scribe.unit: bought} if scribe.unit and bought else {}
        # before it is committed: after that nobody would come back to it, and this message does
        await self.store.delete([places.speech_audio(speech.name), places.speech_source(speech.name)])
        await ledger.add(group_digest(group), [record], spent.model_copy(update={"units": units}), desk.folder)
        return True

    def _scribe(self, provider: str) -> Scribe:
        if provider not in self.scribes:
            raise Misconfigured(f"captions.provider: {provider} is not at hand in this worker")
        return self.scribes[provider]

    async def _ask(
        self, scribe: Scribe, speech: Speech, sound: _Sound, desk: Desk, account: Account
    ) -> Heard | Pending | Declined:
        """Which source it is of is written down first: the end of it may be told before this call returns."""
        await desk.source()  # first: it may turn out to be somebody else's, who would pay again
        minutes = scribe.minutes(speech.seconds)
        await account.take(scribe.unit, minutes)
        if scribe.unit:
            document = {"bucket": desk.head.bucket, "key": desk.head.key}
            await self.store.overwrite(places.speech_source(speech.name), json.dumps(document).encode())
        file = f"speech.{scribe.sound}"
        argv = command.speech(sound.clip, sound.stream, file, desk.limits)
        await self.films.run(desk.folder, argv, seconds=sound.clip.heard_until, on_share=lambda _share: None)
        try:
            return await scribe.listen(speech, desk.folder, file)
        except Throttled:
            await account.throttled(scribe.unit, minutes)
            raise
        finally:
            made.remove(desk.folder / file)


def _speech(named: Named, step: Transcript, clip: Clip) -> Speech:
    return Speech(name=named.digest, seconds=clip.heard_until, language=step.language, languages=step.languages)


async def _heard(named: Named, heard: Heard | Declined, desk: Desk, ledger: Ledger) -> StepRecord:
    if isinstance(heard, Declined):
        log.warning("captions_declined", why=heard.why, detail=heard.detail)
        return _record(named, Captioned(none=heard.why))
    cues = captions.cues(heard.words, until=_seconds(ledger))
    found = Captioned(language=heard.language, model=heard.model, cues=len(cues))
    if not cues:
        return _record(named, found.model_copy(update={"none": "no_speech"}))
    return await _written(named, cues, found, desk, ledger)


def _holds_something(path: Path) -> bool:
    """Of a track without a packet, FFmpeg makes an empty file or none."""
    return made.is_file(path) and path.stat().st_size > 0


async def _shown(
    named: Named,
    cues: Sequence[Cue],
    found: Captioned,
    desk: Desk,
    ledger: Ledger,
    *,
    number: int = 1,
    title: str | None = None,
) -> StepRecord:
    """A caption track by whoever uploaded it, if there is anything in it, and not too much."""
    if not cues:
        return _record(named, found.model_copy(update={"none": "empty"}))
    counted = found.model_copy(update={"cues": len(cues)})
    try:
        return await _written(named, cues, counted, desk, ledger, number=number, title=title)
    except Rejected as error:
        log.warning("captions_refused", because=error.message)
        return _record(named, found.model_copy(update={"none": "damaged"}))


async def _written(
    named: Named,
    cues: Sequence[Cue],
    found: Captioned,
    desk: Desk,
    ledger: Ledger,
    *,
    number: int = 1,
    title: str | None = None,
) -> StepRecord:
    """The files of a caption track, the `number`th of its language."""
    expected = products.captions(found.language, machine=found.machine, number=number, label=title)
    text, subrip, playlist = (one.name for one in expected)
    note = f"Written by a machine: {found.model}" if found.machine else None
    made.write(desk.folder / text, webvtt.webvtt(cues, language=found.language, note=note))
    made.write(desk.folder / subrip, webvtt.srt(cues))
    made.write(desk.folder / playlist, playlists.captions(file=text, duration=_seconds(ledger)))
    track = CaptionTrack(file=text, playlist=playlist, language=found.language, machine=found.machine, name=title or "")
    files = tuple([await filed(one, desk.folder) for one in expected])
    return _record(named, found).model_copy(update={"files": files, "captions": track})


def _record(named: Named, found: Captioned) -> StepRecord:
    return StepRecord(digest=named.digest, kind=type(named.step).__name__, captioned=found)


def _seconds(ledger: Ledger) -> float:
    return ledger.media.heard_until if isinstance(ledger.media, Clip) else 0.0
