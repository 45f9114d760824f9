"""The real ffprobe and ffmpeg, in the real sandbox, on clips of a second or two that are made here."""

import shutil
import struct
import subprocess
import time
from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, replace
from fractions import Fraction
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from importlib.resources import files
from pathlib import Path
from threading import Thread
from typing import Any

import pytest
from PIL import Image

from service.core import command, encoding, loudness, plan, posters, recipe, sniff, storyboard, verify
from service.core.media import Clip, Media
from service.core.outcome import Misconfigured, Reason, Rejected
from service.core.plan import Assemble, Encode
from service.core.record import Damaged
from service.core.sniff import StreamFile
from service.core.step import Poster, Preview, Rendition, Sound, Sprites, Waveform
from service.core.verify import Ran
from service.runtime.desk import Desk
from service.runtime.examine import Examiner
from service.tools.ffmpeg import FFmpeg
from service.tools.painter import Painter
from service.tools.sandbox import Sandbox
from tests.fakes import FakeUploads

RULES = recipe.read(
    "[video]\nladder = [{ height = 120, max_bit_rate = 300_000 }, { height = 60, max_bit_rate = 100_000 }]",
    shipped=(files("service") / "recipe.toml").read_text(),
).general
LIMITS = RULES.limits
MEMORY = 1 << 30

PICTURE = ["-f", "lavfi", "-i", "testsrc2=size=160x120:rate=25:duration=2"]
SOUND = ["-f", "lavfi", "-i", "sine=frequency=440:sample_rate=48000:duration=2"]
H264 = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"]


@dataclass(frozen=True, kw_only=True)
class Bench:
    """The tools, and the scratch folder of a job."""

    films: FFmpeg
    folder: Path
    examiner: Examiner

    async def examine(self, file: Path, *, limits: recipe.Limits = LIMITS) -> Media:
        """What a file is, by its content alone."""
        shutil.copyfile(file, self.folder / "in")
        return await self.examiner.examine(self.folder, file.stat().st_size, limits)

    async def clip(self, file: Path) -> Clip:
        """What a film or a sound is."""
        found = await self.examine(file)
        assert isinstance(found, Clip)
        return found

    async def refused(self, file: Path, *, limits: recipe.Limits = LIMITS) -> Reason:
        """Why a file is refused."""
        with pytest.raises(Rejected) as raised:
            await self.examine(file, limits=limits)
        return raised.value.reason


@pytest.fixture(name="bench")
async def _bench(tmp_path: Path) -> AsyncIterator[Bench]:
    (tmp_path / "job").mkdir()
    async with Sandbox() as sandbox:
        films = FFmpeg(sandbox, memory_bytes=MEMORY)
        examiner = Examiner(pictures=Painter(sandbox, memory_bytes=MEMORY), films=films)
        yield Bench(films=films, folder=tmp_path / "job", examiner=examiner)


@pytest.fixture(name="make", scope="session")
def _make(tmp_path_factory: pytest.TempPathFactory) -> Callable[..., Path]:
    """Makes a file with ffmpeg; the same one only once."""
    made: dict[tuple[str, ...], Path] = {}

    def make(name: str, *arguments: str, stdout: bool = False) -> Path:
        """`stdout` makes it through a pipe, where ffmpeg can't go back and write how long it was."""
        if (name, *arguments) not in made:
            path = tmp_path_factory.mktemp("clips") / name
            with path.open("wb") as file:
                target = "pipe:1" if stdout else str(path)
                argv = ["ffmpeg", "-v", "error", "-nostdin", "-y", *arguments, target]
                subprocess.run(argv, check=True, stdout=file if stdout else None)
            made[name, *arguments] = path
        return made[name, *arguments]

    return make


@pytest.fixture(name="clip")
def _clip(make: Callable[..., Path]) -> Path:
    """Two seconds with sound."""
    return make("clip.mp4", *PICTURE, *SOUND, *H264, "-c:a", "aac", "-shortest")


Make = Callable[..., Path]


