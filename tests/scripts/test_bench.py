"""The benches: run small, so that they go on working, and say what they measured."""

import json
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import replace
from fractions import Fraction
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from scripts.benches import by_hand, ladders, video, watched
from scripts.benches.by_hand import Task
from scripts.benches.film import Planned
from scripts.benches.quality import Rendition as Rendered
from scripts.benches.video import Contender, Measured, Run
from scripts.benches.watched import FailedError, Spent
from service import recipes
from service.core import encoding, plan, step
from service.core.media import AudioStream, Clip, VideoStream
from service.core.plan import Encode, Named
from service.core.sniff import StreamFile
from service.core.step import Rendition, Sound
from tests.ecs.templates import ROOT

MESSAGES = 40
SECONDS = 2
#: Of an output's options those that the encoded picture does not depend on: how it is wrapped, and what is left out.
WRAPPING = {"-map", "-f", "-movflags", "-g", "-map_metadata", "-map_chapters", "-fflags", "-flags"}
SCALING = ("scale=", "setsar=", "format=", "setparams=")
COLOURS = {"-color_primaries", "-color_trc", "-colorspace", "-color_range"}
FULL_HD = Clip(
    container="mov",
    size=2_500_000,
    duration=10.0,
    bit_rate=None,
    video=VideoStream(
        index=0,
        codec="h264",
        width=1920,
        height=1080,
        frame_rate=Fraction(25),
        bit_rate=None,
        interlaced=False,
        transfer=None,
    ),
    audio=(AudioStream(index=1, codec="aac", channels=2, sample_rate=48_000, language=None, default=True),),
    streams=2,
    probe_score=100,
    sniffed=StreamFile(demuxers=("mov",), certain=True),
)


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
@pytest.mark.timeout(120)
def test_the_bench_of_the_queue_measures_every_contender(localstack: str) -> None:
    """Each empties its queue to the last message; the ratios are to the same contender, the first."""
    argv = ["scripts/bench", "queue", "--messages", str(MESSAGES), "--runs", "1", "--endpoint", localstack, "--json"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode in {0, 1}, done.stderr  # so few messages say nothing of how fast it is
    found = json.loads(done.stdout)
    contenders = found["contenders"]
    assert (MESSAGES, 1, "sqs-consumer") == (found["messages"], found["runs"], found["baseline"])
    assert [("sqs-consumer", 1.0)] == [(one["name"], one["ratio"]) for one in contenders if one["ratio"] == 1.0]
    assert ["media-worker, 10 slots", "media-worker, 64 slots"] == [one["name"] for one in contenders if one["ours"]]
    assert all(one["rate"] > 0 and one["cpu_ms"] > 0 for one in contenders)


def test_an_endpoint_that_does_not_answer_is_told_in_one_line(tmp_path) -> None:
    """Without a traceback."""
    argv = ["scripts/bench", "queue", "--messages", "1", "--runs", "1", "--endpoint", "http://127.0.0.1:9"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (2, 1) == (done.returncode, len(done.stderr.strip().splitlines())), done.stderr


# ---- films


@pytest.fixture(scope="module")
def clip(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two seconds in 4:2:2, which has to be encoded for the web whatever else is right about it."""
    made = tmp_path_factory.mktemp("film") / "clip.mp4"
    sources = [f"testsrc2=size=640x360:rate=25:duration={SECONDS}", f"sine=frequency=440:duration={SECONDS}"]
    inputs = [part for source in sources for part in ("-f", "lavfi", "-i", source)]
    encoded = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv422p", "-c:a", "aac"]
    subprocess.run(["ffmpeg", "-nostdin", "-v", "error", *inputs, *encoded, made], check=True)
    return made


def benched(*arguments: object) -> subprocess.CompletedProcess[str]:
    argv = ["scripts/bench", *map(str, arguments)]
    return subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)


def planned(clip: Clip = FULL_HD) -> Planned:
    """What the shipped recipe makes of a clip; the file is not looked at."""
    steps = [named.step for named in plan.make(clip, recipes.read().general, version="", done={}).steps]
    rungs = tuple(one for one in steps if isinstance(one, Rendition))
    return Planned(
        file=Path("film.mp4"), clip=clip, rungs=rungs, sound=next(one for one in steps if isinstance(one, Sound))
    )


def test_the_bench_of_films_measures_the_job_beside_both_ways_by_hand(clip: Path) -> None:
    """All make the same rungs with the same frames, about as good; the promises are about medians of the job."""
    done = benched("video", clip, "--runs", 1, "--json")
    assert done.returncode in {0, 1}, done.stderr  # so short a film says nothing of how fast it is
    found = json.loads(done.stdout)
    ours, one, each = contenders = found["contenders"]
    assert ["media-worker", "one command", "a command a rendition"] == [at["name"] for at in contenders]
    assert ("off", "off", 1) == (found["moderation"], found["captions"], found["runs"])
    assert [["360p", "240p"]] * 3 == [[rung["name"] for rung in at["renditions"]] for at in contenders]
    for same in zip(ours["renditions"], one["renditions"], each["renditions"], strict=True):
        assert [SECONDS * 25] * 3 == [rung["frames"] for rung in same]
        assert all(rung["ssim"] > 0.9 for rung in same)
        assert all((rung["vmaf"] is None) == (not found["vmaf"]) for rung in same)
    assert [1, 1, 3] == [len(at["commands"]) for at in contenders]  # one each for two rungs and the sound
    assert {"hls", "dash", "progressive"} <= set(found["also_made"])
    assert found["same_work"]
    check_numbers(contenders, found["ratios"])


def check_numbers(contenders: Sequence[Mapping[str, Any]], ratios: Sequence[Mapping[str, Any]]) -> None:
    for at in contenders:
        assert at["seconds"] == pytest.approx(median(at["runs"]), abs=0.001)
        assert at["bytes"] == sum(rung["bytes"] for rung in at["renditions"]) > 0
        assert min(at["cpu_seconds"], at["peak_memory_bytes"]) > 0
    ours, *others = contenders
    assert ours["seconds"] < ours["command_seconds"]
    for ratio, other in zip(ratios, others, strict=True):
        assert ratio["to"] == other["name"]
        assert ratio["job"] == pytest.approx(ours["seconds"] / other["seconds"], abs=0.001)
        assert ratio["met"] == (ours["seconds"] / other["seconds"] <= ratio["at_most"])
    assert [1.10, 0.75] == [ratio["at_most"] for ratio in ratios]


def told(name: str, seconds: Sequence[float], folder: Path) -> Measured:
    """What is told of a contender that took so long each time, its whole command a second more."""
    runs = [
        Run(seconds=each, spent=Spent(seconds=each + 1, cpu_seconds=each, peak_memory_bytes=1), made={})
        for each in seconds
    ]
    contender = Contender(name=name, run=lambda *_: runs[0], commands=lambda _: ())
    return video.summary(contender, Task(source=Path(), clip=FULL_HD, rungs=()), runs, folder, vmaf=False)


def test_ratios_are_those_of_the_medians(tmp_path: Path) -> None:
    """One slow run of anybody changes nothing; the job counts, and the whole command is told beside it."""
    found = {
        video.OURS: told(video.OURS, [4.2, 4.0, 30.0, 4.4, 4.6], tmp_path),
        video.ONE: told(video.ONE, [4.0, 90.0, 4.0, 3.9, 4.1], tmp_path),
        video.EACH: told(video.EACH, [8.0, 1.0, 8.0, 8.0, 8.0], tmp_path),
    }
    one, each = video.ratios(found)
    assert (video.ONE, 1.1, 1.08, True) == (one.to, one.job, one.command, one.met)
    assert (video.EACH, 0.55, 0.6, True) == (each.to, each.job, each.command, each.met)
    (slow, _) = video.ratios(found | {video.OURS: replace(found[video.OURS], seconds=4.5)})
    assert (1.125, False) == (slow.job, slow.met)


def rendition(**differs: Any) -> Rendered:
    usual = {"bytes": 1000, "bit_rate": 8000, "frames": 25, "ssim": 0.98, "vmaf": None}
    return Rendered(**{"name": "360p", "width": 640, "height": 360, "max_bit_rate": 800_000, **usual, **differs})


@pytest.mark.parametrize(
    ("ours", "same"),
    [({}, True), ({"bytes": 1050, "ssim": 0.981}, True)]
    + [(differs, False) for differs in ({"ssim": 1.0}, {"bytes": 3000}, {"frames": 24})],
)
def test_renditions_that_are_not_alike_are_not_the_same_work(
    tmp_path: Path, ours: dict[str, Any], *, same: bool
) -> None:
    """A picture that was copied is as good as its source, and as large: no work to compare."""
    made = [rendition(**ours), rendition()]
    contenders = [replace(told("one of them", [1.0], tmp_path), renditions=(one,)) for one in made]
    assert same == video.same_work(contenders)


@pytest.mark.parametrize(
    "colours",
    [
        {},
        {"matrix": "smpte170m"},
        {"matrix": "bt470bg", "full_range": True},
        {"matrix": "bt2020nc"},
        {"matrix": "gbr", "full_range": True},
    ],
)
def test_commands_by_hand_encode_with_the_options_of_the_service(colours: dict[str, Any]) -> None:
    """What is compared has to be the same work: if this fails, `by_hand` has to be taught what the service does now."""
    assert FULL_HD.video
    film = planned(replace(FULL_HD, video=replace(FULL_HD.video, **colours)))
    steps = tuple(Named(digest=step.digest(one, version=""), step=one) for one in film.rungs)
    ours = encoding.encode(Encode(clip=film.clip, steps=steps), recipes.read().general.limits)
    rungs = tuple(by_hand.rung(one) for one in film.rungs)
    theirs = by_hand.one_command(Task(source=film.file, clip=film.clip, rungs=rungs, sound=film.sound))
    assert 4 * len(rungs) == len(scalers(ours))
    assert scalers(ours) == scalers(theirs)
    for rung in rungs:
        assert encoder(ours, rung.file) == encoder(theirs, rung.file)
        assert COLOURS <= encoder(ours, rung.file).keys()


def scalers(argv: Sequence[str]) -> list[list[str]]:
    """The filters of each rung's leg, their options in the order of the alphabet."""
    graph = argv[argv.index("-filter_complex") + 1]
    legs = [leg.strip("[]").split("]", 1)[-1].split("[")[0] for leg in graph.replace("];[", "]\n[").split("\n")]
    filters = [name for leg in legs for name in leg.split(",") if name.startswith(SCALING)]
    return sorted(sorted(one.split("=", 1)[1].split(":")) for one in filters)


def encoder(argv: Sequence[str], file: str) -> dict[str, str]:
    """The options of one output, but for its wrapping."""
    end = argv.index(file)
    begin = end - list(reversed(argv[:end])).index("-map") - 1
    options = dict(zip(argv[begin:end:2], argv[begin + 1 : end : 2], strict=True))
    return {name: value for name, value in options.items() if name not in WRAPPING}


def test_the_bench_of_ladders_makes_each_in_each_preset(clip: Path) -> None:
    """None has a rung above the source; the one that ships is marked."""
    done = benched("ladder", clip, "--seconds", 1, "--preset", "veryfast", "--json")
    assert done.returncode == 0, done.stderr
    found = json.loads(done.stdout)
    names = {at["ladder"]: [rung["name"] for rung in at["renditions"]] for at in found["made"]}
    assert {
        "ours": ["360p", "240p"],
        "PeerTube": ["360p", "240p", "144p"],
        "AWS Video on Demand": ["360p", "270p"],
    } == names
    assert [("ours", "veryfast")] == [(at["ladder"], at["preset"]) for at in found["made"] if at["shipped"]]
    for at in found["made"]:
        assert at["bytes"] == sum(rung["bytes"] for rung in at["renditions"])
        assert at["cpu_seconds"] > 0
        assert all(rung["frames"] == 25 and rung["ssim"] > 0.9 for rung in at["renditions"])


def test_the_ladders_of_others_are_those_of_their_sources() -> None:
    """PeerTube: 0.1 to 0.19 bits a pixel; AWS: the numbers of its template. Both for 1080p at 25 frames a second."""
    found = {name: {rung.name: rung for rung in rungs} for name, rungs in ladders.ladders(planned())}
    peertube, aws = found[ladders.PEERTUBE], found[ladders.AWS]
    assert [5_184_000, 10_368_000] == [peertube["1080p"].max_bit_rate, peertube["1080p"].buffer]
    assert (256, 144, 175_104) == (peertube["144p"].width, peertube["144p"].height, peertube["144p"].max_bit_rate)
    assert ["1080p", "720p", "540p", "360p", "270p"] == list(aws)
    assert (960, 3_500_000, 8_750_000) == (aws["540p"].width, aws["540p"].max_bit_rate, aws["540p"].buffer)


def test_peertube_spends_little_more_than_the_source_has() -> None:
    """Its ceiling is 1.3 times the source's own bit rate, where that is known."""
    assert FULL_HD.video
    poor = replace(FULL_HD, video=replace(FULL_HD.video, bit_rate=1_000_000))
    found = dict(ladders.ladders(planned(poor)))[ladders.PEERTUBE]
    assert [1_300_000, 1_300_000, 1_229_760] == [rung.max_bit_rate for rung in found[:3]]


@pytest.mark.parametrize("name", ["away.mp4", "text.mp4"])
def test_what_is_no_film_is_told_in_one_line(tmp_path: Path, name: str) -> None:
    """Without a traceback."""
    (tmp_path / "text.mp4").write_text("no film")
    done = benched("video", tmp_path / name, "--runs", 1)
    assert (2, 1) == (done.returncode, len(done.stderr.strip().splitlines())), done.stderr
    assert name in done.stderr


def test_a_command_that_fails_is_told_with_its_last_words(tmp_path: Path) -> None:
    """And with what it had written by then."""
    with pytest.raises(FailedError, match="sh ended with 3: no luck") as failed:
        watched.run(["sh", "-c", "echo half; echo no luck >&2; exit 3"], folder=tmp_path)
    assert failed.value.said == b"half\n"
