"""What a file is by its first bytes, never by its name: a picture, a stream, or a clear refusal.

Magic numbers as registered in the formats' own specifications; brands from mp4ra.org. What is not in these
tables is not opened at all: a demuxer or decoder that is never named can't be attacked.
"""

from dataclasses import dataclass

from service.core.outcome import Reason, Rejected

#: How many bytes `sniff` wants to see: MPEG-TS needs five packets of 192 bytes, ISO brands far less.
HEAD_BYTES = 4096


#: Below this, ffprobe only guesses: text and random bytes pass for MP3 with 1 to 25 (libavformat's scores).
_LEAST_PROBE_SCORE = 26


@dataclass(frozen=True, kw_only=True)
class PictureFile:
    """A still or animated picture; `formats` are the only Pillow plugins that may open it."""

    formats: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class StreamFile:
    """Video or sound; `demuxers` are the only ffmpeg demuxers that may open it.

    `certain` says that the magic number names the format, so that the demuxer is forced; otherwise ffprobe
    chooses among these, and its probe score has to be at least `least_score`.
    """

    demuxers: tuple[str, ...]
    certain: bool
    least_score: int = 0


Sniffed = PictureFile | StreamFile

_JPEG = PictureFile(formats=("JPEG", "MPO"))
_GIFS = (b"GIF87a", b"GIF89a")
_TIFF = PictureFile(formats=("TIFF",))
_HEIF = PictureFile(formats=("HEIF",))
_AVIF = PictureFile(formats=("AVIF",))
_JPEG2000 = PictureFile(formats=("JPEG2000",))


def _stream(demuxer: str) -> StreamFile:
    return StreamFile(demuxers=(demuxer,), certain=True)


_PREFIXES: tuple[tuple[bytes, Sniffed], ...] = (
    (b"\xff\xd8\xff", _JPEG),
    (b"\x89PNG\r\n\x1a\n", PictureFile(formats=("PNG",))),
    *((magic, PictureFile(formats=("GIF",))) for magic in _GIFS),
    (b"BM", PictureFile(formats=("BMP",))),
    (b"II*\0", _TIFF),
    (b"MM\0*", _TIFF),
    (b"II+\0", _TIFF),
    (b"MM\0+", _TIFF),
    (b"\0\0\0\x0cjP  \r\n\x87\n", _JPEG2000),
    (b"\xff\x4f\xff\x51", _JPEG2000),
    (b"\x1aE\xdf\xa3", _stream("matroska")),
    (b"FLV\x01", _stream("flv")),
    (b"0&\xb2u\x8ef\xcf\x11\xa6\xd9\0\xaa\0b\xcel", _stream("asf")),
    (b"OggS", _stream("ogg")),
    (b"fLaC", _stream("flac")),
    (b"RF64", _stream("wav")),
    (b"RIFX", _stream("wav")),
    (b"caff", _stream("caf")),
    (b".snd", _stream("au")),
    (b"#!AMR", _stream("amr")),
    (b"wvpk", _stream("wv")),
    (b"\0\0\x01\xba", _stream("mpeg")),
    (b"\0\0\x01\xb3", _stream("mpegvideo")),
    (b"\x0bw", StreamFile(demuxers=("ac3", "eac3"), certain=False, least_score=1)),
    (b"ID3", StreamFile(demuxers=("mp3", "aac", "flac", "ac3", "eac3"), certain=False, least_score=1)),
)

_RIFF: dict[bytes, Sniffed] = {
    b"WEBP": PictureFile(formats=("WEBP",)),
    b"WAVE": _stream("wav"),
    b"AVI ": _stream("avi"),
}

#: First boxes of an ISO or QuickTime file that has no `ftyp`.
_ATOMS = frozenset({b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"styp", b"sidx", b"moof"})
_HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1", b"mif2"})
_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_ISO_REFUSED = {b"crx ": "a Canon raw photograph"}

