"""ffmpeg commands as one writes them by hand who knows ffmpeg: without the service's own command builder."""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from service.core.media import Clip
from service.core.step import Rendition, Sound


@dataclass(frozen=True, kw_only=True)
class Rung:
    """One rendition; `max_bit_rate` in bits a second, `buffer` in bits, `frame_rate` as a fraction."""

    name: str
    width: int
    height: int
    frame_rate: str
    preset: str
    crf: int
    max_bit_rate: int
    buffer: int
    gop_seconds: float

    @property
    def file(self) -> str:
        """What it is called, by the service as well."""
        return f"{self.name}.mp4"


@dataclass(frozen=True, kw_only=True)
class Task:
    """What is encoded, and into what; of the source only so many `seconds`, where these are given."""

    source: Path
    clip: Clip
    rungs: tuple[Rung, ...]
    sound: Sound | None = None
    seconds: float | None = None


def rung(step: Rendition) -> Rung:
    """A rung as the service planned it; its buffer is two seconds of the most that it may have."""
    return Rung(
        name=step.name,
        width=step.width,
        height=step.height,
        frame_rate=step.frame_rate,
        preset=step.preset,
        crf=step.crf,
        max_bit_rate=step.max_bit_rate,
        buffer=step.max_bit_rate * 2,
        gop_seconds=step.gop_seconds,
    )


def one_command(task: Task) -> list[str]:
    """All rungs and the sound with one decode: split, then a scaler and an encoder for each."""
    legs = range(len(task.rungs))
    split = f"{read(task)},split={len(task.rungs)}{''.join(f'[s{at}]' for at in legs)}"
    scales = [f"[s{at}]{scaled(task, rung)}[v{at}]" for at, rung in enumerate(task.rungs)]
    argv = [*_begun(task), "-filter_complex", ";".join([split, *scales])]
    for at, rung in enumerate(task.rungs):
        argv += ["-map", f"[v{at}]", *_x264(rung)]
    return [*argv, *_aac(task.sound)]


def a_command_each(task: Task) -> list[list[str]]:
    """A decode and a command a rung, and one more for the sound: to be run one after the other."""
    argvs = [
        [*_begun(task), "-filter_complex", f"{read(task)},{scaled(task, rung)}[v]", "-map", "[v]", *_x264(rung)]
        for rung in task.rungs
    ]
    return [*argvs, [*_begun(task), *_aac(task.sound)]] if task.sound else argvs


def _begun(task: Task) -> list[str]:
    return ["ffmpeg", "-nostdin", "-hide_banner", "-v", "error", "-y", *opened(task)]


def opened(task: Task) -> list[str]:
    """The source as input 0, as much of it as is wanted."""
    return [*(["-t", f"{task.seconds:g}"] if task.seconds else []), "-i", str(task.source)]


def read(task: Task) -> str:
    """The picture at the ladder's constant rate, from zero on and to the last frame."""
    video = task.clip.video
    assert video
    woven = "yadif=deint=interlaced," if video.interlaced else ""
    return f"[0:{video.index}]{woven}fps={task.rungs[0].frame_rate}:start_time=0:eof_action=pass"


def scaled(task: Task, rung: Rung) -> str:
    """To a rung's size, in square pixels and 4:2:0, in BT.709 of limited range, and said to be so."""
    size = f"scale={rung.width}:{rung.height}:flags=bicubic+accurate_rnd"
    tagged = "setparams=range=tv:color_primaries=bt709:color_trc=bt709:colorspace=bt709"
    return f"{size}{_came_in(task.clip)}:out_color_matrix=bt709:out_range=tv,setsar=1,format=yuv420p,{tagged}"


def _came_in(clip: Clip) -> str:
    """What a scaler is told of the source's colours, in its own words; RGB needs no telling."""
    video = clip.video
    assert video
    if video.matrix == "gbr":
        return ""
    matrix = {"bt470bg": "bt470", "bt2020nc": "bt2020", "bt2020c": "bt2020"}.get(video.matrix, video.matrix)
    return f":in_color_matrix={matrix}:in_range={'pc' if video.full_range else 'tv'}"


def _x264(rung: Rung) -> Iterator[str]:
    """Fragments of a GOP each, with their index in front, as HLS and DASH want them."""
    yield from ("-c:v", "libx264", "-profile:v", "high", "-preset", rung.preset, "-crf", str(rung.crf))
    yield from ("-maxrate", str(rung.max_bit_rate), "-bufsize", str(rung.buffer))
    yield from ("-color_range", "tv", "-colorspace", "bt709", "-color_primaries", "bt709", "-color_trc", "bt709")
    yield from ("-sc_threshold", "0", "-force_key_frames", f"expr:gte(t,n_forced*{rung.gop_seconds:g})")
    yield from ("-f", "mp4", "-movflags", "+cmaf+frag_keyframe+global_sidx", rung.file)


def _aac(sound: Sound | None) -> Sequence[str]:
    if sound is None:
        return ()
    return (
        *("-map", f"0:{sound.stream}", "-c:a", "aac", "-b:a", str(sound.bit_rate)),
        *("-ac", str(sound.channels), "-ar", "48000"),
        *("-f", "mp4", "-movflags", "+cmaf+global_sidx", "-frag_duration", "2000000", f"{sound.name}.mp4"),
    )
