"""Small real files of many kinds, made once with ffmpeg and Pillow; nothing of anybody else's is in the project."""

import subprocess
from functools import cache
from pathlib import Path

from PIL import Image

_VIDEO = ["-f", "lavfi", "-i", "testsrc2=size=480x270:rate=25:duration=2"]
_SOUND = ["-f", "lavfi", "-i", "sine=frequency=440:duration=2"]
_SAID = "A file lands in a bucket. Minutes later, people can read what is said in it."
_SPEECH = ["-f", "lavfi", "-i", "testsrc2=size=480x270:rate=10:duration=9"]
_SPEECH += ["-f", "lavfi", "-i", f"flite=text='{_SAID}':voice=slt,apad=pad_dur=0.5"]
_H264 = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"]

_COMMANDS: dict[str, list[str]] = {
    "clip.mp4": [*_VIDEO, *_SOUND, *_H264, "-c:a", "aac", "-shortest"],
    "clip.mov": [*_VIDEO, *_H264],
    "clip.mkv": [*_VIDEO, *_SOUND, *_H264, "-c:a", "libvorbis"],
    "clip.webm": [*_VIDEO, *_SOUND, "-c:v", "libvpx", "-c:a", "libopus", "-b:v", "200k"],
    "clip.avi": [*_VIDEO, *_SOUND, "-c:v", "mpeg4", "-c:a", "libmp3lame"],
    "clip.ts": [*_VIDEO, *_SOUND, *_H264, "-c:a", "aac"],
    "speech.mp4": [*_SPEECH, *_H264, "-c:a", "aac", "-shortest"],
    "sound.mp3": [*_SOUND, "-c:a", "libmp3lame"],
    "sound.m4a": [*_SOUND, "-c:a", "aac"],
    "sound.flac": [*_SOUND, "-c:a", "flac"],
    "sound.wav": [*_SOUND, "-c:a", "pcm_s16le"],
    "sound.ogg": [*_SOUND, "-c:a", "libvorbis"],
}
PICTURES = ("picture.jpg", "picture.png", "picture.webp", "picture.gif", "picture.tiff", "picture.bmp", "picture.avif")
NAMES = (*PICTURES, *(name for name in _COMMANDS if name != "speech.mp4"))


@cache
def sample(folder: Path, name: str) -> Path:
    """The file `name`, made in `folder` if it is not there yet."""
    path = folder / name
    if path.exists():
        return path
    if name in PICTURES:
        _gradient().save(path)
    else:
        argv = ["ffmpeg", "-v", "error", "-nostdin", "-y", *_COMMANDS[name], str(path)]
        subprocess.run(argv, check=True)
    return path


def _gradient() -> Image.Image:
    """Red grows to the right, green downwards."""
    red = Image.linear_gradient("L").rotate(90).resize((900, 600))
    green = Image.linear_gradient("L").resize((900, 600))
    return Image.merge("RGB", (red, green, Image.new("L", (900, 600), 64)))


def plain(folder: Path, name: str, color: str, *, size: tuple[int, int] = (320, 240)) -> Path:
    """A picture or a clip of one second without sound, by the suffix of `name`: `color` with a little structure."""
    path = folder / name
    if path.suffix == ".mp4":
        source = f"color=c={color}:size={size[0]}x{size[1]}:rate=10:duration=1,drawgrid=w=40:h=40:c=gray@0.3"
        subprocess.run(
            ["ffmpeg", "-v", "error", "-nostdin", "-y", "-f", "lavfi", "-i", source, *_H264, path], check=True
        )
        return path
    picture = Image.new("RGB", size, color)
    picture.paste("gray", (10, 10, 40, 40))
    picture.save(path)
    return path