async def test_a_clip_is_what_it_is(bench: Bench, make: Make) -> None:
    """Codecs, size, rate, duration and channels, by headers and packets."""
    clip = await bench.clip(make("clip.mp4", *PICTURE, *SOUND, *H264, "-c:a", "aac", "-shortest"))
    assert clip.video
    assert clip.timeline
    assert ("video", "h264", 160, 120, Fraction(25)) == (
        clip.kind,
        clip.video.codec,
        clip.video.width,
        clip.video.height,
        clip.video.frame_rate,
    )
    assert [("aac", 1, 48_000)] == [(track.codec, track.channels, track.sample_rate) for track in clip.audio]
    assert (50, pytest.approx(2.0, abs=0.05)) == (clip.timeline.packets, clip.seconds)
    assert not clip.video.interlaced


async def test_a_clip_without_sound_has_none(bench: Bench, make: Make) -> None:
    """Nor is any made up."""
    clip = await bench.clip(make("silent.mov", *PICTURE, *H264))
    assert ("video", ()) == (clip.kind, clip.audio)


@pytest.mark.parametrize(
    ("name", "codec", "seconds"),
    [
        ("a.mp3", "mp3", 2.0),
        ("a.m4a", "aac", 2.0),
        ("a.flac", "flac", 2.0),
        ("a.wav", "pcm_s16le", 2.0),
        ("a.ogg", "vorbis", 2.0),
    ],
)
async def test_sound_alone(bench: Bench, make: Make, name: str, codec: str, seconds: float) -> None:
    """There is no picture; it lasts as long as its packets do."""
    more = {"a.ogg": ["-c:a", "libvorbis"]}.get(name, [])
    clip = await bench.clip(make(name, *SOUND, *more))
    assert ("audio", None, codec) == (clip.kind, clip.video, clip.audio[0].codec)
    assert pytest.approx(seconds, abs=0.1) == clip.seconds


@pytest.mark.parametrize("name", ["cover.mp3", "cover.m4a"])
async def test_cover_art_is_no_film(bench: Bench, make: Make, name: str, tmp_path: Path) -> None:
    """A picture that is attached to a song makes no video of it."""
    Image.new("RGB", (64, 64), "red").save(tmp_path / "cover.jpg")
    cover = ["-i", str(tmp_path / "cover.jpg"), "-map", "0:a", "-map", "1:v", "-c:v", "copy"]
    clip = await bench.clip(make(name, *SOUND, *cover, "-disposition:v:0", "attached_pic"))
    assert ("audio", None, 2) == (clip.kind, clip.video, clip.streams)


@pytest.mark.parametrize(("degrees", "size"), [(0, (160, 120)), (90, (120, 160)), (180, (160, 120)), (270, (120, 160))])
async def test_rotation_is_applied(
    bench: Bench, make: Make, degrees: int, size: tuple[int, int], tmp_path: Path
) -> None:
    """A phone that is held upright films a portrait, whatever its sensor thinks."""
    original = make("clip.mp4", *PICTURE, *SOUND, *H264, "-c:a", "aac", "-shortest")
    (tmp_path / "turned.mp4").write_bytes(_turned(original.read_bytes(), degrees))
    clip = await bench.clip(tmp_path / "turned.mp4")
    assert clip.video
    assert size == (clip.video.width, clip.video.height)


def _turned(film: bytes, degrees: int) -> bytes:
    """The film with another matrix in its first track's header (ISO/IEC 14496-12, 8.3.2)."""
    cos, sin = {0: (1, 0), 90: (0, 1), 180: (-1, 0), 270: (0, -1)}[degrees]
    matrix = struct.pack(">9i", *(part << 16 for part in (cos, sin, 0, -sin, cos, 0, 0, 0)), 1 << 30)
    at = film.index(b"tkhd") + 44
    return film[:at] + matrix + film[at + 36 :]


async def test_odd_sizes_are_kept(bench: Bench, make: Make) -> None:
    """What is made of it is even; what it is, is odd."""
    odd = ["-vf", "scale=161:121,format=yuv444p", "-c:v", "ffv1"]
    clip = await bench.clip(make("odd.mkv", *PICTURE, *odd))
    assert clip.video
    assert (161, 121) == (clip.video.width, clip.video.height)


