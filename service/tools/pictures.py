"""What a page needs of a picture: its measures, renditions in exact sizes, a placeholder.

Runs in a forked child whose working directory is the job's scratch; requests and results are JSON. The order is
security_ops.md's PIL-6, with the cheap steps moved behind the first resizing: open, decode (JPEG at a reduced scale),
8 bits, largest size, sRGB, upright, then each size from the next larger one, saved from bare pixels.
"""

from base64 import b64encode
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from PIL import Image, ImageColor

from service.core.outcome import Reason, Rejected
from service.tools import colour, thumbhash
from service.tools.cues import read_captions
from service.tools.frames import frames
from service.tools.picture_files import Picture, Source, faults, opened

__all__ = ["frames", "inspect", "read_captions", "render"]

Size = tuple[int, int]
Box = tuple[float, float, float, float]

REDUCING_GAP = 2.0  # box-filtered beforehand to no less than twice the size: Pillow's "close to fair resampling"
PLACEHOLDER_SIDE = 32  # a hash holds 7 x 7 terms at most
WEBP_METHOD = 4  # 2 halves the time, but needs 9 % more bytes for the same PSNR; 3 is no faster
FILM_METHOD = 2  # on GIF's dithered frames 4 doubles the time for half a percent
AVIF_SPEED = 6  # 8 halves the time, but needs 8 % more bytes for the same PSNR


@dataclass(frozen=True, kw_only=True)
class Output:
    """One file to write: `format` is webp, jpeg, png or avif; `animated` counts for webp alone."""

    file: str
    width: int
    height: int
    format: str
    quality: int
    animated: bool

    @property
    def size(self) -> Size:
        """Width and height in pixels."""
        return self.width, self.height

    @property
    def moving(self) -> bool:
        """Whether an animation shall stay one."""
        return self.animated and self.format == "webp"


def inspect(request: Mapping[str, Any]) -> dict[str, Any]:
    """Format, size in pixels as displayed, frames and alpha of `path`, from its headers."""
    with opened(_source(request)) as picture:
        width, height = picture.size
        return {
            "format": picture.image.format,
            "width": width,
            "height": height,
            "frames": picture.frames,
            "animated": picture.frames > 1,
            "alpha": picture.alpha,
        }


def render(request: Mapping[str, Any]) -> dict[str, Any]:
    """Write every output of `request` into the working directory, or none; their sizes in pixels and bytes."""
    outputs = [Output(**output) for output in request["outputs"]]
    source = _source(request)
    with _all_or_nothing(outputs):
        with opened(source) as picture:
            films = [output for output in outputs if output.moving and picture.frames > 1]
            stills = [output for output in outputs if output not in films]
            smallest = _write_stills(picture, stills, background=request["background"])
        for output in films:
            _write_film(source, output)
    return {
        "outputs": [_written(output) for output in outputs],
        "placeholder": _placeholder(smallest) if request["placeholder"] else None,
    }


def _source(request: Mapping[str, Any]) -> Source:
    return Source(**{field.name: request[field.name] for field in fields(Source)})


@contextmanager
def _all_or_nothing(outputs: Sequence[Output]) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        for output in outputs:
            Path(output.file).unlink(missing_ok=True)
        if isinstance(error, MemoryError):
            raise Rejected(Reason.MEMORY_LIMIT, "This picture needs more memory than is allowed.") from error
        raise


def _written(output: Output) -> dict[str, Any]:
    size = Path(output.file).stat().st_size
    return {"file": output.file, "width": output.width, "height": output.height, "bytes": size}


def _write_stills(picture: Picture, outputs: Sequence[Output], *, background: str) -> Image.Image:
    """Each size from the next larger one; the smallest is returned."""
    sizes = sorted({output.size for output in outputs}, reverse=True) or [_within(picture.size, PLACEHOLDER_SIDE)]
    rendition = _first_frame(picture, sizes[0])
    for size in sizes:
        rendition = _resized(rendition, size) if size != rendition.size else rendition
        for output in outputs:
            if output.size == size:
                _save(rendition, output, background=background)
    return rendition


def _first_frame(picture: Picture, size: Size) -> Image.Image:
    """The first frame in `size`, bare; a JPEG is decoded at a half, a quarter or an eighth where that is enough."""
    with faults(str(picture.image.format)):
        profile = picture.image.info.get("icc_profile")
        draft = picture.image.draft(None, picture.turned(size))
        picture.image.load()
        pixels = colour.eight_bit(picture.image)
    return _finished(picture, _resized(pixels, picture.turned(size), box=draft[1] if draft else None), profile)


