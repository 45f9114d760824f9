"""ffprobe and ffmpeg in the sandbox: probe, gate, encode with progress, and read back what was made."""

import asyncio
import dataclasses
import json
import os
import re
import signal
from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from io import BufferedReader, BufferedWriter
from pathlib import Path
from typing import Any

from service import metrics
from service.core import boxes, command, compliance, gate, joining, media
from service.core.boxes import Index
from service.core.complaints import Complaints
from service.core.gate import Clock
from service.core.joining import Extent, Source
from service.core.loudness import Measured
from service.core.media import Clip, Timeline
from service.core.outcome import Misconfigured, Reason, Rejected, Unavailable, Unseekable
from service.core.recipe import Limits
from service.core.record import Spent
from service.core.sniff import StreamFile
from service.core.verify import Found, Ran
from service.core.waveform import Pair
from service.metrics import Pace
from service.runtime import made
from service.tools import limits as sandbox_limits
from service.tools import loudness, waveform
from service.tools.limits import Finished, Usage
from service.tools.sandbox import Sandbox

_PROBE_SECONDS = 60
_PACKETS_SECONDS = 900  # reading a six-hour film from disk takes a minute or two
_SECONDS_A_SECOND = 30  # of encoding, for each second of the source: a slow core and a full ladder
_LEAST_SECONDS = 600
_STALL_SECONDS = 600.0  # an index is put in front without a word: a large file is copied once for it
_MEMORY = "Cannot allocate memory"
#: What it says when it is the tool that is wrong, not the file.
_WRONG_TOOL = re.compile(
    r"Unknown (?:en|de)coder '|Unrecognized option '|Option [^\n]{0,200}not found|No such filter: '"
)
#: With that it may end well all the same: where the last bytes of a file were not written.
_FULL = re.compile(r"No space left on device|Disk quota exceeded")
_SIZE = re.compile(r"Picture size ([0-9]{1,10})x([0-9]{1,10}) is invalid")
_PIXELS = "Its picture has more pixels than are accepted."
_FRAMES = re.compile(r"frame= *([0-9]{1,18})")
_CHUNK = 1 << 20  # bytes in memory of a piece
_MAX_FILE = 200_000_000_000  # bytes; what a file system holds is the caller's to know


