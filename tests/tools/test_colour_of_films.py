"""Patches of known colour through the real ffmpeg: what a source means is what a page shows."""

import json
import os
import subprocess
from collections.abc import Sequence
from dataclasses import replace
from math import log, sqrt
from pathlib import Path

import ffmpeg
import pytest
from PIL import Image

from service.core import colour, command, media
from service.core.media import VideoStream
from service.core.sniff import StreamFile
from tests.core.samples import RULES

Rgb = tuple[float, float, float]  # of 1
WIDTH = 64  # of a bar, in pixels
BARS: tuple[Rgb, ...] = ((1, 1, 1), (0.5, 0.5, 0.5), (0.8, 0.2, 0.2), (0.2, 0.7, 0.3), (0.2, 0.3, 0.8), (0.9, 0.6, 0.5))
LUMA = {  # what red and blue are of luma: ITU-T H.273, table 4
    "bt709": (0.2126, 0.0722),
    "smpte170m": (0.299, 0.114),
    "bt470bg": (0.299, 0.114),
    "bt2020nc": (0.2627, 0.0593),
}
BT709_IN_BT2020 = ((0.6274, 0.3293, 0.0433), (0.0691, 0.9195, 0.0114), (0.0164, 0.0880, 0.8956))  # ITU-R BT.2087
CORPUS = Path(os.environ.get("MEDIA_CORPUS", Path(__file__).parents[3] / "shared" / "corpus"))
MEDIA3 = "media3/libraries/test_data/src/test/assets/media"


def codes(rgb: Rgb, matrix: str, *, bits: int = 8, full: bool = False) -> tuple[int, int, int]:
    """A colour in Y′CbCr, as integers."""
    red, blue = LUMA[matrix]
    y = red * rgb[0] + (1 - red - blue) * rgb[1] + blue * rgb[2]
    cb, cr = (rgb[2] - y) / (2 - 2 * blue), (rgb[0] - y) / (2 - 2 * red)
    unit, top = 1 << (bits - 8), (1 << bits) - 1
    if full:
        return round(top * y), round(top * cb) + 128 * unit, round(top * cr) + 128 * unit
    return round((219 * y + 16) * unit), round((224 * cb + 128) * unit), round((224 * cr + 128) * unit)


def colour_of(ycc: Sequence[int], matrix: str, *, full: bool) -> Rgb:
    """The inverse of `codes` for 8 bits."""
    red, blue = LUMA[matrix]
    black, luma, chroma = (0, 255, 255) if full else (16, 219, 224)
    y, cb, cr = (ycc[0] - black) / luma, (ycc[1] - 128) / chroma, (ycc[2] - 128) / chroma
    r, b = y + cr * (2 - 2 * red), y + cb * (2 - 2 * blue)
    return r, (y - red * r - blue * b) / (1 - red - blue), b