async def test_pixels_that_are_not_square(bench: Bench, make: Make) -> None:
    """The size is as displayed."""
    clip = await bench.clip(make("wide.mp4", *PICTURE, "-vf", "setsar=2", *H264))
    assert clip.video
    assert (320, 120) == (clip.video.width, clip.video.height)


async def test_a_recording_of_a_browser_does_not_say_how_long_it_is(bench: Bench, make: Make) -> None:
    """MediaRecorder writes WebM as it goes: the packets tell."""
    vp8 = ["-c:v", "libvpx", "-deadline", "realtime", "-c:a", "libopus", "-f", "webm", "-live", "1"]
    clip = await bench.clip(make("recorded.webm", *PICTURE, *SOUND, *vp8, stdout=True))
    assert None is clip.duration
    assert pytest.approx(2.0, abs=0.1) == clip.seconds


async def test_sound_tracks_say_their_language(bench: Bench, make: Make) -> None:
    """And which of them is the default."""
    languages = ["-metadata:s:a:0", "language=deu", "-metadata:s:a:1", "language=eng"]
    flags = ["-disposition:a:0", "0", "-disposition:a:1", "default"]
    two = ["-map", "0:v", "-map", "1:a", "-map", "1:a", *H264, "-c:a", "libvorbis"]
    clip = await bench.clip(make("two.mkv", *PICTURE, *SOUND, *two, *languages, *flags))
    assert [("deu", False), ("eng", True)] == [(track.language, track.default) for track in clip.audio]


async def test_a_clip_becomes_what_was_planned(bench: Bench, make: Make) -> None:
    """One decode makes every rung and picture and measures the sound, which is then encoded; they join to one MP4."""
    clip = await bench.clip(make("clip.mp4", *PICTURE, *SOUND, *H264, "-c:a", "aac", "-shortest"))
    encode, assemble = plan.make(clip, RULES, version="v", done={}).groups
    assert isinstance(encode, Encode)
    assert isinstance(assemble, Assemble)
    shares: list[float] = []
    ran = await bench.films.run(
        bench.folder, encoding.encode(encode, LIMITS), seconds=clip.seconds, on_share=shares.append
    )
    assert not (bench.folder / "audio.mp4").exists()
    mastered = await master(bench, encode, clip)
    indexes = {name: await bench.films.index(bench.folder / name) for name in ("120p.mp4", "60p.mp4", "audio.mp4")}
    assert dict.fromkeys(indexes, pytest.approx(2.0, abs=0.1)) == {
        name: float(index.duration) for name, index in indexes.items()
    }
    assert [True] * 3 == [index.segments[0].starts_with_key for index in indexes.values()]
    check_pictures(encode, bench.folder)
    assert shares == sorted(shares)
    assert all(0 <= share < 1 for share in shares)
    assert ran.spent.cpu_seconds > 0
    assert ran.spent.peak_memory_bytes > 0
    assert (0, "", 0, "") == (ran.errors, ran.first, mastered.errors, mastered.first)
    assert indexes["120p.mp4"].samples == indexes["60p.mp4"].samples == ran.frames
    assert pytest.approx(2.1, abs=0.05) == ran.seconds  # the meter is given a tenth more, to speak of the end
    assert pytest.approx(2.0, abs=0.1) == mastered.seconds

    remux = command.remux("120p.mp4", "audio.mp4", "video.mp4")
    await bench.films.run(bench.folder, remux, seconds=1.0, on_share=lambda _share: None)
    whole = await bench.clip(bench.folder / "video.mp4")
    assert whole.video
    assert (160, 120, "aac") == (whole.video.width, whole.video.height, whole.audio[0].codec)
    assert pytest.approx(2.0, abs=0.1) == whole.seconds


async def master(bench: Bench, group: Encode, clip: Clip) -> Ran:
    """Encode what was measured, each track with the gain that follows from it."""
    gains = {}
    for named in group.steps:
        if isinstance(named.step, Sound):
            found = await bench.films.loudness(bench.folder / encoding.measure(named.step))
            gains[named.step] = loudness.gain(found, target=-16.0, ceiling=-1.5)
    argv = encoding.master(clip, gains, LIMITS)
    return await bench.films.run(bench.folder, argv, seconds=clip.seconds, on_share=lambda _share: None)