class FFmpeg:
    """The command line tools of FFmpeg."""

    def __init__(self, sandbox: Sandbox, *, memory_bytes: int) -> None:
        self._sandbox = sandbox
        self._memory = memory_bytes

    async def probe(self, folder: Path, sniffed: StreamFile, size: int, limits: Limits) -> Clip:
        """What the source is, by its headers and by the times of its packets.

        :raises Rejected: for what is no such clip, or breaks a limit.
        """
        clip = await self._headers(folder, sniffed, size, limits)
        gate.check_clip(clip, limits)
        timeline = await self._timeline(folder, clip, limits)
        clip = dataclasses.replace(clip, timeline=timeline)
        gate.check_timeline(clip, timeline)
        return clip

    async def _headers(self, folder: Path, sniffed: StreamFile, size: int, limits: Limits) -> Clip:
        argv = command.probe(sniffed, limits)
        finished = await self._sandbox.run(argv, cwd=folder, limits=self._limits(_PROBE_SECONDS))
        try:
            return media.from_ffprobe(_document(finished, sniffed), size=size, sniffed=sniffed)
        except Rejected as error:
            if error.reason is Reason.DAMAGED and _oversized(finished.errors, limits):
                raise Rejected(Reason.TOO_MANY_PIXELS, _PIXELS) from error
            raise

    async def _timeline(self, folder: Path, clip: Clip, limits: Limits) -> Timeline:
        stream = clip.video or clip.audio[0]
        lasts = float(1 / clip.video.frame_rate) if clip.video else 0.0
        clock = Clock(limits=limits, stream=stream.index, packet_seconds=lasts)
        argv = command.packets(clip.sniffed, limits)
        finished = await self._sandbox.run(argv, cwd=folder, limits=self._limits(_PACKETS_SECONDS), on_line=clock.read)
        if finished.returncode < 0 or _WRONG_TOOL.search(finished.errors):
            raise _unreadable(finished, clip.sniffed)
        return clock.timeline()

    async def run(self, folder: Path, argv: Sequence[str], *, seconds: float, on_share: Callable[[float], None]) -> Ran:
        """Run an ffmpeg command that gives `seconds` of output; `on_share` is told how far it is, 0 to 1.

        What it met that it could not decode is counted, and no error.

        :raises Rejected: `damaged`, or the limit that it broke.
        """
        wall = max(_LEAST_SECONDS, seconds * _SECONDS_A_SECOND)
        complaints = Complaints()
        with metrics.encodes.begun() as pace:
            report = _Report(seconds=seconds, on_share=on_share, pace=pace)
            finished = await self._sandbox.run(
                argv,
                cwd=folder,
                limits=self._limits(wall, stall=True),
                on_line=report.read,
                on_error=complaints.read,
            )
        if finished.returncode != 0 or _FULL.search(finished.errors):
            raise _failed(finished)
        return Ran(
            spent=spent(finished.usage),
            errors=complaints.errors,
            first=complaints.first,
            frames=report.frames,
            seconds=report.at,
        )

    async def loudness(self, path: Path) -> Measured | None:
        """What a command measured of a sound, by the log that it left; None where there was nothing to measure.

        :raises Rejected: `damaged`, when there is no such log.
        """
        return await asyncio.to_thread(loudness.read, path)

    async def levels(self, path: Path) -> tuple[Pair, ...]:
        """Lowest and highest sample of each part of a sound, by the log that a command left.

        :raises Rejected: `damaged`, when there is no such log.
        """
        return await asyncio.to_thread(waveform.read, path)

    async def index(self, path: Path) -> Index:
        """The index of a track that was just made.

        :raises Rejected: `damaged`, when nothing that can be played was written.
        """
        return await asyncio.to_thread(_index, path)

    async def faults(self, path: Path, index: Index, clip: Clip, *, max_bit_rate: int) -> tuple[str, ...]:
        """Why a copy of the clip's picture, of this index, may not be published: every frame's header is looked at.

        :raises Rejected: `damaged`, when it can't be read.
        """
        return await asyncio.to_thread(_faults, path, index, clip, max_bit_rate)

    async def join(self, folder: Path, names: Sequence[str], target: str) -> None:
        """Make one track of its pieces, and remove them: no decoder sees them.

        :raises Unseekable: when they do not fit together.
        """
        await asyncio.to_thread(_join, folder, names, folder / target)

    async def inspect(self, folder: Path, name: str) -> Found:
        """What an MP4 file that was just made holds.

        :raises Unavailable: when it can't be read.
        """
        finished = await self._sandbox.run(
            command.inspect("mov", name), cwd=folder, limits=self._limits(_PROBE_SECONDS)
        )
        try:
            document = json.loads(finished.stdout)
            streams = document["streams"]
            pictures = [int(stream["nb_frames"]) for stream in streams if stream["codec_type"] == "video"]
            return Found(
                kinds=tuple(sorted(str(stream["codec_type"]) for stream in streams)),
                duration=float(document["format"]["duration"]),
                frames=pictures[0] if pictures else None,
            )
        except (ValueError, TypeError, KeyError, RecursionError) as error:
            raise Unavailable(f"{name} was made, but can't be read: {finished.errors[-200:].strip()}") from error

    async def check_encoders(self, folder: Path) -> None:
        """Do for a moment of picture and of sound what jobs do.

        :raises Misconfigured: when ffmpeg can't.
        """
        for ability, argv in command.trials():
            finished = await self._sandbox.run(argv, cwd=folder, limits=self._limits(_PROBE_SECONDS))
            if finished.returncode != 0:
                said = finished.errors.strip()[-200:]
                raise Misconfigured(f"ffmpeg can't {ability}: install a build that can ({said})")

    async def version(self, folder: Path) -> str:
        """As ffmpeg says it, such as `5.1.9-0+deb12u1`.

        :raises Misconfigured: when there is no ffmpeg.
        """
        finished = await self._sandbox.run(["ffmpeg", "-version"], cwd=folder, limits=self._limits(_PROBE_SECONDS))
        words = finished.stdout.decode(errors="replace").split()
        if finished.returncode != 0 or words[:2] != ["ffmpeg", "version"]:
            raise Misconfigured("ffmpeg is not there or does not start: install the distribution's package")
        return words[2]

    def _limits(self, seconds: float, *, stall: bool = False) -> sandbox_limits.Limits:
        return sandbox_limits.Limits(
            wall_seconds=seconds,
            cpu_seconds=int(seconds * 4),  # of all threads together
            memory_bytes=self._memory,
            file_bytes=_MAX_FILE,
            stall_seconds=_STALL_SECONDS if stall else None,
        )


@dataclass(kw_only=True)
class _Report:
    """What a command tells of itself by `-progress`: how many frames of its first picture, and seconds, it has made."""

    seconds: float
    on_share: Callable[[float], None]
    pace: Pace
    frames: int | None = field(default=None, init=False)
    at: float | None = field(default=None, init=False)
    _progress: command.Progress = field(default_factory=command.Progress, init=False)

    def read(self, line: str) -> bool:
        """One line; whether it tells of any progress."""
        if found := _FRAMES.fullmatch(line.strip()):
            self.frames = int(found[1])
        at = command.progress_seconds(line)
        if at is not None and at > (self.at or 0.0):
            self.at = at
            if self.seconds > 0:
                self.on_share(min(0.99, at / self.seconds))
        advances = self._progress.advances(line)
        if advances:
            self.pace.at(self.at or 0.0)
        return advances


