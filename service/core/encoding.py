"""The ffmpeg commands that make things of a clip: all that wants its pictures in one decode, then its sound.

Every picture that is no rung hangs on the decoder by a graph of its own, see `graphs`.
"""

from collections.abc import Mapping, Sequence
from fractions import Fraction
from typing import Any

import ffmpeg

from service.core import colour, loudness, pieces, posters, preview, storyboard, waveform
from service.core.command import SAMPLE_RATE, SOURCE, compiled, evenly, guarded, stripped, unheard
from service.core.media import Clip, VideoStream
from service.core.plan import Encode
from service.core.recipe import Limits
from service.core.step import Piece, Poster, Preview, Rendition, Sound, Sprites, Step, Waveform

_SOUND_FRAGMENT = 2_000_000  # microseconds; a GOP's length, so that both kinds of track seek alike


def encode(group: Encode, limits: Limits) -> list[str]:
    """One ffmpeg command that decodes the source once, makes every picture of `group`, and measures its sounds.

    Those that are to be as loud as they are it encodes as well: see `master` for the others.
    """
    clip, steps = group.clip, [named.step for named in group.steps]
    keyframes = {"skip_frame:v": "nokey"} if group.sparse else {}
    source = ffmpeg.input(f"file:{SOURCE}", **guarded(clip.sniffed, limits), **keyframes)
    outputs = [*_pictures(source, group, limits), *_heard(source, steps)]
    return compiled(ffmpeg.merge_outputs(*outputs, *unheard(source, clip, _read(group, steps))))


def _read(group: Encode, steps: Sequence[object]) -> list[int]:
    """The tracks that these steps decode."""
    video = group.clip.video
    seen = any(isinstance(step, Rendition | Poster | Sprites | Preview) for step in steps) or group.watched
    streams = [step.stream for step in steps if isinstance(step, Sound)]
    streams += [step.sound.stream for step in steps if isinstance(step, Waveform)]
    return [*streams, *([video.index] if video and seen else [])]


def master(clip: Clip, gains: Mapping[Sound, float], limits: Limits) -> list[str]:
    """One ffmpeg command that decodes sound alone, and encodes each track with its gain in dB."""
    source = ffmpeg.input(f"file:{SOURCE}", **guarded(clip.sniffed, limits))
    encoded = [_encoded(loudness.applied(_samples(source, sound), gain), sound) for sound, gain in gains.items()]
    rest = unheard(source, clip, [sound.stream for sound in gains])
    return compiled(ffmpeg.merge_outputs(*encoded, *rest))


def encode_piece(piece: Piece, clip: Clip, limits: Limits) -> list[str]:
    """One ffmpeg command that decodes a part of the source and makes that part of every rung.

    The frames are those of the whole: counted on the same grid, from a moment that lies on it.
    """
    assert clip.video
    begin = pieces.sought(piece)
    seek = {"ss": _seconds(begin)} if begin else {}
    source = ffmpeg.input(f"file:{SOURCE}", **guarded(clip.sniffed, limits), **seek)
    end = {} if piece.frames is None else {"end_frame": piece.lead + piece.frames}
    frames = (
        _frames(source, clip.video, piece.rungs)
        .filter("fps", fps=piece.rungs[0].frame_rate, start_time=0, eof_action="pass")
        .filter("trim", start_frame=piece.lead, **end)
        .filter("setpts", "PTS-STARTPTS")
        .filter_multi_output("split", len(piece.rungs))
    )
    outputs = [
        _written(_scaled(frames[at], clip.video, rung), rung, pieces.file(piece, rung), begins=pieces.begins(piece))
        for at, rung in enumerate(piece.rungs)
    ]
    return compiled(ffmpeg.merge_outputs(*outputs))


def measure(sound: Sound) -> str:
    """The log that `encode` leaves of a sound's loudness."""
    return f"{sound.name}.r128.txt"


def course(step: Waveform) -> str:
    """The log that `encode` leaves of a sound's waveform."""
    return f"{step.sound.name}.levels.txt"


def _seconds(moment: Fraction) -> str:
    """To the microsecond, which is what ffmpeg counts in."""
    return f"{float(moment):.6f}"


def _pictures(source: Any, group: Encode, limits: Limits) -> list[Any]:
    video, steps = group.clip.video, [named.step for named in group.steps]
    if video is None:
        return []
    rungs = [step for step in steps if isinstance(step, Rendition)]
    outputs = []
    if rungs:
        split = _frames(source, video, rungs).filter_multi_output("split", len(rungs))
        outputs += [_rendition(split[at], video, step) for at, step in enumerate(rungs)]
    raw = source[str(video.index)]
    if group.watched:
        outputs.append(ffmpeg.output(raw, "-", f="null", fps_mode="passthrough"))
    for step in steps:
        match step:
            case Poster():
                outputs.append(_candidates(raw, video, step))
            case Sprites(layout=layout):
                tiles = storyboard.sampled(raw, layout)
                small = _small(tiles, video, layout.width, layout.height, storyboard.PIXELS)
                outputs.append(storyboard.sprites(small, layout))
            case Preview():
                outputs.append(_preview(raw, group, step, limits))
            case _:
                pass
    return outputs


