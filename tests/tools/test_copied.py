"""Sources that comply, copied by the real ffmpeg: the same frames, and fragments as long as the encoded rungs' are."""

import json
import shutil
import struct
import subprocess
from collections.abc import AsyncIterator
from dataclasses import replace
from fractions import Fraction
from importlib.resources import files
from itertools import accumulate
from pathlib import Path

import pytest

from service.core import boxes, command, compliance, copying, encoding, isobmff, pieces, plan, recipe, sniff, verify
from service.core.boxes import Index
from service.core.media import Clip
from service.core.plan import Encode, Named, Plan
from service.core.record import StepRecord
from service.core.step import Copy, Piece, Poster, Rendition
from service.tools.ffmpeg import FFmpeg
from service.tools.sandbox import Sandbox

RULES = recipe.read(
    "captions.provider = 'off'\n[video]\nladder = [\n"
    "{ height = 180, max_bit_rate = 3_000_000 }, { height = 90, max_bit_rate = 300_000 }]",
    shipped=(files("service") / "recipe.toml").read_text(),
).general
MOST = RULES.video.ladder[0].max_bit_rate


def picture(rate: str = "25", seconds: float = 3, size: str = "320x180") -> list[str]:
    """Moving test pattern."""
    return ["-f", "lavfi", "-i", f"testsrc2=size={size}:rate={rate}:duration={seconds}"]


TAGGED = ["-color_primaries", "bt709", "-color_trc", "bt709", "-colorspace", "bt709", "-color_range", "tv"]
H264 = [*("-c:v", "libx264", "-preset", "veryfast", "-pix_fmt", "yuv420p", "-b:v", "600k"), *TAGGED]
UPRIGHT, TURNED = (1 << 16, 0, 0, 0, 1 << 16), (0, 1 << 16, 0, -(1 << 16), 0)  # matrices (14496-12, 8.3.2)
SOUND = ["-f", "lavfi", "-i", "sine=duration=3", "-c:a", "aac"]
GOP = ["-g", "25", "-bf", "3"]

COMPLYING = {
    "b_frames.mp4": [*picture(), *H264, *GOP],
    "none.mp4": [*picture(), *H264, "-g", "50", "-bf", "0"],
    "sound.mp4": [*picture(), *SOUND, *H264, *GOP],
    "ntsc.mp4": [*picture("30000/1001"), *H264, "-g", "45", "-bf", "2"],
    "film.mov": [*picture("24000/1001"), *SOUND, *H264, "-g", "48", "-bf", "2"],
    "slow_clock.mp4": [*picture("30"), *H264, "-g", "30", "-video_track_timescale", "600"],
    "scenes.mp4": [*picture(), *H264, *GOP, "-force_key_frames", "0.6,1.64,2.2"],
    "fragments.mp4": [*picture(), *H264, *GOP, "-movflags", "frag_keyframe+empty_moov"],
    "matroska.mkv": [*picture(), *H264, *GOP],
    "fast.mp4": [*picture("60"), *H264, "-g", "120", "-bf", "3"],
    "baseline.mp4": [*picture(), *H264, "-g", "50", "-profile:v", "baseline"],
    "hd.mp4": [*picture(size="180x320"), *H264, *GOP],
    "four_seconds.mp4": [*picture(seconds=5), *H264, "-g", "100"],
}

REFUSED = {
    "open.mp4": ([*picture(), *H264, *GOP, "-x264-params", "open-gop=1:scenecut=0"], "open GOPs"),
    "long.mp4": ([*picture(seconds=6), *H264, "-g", "125"], "5.0 s apart"),
    "short.mp4": ([*picture(), *H264, "-g", "5"], "less than 0.5"),
    "uneven.mp4": ([*picture(), *H264, *GOP, "-vf", "select=not(eq(mod(n\\,7)\\,3))", "-vsync", "vfr"], "not constant"),
    "wide.mp4": ([*picture(), *H264, *GOP, "-pix_fmt", "yuv422p"], "not 8-bit 4:2:0"),
    "deep.mp4": ([*picture(), *H264, *GOP, "-pix_fmt", "yuv420p10le"], "not 8-bit 4:2:0"),
    "fields.mp4": ([*picture(), *H264, *GOP, "-flags", "+ildct+ilme", "-x264-params", "tff=1"], "interlaced"),
    "anamorphic.mp4": ([*picture(), *H264, *GOP, "-vf", "setsar=4/3"], "turn, crop or stretch"),
    "late.mp4": (
        [
            *SOUND[:4],
            "-itsoffset",
            "0.5",
            *picture(),
            "-map",
            "1",
            "-map",
            "0",
            "-vsync",
            "vfr",
            "-c:a",
            "aac",
            *H264,
            *GOP,
        ],
        "begin",
    ),
    "untagged.mp4": ([*picture(), "-c:v", "libx264", "-pix_fmt", "yuv420p", "-b:v", "600k"], "not BT.709"),
    "full.mp4": ([*picture(), *H264, *GOP, "-color_range", "pc"], "not limited"),
    "heavy.mp4": ([*picture(), *H264, *GOP, "-vf", "noise=alls=60:allf=t", "-crf", "1"], "Mb/s"),
    "large.mp4": ([*picture(size="480x270"), *H264, *GOP], "over 180 pixels"),
    "transport.ts": ([*picture(), *H264, *GOP], "mpegts"),
    "coarse.mkv": ([*picture("30000/1001"), *H264, *GOP], "too coarse"),
    "other.mp4": ([*picture(), "-c:v", "mpeg4", "-g", "25"], "not H.264"),
}


