"""What a file is, by its first bytes alone."""

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from service.core import sniff
from service.core.outcome import Reason, Rejected
from service.core.sniff import PictureFile, Sniffed, StreamFile


def ftyp(major: bytes, *compatible: bytes) -> bytes:
    """The first box of an ISO base media file."""
    body = b"ftyp" + major + b"\0\0\0\0" + b"".join(compatible)
    return (len(body) + 4).to_bytes(4, "big") + body + b"\0\0\0\x08free"


def packets(count: int, *, clock: bytes = b"") -> bytes:
    """MPEG-TS packets, each with a time code before it on a Blu-ray."""
    return b"".join(clock + b"\x47" + bytes(187) for _ in range(count))


def stream(demuxer: str) -> StreamFile:
    """A stream whose magic number names its demuxer."""
    return StreamFile(demuxers=(demuxer,), certain=True)


PICTURES = [
    (b"\xff\xd8\xff\xe0\0\x10JFIF", ("JPEG", "MPO")),
    (b"\xff\xd8\xff\xe1\0\x10Exif", ("JPEG", "MPO")),
    (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", ("PNG",)),
    (b"GIF87a\x01\0\x01\0", ("GIF",)),
    (b"GIF89a\x01\0\x01\0", ("GIF",)),
    (b"BM6\0\0\0", ("BMP",)),
    (b"II*\0\x08\0\0\0", ("TIFF",)),
    (b"MM\0*\0\0\0\x08", ("TIFF",)),
    (b"II+\0\x08\0\0\0", ("TIFF",)),
    (b"RIFF\x24\0\0\0WEBPVP8 ", ("WEBP",)),
    (b"\0\0\0\x0cjP  \r\n\x87\n", ("JPEG2000",)),
    (b"\xff\x4f\xff\x51\0\x2f", ("JPEG2000",)),
    (ftyp(b"heic", b"mif1", b"heic"), ("HEIF",)),
    (ftyp(b"mif1", b"mif1", b"heic"), ("HEIF",)),
    (ftyp(b"hevc", b"msf1"), ("HEIF",)),
    (ftyp(b"avif", b"mif1", b"miaf"), ("AVIF",)),
    (ftyp(b"avis", b"msf1"), ("AVIF",)),
    (ftyp(b"mif1", b"miaf", b"avif"), ("AVIF",)),
]
STREAMS = [
    (ftyp(b"isom", b"mp42"), stream("mov")),
    (ftyp(b"qt  "), stream("mov")),
    (ftyp(b"M4A "), stream("mov")),
    (ftyp(b"3gp5"), stream("mov")),
    (b"\0\0\0\x08wide\0\0\0\0mdat", stream("mov")),
    (b"\0\0\x10\0moov\0\0\0\x6cmvhd", stream("mov")),
    (b"\x1aE\xdf\xa3\x01\0\0\0", stream("matroska")),
    (b"FLV\x01\x05", stream("flv")),
    (b"0&\xb2u\x8ef\xcf\x11\xa6\xd9\0\xaa\0b\xcel", stream("asf")),
    (b"RIFF\x24\0\0\0AVI LIST", stream("avi")),
    (b"RIFF\x24\0\0\0WAVEfmt ", stream("wav")),
    (b"RF64\xff\xff\xff\xffWAVE", stream("wav")),
    (b"OggS\0\x02", stream("ogg")),
    (b"fLaC\0\0\0\x22", stream("flac")),
    (b"FORM\0\0\0\x20AIFFCOMM", stream("aiff")),
    (b"FORM\0\0\0\x20AIFCFVER", stream("aiff")),
    (b"caff\0\x01", stream("caf")),
    (b".snd\0\0\0\x18", stream("au")),
    (b"#!AMR\n", stream("amr")),
    (b"wvpk", stream("wv")),
    (b"\0\0\x01\xba\x44", stream("mpeg")),
    (b"\0\0\x01\xb3\x16", stream("mpegvideo")),
    (packets(5), stream("mpegts")),
    (packets(3), stream("mpegts")),
    (packets(5, clock=b"\0\0\x10\x20"), stream("mpegts")),
]
REFUSED = [
    (b"%PDF-1.7", "a PDF document"),
    (b"PK\x03\x04\x14\0", "a zip archive"),
    (b"\x1f\x8b\x08", "a gzip archive"),
    (b"<svg xmlns='http://www.w3.org/2000/svg'>", "an SVG drawing"),
    (b"\xef\xbb\xbf\r\n <?xml version='1.0'?><SVG/>", "an SVG drawing"),
    (b"<!DOCTYPE html>", "an XML or HTML document"),
    (b"<MPD type='static'>", "an XML or HTML document"),
    (b'{"type": "FeatureCollection"}', "a JSON document"),
    (b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd", "a playlist"),
    (b"\xef\xbb\xbf#EXTM3U\n", "a playlist"),
    (b"ffconcat version 1.0\nfile /etc/passwd", "a list of files"),
    (b"WEBVTT\n\n", "captions without a video"),
    (b"MZ\x90\0", "a Windows program"),
    (b"\x7fELF\x02", "a program"),
    (b"8BPS\0\x01", "a Photoshop document"),
    (ftyp(b"crx "), "a Canon raw photograph"),
]


@pytest.mark.parametrize(("head", "formats"), PICTURES, ids=lambda one: repr(one[:12]))
def test_pictures(head: bytes, formats: tuple[str, ...]):
    """A picture names the only Pillow plugins that may open it."""
    assert PictureFile(formats=formats) == sniff.sniff(head)


@pytest.mark.parametrize(("head", "expected"), STREAMS, ids=lambda one: repr(one)[:60])
def test_streams(head: bytes, expected: Sniffed):
    """A stream whose magic number says what it is has its demuxer forced."""
    assert expected == sniff.sniff(head)


@pytest.mark.parametrize(("head", "seems"), REFUSED, ids=lambda one: repr(one[:12]))
def test_refused(head: bytes, seems: str):
    """What is no media is refused with a word for what it seems to be."""
    with pytest.raises(Rejected, match=seems) as caught:
        sniff.sniff(head)
    assert Reason.UNSUPPORTED_TYPE == caught.value.reason


def test_empty():
    """A file without a byte has a reason of its own."""
    with pytest.raises(Rejected) as caught:
        sniff.sniff(b"")
    assert Reason.EMPTY == caught.value.reason


@pytest.mark.parametrize("head", [b"\xff\xfb\x90\x64", b"\xff\xf1\x50\x80", b"some text, perhaps", b"RIFF", b"\0"])
def test_without_magic_number(head: bytes):
    """What has no magic number is offered to the few demuxers that look for sync words, and has to convince them."""
    found = sniff.sniff(head)
    assert isinstance(found, StreamFile)
    assert ("mp3", "aac", "ac3", "eac3", "mpegts", "mpeg") == found.demuxers
    assert not found.certain
    assert found.least_score > 25  # libavformat's scores of a guess end there


@pytest.mark.parametrize(
    ("head", "demuxers"),
    [(b"\x0bw\x12\x34", ("ac3", "eac3")), (b"ID3\x04\0", ("mp3", "aac", "flac", "ac3", "eac3"))],
)
def test_ambiguous_magic_numbers(head: bytes, demuxers: tuple[str, ...]):
    """Where a magic number stands before several formats, ffprobe chooses among these."""
    found = sniff.sniff(head)
    assert StreamFile(demuxers=demuxers, certain=False, least_score=1) == found


@given(clock=st.binary(min_size=4, max_size=4), count=st.integers(3, 21))
@example(clock=b"<svg", count=21)
@example(clock=b"{\n  ", count=21)
@example(clock=b"%PDF", count=21)
@example(clock=b"BM\0\0", count=21)
def test_camcorder_clock_may_look_like_anything(clock: bytes, count: int):
    """The time code before each packet of an AVCHD recording counts up: no value of it hides the stream."""
    assert stream("mpegts") == sniff.sniff(packets(count, clock=clock))


def test_gif_is_no_transport_stream():
    """A GIF begins with the sync byte of a transport stream, and stays a GIF where more of them follow."""
    head = b"GIF89a" + packets(5)[6:]
    assert PictureFile(formats=("GIF",)) == sniff.sniff(head)


#: Demuxers that read other files, other hosts, scripts or devices.
_REACHING = {"hls", "dash", "concat", "sdp", "rtsp", "imf", "image2", "lavfi", "vapoursynth", "avisynth", "applehttp"}
_MAGIC = [head for head, _ in (*PICTURES, *STREAMS, *REFUSED)] + [b"ID3", b"\x0bw", b"RIFF", b"FORM", b"\0\0\0\0ftyp"]


def sniffed(head: bytes) -> Sniffed | Reason:
    """What sniffing says, or why it refuses."""
    try:
        return sniff.sniff(head)
    except Rejected as error:
        return error.reason


@given(magic=st.sampled_from([b"", *_MAGIC]), rest=st.binary(max_size=1200), cut=st.integers(0, 1300))
def test_any_bytes(magic: bytes, rest: bytes, cut: int):
    """Any head is a picture, a stream or a refusal, and never something that opens other files."""
    match sniffed((magic + rest)[:cut]):
        case PictureFile(formats=formats):
            assert formats
        case StreamFile(demuxers=demuxers):
            assert demuxers
            assert set() == set(demuxers) & _REACHING
        case reason:
            assert reason in {Reason.EMPTY, Reason.UNSUPPORTED_TYPE}


@pytest.mark.parametrize(
    ("head", "expected"),
    [
        (b"", False),
        (b"\xff\xd8\xff\xe0", False),
        (b"%PDF-1.7", False),
        (b"\x1aE\xdf\xa3", True),
        (b"\0\0\0\x20ftypisom" + bytes(32), True),
        (b"\0\0\0\x20ftypavif" + bytes(32), False),
        (b"ID3\x04" + bytes(100), True),
        (b"no magic number at all", True),
    ],
)
def test_streams_are_told_from_the_rest(head: bytes, expected: bool) -> None:  # noqa: FBT001 - a case
    """What only a demuxer can tell counts as a stream; what is refused is none."""
    assert expected == sniff.is_stream(head)
