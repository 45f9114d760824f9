"""Renditions, animations and placeholders, each of a picture made for the test."""

from pathlib import Path

import pytest
from PIL import Image, ImageChops, ImageDraw, ImageStat
from PIL.PngImagePlugin import PngInfo

from service.core.outcome import Reason, Rejected
from service.tools.pictures import render
from tests.tools.picture_samples import (
    BLUE,
    CORNERS,
    RED,
    cmyk_profile,
    corners,
    cost,
    film,
    gif_bomb,
    noise,
    oriented,
    rgb_profile,
    saved,
)

LIMITS = {"max_pixels": 100_000_000, "max_frames": 1000, "max_total_pixels": 1_000_000_000}
STILLS = {
    "JPEG": {"quality": 95},
    "PNG": {},
    "WEBP": {"quality": 95},
    "GIF": {},
    "TIFF": {"compression": "tiff_lzw"},
    "BMP": {},
    "AVIF": {"quality": 90},
    "JPEG2000": {"quality_mode": "dB", "quality_layers": [40]},
}
FILMS = {"GIF": {}, "PNG": {}, "WEBP": {}, "AVIF": {"speed": 10}}
FORMATS = ("webp", "jpeg", "png", "avif")
CANARY = "canary-in-a-coal-mine"
DISPLAY_P3 = rgb_profile(CANARY, (0.51512, 0.24120, -0.00105), (0.29198, 0.69225, 0.04189), (0.15710, 0.06657, 0.78407))


