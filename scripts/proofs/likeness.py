"""How like a rendition's frames are to those that its source shows at the same time, and whether they stand upright.

The source is decoded by ffmpeg with its own rotation, deinterlaced by yadif and scaled to the rendition's size.
"""

import math
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from statistics import fmean

from PIL import Image, ImageChops, ImageOps, ImageStat

from scripts.proofs.clips import Clip, UnreadableError, run

_ALL = re.compile(r"^n:.* All:([0-9.]+)", re.MULTILINE)  # of a frame: all three planes
_LINES = 240  # of the pictures that are looked at side by side
_TIMES = (0.05, 0.25, 0.5, 0.75, 0.95)  # of a clip
_TURNS = (
    Image.Transpose.FLIP_LEFT_RIGHT,
    Image.Transpose.FLIP_TOP_BOTTOM,
    Image.Transpose.ROTATE_90,
    Image.Transpose.ROTATE_180,
    Image.Transpose.ROTATE_270,
)
_LEAST, _LARGER = 64, 8  # pixels: SSIM needs eight of them, and some clips of a corpus have fewer
_PAPER = 203  # nits of white paper in HDR (ITU-R BT.2408)
_CELL = (640, 200)  # pixels of a sheet that one pair has
_SMALL = (64, 64)  # pixels in which orientations are compared
_PLAIN = 2.0  # levels of 255: turned pictures that are no further off are as good as symmetric
_NAMES = {"smpte170m": "bt601", "bt470bg": "bt470", "bt2020nc": "bt2020", "bt2020c": "bt2020", "ictcp": "bt2020"}


@dataclass(frozen=True, kw_only=True)
class Likeness:
    """SSIM of all frames; `upright` is None for a picture that looks the same when it is turned.

    `tint` is how far means and deviations of its colours are off, in levels of 255; None for HDR, which is for the eye:
    its tones may be mapped in many ways, and the one here (Hable's) is darker. `pairs` are pictures: rendition left,
    source right.
    """

    frames: int
    ssim: float
    lowest: float
    upright: bool | None
    tint: float | None
    pairs: tuple[Path, ...]


def compared(source: Clip, rendition: Path, *, size: tuple[int, int], rate: Fraction, folder: Path) -> Likeness:
    """Compare frame by frame; pictures of some moments are written to `folder`.

    :raises UnreadableError: when one of them can't be decoded.
    """
    folder.mkdir(parents=True, exist_ok=True)
    count = _frames(rendition)
    first = min(count - 1, math.ceil(source.starts * rate))  # before it the source shows nothing
    chosen = sorted({first + int((count - first) * at) for at in _TIMES})
    graph = ";".join(_graph(source, size, rate, chosen))
    inputs = ["-i", str(source.path), "-i", str(rendition)]
    pictures = ["-fps_mode", "passthrough", "-frames:v", str(len(chosen)), "pair-%d.png"]
    outputs = ["-map", "[q]", "-f", "null", "-", "-map", "[p]", *pictures]
    run(["ffmpeg", "-nostdin", "-v", "error", "-y", *inputs, "-filter_complex", graph, *outputs], folder=folder)
    scores = [float(one) for one in _ALL.findall((folder / "ssim.txt").read_text())][:count]
    pairs = tuple(sorted(folder.glob("pair-*.png")))
    if not (scores and pairs):
        raise UnreadableError(f"{source.path.name}: no frame of it could be compared")
    return Likeness(
        frames=len(scores),
        ssim=fmean(scores),
        lowest=min(scores),
        upright=_upright(pairs),
        tint=None if source.hdr else max(_tint(*_halves(pair)) for pair in pairs),
        pairs=pairs,
    )


def _frames(rendition: Path) -> int:
    argv = ["ffprobe", "-v", "error", "-count_packets", "-select_streams", "v:0"]
    return int(run([*argv, "-show_entries", "stream=nb_read_packets", "-of", "csv=p=0", str(rendition)]).strip(",\n"))