def check_pictures(group: Encode, folder: Path) -> None:
    """As many as were planned, in the sizes that were planned: candidates for the poster, sheets and the preview."""
    for named in group.steps:
        match named.step:
            case Poster(at=at, sizes=(size, *_)):
                names = [posters.CANDIDATES % number for number in range(1, len(at) + 1)]
                assert [("PPM", size, 1)] * len(at) == [drawn(folder / name) for name in names]
            case Sprites(layout=layout):
                sheets = [drawn(folder / name) for name in layout.names]
                assert [("JPEG", layout.sheet_size, 1)] * layout.sheets == sheets
            case Preview(width=width, height=height, seconds=seconds):
                assert ("WEBP", (width, height), round(8 * seconds)) == drawn(folder / "preview.webp")


def drawn(path: Path) -> tuple[str | None, tuple[int, int], int]:
    """What a picture is: its format, its size, and how many frames it has."""
    with Image.open(path, formats=["PPM", "JPEG", "WEBP"]) as picture:
        return picture.format, picture.size, getattr(picture, "n_frames", 1)


async def test_a_clip_of_one_frame_becomes_what_was_planned(bench: Bench, make: Make) -> None:
    """One candidate for the poster, a tile and an animation that stands still."""
    one = ["-f", "lavfi", "-i", "testsrc2=size=160x120:rate=25:duration=0.04"]
    clip, ran = await encoded(bench, make("one.mp4", *one, *H264))
    assert (1, 0) == (ran.frames, ran.errors)
    assert ["candidate-01.ppm"] == sorted(path.name for path in bench.folder.glob("candidate-*"))
    for name in ("candidate-01.ppm", "storyboard-1.jpg", "preview.webp"):
        assert (160, 120) == drawn(bench.folder / name)[1]
    assert pytest.approx(0.04) == clip.seconds


async def test_a_clip_of_an_eighth_of_a_second(bench: Bench, make: Make) -> None:
    """Three frames of a film: its storyboard has a frame as often as its preview has, and there are both."""
    three = ["-f", "lavfi", "-i", "testsrc2=size=160x120:rate=24:duration=0.125"]
    clip, ran = await encoded(bench, make("three.mp4", *three, *H264))
    assert (0.125, 3, 0) == (clip.seconds, ran.frames, ran.errors)
    for name in ("storyboard-1.jpg", "preview.webp"):
        assert 1 == drawn(bench.folder / name)[2]


async def test_a_song_becomes_what_was_planned(bench: Bench, make: Make) -> None:
    """One decode measures it and finds its waveform; a second one encodes it as loud as it is to be."""
    clip = await bench.clip(make("a.flac", *SOUND))
    encode, assemble = plan.make(clip, RULES, version="v", done={}).groups
    assert isinstance(encode, Encode)
    assert isinstance(assemble, Assemble)
    argv = encoding.encode(encode, LIMITS)
    await bench.films.run(bench.folder, argv, seconds=clip.seconds, on_share=lambda _share: None)
    (course,) = [named.step for named in encode.steps if isinstance(named.step, Waveform)]
    pairs = await bench.films.levels(bench.folder / encoding.course(course))
    assert pytest.approx(2.0, abs=0.05) == len(pairs) * course.samples_per_pixel / 48_000
    assert pytest.approx((-0.125, 0.125), abs=0.01) == (min(low for low, _ in pairs), max(high for _, high in pairs))
    await master(bench, encode, clip)
    assert pytest.approx(2.0, abs=0.1) == float((await bench.films.index(bench.folder / "audio.mp4")).duration)


