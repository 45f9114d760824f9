"""Small uploads of many kinds, no two alike, so that an ETag tells every version from every other."""

import io
import subprocess
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

from PIL import Image

#: Two widths and one rung: what is proven is what happens around the encoders, not in them.
RECIPE = """
moderation.provider = "off"
captions.provider = "off"
[images]
widths = [64, 128]
formats = ["webp"]
[video]
preset = "ultrafast"
progressive_height = 90
poster_width = 128
ladder = [{ height = 90, max_bit_rate = 200_000 }]
"""

_VIDEO = ["-f", "lavfi", "-i", "testsrc2=size=160x90:rate=10:duration=1"]
_SOUND = ["-f", "lavfi", "-i", "sine=frequency=440:duration=1"]
_H264 = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"]
_STREAMS = {
    "clip.mp4": [*_VIDEO, *_SOUND, *_H264, "-c:a", "aac", "-shortest"],
    "mute.mov": [*_VIDEO, *_H264],
    "sound.m4a": [*_SOUND, "-c:a", "aac"],
}
_PICTURES = {"jpeg": "JPEG", "png": "PNG", "webp": "WEBP", "bmp": "BMP"}


@dataclass(frozen=True, kw_only=True)
class Upload:
    """What is put into the bucket, and what has to become of it: a status, and a reason where it is not ready."""

    kind: str
    content: bytes
    status: str = "ready"
    reason: str | None = None


class Corpus:
    """Makes uploads; the streams among them are encoded once, in `folder`."""

    def __init__(self, folder: Path) -> None:
        self._streams: dict[str, bytes] = {}
        for name, argv in _STREAMS.items():
            path = folder / name
            subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-y", *argv, path], check=True)
            self._streams[name] = path.read_bytes()
        self._kinds: dict[str, tuple[int, Callable[[Random], Upload]]] = {
            **{kind: (3, self._picture(kind)) for kind in _PICTURES},
            "animation": (1, self._animation),
            **{name: (2, self._stream(name)) for name in _STREAMS},
            "damaged picture": (1, self._half_a_picture),
            "damaged clip": (1, self._half_a_clip),
            "text": (1, self._text),
        }

    def any(self, random: Random) -> Upload:
        """Any upload: mostly pictures, some clips and sounds, and some that can only be refused."""
        names = list(self._kinds)
        (name,) = random.choices(names, weights=[self._kinds[one][0] for one in names])
        return self.one(name, random)

    def one(self, kind: str, random: Random) -> Upload:
        """An upload of one kind."""
        return self._kinds[kind][1](random)

    def _picture(self, kind: str) -> Callable[[Random], Upload]:
        return lambda random: Upload(kind=kind, content=_painted(random, _PICTURES[kind]))

    def _stream(self, name: str) -> Callable[[Random], Upload]:
        return lambda random: Upload(kind=name, content=self._streams[name] + _free(random))

    def _animation(self, random: Random) -> Upload:
        return Upload(kind="animation", content=_painted(random, "GIF", frames=3))

    def _half_a_picture(self, random: Random) -> Upload:
        content = _painted(random, "JPEG")
        return Upload(kind="damaged picture", content=content[: len(content) // 2], status="rejected", reason="damaged")

    def _half_a_clip(self, random: Random) -> Upload:
        content = random.randbytes(16).join([b"", self._streams["clip.mp4"][24:]])
        head = self._streams["clip.mp4"][:24]
        half = (head + content)[: len(content) // 2]
        return Upload(kind="damaged clip", content=half, status="rejected", reason="damaged")

    def _text(self, random: Random) -> Upload:
        content = b"Dear diary " + random.randbytes(8).hex().encode() * 9
        return Upload(kind="text", content=content, status="rejected", reason="unsupported_type")


def _painted(random: Random, format_: str, *, frames: int = 1) -> bytes:
    """A little picture of random colours."""
    made = []
    for _ in range(frames):
        picture = Image.frombytes("RGB", (4, 3), random.randbytes(36)).resize((160, 120), Image.Resampling.BICUBIC)
        made.append(picture)
    more = {"save_all": True, "append_images": made[1:], "duration": 100} if frames > 1 else {}
    with io.BytesIO() as out:
        made[0].save(out, format_, **more)
        return out.getvalue()


def _free(random: Random) -> bytes:
    """A box that no reader cares for (ISO/IEC 14496-12, section 8.1.2)."""
    return (24).to_bytes(4, "big") + b"free" + random.randbytes(16)