def raw(bars: Sequence[tuple[int, ...]], height: int, *, bits: int = 8) -> bytes:
    """One frame of `yuv420p`, or of `yuv420p10le`: a bar of each colour, side by side."""
    size = 1 if bits == 8 else 2

    def plane(at: int, width: int) -> bytes:
        return b"".join(bar[at].to_bytes(size, "little") * width for bar in bars)

    chroma = (plane(at, WIDTH // 2) * (height // 2) for at in (1, 2))
    return plane(0, WIDTH) * height + b"".join(chroma)


def run(*argv: str, given: bytes | None = None) -> bytes:
    """What ffmpeg writes; it says nothing."""
    done = subprocess.run(["ffmpeg", "-v", "error", "-y", *argv], input=given, capture_output=True, check=False)
    assert (0, "") == (done.returncode, done.stderr.decode())
    return done.stdout


def film(file: Path, frame: bytes, *, height: int, bars: int, pixels: str, options: str) -> Path:
    """Two frames of it, encoded."""
    size = f"{bars * WIDTH}x{height}"
    given = ["-f", "rawvideo", "-pix_fmt", pixels, "-s", size, "-r", "25", "-i", "-"]
    run(*given, *options.split(), str(file), given=frame * 2)
    return file


def probed(file: Path) -> VideoStream:
    """What is known of it when it is planned."""
    demuxer = {".mp4": "mov", ".mov": "mov", ".mkv": "matroska", ".webm": "matroska", ".avi": "avi"}[file.suffix]
    argv = command.probe(StreamFile(demuxers=(demuxer,), certain=True), RULES.limits)
    document = subprocess.run([*argv[:-1], str(file)], capture_output=True, check=True).stdout
    found = media.from_ffprobe(json.loads(document), size=1, sniffed=StreamFile(demuxers=(demuxer,), certain=True))
    assert found.video
    return found.video


def made(file: Path, video: VideoStream, *, size: tuple[int, int], pixel_format: str = "yuv420p", at: int = 0) -> bytes:
    """The frame `at` after both functions, as raw pixels."""
    source = ffmpeg.input(str(file))[str(video.index)].filter("select", f"gte(n,{at})")
    frames = colour.scaled(colour.standard(source, video, size), video, *size, pixel_format=pixel_format)
    graph = ffmpeg.output(frames, "-", f="rawvideo", **{"frames:v": 1})
    return run(*ffmpeg.compile(graph)[1:])


def shown(file: Path, video: VideoStream, bars: int, *, height: int = 90, pixel_format: str = "yuv420p") -> list[Rgb]:
    """The colour in the middle of each bar, at half the size, as a player reads it."""
    width = bars * WIDTH // 2
    frame = made(file, video, size=(width, height), pixel_format=pixel_format)
    middles = [(2 * bar + 1) * WIDTH // 4 for bar in range(bars)]
    if pixel_format == "rgb24":
        assert len(frame) == width * height * 3
        row = frame[height // 2 * width * 3 :]
        return [(row[x * 3] / 255, row[x * 3 + 1] / 255, row[x * 3 + 2] / 255) for x in middles]
    luma, chroma = width * height, (width // 2) * (height // 2)
    assert len(frame) == luma + 2 * chroma
    row, half = height // 2 * width, height // 4 * (width // 2)
    full = pixel_format == "yuvj420p"
    triples = [(frame[row + x], frame[luma + half + x // 2], frame[luma + chroma + half + x // 2]) for x in middles]
    return [colour_of(triple, "smpte170m" if full else "bt709", full=full) for triple in triples]


def assert_near(expected: Sequence[Rgb], actual: Sequence[Rgb], *, levels: int = 4) -> None:
    """No channel of any bar is further off than so many levels of 255."""
    told = [tuple(round(255 * channel) for channel in bar) for bar in actual]
    wanted = [tuple(round(255 * channel) for channel in bar) for bar in expected]
    off = max(abs(a - b) for bar, other in zip(told, wanted, strict=True) for a, b in zip(bar, other, strict=True))
    assert off <= levels, (told, wanted)


X264 = "-c:v libx264 -preset ultrafast -qp 0"
FFV1 = "-c:v ffv1"
SAYS = "-vf setparams="  # FFmpeg 7 takes an encoder's options for a wish, and converts
SDR = {
    "SD that says nothing is BT.601": ("smpte170m", False, 180, f"a.mp4 {X264}"),
    "576 lines are SD": ("smpte170m", False, 576, f"a.mkv {FFV1}"),
    "HD that says nothing is BT.709": ("bt709", False, 720, f"a.mp4 {X264}"),
    "SD in BT.709": ("bt709", False, 180, f"a.mp4 {X264} {SAYS}colorspace=bt709"),
    "HD in BT.601": ("smpte170m", False, 720, f"a.mp4 {X264} {SAYS}colorspace=smpte170m"),
    "PAL": ("bt470bg", False, 180, f"a.mp4 {X264} {SAYS}colorspace=bt470bg"),
    "BT.2020": ("bt2020nc", False, 180, f"a.mp4 {X264} {SAYS}colorspace=bt2020nc"),
    "only the container says": ("bt709", False, 180, f"a.mkv {FFV1} {SAYS}colorspace=bt709"),
    "full range of a phone": ("smpte170m", True, 180, f"a.mp4 {X264} -pix_fmt yuvj420p"),
    "full range in BT.709": ("bt709", True, 720, f"a.mp4 {X264} -pix_fmt yuvj420p {SAYS}range=pc:colorspace=bt709"),
    "motion JPEG": ("smpte170m", True, 180, "a.avi -c:v mjpeg -q:v 1 -pix_fmt yuvj420p"),
}
TARGETS = ["yuv420p", "rgb24", "yuvj420p"]


@pytest.mark.parametrize("pixel_format", TARGETS)
@pytest.mark.parametrize("name", SDR)
def test_colours_are_kept(name: str, pixel_format: str, tmp_path: Path):
    """Whatever matrix and range a source has, a rendition, a still and a JPEG of it show the same colours."""
    matrix, full, height, options = SDR[name]
    file, _, options = options.partition(" ")
    frame = raw([codes(bar, matrix, full=full) for bar in BARS], height)
    pixels = "yuvj420p" if full else "yuv420p"
    path = film(tmp_path / file, frame, height=height, bars=len(BARS), pixels=pixels, options=options)
    assert_near(BARS, shown(path, probed(path), len(BARS), pixel_format=pixel_format))


RGB = [
    "a.mov -c:v png",
    "a.mov -c:v qtrle",
    "a.mkv -c:v ffv1 -pix_fmt bgr0",
    "a.mkv -c:v ffv1 -pix_fmt gbrp10le",
    "a.mp4 -c:v libx264rgb -preset ultrafast -qp 0",
    "a.avi -c:v rawvideo -pix_fmt bgr24",
]


@pytest.mark.parametrize("pixel_format", TARGETS)
@pytest.mark.parametrize("options", RGB)
@pytest.mark.parametrize("height", [180, 720])
def test_screen_recordings_in_rgb(options: str, height: int, pixel_format: str, tmp_path: Path):
    """RGB has no matrix to guess, however many lines it has."""
    file, _, options = options.partition(" ")
    frame = b"".join(bytes(round(255 * channel) for channel in bar) * WIDTH for bar in BARS) * height
    path = film(tmp_path / file, frame, height=height, bars=len(BARS), pixels="rgb24", options=options)
    assert "gbr" == probed(path).matrix
    assert_near(BARS, shown(path, probed(path), len(BARS), pixel_format=pixel_format))


@pytest.mark.parametrize(
    ("name", "pixel_format", "options"),
    [
        ("a.jpg", "yuvj420p", {"c:v": "mjpeg", "q:v": 2}),
        ("a.webp", "bgra", {"c:v": "libwebp_anim", "lossless": 1}),
        ("a.png", "rgb24", {"c:v": "png"}),
    ],
)
def test_pictures_of_a_film(name: str, pixel_format: str, options: dict[str, object], tmp_path: Path):
    """A page shows the colours of a film in a JPEG, WebP or PNG that is made of it, however its reader decodes it."""
    frame = raw([codes(bar, "bt709") for bar in BARS], 720)
    file = film(tmp_path / "in.mp4", frame, height=720, bars=len(BARS), pixels="yuv420p", options=X264)
    video, width = probed(file), len(BARS) * WIDTH // 2
    frames = colour.scaled(colour.standard(ffmpeg.input(str(file)), video), video, width, 90, pixel_format=pixel_format)
    target = tmp_path / name
    muxer = "webp" if name == "a.webp" else "image2"
    more = options | {"frames:v": 1} | command.stripped()
    run(*ffmpeg.compile(ffmpeg.output(frames, str(target), f=muxer, **more))[1:])
    with Image.open(target) as picture:
        pixels = [picture.convert("RGB").getpixel(((2 * bar + 1) * WIDTH // 4, 45)) for bar in range(len(BARS))]
    assert_near(BARS, [(r / 255, g / 255, b / 255) for r, g, b in pixels])


def pq(nits: float) -> float:
    """SMPTE ST 2084."""
    m1, m2, c1, c2, c3 = 2610 / 16384, 2523 / 32, 3424 / 4096, 2413 / 128, 2392 / 128
    power = (nits / 10_000) ** m1
    return float(((c1 + c2 * power) / (1 + c3 * power)) ** m2)


def hlg(bar: Rgb) -> Rgb:
    """ARIB STD-B67 for a screen of 1000 nits: its system gamma of 1.2 taken back, then the OETF (ITU-R BT.2100)."""
    luma = sum(part * nits / 1000 for part, nits in zip((0.2627, 0.678, 0.0593), bar, strict=True))

    def signal(nits: float) -> float:
        scene = nits / 1000 * luma ** (-1 / 6) if luma else 0.0
        return sqrt(3 * scene) if scene <= 1 / 12 else 0.17883277 * log(12 * scene - 0.28466892) + 0.55991073

    return signal(bar[0]), signal(bar[1]), signal(bar[2])


def wide(bar: Rgb) -> Rgb:
    """Light of BT.709 in BT.2020."""
    red, green, blue = (sum(part * light for part, light in zip(row, bar, strict=True)) for row in BT709_IN_BT2020)
    return red, green, blue


X265 = "-c:v libx265 -preset ultrafast -x265-params log-level=none:lossless=1{}"
TAGGED = SAYS + "color_primaries=bt2020:color_trc={}:colorspace=bt2020nc"


def graded(file: Path, transfer: str, lights: Sequence[Rgb], options: str) -> Path:
    """Bars of BT.709 light, in nits, as ten bits of HDR in BT.2020."""
    bars = [wide(bar) for bar in lights]
    signals = [(pq(r), pq(g), pq(b)) if transfer == "smpte2084" else hlg((r, g, b)) for r, g, b in bars]
    frame = raw([codes(bar, "bt2020nc", bits=10) for bar in signals], 180, bits=10)
    return film(file, frame, height=180, bars=len(lights), pixels="yuv420p10le", options=options)


GREYS = (0.0, 1.0, 5.0, 26.0, 60.0, 100.0, 203.0, 400.0, 700.0, 1000.0)  # nits
TRANSFERS = ["smpte2084", "arib-std-b67"]


@pytest.mark.parametrize("transfer", TRANSFERS)
@pytest.mark.parametrize("pixel_format", ["yuv420p", "rgb24"])
def test_hdr_has_the_tones_of_sdr(transfer: str, pixel_format: str, tmp_path: Path):
    """Black is black, 18 % grey as in SDR (0.41), paper bright but below the highlights, and these not all white.

    26 nits are 18 % grey and 203 are paper: ITU-R BT.2408, table 1.
    """
    options = f"{FFV1} {TAGGED.format(transfer)}"
    file = graded(tmp_path / "a.mkv", transfer, [(nits, nits, nits) for nits in GREYS], options)
    greys = shown(file, probed(file), len(GREYS), pixel_format=pixel_format)
    assert_near([(grey[1],) * 3 for grey in greys], greys, levels=3)
    tone = dict(zip(GREYS, (grey[1] for grey in greys), strict=True))
    assert sorted(set(tone.values())) == list(tone.values())
    assert tone[0] < 0.02
    assert 0.36 < tone[26] < 0.46
    assert 0.8 < tone[203] < 0.92
    assert tone[400] > tone[203] + 0.03
    assert 0.97 < tone[1000] <= 1.01


@pytest.mark.parametrize("transfer", TRANSFERS)
def test_hues_of_hdr_are_kept(transfer: str, tmp_path: Path):
    """Saturated light of BT.709 comes out as saturated, dim or bright; nothing is washed out."""
    bars: list[Rgb] = [(150, 15, 15), (15, 150, 15), (15, 15, 150), (600, 300, 60)]
    file = graded(tmp_path / "a.mkv", transfer, bars, f"{FFV1} {TAGGED.format(transfer)}")
    for light, found in zip(bars, shown(file, probed(file), len(bars)), strict=True):
        linear = [max(0.0, channel) ** 2.4 for channel in found]
        expected = [channel / max(light) for channel in light]
        assert expected == pytest.approx([channel / max(linear) for channel in linear], abs=0.02)


@pytest.mark.parametrize("transfer", TRANSFERS)
@pytest.mark.parametrize("says", ["codec", "container", "both"])
def test_whoever_says_that_it_is_hdr(transfer: str, says: str, tmp_path: Path):
    """HDR in HEVC without a word in MP4, in VP9, which has no field for it, and where both say so."""
    vui = f":colorprim=bt2020:transfer={transfer}:colormatrix=bt2020nc"
    name, options = {
        "codec": ("a.mp4", X265.format(vui)),
        "container": ("a.webm", f"-c:v libvpx-vp9 -profile:v 2 -lossless 1 {TAGGED.format(transfer)}"),
        "both": ("a.mkv", f"{X265.format(vui)} {TAGGED.format(transfer)}"),
    }[says]
    file = graded(tmp_path / name, transfer, [(26.0,) * 3, (203.0,) * 3, (150, 15, 15)], options)
    assert transfer == probed(file).transfer
    grey, paper, red = shown(file, probed(file), 3)
    assert (True, True, True) == (0.36 < grey[1] < 0.46, 0.8 < paper[1] < 0.92, red[0] > 2 * red[1])


@pytest.mark.parametrize("transfer", TRANSFERS)
@pytest.mark.parametrize(
    ("matrix", "primaries"),
    [
        ("bt2020nc", None),
        ("bt2020nc", "smpte432"),
        ("bt2020c", "smpte431"),
        ("ictcp", "smpte432"),
        ("bt709", "bt709"),
        ("smpte240m", "film"),
        ("fcc", "jedec-p22"),
    ],
)
def test_frames_that_carry_no_tags(transfer: str, matrix: str, primaries: str | None, tmp_path: Path):
    """What was probed is enough: zscale finds a path from every declared colour, and paper is bright."""
    file = graded(tmp_path / "a.avi", transfer, [(203.0,) * 3] * 2, FFV1)
    video = replace(probed(file), transfer=transfer, matrix=matrix, primaries=primaries)
    assert all(0.8 < bar[1] < 0.95 for bar in shown(file, video, 2))


def test_hdr_in_full_range_and_in_rgb(tmp_path: Path):
    """A white of 203 nits is the same however it is stored."""
    signal = (pq(203.0),) * 3
    options = X265.format(":range=full") + " " + TAGGED.format("smpte2084") + ":range=pc"
    wide_range = film(
        tmp_path / "full.mp4",
        raw([codes(signal, "bt2020nc", bits=10, full=True)] * 2, 180, bits=10),
        height=180,
        bars=2,
        pixels="yuv420p10le",
        options=options,
    )
    level = round(signal[0] * 65535).to_bytes(2, "little")
    rgb = film(tmp_path / "rgb.mkv", level * 3 * WIDTH * 2 * 180, height=180, bars=2, pixels="rgb48le", options=FFV1)
    found = [probed(wide_range), replace(probed(rgb), transfer="smpte2084")]
    assert (True, "gbr") == (found[0].full_range, found[1].matrix)
    first, second = (shown(file, video, 2)[0] for file, video in zip((wide_range, rgb), found, strict=True))
    assert_near([first], [second])
    assert 0.8 < first[1] < 0.92


@pytest.mark.parametrize("size", [None, (101, 57), (64, 36)])
def test_any_size_of_hdr(size: tuple[int, int] | None, tmp_path: Path):
    """Odd sizes of source or target break nothing."""
    cropped = ",format=yuv444p10le,crop=191:107:0:0:exact=1"
    options = f"{FFV1} {TAGGED.format('smpte2084')}{cropped}"
    file = graded(tmp_path / "a.mkv", "smpte2084", [(203.0,) * 3] * 3, options)
    video = probed(file)
    assert (191, 107) == (video.width, video.height)
    frames = colour.standard(ffmpeg.input(str(file)), video, size)
    graph = ffmpeg.output(colour.scaled(frames, video, 48, 27), "-", f="rawvideo", **{"frames:v": 1})
    assert 48 * 27 + 2 * 24 * 14 == len(run(*ffmpeg.compile(graph)[1:]))


@pytest.mark.parametrize("transfer", [None, *TRANSFERS])
def test_renditions_say_what_they_are(transfer: str | None, tmp_path: Path):
    """VUI, and `colr` in MP4: BT.709 in limited range, whatever the source said."""
    tags = (
        TAGGED.format(transfer) if transfer else f"{SAYS}colorspace=smpte170m:color_primaries=bt470bg:color_trc=bt470bg"
    )
    source = graded(tmp_path / "a.mkv", transfer or "smpte2084", [(203.0,) * 3] * 2, f"{FFV1} {tags}")
    video = probed(source)
    frames = colour.scaled(colour.standard(ffmpeg.input(str(source)), video, (64, 36)), video, 64, 36)
    target = tmp_path / "out.mp4"
    options = {"c:v": "libx264", "movflags": "+cmaf"} | colour.tags() | command.stripped()
    run(*ffmpeg.compile(ffmpeg.output(frames, str(target), **options))[1:])
    assert b"colrnclx" + bytes([0, 1, 0, 1, 0, 1, 0]) in target.read_bytes()
    run("-i", str(target), "-c", "copy", "-f", "h264", str(tmp_path / "out.264"))
    entries = "stream=color_space,color_transfer,color_primaries,color_range"
    probe = ["ffprobe", "-v", "error", "-show_entries", entries, "-of", "csv=p=0", str(tmp_path / "out.264")]
    assert b"tv,bt709,bt709,bt709\n" == subprocess.run(probe, capture_output=True, check=True).stdout


def test_trial_of_this_ffmpeg():
    """It passes where films can be tone-mapped, and writes nothing."""
    done = subprocess.run(colour.trial(), capture_output=True, check=False)
    assert (0, b"", b"") == (done.returncode, done.stdout, done.stderr)


REAL = {  # with the levels of luma between which the middle of its pixels should lie
    "fate/video/hevc/dovi-p81.mp4": (16, 20),
    f"{MEDIA3}/mkv/sample_av1.mkv": (225, 236),
    f"{MEDIA3}/mp4/sample_with_av1c.mp4": (225, 236),
    f"{MEDIA3}/mp4/hdr10-video-with-sdr-container.mp4": (90, 190),
    f"{MEDIA3}/mp4/sample_with_colr_mdcv_and_clli.mp4": (35, 110),
    f"{MEDIA3}/mp4/sample_with_it35_track.mp4": (110, 200),
}


@pytest.mark.parametrize("name", REAL)
def test_real_hdr(name: str):
    """HDR10, HLG and Dolby Vision over HDR10 from phones and studios: neither grey nor burnt out."""
    file = CORPUS / name
    if not file.is_file():
        pytest.skip("the corpus of real media files is not here")
    video = probed(file)
    assert colour.hdr(video)
    luma = sorted(made(file, video, size=(160, 90))[: 160 * 90])
    low, high = REAL[name]
    assert low <= luma[len(luma) // 2] <= high