async def test_every_sound_track_is_made(bench: Bench, make: Make) -> None:
    """The best first; each is measured by itself."""
    flags = ["-disposition:a:0", "0", "-disposition:a:1", "default"]
    quiet = ["-filter_complex", "[1:a]volume=-20dB[quiet]", "-map", "0:v", "-map", "1:a", "-map", "[quiet]"]
    clip = await bench.clip(make("quiet.mkv", *PICTURE, *SOUND, *quiet, *H264, "-c:a", "flac", *flags))
    encode, *_ = plan.make(clip, RULES, version="v", done={}).groups
    assert isinstance(encode, Encode)
    argv = encoding.encode(encode, LIMITS)
    await bench.films.run(bench.folder, argv, seconds=clip.seconds, on_share=lambda _share: None)
    sounds = [named.step for named in encode.steps if isinstance(named.step, Sound)]
    assert [("audio", 2), ("audio-1", 1)] == [(one.name, one.stream) for one in sounds]
    first, second = [await bench.films.loudness(bench.folder / encoding.measure(one)) for one in sounds]
    assert first
    assert second
    assert first.integrated
    assert second.integrated
    assert pytest.approx(20, abs=0.2) == second.integrated - first.integrated
    await master(bench, encode, clip)
    for one in sounds:
        assert pytest.approx(2.0, abs=0.1) == float(
            (await bench.films.index(bench.folder / f"{one.name}.mp4")).duration
        )


async def test_pictures_of_a_long_clip_take_its_keyframes_alone(bench: Bench, make: Make) -> None:
    """As many of each as of any clip; the preview moves all the same."""
    clip = await bench.clip(make("plain.mp4", *PICTURE, *SOUND, *H264, "-g", "25", "-c:a", "aac"))
    encode, *_ = plan.make(clip, RULES, version="v", done={}).groups
    assert isinstance(encode, Encode)
    pictures = tuple(named for named in encode.steps if not isinstance(named.step, Rendition))
    sparse = replace(encode, steps=pictures, sparse=True)
    argv = encoding.encode(sparse, LIMITS)
    ran = await bench.films.run(bench.folder, argv, seconds=clip.seconds, on_share=lambda _share: None)
    assert 0 == ran.errors
    found = sorted(bench.folder.glob("candidate-*"))
    assert 2 == len(found)  # keyframes: one at zero, one after a second
    assert len({path.read_bytes() for path in found}) == len(found)
    (layout,) = [named.step.layout for named in pictures if isinstance(named.step, Sprites)]
    assert ("JPEG", layout.sheet_size, 1) == drawn(bench.folder / (storyboard.SHEETS % 1))
    assert 2 < drawn(bench.folder / "preview.webp")[2] <= 16


async def test_what_is_no_track_has_no_index(bench: Bench) -> None:
    """Nothing that can be played was written."""
    (bench.folder / "empty.mp4").write_bytes(b"")
    for name in ("empty.mp4", "missing.mp4"):
        with pytest.raises(Rejected, match="Nothing in it could be decoded"):
            await bench.films.index(bench.folder / name)


async def encoded(bench: Bench, file: Path) -> tuple[Clip, Ran]:
    """A file, and what encoding it tells of it."""
    clip = await bench.clip(file)
    encode, *_ = plan.make(clip, RULES, version="v", done={}).groups
    assert isinstance(encode, Encode)
    argv = encoding.encode(encode, LIMITS)
    return clip, await bench.films.run(bench.folder, argv, seconds=clip.seconds, on_share=lambda _share: None)


async def damage(bench: Bench, file: Path) -> Damaged | None:
    """What encoding a file loses of it."""
    clip, ran = await encoded(bench, file)
    return verify.damage(ran, clip)


HEALTHY = {
    "plain.mp4": [*PICTURE, *SOUND, *H264, "-c:a", "aac"],
    "open.mkv": [*PICTURE, *SOUND, "-c:v", "libx264", "-x264opts", "open-gop=1:keyint=10", "-c:a", "libopus"],
    "film.avi": [*PICTURE, *SOUND, "-c:v", "mpeg4", "-bf", "2", "-c:a", "mp3"],
    "film.ts": [*PICTURE, *SOUND, "-c:v", "mpeg2video", "-c:a", "mp2"],
    "song.flac": [*SOUND, "-c:a", "flac"],
}


@pytest.mark.parametrize("name", HEALTHY)
async def test_a_healthy_file_has_no_damage(bench: Bench, make: Make, name: str) -> None:
    """In whatever container."""
    assert None is await damage(bench, make(name, *HEALTHY[name]))


