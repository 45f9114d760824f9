"""Waveforms as data and as pictures."""

import json
import struct
import zlib
from io import BytesIO

import ffmpeg
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from service.core import command, waveform, waveform_picture
from service.core.waveform import Waveform


def log(*parts: tuple[str, str]) -> str:
    """A log as ffmpeg writes it."""
    text = "frame:{}    pts:0       pts_time:0\nlavfi.astats.Overall.Min_level={}\nlavfi.astats.Overall.Max_level={}\n"
    return "".join(text.format(number, low, high) for number, (low, high) in enumerate(parts))


def wave(*pairs: tuple[int, int]) -> Waveform:
    """Parts of a hundredth of a second."""
    return Waveform(rate=48_000, samples_per_pixel=480, pairs=pairs)


def drawn(shown: Waveform, width: int = 8, height: int = 16) -> Image.Image:
    """The alpha of a picture, as Pillow decodes it."""
    with Image.open(BytesIO(waveform_picture.draw(shown, width=width, height=height))) as image:
        image.load()
        return image.convert("RGBA").getchannel("A")


def column(alpha: Image.Image, x: int) -> list[int]:
    """A column's alpha from top to bottom."""
    return list(alpha.crop((x, 0, x + 1, alpha.height)).tobytes())


@pytest.mark.parametrize(
    ("seconds", "samples"), [(0, 32), (1.0, 32), (1.5, 36), (60, 1440), (3 * 3600, 259_200), (6 * 3600, 518_400)]
)
def test_a_sound_has_about_two_thousand_parts(seconds: float, samples: int):
    """Fewer where they would be shorter than 32 samples."""
    assert samples == waveform.samples_per_pixel(seconds, 48_000)


@given(seconds=st.floats(0, 40_000))
def test_no_sound_has_more(seconds: float):
    """The format of the data wants a whole number of samples."""
    assert seconds * 48_000 <= waveform.PIXELS * waveform.samples_per_pixel(seconds, 48_000) + 1e-6


def test_a_log_gives_extremes():
    """Of each part in order."""
    assert ((-0.5, 0.25), (-1.5, 2.0)) == waveform.parse(log(("-0.500000", "0.250000"), ("-1.500000", "2.000000")))


@pytest.mark.parametrize("number", ["nan", "-nan", "inf", "", "0.1.2", "1" * 400, "٣x"])
def test_what_is_no_number_is_silence(number: str):
    """The parts after it stay where they are."""
    found = waveform.parse(log((number, number), ("-0.500000", "0.250000")))
    assert ((0.0, 0.0), (-0.5, 0.25)) == found


def test_a_part_in_which_nothing_was_counted_is_silence():
    """The filter begins with the largest number as the lowest, and the other way round."""
    assert ((0.0, 0.0),) == waveform.parse(log((f"{1.7e308:f}", f"{-1.7e308:f}")))


def test_a_log_with_more_parts_than_there_can_be_is_cut():
    """Whatever a decoder wrote to it."""
    assert waveform.MOST_PIXELS == len(waveform.parse(log(*[("-0.5", "0.5")] * (waveform.MOST_PIXELS + 1))))


@given(text=st.text(max_size=300))
def test_no_text_makes_parsing_fail(text: str):
    """What a decoder leaves behind may be anything."""
    pairs = waveform.parse(text + log(("-0.500000", "0.250000")) + text)
    made = waveform.make(pairs, rate=48_000, samples_per_pixel=32)
    assert all(-128 <= low <= high <= 127 for low, high in made.pairs)


@pytest.mark.parametrize(
    ("pair", "gain", "expected"),
    [
        ((-0.5, 0.25), 0.0, (-64, 32)),
        ((-0.5, 0.25), 6.0206, (-128, 64)),
        ((-1.0, 1.0), 0.0, (-128, 127)),
        ((-9.9, 9.9), 0.0, (-128, 127)),
        ((-9.9, 9.9), -40.0, (-13, 13)),
        ((0.1, 0.2), 0.0, (13, 26)),
        ((-0.001, 0.001), 0.0, (0, 0)),
    ],
)
def test_what_is_heard_is_what_is_shown(pair: tuple[float, float], gain: float, expected: tuple[int, int]):
    """After the gain, in steps of full scale's 128th, and held within 8 bits."""
    assert (expected,) == waveform.make((pair,), rate=48_000, samples_per_pixel=480, gain=gain).pairs


