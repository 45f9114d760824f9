"""A worker is killed late in the encode of a film of half an hour: that costs one piece, and no frame of the result."""

import json
import subprocess
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from random import Random
from typing import Any

from scripts import children
from scripts.chaos_run import check, crew
from scripts.chaos_run import world as worlds
from scripts.chaos_run.corpus import RECIPE, Upload
from scripts.chaos_run.crew import Watch, Worker
from scripts.chaos_run.report import Report
from scripts.chaos_run.story import Courier, Put
from scripts.chaos_run.world import World
from service.core.manifest import Manifest
from service.core.places import Places, is_record, name
from service.core.record import Record

_PATIENCE = 1200.0
_LOOK = 0.03  # seconds between two looks
_UNDISTURBED, _KILLED = "undisturbed.mp4", "killed.mp4"

Packet = tuple[Any, ...]


@dataclass(kw_only=True)
class Encodes:
    """Which ffmpeg commands a worker was seen to run for pieces, by the process: each runs for seconds."""

    seen: dict[int, str] = field(default_factory=dict)

    def look(self, worker: Worker) -> set[str]:
        """The pieces that are being encoded now."""
        assert worker.process
        now: set[str] = set()
        for pid in children.left(worker.process.pid):
            if piece := _piece(pid):
                self.seen[pid] = piece
                now.add(piece)
        return now

    @property
    def begun(self) -> list[str]:
        """Every piece that was begun, as often as it was, in order."""
        return sorted(self.seen.values())


def _piece(pid: int) -> str | None:
    """`000`, where a process is ffmpeg at work on that piece."""
    with suppress(OSError):
        argv = Path(f"/proc/{pid}/cmdline").read_bytes().decode(errors="replace").split("\0")
        if argv[0].endswith("ffmpeg"):
            names = [word.removesuffix(".mp4").rpartition("-")[2] for word in argv if word.endswith(".mp4")]
            return next((one for one in names if len(one) == 3 and one.isdecimal()), None)
    return None


@dataclass(kw_only=True)
class Film:
    """A run under way."""

    world: World
    worker: Worker
    source: bytes

    def upload(self, key: str) -> None:
        """Put the film up, and say so."""
        put = Put(key=key, upload=Upload(kind="film", content=self.source))
        self.world.perform(put)
        (letter, *_) = Courier(bucket=self.world.resources.uploads, random=Random(1)).letters(put)
        self.world.send(letter)

    def until(self, over: Callable[[set[str]], bool], encodes: Encodes) -> None:
        """Watch what is encoded until something is so."""
        deadline = time.monotonic() + _PATIENCE
        while not over(encodes.look(self.worker)):
            if time.monotonic() > deadline or not self.worker.alive:
                raise RuntimeError("the film was not published")
            time.sleep(_LOOK)

    def status(self, key: str) -> str | None:
        """What the page says."""
        manifest = self.manifest(key)
        return manifest.status if manifest else None

    def manifest(self, key: str) -> Manifest | None:
        """The page."""
        body = self.read(self.at(key).manifest)
        return Manifest.model_validate_json(body) if body else None

    def at(self, key: str) -> Places:
        """Where things of a key lie."""
        return Places(name=name(self.world.resources.uploads, key, several_buckets=False))

    def read(self, key: str) -> bytes | None:
        """An object of the output bucket."""
        with suppress(self.world.s3.exceptions.NoSuchKey):
            return bytes(self.world.s3.get_object(Bucket=self.world.resources.published, Key=key)["Body"].read())
        return None

    def records(self, key: str) -> list[Record]:
        """What is done of a key."""
        found = self.world.s3.list_objects_v2(Bucket=self.world.resources.published, Prefix=self.at(key).versions)
        keys = [one["Key"] for one in found.get("Contents", []) if is_record(one["Key"])]
        return [Record.model_validate_json(body) for one in keys if (body := self.read(one))]

    def pieces(self, key: str) -> int:
        """How many pieces have a record now."""
        return sum(1 for record in self.records(key) if any(step.kind == "Piece" for step in record.steps))

    def tracks(self, key: str, folder: Path) -> dict[str, list[Packet]]:
        """The packets of every rendition and of the sound."""
        files = {
            file.name: record.folder + file.name
            for record in self.records(key)
            for step in record.steps
            for file in step.files
            if file.name.endswith(".mp4")
        }
        return {one: _packets(self.read(place) or b"", folder / one) for one, place in files.items()}