@pytest.fixture(name="films")
async def _films() -> AsyncIterator[FFmpeg]:
    async with Sandbox() as sandbox:
        yield FFmpeg(sandbox, memory_bytes=1 << 30)


def ffmpeg(*arguments: str) -> str:
    """What ffmpeg says on stdout."""
    argv = ["ffmpeg", "-v", "error", "-nostdin", "-y", *arguments]
    return subprocess.run(argv, check=True, capture_output=True, text=True).stdout


async def uploaded(films: FFmpeg, folder: Path, path: Path) -> Clip:
    """What an upload is."""
    shutil.copyfile(path, folder / command.SOURCE)
    sniffed = sniff.sniff(path.read_bytes()[: sniff.HEAD_BYTES])
    assert isinstance(sniffed, sniff.StreamFile)
    return await films.probe(folder, sniffed, path.stat().st_size, RULES.limits)


async def made(films: FFmpeg, folder: Path, name: str, arguments: list[str]) -> Clip:
    """A clip that ffmpeg writes."""
    ffmpeg(*arguments, str(folder / name))
    return await uploaded(films, folder, folder / name)


async def run(films: FFmpeg, folder: Path, argv: list[str]) -> None:
    """ffmpeg, as a job runs it."""
    await films.run(folder, argv, seconds=10, on_share=lambda _share: None)


def planned(clip: Clip) -> Plan:
    """What is to be done once the copy is there, if there is to be one."""
    first = plan.make(clip, RULES, version="0" * 32, done={})
    copies = [named for named in first.steps if isinstance(named.step, Copy)]
    done = {named.digest: StepRecord(digest=named.digest, kind="Copy", rhythm="abc") for named in copies}
    return plan.make(clip, RULES, version="0" * 32, done=done)


def rungs(clip: Clip) -> list[Copy | Rendition]:
    """The ladder."""
    return [named.step for named in planned(clip).steps if isinstance(named.step, Copy | Rendition)]


def smallest(clip: Clip) -> Rendition:
    """The rung that is encoded in any case."""
    *_, found = rungs(clip)
    assert isinstance(found, Rendition)
    return found


def reasons(clip: Clip) -> tuple[str, ...]:
    """Why a clip is not copied."""
    rate = Fraction(rungs(clip)[0].frame_rate)
    return compliance.reasons_against(clip, RULES.video, max_bit_rate=MOST, frame_rate=rate)


async def copy(films: FFmpeg, folder: Path, clip: Clip) -> tuple[Index, tuple[str, ...]]:
    """The copy, and what is wrong with it."""
    await run(films, folder, copying.copy(clip, "copy.mp4", RULES.limits))
    index = await films.index(folder / "copy.mp4")
    return index, await films.faults(folder / "copy.mp4", index, clip, max_bit_rate=MOST)


async def encoded(films: FFmpeg, folder: Path, clip: Clip) -> Index:
    """The next rung, with the source's keyframes."""
    small = smallest(clip)
    await run(films, folder, encoding.encode(_group(clip), RULES.limits))
    return await films.index(folder / f"{small.name}.mp4")


def frames(path: Path) -> list[str]:
    """The MD5 of every frame, in order of presentation."""
    lines = ffmpeg("-i", str(path), "-map", "0:v", "-fps_mode", "passthrough", "-f", "framemd5", "-").splitlines()
    return [line.rpartition(",")[2].strip() for line in lines if not line.startswith("#")]