def _finished(picture: Picture, image: Image.Image, profile: bytes | None) -> Image.Image:
    """`image` in sRGB and upright, rebuilt from its pixels: Pillow's saving would keep some of `info` (PIL-6)."""
    finished = picture.upright(colour.to_srgb(image, profile))
    bare = Image.new(finished.mode, finished.size)
    bare.paste(finished)
    return bare


def _resized(image: Image.Image, size: Size, *, box: Box | None = None) -> Image.Image:
    """Lanczos; Pillow weights colours by their alpha, so that no dark fringes appear."""
    return image.resize(size, Image.Resampling.LANCZOS, box=box, reducing_gap=REDUCING_GAP)


def _within(size: Size, side: int) -> Size:
    scale = min(1.0, side / max(size))
    return max(1, round(size[0] * scale)), max(1, round(size[1] * scale))


def _save(image: Image.Image, output: Output, *, background: str) -> None:
    match output.format:
        case "webp":
            image.save(output.file, "WEBP", quality=output.quality, method=WEBP_METHOD)
        case "jpeg":
            # Progressive would save 3 % more for two and a half times the time.
            _flat(image, background).save(output.file, "JPEG", quality=output.quality, optimize=True)
        case "png":
            image.save(output.file, "PNG")
        case "avif":
            image.save(output.file, "AVIF", quality=output.quality, speed=AVIF_SPEED)
        case _:
            msg = f"not a format of ours: {output.format}"
            raise ValueError(msg)


def _flat(image: Image.Image, background: str) -> Image.Image:
    if image.mode != "RGBA":
        return image
    flat = Image.new("RGB", image.size, ImageColor.getrgb(background))
    flat.paste(image, mask=image)
    return flat


def _write_film(source: Source, output: Output) -> None:
    with opened(source) as picture:
        film = Film(_played(picture, output.size), picture.frames)
        film.save(
            output.file,
            "WEBP",
            save_all=True,
            duration=film.durations,
            loop=_plays(picture.image),
            quality=output.quality,
            method=FILM_METHOD,
        )


class Film(Image.Image):
    """What `save_all` asks of an animation, with one frame in memory; `durations` (ms) grows as it is played."""

    def __init__(self, frames: Iterator[tuple[Image.Image, float]], count: int) -> None:
        super().__init__()
        self.n_frames = count
        self.durations: list[float] = []
        self._frames = frames
        self.seek(0)

    def seek(self, frame: int) -> None:
        """Forward by one; back is only asked for at the very end, for nothing."""
        if frame == len(self.durations):
            shown, duration = next(self._frames)
            self.im, self._mode, self._size = shown.im, shown.mode, shown.size
            self.durations.append(duration)

    def tell(self) -> int:
        """The number of the frame that is shown, from 0."""
        return len(self.durations) - 1


def _played(picture: Picture, size: Size) -> Iterator[tuple[Image.Image, float]]:
    """Each frame as composed by Pillow, finished in `size`, and its duration in milliseconds."""
    image, canvas = picture.image, picture.image.size
    profile = image.info.get("icc_profile")
    for number in range(picture.first, picture.first + picture.frames):
        with faults(str(image.format)):
            image.seek(number)
            image.load()
            pixels = colour.eight_bit(image)
        within = pixels if pixels.size == canvas else pixels.crop((0, 0, *canvas))  # Pillow lets GIFs grow
        yield _finished(picture, _resized(within, picture.turned(size)), profile), image.info.get("duration", 0)


def _plays(image: Image.Image) -> int:
    """How often WebP has to play it, 0 for ever: GIF counts the repetitions, and means one play by saying nothing."""
    if image.format != "GIF":
        return int(image.info.get("loop", 0))
    repeats = image.info.get("loop")
    return 1 if repeats is None else min(repeats + 1, 0xFFFF) if repeats else 0


def _placeholder(image: Image.Image) -> dict[str, Any]:
    small = _resized(image, _within(image.size, PLACEHOLDER_SIDE)).convert("RGBA")
    average = small.resize((1, 1), Image.Resampling.BOX).tobytes()
    return {
        "thumbhash": b64encode(thumbhash.encode(*small.size, small.tobytes())).decode(),
        "color": f"#{average[:3].hex()}",
        "alpha": image.mode == "RGBA",
    }