def _packets(content: bytes, path: Path) -> list[Packet]:
    """Times in the track's own units, duration and flags of every packet, as ffprobe reads them."""
    path.write_bytes(content)
    entries = "packet=stream_index,pts,dts,duration,flags"
    argv = ["ffprobe", "-v", "error", "-show_entries", entries, "-of", "json", str(path)]
    found = json.loads(subprocess.run(argv, check=True, capture_output=True).stdout)["packets"]
    fields = ("stream_index", "pts", "dts", "duration", "flags")
    return [tuple(packet.get(one) for one in fields) for packet in found]


def run(folder: Path, *, minutes: int) -> Report:
    """The same film twice: undisturbed, and killed while the last but one piece is under way."""
    began = time.monotonic()
    source = _make(folder / "film.mp4", minutes)
    with worlds.running(folder) as world:
        variables = crew.environment(world.resources, folder, RECIPE, MEDIA_SLOTS=1)
        worker = Worker(name="worker", folder=folder, environment=variables)
        film = Film(world=world, worker=worker, source=source)
        watch = Watch()
        with worker.ended():
            undisturbed, before, after, done = _both(film)
            worker.terminate(within=60)
        watch.settle([])
        expected, found = film.tracks(_UNDISTURBED, folder), film.tracks(_KILLED, folder)
        findings = check.check(world.histories, world.bucket(), world.told(), uploads=world.resources.uploads)
        pieces = len(set(undisturbed.begun))
        again = len(before.begun) + len(after.begun) - pieces
        frames = {name: len(packets) for name, packets in expected.items()}
        return Report(
            figures={
                "minutes": minutes,
                "pieces": pieces,
                "done when it was killed": done,
                "begun before": ", ".join(before.begun),
                "begun after": ", ".join(after.begun),
                "encoded again": again,
                "packets of each track": ", ".join(f"{name}: {count}" for name, count in sorted(frames.items())),
                "seconds": round(time.monotonic() - began),
            },
            wrong={
                "pieces lost beyond one": ["more than one"] * max(0, again - 1),
                "not killed in the last but one": [] if done == pieces - 2 and pieces > 2 else [f"{done} of {pieces}"],
                "otherwise than undisturbed": _differences(expected, found),
                "lost": findings.lost,
                "double": findings.double,
                "partial": findings.partial,
                "stray objects": findings.stray,
                "orphans": watch.found,
                "scratch left": crew.scratch_left(folder),
            },
        )


def _both(film: Film) -> tuple[Encodes, Encodes, Encodes, int]:
    undisturbed, before, after = Encodes(), Encodes(), Encodes()
    film.worker.start()
    film.upload(_UNDISTURBED)
    film.until(lambda _now: film.status(_UNDISTURBED) == "ready", undisturbed)
    wanted = f"{len(set(undisturbed.begun)) - 2:03}"
    film.upload(_KILLED)
    film.until(lambda now: wanted in now, before)
    time.sleep(0.3)  # so that something of it is lost
    film.worker.kill()
    done = film.pieces(_KILLED)
    film.worker.start()
    film.until(lambda _now: film.status(_KILLED) == "ready", after)
    film.until(lambda _now: film.world.quiet(), after)
    return undisturbed, before, after, done


def _differences(expected: dict[str, list[Packet]], found: dict[str, list[Packet]]) -> list[str]:
    differ = [f"{name}: is not there" for name in sorted(set(expected) ^ set(found))]
    for one in sorted(set(expected) & set(found)):
        if expected[one] != found[one]:
            at = next(
                (n for n, pair in enumerate(zip(expected[one], found[one], strict=False)) if pair[0] != pair[1]), -1
            )
            differ.append(f"{one}: {len(found[one])} packets, not {len(expected[one])}; the first that differs is {at}")
    return differ


def _make(path: Path, minutes: int) -> bytes:
    """A clock to look at and a tone to hear; no longer than two seconds between keyframes."""
    inputs: Sequence[str] = [
        *("-f", "lavfi", "-i", f"testsrc2=size=160x90:rate=10:duration={minutes * 60}"),
        *("-f", "lavfi", "-i", f"sine=frequency=440:duration={minutes * 60}"),
    ]
    coded = ["-c:v", "libx264", "-preset", "ultrafast", "-g", "20", "-pix_fmt", "yuv420p", "-c:a", "aac", "-b:a", "32k"]
    subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-y", *inputs, *coded, path], check=True)
    return path.read_bytes()