def shown(path: Path) -> list[Fraction]:
    """Seconds from the first frame to each."""
    argv = ["ffprobe", "-v", "error", "-select_streams", "v", "-show_entries", "stream=time_base:packet=pts"]
    lines = subprocess.run(
        [*argv, "-of", "csv=p=0", str(path)], check=True, capture_output=True, text=True
    ).stdout.split()
    times = sorted(int(line.rstrip(",")) for line in lines[:-1])
    return [(time - times[0]) * Fraction(lines[-1].rstrip(",")) for time in times]


def composed(path: Path, index: Index) -> list[Fraction]:
    """The same of a CMAF track, by its boxes: ffprobe shifts times of its own accord where offsets are negative."""
    data, times = path.read_bytes(), []
    for fragment in index.segments:
        traf = isobmff.child(data[fragment.offset : fragment.offset + fragment.bytes], "moof", "traf")
        tfhd, tfdt, trun = (isobmff.child(traf, kind) for kind in ("tfhd", "tfdt", "trun"))
        at = int.from_bytes(tfdt[4:], "big")
        given, count = struct.unpack_from(">II", trun)
        assert trun[0] == 1, "offsets have a sign"
        begin = 8 + 4 * bool(given & 0x1) + 4 * bool(given & 0x4)
        columns = [bit for bit in (0x100, 0x200, 0x400, 0x800) if given & bit]
        default = struct.unpack_from(">I", tfhd, 12 if tfhd[3] & 0x2 else 8)[0] if tfhd[3] & 0x8 else None
        for row in struct.iter_unpack(f">{len(columns)}i", trun[begin : begin + 4 * len(columns) * count]):
            sample = dict(zip(columns, row, strict=True))
            times.append(at + sample.get(0x800, 0))
            at += sample.get(0x100, default)
    return sorted(Fraction(time, index.timescale) for time in times)


def begins(path: Path, index: Index) -> Fraction:
    """The decode time of a track's first fragment."""
    data = path.read_bytes()
    return boxes.begins(lambda offset, length: data[offset : offset + length], index)


@pytest.mark.parametrize("name", COMPLYING)
async def test_what_complies_is_copied(name: str, films: FFmpeg, tmp_path: Path) -> None:
    """The copy has the source's frames at its times, begins at zero, and the next rung has fragments as long."""
    clip = await made(films, tmp_path, name, COMPLYING[name])
    assert () == reasons(clip)
    index, faults = await copy(films, tmp_path, clip)
    assert () == faults
    assert frames(tmp_path / name) == frames(tmp_path / "copy.mp4")
    assert shown(tmp_path / name) == composed(tmp_path / "copy.mp4", index)
    other = await encoded(films, tmp_path, clip)
    assert compliance.aligned(index, other)
    assert index.samples == other.samples
    assert 0 == begins(tmp_path / "copy.mp4", index) == begins(tmp_path / "90p.mp4", other)
    assert composed(tmp_path / "90p.mp4", other) == composed(tmp_path / "copy.mp4", index)


@pytest.mark.parametrize("name", REFUSED)
async def test_what_does_not_comply_is_encoded(name: str, films: FFmpeg, tmp_path: Path) -> None:
    """Each for its own reason."""
    arguments, why = REFUSED[name]
    clip = await made(films, tmp_path, name, arguments)
    assert any(why in reason for reason in reasons(clip)), reasons(clip)


async def test_what_a_cut_hides_is_not_brought_back(films: FFmpeg, tmp_path: Path) -> None:
    """An edit list that begins between two keyframes would lose its beginning, or show what was cut away."""
    ffmpeg(*picture(), *H264, *GOP, str(tmp_path / "whole.mp4"))
    clip = await made(films, tmp_path, "cut.mp4", ["-ss", "1.4", "-i", str(tmp_path / "whole.mp4"), "-c", "copy"])
    assert any("edit list" in reason for reason in reasons(clip))


async def test_what_is_turned_is_encoded(films: FFmpeg, tmp_path: Path) -> None:
    """A phone's picture is turned by its player; the encoded rungs are upright."""
    ffmpeg(*picture(), *H264, *GOP, str(tmp_path / "whole.mp4"))
    data = (tmp_path / "whole.mp4").read_bytes()
    upright, turned = (struct.pack(">9i", *matrix, 0, 0, 0, 1 << 30) for matrix in (UPRIGHT, TURNED))
    before, tkhd, after = data.partition(b"tkhd")
    (tmp_path / "turned.mp4").write_bytes(before + tkhd + after.replace(upright, turned, 1))
    clip = await uploaded(films, tmp_path, tmp_path / "turned.mp4")
    assert clip.video
    assert (180, 320) == (clip.video.width, clip.video.height)
    assert any("turn, crop or stretch" in reason for reason in reasons(clip))