def spent(usage: Usage) -> Spent:
    """A child's usage, as records keep it."""
    return Spent(
        wall_seconds=round(usage.wall_seconds, 3),
        cpu_seconds=round(usage.cpu_seconds, 3),
        peak_memory_bytes=usage.max_rss_bytes,
    )


def _index(path: Path) -> Index:
    try:
        with made.opened(path) as file:
            return boxes.read_index(_reading(file), os.fstat(file.fileno()).st_size)
    except (OSError, ValueError, Rejected) as error:
        raise Rejected(Reason.DAMAGED, "Nothing in it could be decoded.") from error


def _faults(path: Path, index: Index, clip: Clip, max_bit_rate: int) -> tuple[str, ...]:
    assert clip.video
    assert clip.timeline
    frames, seconds = clip.timeline.packets, 1 / clip.video.frame_rate
    with made.opened(path) as file:
        return compliance.faults(_reading(file), index, frames=frames, seconds=seconds, max_bit_rate=max_bit_rate)


def _reading(file: BufferedReader) -> boxes.Read:
    def read(offset: int, length: int) -> bytes:
        file.seek(offset)
        return file.read(length)

    return read


def _join(folder: Path, names: Sequence[str], target: Path) -> None:
    with ExitStack() as stack:
        files = [stack.enter_context(made.opened(folder / name)) for name in names]
        sources = [Source(read=_reading(file), size=os.fstat(file.fileno()).st_size) for file in files]
        try:
            parts = joining.joined(sources)
        except ValueError as error:
            raise Unseekable(f"its pieces do not fit together: {error}") from error
        made.remove(target)
        whole = stack.enter_context(target.open("xb"))
        for part in parts:
            if isinstance(part, Extent):
                files[part.piece].seek(part.offset)
                _copy(files[part.piece], whole, part.bytes)
            else:
                whole.write(part)
    for name in names:
        made.remove(folder / name)


def _copy(source: BufferedReader, target: BufferedWriter, size: int) -> None:
    while size:
        some = source.read(min(size, _CHUNK))
        if not some:
            raise Unavailable("a piece ends early")
        target.write(some)
        size -= len(some)


def _document(finished: Finished, sniffed: StreamFile) -> dict[str, Any]:
    if finished.returncode != 0 or not finished.stdout:
        raise _unreadable(finished, sniffed)
    try:
        return dict(json.loads(finished.stdout))
    except (ValueError, TypeError, RecursionError) as error:
        raise Rejected(Reason.DAMAGED, "Its headers could not be read.") from error


def _oversized(errors: str, limits: Limits) -> bool:
    """Whether it would not open a picture for its size, which leaves a track without any."""
    found = _SIZE.search(errors)
    return found is not None and int(found[1]) * int(found[2]) > limits.pixels


def _unreadable(finished: Finished, sniffed: StreamFile) -> Exception:
    """ffprobe could not open it: the end of what it said tells what kind of failure that is."""
    if error := _not_the_file(finished):
        return error
    if finished.returncode < 0:
        return Rejected(Reason.DAMAGED, "Reading its headers crashed the reader.")
    if "max_streams" in finished.errors:
        return Rejected(Reason.TOO_MANY_STREAMS, "It has more tracks than are accepted.")
    if "max pixel count" in finished.errors:
        return Rejected(Reason.TOO_MANY_PIXELS, _PIXELS)
    if "encryption" in finished.errors:
        return Rejected(Reason.ENCRYPTED, "The file is encrypted (DRM); upload it without protection.")
    if not sniffed.certain or "whitelist" in finished.errors:
        return Rejected(Reason.UNSUPPORTED_TYPE, "The file is no image, video or sound of a supported type.")
    return Rejected(Reason.DAMAGED, "Its headers could not be read: the file is damaged or incomplete.")


def _not_the_file(finished: Finished) -> Exception | None:
    """A SIGKILL that is not ours is the kernel's, for want of memory on this machine; our own were raised before."""
    if finished.returncode == -signal.SIGKILL:
        return Unavailable("the decoder was killed, perhaps for want of memory")
    if found := _WRONG_TOOL.search(finished.errors):
        return Misconfigured(f"ffmpeg is not the build that is needed: it says {found[0]!r}")
    return None


def _failed(finished: Finished) -> Exception:
    if _FULL.search(finished.errors):
        return Unavailable("the scratch disk is full")
    if error := _not_the_file(finished):
        return error
    if finished.returncode < 0:
        return Rejected(Reason.DAMAGED, "Decoding it crashed the decoder.")
    if _MEMORY in finished.errors:  # by our limit on one block: a header has asked for too much
        return Rejected(Reason.MEMORY_LIMIT, "Decoding it takes more memory than is allowed.")
    return Rejected(Reason.DAMAGED, "It could not be decoded: the file is damaged or incomplete.")
