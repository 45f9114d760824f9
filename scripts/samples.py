"""Three files to upload, made here: a photo, a clip and a sound, with traits and names that trip up other services."""

import math
import subprocess
from collections.abc import Callable, Iterator, Sequence
from functools import cache
from pathlib import Path

from PIL import ExifTags, Image, ImageDraw, ImageFont

Colour = tuple[int, int, int]

_SKY: tuple[Colour, ...] = ((24, 34, 78), (92, 72, 132), (214, 116, 124), (250, 176, 116), (255, 222, 160))
_HILLS: tuple[tuple[Colour, float, float], ...] = (((112, 82, 118), 0.115, 1.3), ((66, 54, 92), 0.07, 2.9))
_SUN: Colour = (255, 238, 196)
_HORIZON = 0.62  # of the picture's height

# What the clip says; flite's voice speaks it so clearly that a small model hears every word.
SPEECH = (
    "Good morning.",
    "The sun rises over a quiet bay, and the water turns from silver to gold.",
    "The pictures were drawn by a program, and the voice belongs to a machine.",
    "Another machine listened to it and typed these words.",
)
_PAUSE = 350  # milliseconds before each sentence
_TEMPO = 1.1  # of flite's own

_CLIP_SECONDS = 16  # the speech takes 15.2
_CLIP_RATE = 20
_CLIP_SIZE = (1280, 720)

# Notes of a D major ninth chord, in Hz, that set in one after the other and fade like plucked strings.
_NOTES = (146.83, 220.0, 277.18, 369.99, 440.0, 659.26)


def speaks() -> bool:
    """Whether this ffmpeg can speak: Debian's and Ubuntu's can; where not, the clip has the sound of strings."""
    argv = ["ffmpeg", "-hide_banner", "-loglevel", "error", "-h", "filter=flite"]
    return b"Filter flite" in subprocess.run(argv, capture_output=True, check=False).stdout


def speech(sentences: Sequence[str], *, seconds: int) -> str:
    """A source for ffmpeg's `lavfi`: a machine says `sentences` (letters, commas and full stops), then silence."""
    said = [
        f"flite=voice=rms:text='{sentence}',atempo={_TEMPO},adelay={_PAUSE}[{number}]"
        for number, sentence in enumerate(sentences)
    ]
    parts = "".join(f"[{number}]" for number in range(len(said)))
    return f"{';'.join(said)};{parts}concat=n={len(said)}:v=0:a=1,aresample=48000,apad=whole_dur={seconds}"


def make(folder: Path) -> list[Path]:
    """The three files in `folder`; those that are there already stay."""
    wanted: dict[str, Callable[[Path], None]] = {
        "Sunrise over the bay.JPG": _photo,
        "clip.MOV": _clip,
        "voice+note #1.wav": _sound,
    }
    folder.mkdir(parents=True, exist_ok=True)
    for name, write in wanted.items():
        if not (folder / name).exists():
            part = folder / f"part-{name}"
            write(part)
            part.rename(folder / name)
    return [folder / name for name in wanted]


def _photo(path: Path) -> None:
    """Stored on its side, as a phone does it, with the time and place that nobody should publish."""
    upright = _scene(1600, 1200, sun=0.55, moment=4.0)
    exif = Image.Exif()
    exif[ExifTags.Base.Orientation] = 6  # turn a quarter clockwise to see it
    exif[ExifTags.Base.Make] = "Demo"
    exif[ExifTags.Base.DateTime] = "2026:06:21 04:51:00"
    exif.get_ifd(ExifTags.IFD.GPSInfo).update(
        {ExifTags.GPS.GPSLatitudeRef: "N", ExifTags.GPS.GPSLatitude: (53.0, 34.0, 12.0)}
    )
    upright.transpose(Image.Transpose.ROTATE_90).save(path, "JPEG", quality=92, exif=exif)


def _clip(path: Path) -> None:
    """The sun rises, a clock shows whether the video plays, and a voice says SPEECH, if ffmpeg can speak."""
    width, height = _CLIP_SIZE
    argv = ["ffmpeg", "-hide_banner", "-loglevel", "error", "-y"]
    argv += ["-f", "rawvideo", "-pix_fmt", "rgb24", "-s", f"{width}x{height}", "-r", str(_CLIP_RATE), "-i", "-"]
    argv += ["-f", "lavfi", "-i", speech(SPEECH, seconds=_CLIP_SECONDS) if speaks() else _strings(_CLIP_SECONDS)]
    argv += ["-c:v", "libx264", "-preset", "veryfast", "-crf", "18", "-pix_fmt", "yuv420p"]
    argv += ["-c:a", "aac", "-b:a", "160k", "-f", "mov", str(path)]
    with subprocess.Popen(argv, stdin=subprocess.PIPE) as encoder:
        assert encoder.stdin
        for frame in _frames():
            encoder.stdin.write(frame.tobytes())
    if encoder.returncode:
        raise subprocess.CalledProcessError(encoder.returncode, argv)