async def test_keyframe_that_nothing_can_begin_at(films: FFmpeg, tmp_path: Path) -> None:
    """Intra refresh marks pictures as keyframes that are none: no header tells, but the bits of the copy do."""
    clip = await made(
        films, tmp_path, "refresh.mp4", [*picture(), *H264, "-g", "25", "-bf", "0", "-x264-params", "intra-refresh=1"]
    )
    assert () == reasons(clip)
    _, faults = await copy(films, tmp_path, clip)
    assert ("a keyframe is none that a decoder can begin at (no IDR)",) == faults


async def test_several_encodes_in_one_track(films: FFmpeg, tmp_path: Path) -> None:
    """What was put together from two encodes changes its parameter sets on the way."""
    for name, bits in (("one", "400k"), ("two", "900k")):
        ffmpeg(
            *picture(seconds=2),
            *H264,
            *GOP,
            "-b:v",
            bits,
            "-bf",
            "0" if name == "one" else "3",
            str(tmp_path / f"{name}.mp4"),
        )
    (tmp_path / "list").write_text("file one.mp4\nfile two.mp4\n")
    clip = await made(films, tmp_path, "both.mp4", ["-f", "concat", "-i", str(tmp_path / "list"), "-c", "copy"])
    _, faults = await copy(films, tmp_path, clip)
    assert "its parameter sets lie between the frames" in faults


async def test_parameter_sets_between_frames(films: FFmpeg, tmp_path: Path) -> None:
    """What came over a transport stream repeats them before each keyframe."""
    ffmpeg(*picture(), *H264, *GOP, str(tmp_path / "stream.ts"))
    clip = await made(films, tmp_path, "remuxed.mp4", ["-i", str(tmp_path / "stream.ts"), "-c", "copy"])
    assert () == reasons(clip)
    _, faults = await copy(films, tmp_path, clip)
    assert ("its parameter sets lie between the frames",) == faults


async def test_nothing_of_the_source_but_its_picture(films: FFmpeg, tmp_path: Path) -> None:
    """An encoder's settings, which x264 writes into the stream, tags and titles are gone; colours are declared."""
    secret = ["-metadata", "title=secret", "-metadata:s:v", "handler_name=secret"]
    clip = await made(films, tmp_path, "tagged.mp4", [*picture(), *H264, *GOP, *secret])
    assert b"x264" in (tmp_path / "tagged.mp4").read_bytes()
    await copy(films, tmp_path, clip)
    data = (tmp_path / "copy.mp4").read_bytes()
    assert not [word for word in (b"x264", b"secret", b"Lavf", b"Lavc") if word in data]
    copied = await uploaded(films, tmp_path, tmp_path / "copy.mp4")
    assert copied.video
    assert ("bt709", "bt709", "bt709") == (copied.video.primaries, copied.video.transfer, copied.video.matrix)


async def test_damage_is_noticed_by_the_decoder(films: FFmpeg, tmp_path: Path) -> None:
    """A copy of damaged slices is no worse formed than any: only who decodes them knows."""
    ffmpeg(*picture(), *H264, *GOP, str(tmp_path / "whole.mp4"))
    data = bytearray((tmp_path / "whole.mp4").read_bytes())
    middle = data.index(b"mdat") + 30_000
    data[middle : middle + 400] = bytes(200) * 2
    (tmp_path / "damaged.mp4").write_bytes(data)
    clip = await uploaded(films, tmp_path, tmp_path / "damaged.mp4")
    assert () == reasons(clip)
    _, faults = await copy(films, tmp_path, clip)
    assert () == faults
    argv = encoding.encode(_group(clip), RULES.limits)
    ran = await films.run(tmp_path, argv, seconds=3, on_share=lambda _share: None)
    assert verify.damage(ran, clip)


def _group(clip: Clip) -> Encode:
    return Encode(clip=clip, steps=(Named(digest="0" * 40, step=smallest(clip)),))