def test_the_document_is_what_players_read():
    """Version 2 of audiowaveform's format: one channel, minimum before maximum."""
    assert {
        "version": 2,
        "channels": 1,
        "sample_rate": 48_000,
        "samples_per_pixel": 480,
        "bits": 8,
        "length": 2,
        "data": [-65, 63, -128, 127],
    } == json.loads(waveform.document(wave((-65, 63), (-128, 127))))


def test_a_document_is_small():
    """Two thousand of the longest pairs, without spaces."""
    assert len(waveform.document(wave(*[(-128, 127)] * waveform.PIXELS))) < 20_000


def test_the_branch_that_samples():
    """Metadata of the source is dropped, and a sound without end has an end."""
    output = waveform.sampled(ffmpeg.input("file:in")["0"], "waveform.txt", samples_per_pixel=1440)
    argv = command.compiled(output)
    graph = (
        "[0:0]aformat=sample_fmts=fltp[s0];[s0]ametadata=mode=delete[s1];[s1]atrim=end_sample=5760000[s2];"
        "[s2]asetnsamples=n=1440:p=0[s3];"
        "[s3]astats=measure_overall=Min_level+Max_level:measure_perchannel=none:metadata=1:reset=1[s4];"
        "[s4]ametadata=file=waveform.txt:mode=print[s5]"
    )
    expected = ["-i", "file:in", "-filter_complex", graph, *"-map [s5] -f null -".split()]
    assert expected == argv[argv.index("-i") :]


def test_a_picture_is_a_png_of_one_colour():
    """8 bits with a palette, transparent where nothing is."""
    body = waveform_picture.draw(wave((-64, 64)), width=20, height=10, colour="#336699")
    with Image.open(BytesIO(body)) as image:
        assert ("PNG", "P", (20, 10)) == (image.format, image.mode, image.size)
        colours = image.convert("RGBA").getcolors()
    assert colours
    assert {(0x33, 0x66, 0x99)} == {pixel[:3] for _, pixel in colours if isinstance(pixel, tuple)}
    assert {0, 136, 255} == {pixel[3] for _, pixel in colours if isinstance(pixel, tuple)}  # none, edges, all


def test_a_picture_is_sound():
    """Every chunk has its checksum, and the image is as long as it says."""
    body = waveform_picture.draw(wave((-64, 64)), width=21, height=10)
    at, image = 8, b""
    while at < len(body):
        (length,) = struct.unpack_from(">I", body, at)
        kind, data = body[at + 4 : at + 8], body[at + 8 : at + 8 + length]
        assert zlib.crc32(kind + data) == struct.unpack_from(">I", body, at + 8 + length)[0]
        image += data if kind == b"IDAT" else b""
        at += 12 + length
    assert (21 + 1) * 10 == len(zlib.decompress(image))


def test_full_scale_fills_the_height():
    """From top to bottom, and half of it half: pixels that are covered in part are shaded."""
    alpha = drawn(wave((-128, 127), (-64, 64)), width=2)
    whole, half = column(alpha, 0), column(alpha, 1)
    assert (238, [255] * 15) == (whole[0], whole[1:])  # 127 is a 128th short of full scale
    assert [0] * 4 + [255] * 8 + [0] * 4 == half


def test_silence_is_a_line():
    """Two pixels thick, in the middle; so is nothing at all."""
    for silent in (wave((0, 0)), wave()):
        alpha = drawn(silent)
        assert [[0] * 7 + [255] * 2 + [0] * 7] * 8 == [column(alpha, x) for x in range(8)]


def test_no_click_is_lost_in_a_picture():
    """However few columns there are: each shows the extremes of all parts that it stands for."""
    parts = [(0, 0)] * 1999
    for at in (0, 998, 1998):
        alpha = drawn(wave(*parts[:at], (-128, 127), *parts[at:]), width=7, height=32)
        assert [x for x in range(7) if column(alpha, x)[2] == 255] == [at * 7 // 2000]


def test_few_parts_make_wide_bars():
    """A short sound fills the picture."""
    alpha = drawn(wave((-128, 127), (0, 0)), width=10)
    assert [True] * 5 + [False] * 5 == [column(alpha, x)[1] == 255 for x in range(10)]


@given(
    pairs=st.lists(st.tuples(st.integers(-128, 127), st.integers(-128, 127)).map(lambda pair: (min(pair), max(pair)))),
    width=st.integers(1, 40),
    height=st.integers(1, 40),
)
def test_every_waveform_can_be_drawn(pairs: list[tuple[int, int]], width: int, height: int):
    """In every size."""
    assert (width, height) == drawn(wave(*pairs), width, height).size