async def test_a_recording_that_was_cut_anywhere_has_no_damage(bench: Bench, make: Make, tmp_path: Path) -> None:
    """It begins between two keyframes and ends within a frame: of a broadcast nobody expects more."""
    whole = make("film.ts", *PICTURE, *SOUND, *H264, "-g", "10", "-c:a", "mp2").read_bytes()
    middle = whole[len(whole) // 4 // 188 * 188 : len(whole) * 3 // 4 // 188 * 188]
    (tmp_path / "cut.ts").write_bytes(middle)
    assert None is await damage(bench, tmp_path / "cut.ts")


async def test_what_could_not_be_decoded_is_counted(bench: Bench, make: Make, tmp_path: Path) -> None:
    """ffmpeg ends well: bytes in the middle of the picture are noise, and the track lasts as long as ever."""
    film = bytearray(make("plain.mp4", *PICTURE, *SOUND, *H264, "-g", "10", "-c:a", "aac").read_bytes())
    begin, end = film.index(b"mdat"), film.index(b"moov")
    middle = (begin + end) // 2
    film[middle : middle + 3000] = bytes(range(250)) * 12
    (tmp_path / "noise.mp4").write_bytes(film)
    clip, ran = await encoded(bench, tmp_path / "noise.mp4")
    assert pytest.approx(clip.seconds, abs=0.1) == float((await bench.films.index(bench.folder / "120p.mp4")).duration)
    assert 1 <= ran.errors < 200
    assert ran.first.startswith(("h264: ", "aac: ", "Invalid NAL unit", "missing picture"))
    assert verify.damage(ran, clip)


async def test_a_recording_that_was_interrupted_is_damaged(bench: Bench, make: Make, tmp_path: Path) -> None:
    """A browser's recording does not say how long it should be: only the demuxer notices that it ends too early."""
    live = ["-c:v", "libvpx", "-deadline", "realtime", "-c:a", "libopus", "-f", "webm", "-live", "1"]
    whole = make("recorded.webm", *PICTURE, *SOUND, *live, stdout=True).read_bytes()
    (tmp_path / "interrupted.webm").write_bytes(whole[: len(whole) * 9 // 10])
    found = await damage(bench, tmp_path / "interrupted.webm")
    assert Damaged(errors=1, first="matroska: File ended prematurely") == found


async def test_what_an_edit_list_cuts_away_is_not_missed(bench: Bench, make: Make) -> None:
    """A phone trims a film by telling players where to begin: the rest is still in the file, and never shown."""
    whole = make("plain.mp4", *PICTURE, *SOUND, *H264, "-g", "250", "-c:a", "aac")
    clip, ran = await encoded(bench, make("trimmed.mp4", "-ss", "1.4", "-i", str(whole), "-c", "copy"))
    assert clip.timeline
    assert (pytest.approx(0.6, abs=0.05), 15) == (clip.seconds, clip.timeline.packets)
    assert (15, 0) == (ran.frames, ran.errors)


BOMB = [*("-f", "lavfi", "-i", "color=size=64x64:rate=1:duration=3", "-vf", "setpts=N*333333/TB")]
BOMB += ["-fps_mode", "passthrough", *H264, "-f", "matroska"]


@pytest.mark.parametrize(
    ("bomb", "expected"),
    [({"name": "bomb.mkv"}, Reason.TOO_LONG), ({"name": "piped.mkv", "stdout": True}, Reason.BAD_TIMESTAMPS)],
    ids=["its header says so", "its header says nothing"],
)
async def test_a_timestamp_bomb_is_refused_at_once(
    bench: Bench, make: Make, bomb: dict[str, Any], expected: Reason
) -> None:
    """Three frames over a million seconds: whoever fills the gaps with frames takes minutes and gigabytes."""
    file = make(bomb["name"], *BOMB, stdout=bomb.get("stdout", False))
    began = time.monotonic()
    assert expected == await bench.refused(file)
    assert time.monotonic() - began < 10  # it takes a tenth of a second, on a machine that is not busy


@pytest.mark.parametrize("more", [[], ["-movflags", "+faststart"]], ids=["index at the end", "index in front"])
async def test_a_cut_off_film_is_refused(bench: Bench, make: Make, more: list[str], tmp_path: Path) -> None:
    """Whether its index is lost, or its index tells of more than there is."""
    whole = make("clip.mp4", *PICTURE, *SOUND, *H264, "-c:a", "aac", "-shortest", *more).read_bytes()
    for share in (0.3, 0.5, 0.9):
        (tmp_path / "cut.mp4").write_bytes(whole[: int(len(whole) * share)])
        refused = (share, await _refused_or_none(bench, tmp_path / "cut.mp4"))
        assert refused in {(share, Reason.DAMAGED), (0.9, None)}  # half a second less is within the tolerance


async def _refused_or_none(bench: Bench, file: Path) -> Reason | None:
    try:
        await bench.examine(file)
    except Rejected as error:
        return error.reason
    return None


async def test_a_film_that_does_not_decode_is_refused(bench: Bench, make: Make, tmp_path: Path) -> None:
    """Its headers are well, its frames are noise."""
    film = bytearray(make("plain.mp4", *PICTURE, *H264).read_bytes())
    begin = film.index(b"mdat") + 4
    film[begin + 200 : begin + 20_000] = bytes(19_800)
    (tmp_path / "noise.mp4").write_bytes(film)
    clip = await bench.clip(tmp_path / "noise.mp4")
    with pytest.raises(Rejected, match="It could not be decoded"):
        await bench.films.run(
            bench.folder, command.decode(clip, LIMITS), seconds=clip.seconds, on_share=lambda _share: None
        )


@pytest.mark.parametrize(
    ("less", "enough", "expected"),
    [
        ({"streams": 1}, {"streams": 2}, Reason.TOO_MANY_STREAMS),
        ({"pixels": 160 * 120 - 1}, {"pixels": 160 * 120}, Reason.TOO_MANY_PIXELS),
        ({"seconds": 1}, {"seconds": 3}, Reason.TOO_LONG),
    ],
)
async def test_each_limit_names_itself(
    bench: Bench, clip: Path, less: dict[str, int], enough: dict[str, int], expected: Reason
) -> None:
    """What is at the limit is within it."""
    assert expected == await bench.refused(clip, limits=LIMITS.model_copy(update=less))
    assert isinstance(await bench.examine(clip, limits=LIMITS.model_copy(update=enough)), Clip)


async def test_a_film_without_a_picture_or_sound_is_no_media(bench: Bench, make: Make, tmp_path: Path) -> None:
    """Captions alone."""
    (tmp_path / "a.srt").write_text("1\n00:00:00,000 --> 00:00:01,000\nHello\n")
    assert Reason.NO_MEDIA == await bench.refused(make("captions.mkv", "-i", str(tmp_path / "a.srt"), "-c:s", "srt"))


async def test_an_encrypted_film_is_told_as_such(bench: Bench, make: Make) -> None:
    """Common encryption, as with films that were bought."""
    key = ["-encryption_scheme", "cenc-aes-ctr", "-encryption_key", "00" * 16, "-encryption_kid", "11" * 16]
    assert Reason.ENCRYPTED == await bench.refused(make("bought.mp4", *PICTURE, *H264, *key))


async def test_ffmpeg_says_its_version(bench: Bench) -> None:
    """It goes into every record."""
    assert (await bench.films.version(bench.folder))[0].isdigit()


async def test_without_ffmpeg_the_worker_does_not_start(tmp_path: Path) -> None:
    """The message says what to install."""
    async with Sandbox(path=str(tmp_path)) as sandbox:
        with pytest.raises(Misconfigured):
            await FFmpeg(sandbox, memory_bytes=MEMORY).version(tmp_path)


class _Canary(BaseHTTPRequestHandler):
    """Notes each request."""

    requests: list[str]

    def do_GET(self) -> None:
        """Somebody was lured here."""
        type(self).requests.append(self.path)
        self.send_error(404)

    def log_message(self, *_: Any) -> None:
        """Says nothing."""


@pytest.fixture(name="canary")
def _canary() -> Iterator[str]:
    """A server on this machine that nobody must call."""
    handler = type("Canary", (_Canary,), {"requests": []})
    server = ThreadingHTTPServer(("127.0.0.1", 0), handler)
    thread = Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield f"127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()
    server.server_close()
    assert [] == handler.requests


_PLAYLIST = "#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{url}\n#EXT-X-ENDLIST\n"
HOSTILE: dict[str, bytes] = {
    "a playlist of another server": _PLAYLIST.format(url="http://{canary}/a.ts").encode(),
    "a playlist of a local file": _PLAYLIST.format(url="file:///etc/passwd").encode(),
    "a playlist of a neighbour": _PLAYLIST.format(url="secret.ts").encode(),
    "a playlist after a byte order mark": b"\xef\xbb\xbf" + _PLAYLIST.format(url="http://{canary}/a.ts").encode(),
    "a playlist after an ID3 tag": b"ID3\4\0\0\0\0\0\0" + _PLAYLIST.format(url="http://{canary}/a.ts").encode(),
    "a playlist after a free box": b"\0\0\0\x08free" + _PLAYLIST.format(url="http://{canary}/a.ts").encode(),
    "a list of files": b"ffconcat version 1.0\nfile secret.ts\n",
    "a list of addresses": b"ffconcat version 1.0\nfile http://{canary}/a.ts\n",
    "a session description": b"v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nt=0 0\nm=video 9 RTP/AVP 96\n",
    "a DASH manifest": b'<?xml version="1.0"?><MPD><BaseURL>http://{canary}/</BaseURL><Period/></MPD>',
    "a drawing": b'<svg xmlns="http://www.w3.org/2000/svg"><image href="http://{canary}/a.png"/></svg>',
    "a stream description": b"[playlist]\nFile1=http://{canary}/a.mp3\n",
    "a real-time redirect": b"RTSPtext rtsp://{canary}/a\n" + b"rtsp://{canary}/a\n" * 50,
    "a web page": b"<!DOCTYPE html><video src='http://{canary}/a.mp4'>",
    "text": b"Dear diary, today nothing happened. " * 99,
    "nothing but zeros": bytes(5000),
}
REFUSALS = {Reason.UNSUPPORTED_TYPE, Reason.DAMAGED, Reason.NO_MEDIA}


@pytest.mark.parametrize("kind", HOSTILE)
async def test_a_hostile_file_lures_nobody(bench: Bench, make: Make, kind: str, canary: str, tmp_path: Path) -> None:
    """It is refused, nothing is asked of the network, and no neighbour is read."""
    (tmp_path / "upload").write_bytes(HOSTILE[kind].replace(b"{canary}", canary.encode()))
    shutil.copyfile(make("secret.ts", *PICTURE, *H264, "-f", "mpegts"), bench.folder / "secret.ts")
    assert await bench.refused(tmp_path / "upload") in REFUSALS


@pytest.mark.parametrize("kind", HOSTILE)
async def test_a_hostile_file_lures_nobody_past_the_first_look(
    bench: Bench, make: Make, kind: str, canary: str, tmp_path: Path
) -> None:
    """Although the sniffing had been fooled: the lists of demuxers and protocols hold on their own."""
    (bench.folder / "in").write_bytes(HOSTILE[kind].replace(b"{canary}", canary.encode()))
    shutil.copyfile(make("secret.ts", *PICTURE, *H264, "-f", "mpegts"), bench.folder / "secret.ts")
    fooled = [
        sniff._UNCERTAIN,
        StreamFile(demuxers=("mov",), certain=True),
        StreamFile(demuxers=("mpegts",), certain=True),
    ]
    for sniffed in fooled:
        with pytest.raises(Rejected) as raised:
            await bench.films.probe(bench.folder, sniffed, 1000, LIMITS)
        assert raised.value.reason in REFUSALS


async def test_the_upload_has_the_same_name_whatever_its_key(tmp_path: Path) -> None:
    """So that `-i`, `tenant_%d.png` and `|` are names of nothing: no key gets further than here."""
    uploads = FakeUploads()
    desk = Desk(folder=tmp_path, head=uploads.put("-i", b"photo"), uploads=uploads, limits=LIMITS)
    assert tmp_path / "in" == await desk.source()
    assert b"photo" == (tmp_path / "in").read_bytes()