@pytest.mark.parametrize("name", ["scenes.mp4", "ntsc.mp4", "film.mov", "b_frames.mp4"])
async def test_pieces_that_begin_at_keyframes(name: str, films: FFmpeg, tmp_path: Path) -> None:
    """Cut at two of the source's keyframes, pieces join to fragments as long as those of the copy."""
    clip = await made(films, tmp_path, name, COMPLYING[name])
    assert () == reasons(clip)
    index, _ = await copy(films, tmp_path, clip)
    small = smallest(clip)
    rate = Fraction(small.frame_rate)
    keys = [int(begin * rate) for begin in accumulate(fragment.duration for fragment in index.segments)]
    starts = [0, keys[0], *keys[1:2]] if len(keys) > 2 else [0, keys[0]]
    names = []
    for number, first in enumerate(starts):
        after = starts[number + 1] - first if number + 1 < len(starts) else None
        piece = Piece(number=number, first=first, frames=after, lead=min(first, 2 * round(rate)), rungs=(small,))
        await run(films, tmp_path, encoding.encode_piece(piece, clip, RULES.limits))
        names.append(pieces.file(piece, small))
    await films.join(tmp_path, names, "joined.mp4")
    joined = await films.index(tmp_path / "joined.mp4")
    assert compliance.aligned(index, joined)
    assert index.samples == joined.samples


async def test_a_long_film_is_cut_at_its_own_keyframes(
    films: FFmpeg, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As it is planned: at keyframes that lie nowhere in particular, and what is joined fits the copy."""
    monkeypatch.setattr(pieces, "LONG", 60)
    monkeypatch.setattr(pieces, "SECONDS", 60)
    scenes = [
        *picture("24000/1001", 150, "160x90"),
        *H264,
        "-g",
        "80",
        "-bf",
        "2",
        "-force_key_frames",
        "1,61.3,62,119",
    ]
    clip = await made(films, tmp_path, "long.mp4", scenes)
    assert () == reasons(clip)
    index, faults = await copy(films, tmp_path, clip)
    assert () == faults
    rung = replace(encoded_alone(clip), gop_seconds=0.0)
    cut = pieces.cut(clip, [rung])
    assert clip.timeline
    assert len(cut) > 1
    assert {piece.first for piece in cut} <= set(clip.timeline.landmarks)
    for piece in cut:
        await run(films, tmp_path, encoding.encode_piece(piece, clip, RULES.limits))
        verify.check_piece(piece, await films.index(tmp_path / pieces.file(piece, rung)))
    await films.join(tmp_path, [pieces.file(piece, rung) for piece in cut], "joined.mp4")
    joined = await films.index(tmp_path / "joined.mp4")
    assert compliance.aligned(index, joined)
    assert composed(tmp_path / "copy.mp4", index) == composed(tmp_path / "joined.mp4", joined)


def encoded_alone(clip: Clip) -> Rendition:
    """The largest rung of a recipe that copies nothing."""
    rules = RULES.model_copy(update={"video": RULES.video.model_copy(update={"copied": False})})
    steps = plan.make(clip, rules, version="0" * 32, done={}, whole=True).steps
    return next(named.step for named in steps if isinstance(named.step, Rendition))


@pytest.mark.parametrize("damaged", [False, True])
async def test_a_copy_that_is_the_whole_ladder_is_watched(damaged: bool, films: FFmpeg, tmp_path: Path) -> None:  # noqa: FBT001  # pytest passes it
    """To the last frames, although a storyboard needs none of these: they tell of damage."""
    late = ["-b:v", "150k", "-force_key_frames", "2.8", "-movflags", "+faststart"]
    ffmpeg(*picture(size="160x90"), *H264, *GOP, *late, str(tmp_path / "whole.mp4"))
    data = bytearray((tmp_path / "whole.mp4").read_bytes())
    if damaged:
        at, size = max(packets(tmp_path / "whole.mp4")[-8:], key=lambda packet: packet[1])  # the last keyframe
        data[at + size // 4 : at + size // 2] = bytes(byte ^ 0xFF for byte in data[at + size // 4 : at + size // 2])
    (tmp_path / "last.mp4").write_bytes(data)
    clip = await uploaded(films, tmp_path, tmp_path / "last.mp4")
    assert ["90p"] == [rung.name for rung in rungs(clip)]
    assert () == (await copy(films, tmp_path, clip))[1]
    group = next(one for one in planned(clip).groups if isinstance(one, Encode))
    assert group.watched
    blind = replace(group, steps=tuple(one for one in group.steps if not isinstance(one.step, Poster)))
    ran = await films.run(tmp_path, encoding.encode(blind, RULES.limits), seconds=3, on_share=lambda _share: None)
    assert damaged == bool(verify.damage(ran, clip))


def packets(path: Path) -> list[tuple[int, int]]:
    """Where each packet lies in the file, and its bytes."""
    argv = [
        "ffprobe",
        "-v",
        "error",
        "-select_streams",
        "v",
        "-show_entries",
        "packet=pos,size",
        "-of",
        "json",
        str(path),
    ]
    said = json.loads(subprocess.run(argv, check=True, capture_output=True, text=True).stdout)
    return sorted((int(one["pos"]), int(one["size"])) for one in said["packets"])