@pytest.fixture(autouse=True)
def _scratch(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


def output(width: int, height: int, format_: str = "png", *, animated: bool = False) -> dict[str, object]:
    file = f"{width}.{format_}"
    size = {"width": width, "height": height}
    return {"file": file, **size, "format": format_, "quality": 90, "animated": animated}


def rendered(data: bytes, kind: str, *outputs: dict[str, object], **changes) -> dict[str, object]:
    Path("in").write_bytes(data)
    changes = {"background": "#ffffff", "placeholder": False, **LIMITS, **changes}
    return render({"path": "in", "formats": [kind], "outputs": list(outputs), **changes})


def shown(data: bytes, kind: str, width: int, height: int, **changes) -> Image.Image:
    """The PNG of this size."""
    rendered(data, kind, output(width, height), **changes)
    with Image.open(f"{width}.png") as image:
        image.load()
    return image


def here() -> list[str]:
    return sorted(path.name for path in Path().iterdir())


def quarters(image: Image.Image) -> list[tuple[int, ...]]:
    """Which of `CORNERS` is nearest to the middle of each quarter."""
    middles = [(image.width * x // 4, image.height * y // 4) for y in (1, 3) for x in (1, 3)]
    found = [image.convert("RGB").getpixel(middle) for middle in middles]
    return [min(CORNERS, key=lambda one: sum(abs(a - b) for a, b in zip(one, pixel, strict=True))) for pixel in found]


def frames_of(file: str) -> list[tuple[float, tuple[int, ...]]]:
    """The duration of each frame, and the colour in its middle."""
    found = []
    with Image.open(file) as image:
        for number in range(getattr(image, "n_frames", 1)):
            image.seek(number)
            image.load()
            pixel = image.convert("RGB").getpixel((image.width // 2, image.height // 2))
            found.append((image.info.get("duration", 0), pixel))
    return found


@pytest.mark.parametrize("kind", STILLS)
@pytest.mark.parametrize("format_", FORMATS)
def test_exact_sizes(kind, format_):
    """Every format becomes every format, in exactly the sizes asked for."""
    wanted = [output(width, height, format_) for width, height in ((80, 53), (33, 22), (96, 64))]
    done = rendered(saved(corners(), kind, **STILLS[kind]), kind, *wanted)
    assert [(one["file"], one["width"], one["height"]) for one in wanted] == [
        (one["file"], one["width"], one["height"]) for one in done["outputs"]
    ]
    for one in done["outputs"]:
        with Image.open(one["file"]) as image:
            assert (one["width"], one["height"], format_.upper()) == (*image.size, image.format)
            assert list(CORNERS) == quarters(image)
        assert one["bytes"] == Path(one["file"]).stat().st_size


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF", "TIFF raw", "AVIF"])
def test_upright(kind, orientation):
    """All eight orientations come out upright, in every format that knows them."""
    options = STILLS.get(kind, {})
    data = oriented(kind.split()[0], orientation, **options)
    image = shown(data, kind.split()[0], 48, 32)
    assert ((48, 32), list(CORNERS)) == (image.size, quarters(image))


def test_upright_at_reduced_scale():
    """A JPEG on its side is decoded at a quarter of its scale, and is as sharp and as bright as from the whole."""
    scene = noise(64, 48).resize((803, 601), Image.Resampling.BICUBIC)
    exif = Image.Exif()
    exif[274] = 6
    data = saved(scene.transpose(Image.Transpose.ROTATE_90), "JPEG", quality=95, exif=exif)
    difference = ImageChops.difference(
        shown(data, "JPEG", 200, 150), scene.resize((200, 150), Image.Resampling.LANCZOS)
    )
    assert max(ImageStat.Stat(difference).mean) < 3


@pytest.mark.parametrize("format_", FORMATS)
def test_nothing_survives(format_):
    """No EXIF, XMP, IPTC, profile, comment or text of any input is in any output."""
    for kind, data in canaries().items():
        assert CANARY.encode() in data, kind
        rendered(data, kind, output(48, 32, format_))
        written = Path(f"48.{format_}").read_bytes()
        assert CANARY.encode() not in written, kind
        with Image.open(f"48.{format_}") as image:
            kept = {"exif", "icc_profile", "xmp", "comment", "photoshop", "XML:com.adobe.xmp"} & set(image.info)
        assert set() == kept, kind


def canaries() -> dict[str, bytes]:
    """A file of every kind with `CANARY` wherever the format has a place for it."""
    exif = Image.Exif()
    exif[270] = CANARY
    exif.get_ifd(0x8825)[29] = CANARY
    text = PngInfo()
    text.add_text("Comment", CANARY)
    text.add_itxt("XML:com.adobe.xmp", CANARY)
    usual = {"exif": exif, "icc_profile": DISPLAY_P3}
    iptc = b"\xff\xed" + (len(CANARY) + 2).to_bytes(2) + CANARY.encode()
    jpeg = saved(corners(), "JPEG", **usual, xmp=CANARY.encode(), comment=CANARY.encode())
    return {
        "JPEG": jpeg[:2] + iptc + jpeg[2:] + CANARY.encode(),
        "PNG": saved(corners(), "PNG", **usual, pnginfo=text),
        "WEBP": saved(corners(), "WEBP", **usual, xmp=CANARY.encode()),
        "AVIF": saved(corners(), "AVIF", **usual, xmp=CANARY.encode()),
        "TIFF": saved(corners(), "TIFF", icc_profile=DISPLAY_P3, tiffinfo={270: CANARY, 700: CANARY.encode()}),
        "GIF": saved(corners(), "GIF", comment=CANARY.encode()),
    }


def test_nothing_survives_in_films():
    """Nor in animations."""
    rendered(film("GIF", comment=CANARY.encode()), "GIF", output(48, 32, "webp", animated=True))
    assert CANARY.encode() not in Path("48.webp").read_bytes()


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "GIF", "WEBP", "BMP"])
def test_polyglots(kind):
    """What hides behind a picture is gone."""
    hidden = b"PK\x03\x04<script>alert(1)</script>"
    rendered(saved(corners(), kind) + hidden, kind, *(output(48, 32, format_) for format_ in FORMATS))
    assert [False] * 4 == [b"script" in Path(f"48.{format_}").read_bytes() for format_ in FORMATS]


def test_profile():
    """The colours of another profile are converted, not only its name dropped."""
    plain, wide = Image.new("RGB", (8, 8), (200, 100, 60)), {"icc_profile": DISPLAY_P3}
    assert (200, 100, 60) == shown(saved(plain, "PNG"), "PNG", 8, 8).getpixel((4, 4))
    red, green, blue = shown(saved(plain, "PNG", **wide), "PNG", 8, 8).getpixel((4, 4))
    assert (red > 210, green < 100, blue < 60) == (True, True, True)


def test_cmyk():
    """A CMYK JPEG has its colours, by its profile if it has one, and is not inverted."""
    cyan = Image.new("CMYK", (16, 16), (255, 0, 0, 0))
    red, green, blue = shown(saved(cyan, "JPEG"), "JPEG", 8, 8).getpixel((4, 4))
    assert (red < 8, green > 247, blue > 247) == (True, True, True)
    profiled = saved(cyan, "JPEG", icc_profile=cmyk_profile((150, 60, 180)))
    red, green, blue = shown(profiled, "JPEG", 8, 8).getpixel((4, 4))
    assert green > 2 * max(red, blue)


@pytest.mark.parametrize("kind", ["PNG", "TIFF", "JPEG2000"])
def test_sixteen_bits(kind):
    """A gradient of 16 bits stays one: its middle is mid-grey, its brighter half not white."""
    gradient = Image.linear_gradient("L").convert("I").point(lambda level: level * 257).convert("I;16")
    options = {"irreversible": False} if kind == "JPEG2000" else {}
    levels = list(
        shown(saved(gradient, kind, **options), kind, 256, 256).getchannel("R").crop((9, 0, 10, 256)).tobytes()
    )
    assert list(range(256)) == levels


@pytest.mark.parametrize("kind", ["PNG", "GIF"])
def test_palette_transparency(kind):
    """The transparent colour of a palette is transparent."""
    image = Image.new("P", (16, 16), 1)
    image.putpalette([0, 0, 0, 255, 0, 0])
    image.paste(0, (0, 0, 8, 16))
    left, right = (shown(saved(image, kind, transparency=0), kind, 16, 16).getpixel((x, 8)) for x in (2, 12))
    assert (0, (255, 0, 0, 255)) == (left[3], right)


def test_no_fringes():
    """Colours hidden behind full transparency do not bleed into the edges."""
    image = Image.new("RGBA", (400, 400), (0, 0, 0, 0))
    ImageDraw.Draw(image).ellipse((50, 50, 350, 350), fill=(255, 40, 40, 255))
    rendered(saved(image, "PNG"), "PNG", output(101, 101), output(37, 37))
    with Image.open("37.png") as small:
        edges = [pixel for pixel in small.get_flattened_data() if 32 < pixel[3] < 224]
    assert len(edges) > 20
    assert min(red for red, *_ in edges) > 245


def test_background():
    """Where a format knows no transparency, the background shines through."""
    data = saved(Image.new("RGBA", (16, 16), (0, 0, 0, 0)), "PNG")
    rendered(data, "PNG", output(16, 16, "jpeg"), background="#0080ff")
    with Image.open("16.jpeg") as image:
        assert max(abs(a - b) for a, b in zip((0, 128, 255), image.getpixel((8, 8)), strict=True)) < 3


def test_opaque_alpha_is_dropped():
    """A picture with an alpha channel that hides nothing is saved without."""
    assert "RGB" == shown(saved(corners().convert("RGBA"), "PNG"), "PNG", 48, 32).mode


@pytest.mark.parametrize("share", range(10, 100, 10))
@pytest.mark.parametrize("kind", STILLS)
def test_truncated(kind, share):
    """A file that ends too early is damaged, and leaves nothing behind."""
    data = saved(noise(), kind, **STILLS[kind])
    with pytest.raises(Rejected) as rejected:
        rendered(data[: len(data) * share // 100], kind, output(160, 120, "webp"), output(16, 12))
    assert (Reason.DAMAGED, ["in"]) == (rejected.value.reason, here())


@pytest.mark.parametrize("share", range(10, 100, 10))
@pytest.mark.parametrize("kind", FILMS)
def test_truncated_film(kind, share):
    """So is an animation, though its first frames may be whole."""
    images = [noise() for _ in range(5)]
    data = saved(images[0], kind, save_all=True, append_images=images[1:], duration=40, **FILMS[kind])
    with pytest.raises(Rejected) as rejected:
        rendered(data[: len(data) * share // 100], kind, output(160, 120, "webp", animated=True), output(16, 12))
    assert (Reason.DAMAGED, ["in"]) == (rejected.value.reason, here())


@pytest.mark.parametrize("kind", FILMS)
def test_film(kind):
    """An animation keeps its frames, their colours and their times; other formats show its first frame."""
    durations = [40, 100, 20, 250, 70, 30]
    data = film(kind, duration=durations, **FILMS[kind])
    rendered(data, kind, output(32, 24, "webp", animated=True), output(64, 48, animated=True), output(16, 12, "jpeg"))
    Path("copy").write_bytes(data)
    before, after = frames_of("copy"), frames_of("32.webp")
    assert durations == [duration for duration, _ in after]
    for (_, old), (_, new) in zip(before, after, strict=True):
        assert max(abs(a - b) for a, b in zip(old, new, strict=True)) < 12
    assert [1, 1] == [len(frames_of(file)) for file in ("64.png", "16.jpeg")]
    assert before[0][1] == frames_of("64.png")[0][1]


def test_still_webp_of_a_film():
    """Without being asked for an animation a WebP stands still."""
    rendered(film("GIF"), "GIF", output(32, 24, "webp"))
    assert 1 == len(frames_of("32.webp"))


@pytest.mark.parametrize(
    ("kind", "options", "plays"),
    [
        ("GIF", {}, 1),
        ("GIF", {"loop": 0}, 0),
        ("GIF", {"loop": 2}, 3),
        ("PNG", {"loop": 2}, 2),
        ("WEBP", {"loop": 7}, 7),
        ("AVIF", {"speed": 10}, 0),
    ],
)
def test_loop(kind, options, plays):
    """An animation is played as often as before; GIF counts the repetitions only."""
    rendered(film(kind, duration=40, **options), kind, output(32, 24, "webp", animated=True))
    with Image.open("32.webp") as image:
        assert plays == image.info["loop"]


def test_default_image():
    """The still in front of an APNG is no part of its animation, but is what other formats show."""
    data = film("PNG", duration=40, default_image=True)
    rendered(data, "PNG", output(64, 48, "webp", animated=True), output(64, 48))
    first, second = frames_of("64.webp"), frames_of("64.png")
    assert (5, 1) == (len(first), len(second))
    assert first[0][1] != second[0][1]


def test_film_on_its_side():
    """An orientation counts for every frame."""
    exif = Image.Exif()
    exif[274] = 6
    scenes = [corners(), corners().point(lambda level: level * 0.9)]
    stored = [scene.transpose(Image.Transpose.ROTATE_90) for scene in scenes]
    data = saved(stored[0], "WEBP", save_all=True, append_images=stored[1:], exif=exif, duration=40, lossless=True)
    rendered(data, "WEBP", output(96, 64, "webp", animated=True))
    with Image.open("96.webp") as image:
        for number in range(2):
            image.seek(number)
            assert list(CORNERS) == quarters(image)


def test_transparent_film():
    """What an animation leaves out is transparent, frame after frame."""
    frames = []
    for x in (0, 20, 40):
        frame = Image.new("RGBA", (60, 40), (0, 0, 0, 0))
        ImageDraw.Draw(frame).ellipse((x, 0, x + 19, 39), fill=(255, 0, 0, 255))
        frames.append(frame)
    data = saved(frames[0], "GIF", save_all=True, append_images=frames[1:], duration=40, disposal=2)
    rendered(data, "GIF", output(60, 40, "webp", animated=True))
    with Image.open("60.webp") as image:
        for number in range(3):
            image.seek(number)
            assert [255 * (column == number) for column in range(3)] == [
                image.convert("RGBA").getpixel((x, 20))[3] for x in (10, 30, 50)
            ]


def test_film_memory():
    """An animation of 240 MB is never in memory as a whole."""
    Path("in").write_bytes(gif_bomb(frames=60, side=1000))
    request = {"path": "in", "formats": ["GIF"], **LIMITS, "background": "#ffffff", "placeholder": False}
    _, megabytes = cost(lambda: render({**request, "outputs": [output(40, 40, "webp", animated=True)]}))
    assert megabytes < 60


def test_growing_gif():
    """A frame that reaches beyond the canvas is cut at its border."""
    small, large = (saved(Image.new("RGB", (side, side), (side * 9, 0, 0)), "GIF") for side in (8, 20))
    colours, picture = large[13 : large.index(b",")], large[large.index(b",") :]
    second = picture[:9] + bytes([large[10]]) + colours + picture[10:]
    rendered(small[:-1] + second, "GIF", output(8, 8, "webp", animated=True))
    with Image.open("8.webp") as image:
        assert ((8, 8), 2) == (image.size, image.n_frames)


def test_placeholder():
    """A placeholder is a hash and the average colour, with or without anything else to draw."""
    expected = {"thumbhash": "FfYC9ygAAAAAAAAAAAAAAAAAgPiIeI8I", "color": "#800080", "alpha": False}
    scene = Image.new("RGB", (64, 64), RED)
    scene.paste(BLUE, (0, 32, 64, 64))
    assert {"outputs": [], "placeholder": expected} == rendered(saved(scene, "PNG"), "PNG", placeholder=True)
    assert expected == rendered(saved(scene, "PNG"), "PNG", output(32, 32), placeholder=True)["placeholder"]


def test_placeholder_of_transparency():
    """The average leaves out what is transparent."""
    image = Image.new("RGBA", (64, 64), (0, 0, 0, 0))
    image.paste((255, 0, 0, 255), (0, 0, 32, 64))
    placeholder = rendered(saved(image, "PNG"), "PNG", placeholder=True)["placeholder"]
    assert ("#ff0000", True) == (placeholder["color"], placeholder["alpha"])


def test_no_placeholder():
    """None is made unless asked for."""
    assert rendered(saved(corners(), "PNG"), "PNG", output(48, 32))["placeholder"] is None


def test_unknown_output():
    """Asking for a format that is not ours is a mistake of the caller, and leaves nothing behind."""
    with pytest.raises(ValueError, match="gif"):
        rendered(saved(corners(), "PNG"), "PNG", output(48, 32), output(24, 16, "gif"))
    assert ["in"] == here()
