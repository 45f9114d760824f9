"""Pillow in the sandbox: the worker's side of `pictures`, which runs in a child forked for the job."""

from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, TypeAdapter, ValidationError

from service.core import command
from service.core.media import Picture
from service.core.outcome import Reason, Rejected, Unavailable
from service.core.recipe import Limits
from service.core.record import Hint
from service.core.screening import Traits
from service.runtime import made
from service.runtime.tools import Drawn, Page, Shown, Target
from service.tools import limits as sandbox_limits
from service.tools.ffmpeg import spent
from service.tools.sandbox import Sandbox

_INSPECT_SECONDS = 20
_DRAW_SECONDS = 300  # an animation of a thousand frames, or the largest picture in every format
_MAX_FILE = 2_000_000_000
_SAID = 500  # characters of a child's answer that are logged
_PICTURE = TypeAdapter(Picture)
_MAX_FRAME = 5_242_880  # bytes that Rekognition takes of one picture

_Level = Annotated[float, Field(ge=0, le=255)]


class _Frame(BaseModel):
    """What a child says of one frame that it wrote; its sides are within a provider's limits."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    file: str
    bytes: int = Field(gt=0, le=_MAX_FRAME)
    width: int = Field(ge=80, le=10_000)
    height: int = Field(ge=80, le=10_000)
    dhash: str = Field(pattern=r"^[0-9a-f]{16}$")
    luma: _Level
    deviation: _Level
    sharpness: float = Field(ge=0, le=1e6)
    colour: tuple[_Level, _Level, _Level]
    fields: str = Field(pattern=r"^[0-9a-f]{512}$")


_FRAMES = TypeAdapter(list[_Frame])


class Painter:
    """Decodes and draws pictures."""

    def __init__(self, sandbox: Sandbox, *, memory_bytes: int) -> None:
        self._sandbox = sandbox
        self._memory = memory_bytes

    async def inspect(self, folder: Path, formats: Sequence[str], limits: Limits) -> Picture:
        """What the source is, by its headers.

        :raises Rejected: for what is no such picture, or breaks a limit.
        """
        request = _request(command.SOURCE, formats, limits)
        found, _ = await self._sandbox.call("inspect", request, cwd=folder, limits=self._limits(_INSPECT_SECONDS))
        try:
            return _PICTURE.validate_python(found | {"formats": tuple(formats)})
        except ValidationError as error:  # the child has seen the upload: what it answers is not trusted
            raise Rejected(Reason.DAMAGED, "Reading its headers gave nonsense.") from error

    async def draw(
        self,
        folder: Path,
        source: str,
        targets: Sequence[Target],
        *,
        formats: Sequence[str],
        background: str,
        limits: Limits,
    ) -> Drawn:
        """Decode `source` once and write every target into `folder`.

        :raises Rejected: `damaged`, or the limit that it broke.
        """
        request = _request(source, formats, limits) | {
            "background": background,
            "outputs": [asdict(target) for target in targets],
            "placeholder": True,
        }
        done, usage = await self._sandbox.call("render", request, cwd=folder, limits=self._limits(_DRAW_SECONDS))
        _check(done.get("outputs"), targets, folder)
        return Drawn(hint=_hint(done.get("placeholder")), spent=spent(usage))

    async def frames(
        self, folder: Path, pages: Sequence[Page], *, formats: Sequence[str], side: int, limits: Limits
    ) -> Shown:
        """Write what a `Judge` may look at: bare JPEGs in sRGB, upright, about `side` pixels long, padded to 80.

        :raises Rejected: `damaged`, or the limit that it broke.
        """
        request = _request("", formats, limits) | {"pages": [asdict(page) for page in pages], "side": side}
        done, usage = await self._sandbox.call("frames", request, cwd=folder, limits=self._limits(_DRAW_SECONDS))
        return Shown(traits=_measured(done.get("pages"), pages, folder), spent=spent(usage))

    def _limits(self, seconds: float) -> sandbox_limits.Limits:
        return sandbox_limits.Limits(
            wall_seconds=seconds, cpu_seconds=int(seconds), memory_bytes=self._memory, file_bytes=_MAX_FILE
        )


def _hint(said: object) -> Hint | None:
    """It goes into a public document, and comes from a child that has seen the upload."""
    try:
        return Hint.model_validate(said) if said else None
    except ValidationError as error:
        raise Rejected(Reason.DAMAGED, "Drawing it gave nonsense.") from error


def _check(said: object, targets: Sequence[Target], folder: Path) -> None:
    """Whether every file is there, as it was asked for.

    :raises Unavailable: when one is not; the upload is not at fault.
    """
    expected = [
        {"file": one.file, "width": one.width, "height": one.height, "bytes": _size(folder / one.file)}
        for one in targets
    ]
    if said != expected or not all(one["bytes"] for one in expected):
        raise Unavailable(f"drawing gave {str(said)[:_SAID]}, not {expected}")


def _measured(said: object, pages: Sequence[Page], folder: Path) -> tuple[Traits, ...]:
    """What it says of each frame, if each is there and of that size; the child has seen the upload.

    :raises Rejected: `damaged`, when it says or wrote anything else.
    """
    try:
        found = _FRAMES.validate_python(said)
    except ValidationError as error:
        raise Rejected(Reason.DAMAGED, "Looking at its frames gave nonsense.") from error
    there = [(page.file, _size(folder / page.file)) for page in pages if made.is_file(folder / page.file)]
    if [(one.file, one.bytes) for one in found] != there or len(there) != len(pages):
        raise Rejected(Reason.DAMAGED, "Looking at its frames gave other files than were to be made.")
    return tuple(_traits(one) for one in found)


def _traits(frame: _Frame) -> Traits:
    return Traits(
        dhash=int(frame.dhash, 16),
        luma=frame.luma,
        deviation=frame.deviation,
        sharpness=frame.sharpness,
        colour=frame.colour,
        fields=bytes.fromhex(frame.fields),
    )


def _size(path: Path) -> int:
    try:
        return path.lstat().st_size
    except FileNotFoundError:
        return 0


def _request(source: str, formats: Sequence[str], limits: Limits) -> dict[str, Any]:
    return {
        "path": source,
        "formats": list(formats),
        "max_pixels": limits.pixels,
        "max_frames": limits.frames,
        "max_total_pixels": limits.total_pixels,
    }