def _frames(source: Any, video: VideoStream, rungs: Sequence[Rendition]) -> Any:
    """Deinterlaced and in SDR; HDR is mapped once, at the largest size that is wanted."""
    frames = source[str(video.index)]
    even = frames.filter("yadif", deint="interlaced") if video.interlaced else frames
    largest = max(rungs, key=lambda rung: rung.width * rung.height)
    return colour.standard(even, video, (largest.width, largest.height))


def _rendition(frames: Any, video: VideoStream, step: Rendition) -> Any:
    """`fps` from zero makes a late picture start with the sound; no last frame is dropped for being short."""
    even = frames.filter("fps", fps=step.frame_rate, start_time=0, eof_action="pass")
    return _written(_scaled(even, video, step), step, f"{step.name}.mp4", begins=Fraction(0))


def _scaled(frames: Any, video: VideoStream, step: Rendition) -> Any:
    return colour.scaled(frames, video, step.width, step.height)


def _written(frames: Any, step: Rendition, name: str, *, begins: Fraction) -> Any:
    """A track whose first frame is shown `begins` seconds into the whole."""
    later = {"output_ts_offset": _seconds(begins)} if begins else {}
    options = {
        "c:v": "libx264",
        "preset": step.preset,
        "crf": step.crf,
        "maxrate": step.max_bit_rate,
        "bufsize": step.max_bit_rate * 2,
        "profile:v": "high",
        "force_key_frames": _keyframes(step),
        "sc_threshold": 0,
        "g": 1000,  # the keyframes are the forced ones, whatever the frame rate
        "movflags": "+cmaf+frag_keyframe+global_sidx" + ("+frag_discont" if begins else ""),
    }
    return ffmpeg.output(frames, name, f="mp4", **options, **colour.tags(), **later, **stripped())


def _keyframes(step: Rendition) -> str:
    return f"expr:gte(t,n_forced*{step.gop_seconds:g})" if step.gop_seconds else "source"


def _small(frames: Any, video: VideoStream, width: int, height: int, pixel_format: str) -> Any:
    """Of HDR only the frames that are kept are mapped."""
    shown = colour.standard(frames, video, (width, height))
    return colour.scaled(shown, video, width, height, pixel_format=pixel_format)


def _candidates(raw: Any, video: VideoStream, step: Poster) -> Any:
    """Frames that are far apart can't be deinterlaced by one another: each one by itself."""
    chosen = posters.selected(raw, step.at)
    even = chosen.filter("estdif", mode="frame", deint="interlaced") if video.interlaced else chosen
    return posters.written(_small(even, video, *step.sizes[0], posters.PIXELS))


def _preview(raw: Any, group: Encode, step: Preview, limits: Limits) -> Any:
    """Where keyframes alone are decoded, by a decoder of its own."""
    video, at = group.clip.video, step.at
    assert video
    if group.sparse:
        raw = ffmpeg.input(f"file:{SOURCE}", **guarded(group.clip.sniffed, limits), ss=f"{at:.3f}", t=step.seconds + 1)[
            str(video.index)
        ]
        at = 0.0
    frames = preview.cut(raw, at, step.seconds)
    return preview.written(_small(frames, video, step.width, step.height, preview.PIXELS))


def _heard(source: Any, steps: Sequence[Step]) -> list[Any]:
    """Each sound is mixed once, for all that wants its samples."""
    wanted: dict[Sound, list[Sound | Waveform]] = {}
    for step in steps:
        if isinstance(step, Sound | Waveform):
            wanted.setdefault(step.sound if isinstance(step, Waveform) else step, []).append(step)
    return [out for sound, uses in wanted.items() for out in _uses(_samples(source, sound), uses)]


def _uses(samples: Any, steps: Sequence[Sound | Waveform]) -> list[Any]:
    split = samples.filter_multi_output("asplit", len(steps)) if len(steps) > 1 else [samples]
    return [_use(split[at], step) for at, step in enumerate(steps)]


def _use(samples: Any, step: Sound | Waveform) -> Any:
    match step:
        case Waveform(samples_per_pixel=count):
            return waveform.sampled(samples, course(step), samples_per_pixel=count)
        case Sound(loudness=None):
            return _encoded(samples, step)
        case Sound():
            return loudness.measured(samples, measure(step))


def _samples(source: Any, step: Sound) -> Any:
    """As they are measured and as they are encoded, in the one as in the other."""
    layout = "mono" if step.channels == 1 else "stereo"
    even = evenly(source, step.stream, SAMPLE_RATE)
    return even.filter("aformat", channel_layouts=layout, sample_fmts=loudness.SAMPLE_FORMAT)


def _encoded(samples: Any, step: Sound) -> Any:
    """The edit list is known only when samples have been seen: without `delay_moov` ffmpeg leaves it out."""
    options = {
        "c:a": "aac",
        "b:a": step.bit_rate,
        "movflags": "+cmaf+global_sidx+delay_moov",
        "use_editlist": 1,  # takes the encoder's priming, 21 ms, away again
        "frag_duration": _SOUND_FRAGMENT,
    }
    return ffmpeg.output(samples, f"{step.name}.mp4", f="mp4", **options, **stripped())