_REFUSED: tuple[tuple[bytes, str], ...] = (
    (b"%PDF", "a PDF document"),
    (b"PK\x03\x04", "a zip archive or an office document"),
    (b"PK\x05\x06", "an empty zip archive"),
    (b"\x1f\x8b", "a gzip archive"),
    (b"7z\xbc\xaf\x27\x1c", "a 7-Zip archive"),
    (b"Rar!", "a RAR archive"),
    (b"\xfd7zXZ", "an xz archive"),
    (b"BZh", "a bzip2 archive"),
    (b"8BPS", "a Photoshop document"),
    (b"%!PS", "a PostScript document"),
    (b"MZ", "a Windows program"),
    (b"\x7fELF", "a program"),
    (b"#EXTM3U", "a playlist"),
    (b"ffconcat", "a list of files"),
    (b"WEBVTT", "captions without a video"),
)

#: What is left when no magic number fits: formats without one, found by their sync words.
_UNCERTAIN = StreamFile(
    demuxers=("mp3", "aac", "ac3", "eac3", "mpegts", "mpeg"), certain=False, least_score=_LEAST_PROBE_SCORE
)


def sniff(head: bytes) -> Sniffed:
    """Say what a file is from its first `HEAD_BYTES`.

    :raises Rejected: `empty` or `unsupported_type`, with what the file seems to be.
    """
    if not head:
        raise Rejected(Reason.EMPTY, "The file has no content.")
    if (stream := _transport_stream(head)) and not head.startswith(_GIFS):
        return stream  # before the rest: the clock in front of a Blu-ray packet may begin like anything
    if seems := _refusal(head):
        raise Rejected(Reason.UNSUPPORTED_TYPE, f"The file is {seems}, not an image, a video or sound.")
    for magic, found in _PREFIXES:
        if head.startswith(magic):
            return found
    return _riff(head) or _iff(head) or _iso(head) or _UNCERTAIN


def is_stream(head: bytes) -> bool:
    """Whether a file that begins so is video or sound, as far as that can be told without a demuxer."""
    try:
        return isinstance(sniff(head), StreamFile)
    except Rejected:
        return False


def _refusal(head: bytes) -> str | None:
    text = head.lstrip(b"\xef\xbb\xbf \t\r\n")
    for magic, seems in _REFUSED:
        if head.startswith(magic) or text.startswith(magic):
            return seems
    if text.startswith(b"<"):
        return "an SVG drawing" if b"<svg" in text.lower() else "an XML or HTML document"
    if text.startswith(b"{"):
        return "a JSON document"
    return None


def _riff(head: bytes) -> Sniffed | None:
    return _RIFF.get(head[8:12]) if head.startswith(b"RIFF") else None


def _iff(head: bytes) -> Sniffed | None:
    return _stream("aiff") if head.startswith(b"FORM") and head[8:12] in {b"AIFF", b"AIFC"} else None


def _iso(head: bytes) -> Sniffed | None:
    """ISO/IEC 14496-12, 4.3: a size, `ftyp`, the major brand, a version, and the compatible brands."""
    kind = head[4:8]
    if kind != b"ftyp":
        return _stream("mov") if kind in _ATOMS else None
    size = min(int.from_bytes(head[:4], "big"), len(head))
    major, compatible = head[8:12], {head[at : at + 4] for at in range(16, size - 3, 4)}
    if major in _ISO_REFUSED:
        raise Rejected(Reason.UNSUPPORTED_TYPE, f"The file is {_ISO_REFUSED[major]}: export it as JPEG or HEIC.")
    if major in _AVIF_BRANDS or (major in {b"mif1", b"msf1"} and compatible & _AVIF_BRANDS):
        return _AVIF
    return _HEIF if major in _HEIF_BRANDS else _stream("mov")


def _transport_stream(head: bytes) -> Sniffed | None:
    """ISO/IEC 13818-1: sync byte 0x47 every 188 bytes, or every 192 with a time code before it (Blu-ray)."""
    for first, step in ((0, 188), (4, 192)):
        syncs = head[first : first + 5 * step : step]
        if len(syncs) >= 3 and set(syncs) == {0x47}:
            return _stream("mpegts")
    return None