def _graph(source: Clip, size: tuple[int, int], rate: Fraction, chosen: list[int]) -> Iterator[str]:
    """Both filters take the source's latest frame that is no later: in the middle of a frame nothing is rounded."""
    half = round(500_000 / rate)
    larger = f"scale=iw*{_LARGER}:ih*{_LARGER}:flags=neighbor," if min(size) < _LEAST else ""
    picks = "+".join(f"eq(n,{number})" for number in chosen)
    yield f"[1:v]{larger}settb=1/1000000,setpts=PTS+{half},split[m0][m1]"
    yield f"[0:{source.video}]{_shown(source, size)},{larger}settb=1/1000000,split[r0][r1]"
    yield "[m0][r0]ssim=stats_file=ssim.txt[q]"
    yield f"[r1]scale=-2:{_LINES}[small]"
    yield f"[m1]select='{picks}',scale=-2:{_LINES},pad=2*iw:ih[wide]"
    yield "[wide][small]overlay=x=W/2[p]"


def _shown(source: Clip, size: tuple[int, int]) -> str:
    """What a player shows of the source, at `size`, in BT.709."""
    even = "yadif=deint=interlaced"
    scale = f"scale={size[0]}:{size[1]}:flags=bicubic+accurate_rnd"
    if source.hdr:
        return f"{even},{scale},setsar=1,format=yuv420p10le,{_mapped(source.hdr)}"
    matrix = "" if source.matrix == "gbr" else f":in_color_matrix={_NAMES.get(source.matrix, source.matrix)}"
    return f"{even},{scale}{matrix}:out_color_matrix=bt709:out_range=tv,setsar=1,format=yuv420p"


def _mapped(transfer: str) -> str:
    light = f"zscale=tin={transfer}:pin=bt2020:min=bt2020nc:rin=tv:t=linear:npl={_PAPER}:p=bt709,format=gbrpf32le"
    return f"{light},tonemap=hable:desat=0,zscale=t=bt709:m=bt709:p=bt709:r=tv,format=yuv420p"


def sheet(pairs: Sequence[Path], target: Path, columns: int) -> None:
    """One picture of many pairs, all in cells of one size."""
    rows = max(1, -(-len(pairs) // columns))
    whole = Image.new("RGB", (columns * _CELL[0], rows * _CELL[1]), "white")
    for number, pair in enumerate(pairs):
        with Image.open(pair) as opened:
            small = ImageOps.contain(opened.convert("RGB"), (_CELL[0] - 8, _CELL[1] - 8))
        row, column = divmod(number, columns)
        whole.paste(small, (column * _CELL[0] + 4, row * _CELL[1] + 4))
    whole.save(target)


def _upright(pairs: tuple[Path, ...]) -> bool | None:
    """Whether no other way to hold it is nearer to the source."""
    plain = [[one.convert("L").resize(_SMALL) for one in _halves(pair)] for pair in pairs]
    as_it_is = fmean(_off(ours, theirs) for ours, theirs in plain)
    turned = min(fmean(_off(ours.transpose(turn), theirs) for ours, theirs in plain) for turn in _TURNS)
    return None if abs(turned - as_it_is) < _PLAIN else as_it_is < turned


def _halves(pair: Path) -> tuple[Image.Image, Image.Image]:
    with Image.open(pair) as opened:
        both = opened.convert("RGB")
    middle = both.width // 2
    return both.crop((0, 0, middle, both.height)), both.crop((middle, 0, both.width, both.height))


def _off(one: Image.Image, other: Image.Image) -> float:
    return fmean(ImageStat.Stat(ImageChops.difference(one, other)).mean)


def _tint(one: Image.Image, other: Image.Image) -> float:
    """A wrong matrix moves means, a wrong range the deviations."""
    ours, theirs = ImageStat.Stat(one), ImageStat.Stat(other)
    told = zip((*ours.mean, *ours.stddev), (*theirs.mean, *theirs.stddev), strict=True)
    return max(abs(one - other) for one, other in told)