def _sound(path: Path) -> None:
    argv = ["ffmpeg", "-hide_banner", "-loglevel", "error", "-y", "-f", "lavfi", "-i", _strings(10)]
    subprocess.run([*argv, "-c:a", "pcm_s16le", "-f", "wav", str(path)], check=True)


def _strings(seconds: int) -> str:
    notes = []
    for number, pitch in enumerate(_NOTES):
        start = 0.45 * number
        since = f"max(0,t-{start:.2f})"
        loudness = f"gte(t,{start:.2f})*exp(-0.45*{since})*min(1,{since}*60)"
        notes.append(f"{loudness}*(sin(2*PI*{pitch}*t)+0.4*sin(4*PI*{pitch}*t)+0.15*sin(6*PI*{pitch}*t))")
    mono = f"0.11*({'+'.join(notes)})"
    source = f"aevalsrc='{mono}|{mono}':s=48000:d={seconds}"
    return f"{source},aecho=0.8:0.7:90|160:0.3|0.2,afade=out:st={seconds - 2}:d=2,atrim=end={seconds}"


def _frames() -> Iterator[Image.Image]:
    width, height = _CLIP_SIZE
    font = ImageFont.load_default(54)
    total = _CLIP_SECONDS * _CLIP_RATE
    for number in range(total):
        seconds = number / _CLIP_RATE
        frame = _scene(width, height, sun=0.9 * number / total, moment=seconds)
        draw = ImageDraw.Draw(frame)
        draw.text((40, 30), f"{seconds:04.1f} s", font=font, fill=(255, 244, 224))
        draw.rectangle((0, height - 8, width * (number + 1) / total, height), fill=(255, 214, 150))
        yield frame


def _scene(width: int, height: int, *, sun: float, moment: float) -> Image.Image:
    """A bay at sunrise.

    :param sun: how high it stands, 0 on the horizon and 1 at the top.
    :param moment: seconds, which move the water.
    """
    horizon = int(height * _HORIZON)
    scene = Image.new("RGB", (width, height))
    scene.paste(_sky(width, horizon), (0, 0))
    _shine(scene, width // 2, int(horizon * (1.04 - 0.85 * sun)), horizon)
    for colour, rise, waves in _HILLS:
        ImageDraw.Draw(scene).polygon(_ridge(width, horizon, height * rise, waves), fill=colour)
    scene.paste(_water(scene.crop((0, 0, width, horizon)), height - horizon, moment), (0, horizon))
    return scene


@cache
def _sky(width: int, height: int) -> Image.Image:
    stops = Image.new("RGB", (1, len(_SKY)))
    stops.putdata(_SKY)
    return stops.resize((width, height), Image.Resampling.BICUBIC)


def _shine(scene: Image.Image, x: int, y: int, horizon: int) -> None:
    for size, strength in ((horizon * 2, 0.3), (horizon // 2, 0.8), (horizon // 4, 1.0)):
        fall = Image.radial_gradient("L").point(lambda value, most=strength: int(max(0, 255 - 2 * value) * most))
        if size == horizon // 4:
            fall = fall.point(lambda value: min(255, value * 6))
        scene.paste(_SUN, (x - size // 2, y - size // 2), fall.resize((size, size), Image.Resampling.BILINEAR))


def _ridge(width: int, horizon: int, rise: float, waves: float) -> list[tuple[float, float]]:
    top = [
        (
            x,
            horizon
            - rise * (0.55 + 0.3 * math.sin(waves * x / width * 6 + waves) + 0.15 * math.sin(23 * x / width + waves)),
        )
        for x in range(0, width + 8, 8)
    ]
    return [*top, (width, horizon), (0, horizon)]


def _water(above: Image.Image, height: int, moment: float) -> Image.Image:
    squashed = above.resize((above.width, height), Image.Resampling.BILINEAR)
    mirrored = squashed.transpose(Image.Transpose.FLIP_TOP_BOTTOM)
    mirrored = Image.blend(mirrored, Image.new("RGB", mirrored.size, (22, 40, 80)), 0.35)
    water = mirrored.copy()
    for y in range(height):
        depth = (y + 4) / height  # waves grow towards the viewer
        shift = int(14 * depth * math.sin(70 / (depth + 0.25) + 2.4 * moment))
        water.paste(mirrored.crop((0, y, above.width, y + 1)), (shift, y))
    return water
