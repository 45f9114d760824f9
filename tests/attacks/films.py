"""Films and sounds that claim too much, run for ever, or tell something on the way."""

import struct
import subprocess
from pathlib import Path

from service.core.outcome import Reason
from tests.attacks.containers import (
    avc_description,
    block,
    box,
    changed,
    cluster,
    element,
    matroska,
    nested,
    number,
    picture_track,
    poked,
    sound_track,
)
from tests.attacks.lures import Attacks, Lures, elsewhere, playlist
from tests.attacks.pictures import MARKUP

_PICTURE = ["-f", "lavfi", "-i", "testsrc2=size=64x48:rate=10:duration=1"]
_SOUND = ["-f", "lavfi", "-i", "sine=duration=1"]
_H264 = ["-c:v", "libx264", "-preset", "ultrafast", "-pix_fmt", "yuv420p"]
_AAC = ["-c:a", "aac", "-shortest"]
_MUCH = 2**32 - 1
_PCM = b"\x34\x12" * 80  # ten milliseconds


def films(folder: Path, to: Lures) -> Attacks:
    """Refused, each for its own reason; what plays is published without whatever else was in it."""
    film = made(folder, "film.mp4", *_PICTURE, *_SOUND, *_H264, *_AAC)
    return {
        **_clocks(folder),
        **_many(),
        **_lies(film),
        **_matroska_lies(),
        **_sounds(),
        **_words(folder, to),
        **_cut_off(folder),
        **elsewhere(film, to),
        "polyglot/page.mp4": (box(b"free", MARKUP) + film, Reason.DAMAGED),  # its samples are elsewhere now
        "polyglot/page at the end.mp4": (film + box(b"free", MARKUP), None),
    }


def made(folder: Path, name: str, *arguments: str) -> bytes:
    """What ffmpeg makes of these arguments."""
    path = folder / name
    subprocess.run(["ffmpeg", "-v", "error", "-nostdin", "-y", *arguments, str(path)], check=True)
    return path.read_bytes()


def _clocks(folder: Path) -> Attacks:
    """Three frames in three kilobytes that last for eleven days, and clocks that run backwards or start anew."""
    bomb = [*_PICTURE[:3], "testsrc2=size=64x48:rate=3:duration=1", *_H264, "-fps_mode", "vfr", "-vf"]
    ticks = [cluster(time, block(_PCM)) for time in (0, 10, 2**40, 20)]
    beyond = [cluster(time, block(_PCM)) for time in (0, 10, 20, 2**62, 2**63 - 1)]
    back = [cluster(time, block(_PCM)) for time in range(900_000, 0, -300_000)]
    return {
        "clock/bomb of 12 days.mkv": (made(folder, "days.mkv", *bomb, "setpts=N*500000/TB"), Reason.TOO_LONG),
        "clock/bomb of 3 hours.mkv": (made(folder, "hours.mkv", *bomb, "setpts=N*5000/TB"), Reason.BAD_TIMESTAMPS),
        "clock/bomb of sound.mkv": (matroska(sound_track(), clusters=b"".join(ticks)), Reason.BAD_TIMESTAMPS),
        "clock/beyond 64 bits.mkv": (matroska(sound_track(), clusters=b"".join(beyond)), None),
        "clock/backwards.mkv": (matroska(sound_track(), clusters=b"".join(back)), Reason.BAD_TIMESTAMPS),
        "clock/wraps.ts": (
            made(folder, "wraps.ts", *_PICTURE, *_SOUND, *_H264, *_AAC, "-output_ts_offset", "95442.7"),
            None,
        ),
        "clock/negative.mkv": (
            made(
                folder,
                "negative.mkv",
                *_PICTURE,
                *_SOUND,
                *_H264,
                *_AAC,
                *("-output_ts_offset", "-5", "-avoid_negative_ts", "disabled"),
            ),
            None,
        ),
    }


def _many() -> Attacks:
    """More tracks, more pixels, more depth."""
    tracks = [sound_track(index=n) for n in range(1, 301)]
    vp8 = b"\x10\x02\0\x9d\x01\x2a" + struct.pack("<HH", 16_383, 16_383) + bytes(40)
    large = {"VP8": (b"V_VP8", vp8), "MJPEG": (b"V_MJPEG", b"\xff\xd8\xff\xd9"), "FFV1": (b"V_FFV1", bytes(99))}
    return {
        "many/tracks.mkv": (matroska(*tracks, clusters=cluster(0, block(_PCM))), Reason.TOO_MANY_STREAMS),
        "many/tags.mkv": (_tags(), None),
        **{
            f"many/pixels {name}.mkv": (
                matroska(picture_track(codec, 16_384, 16_384), clusters=cluster(0, block(frame))),
                Reason.TOO_MANY_PIXELS,
            )
            for name, (codec, frame) in large.items()
        },
    }


def _tags() -> bytes:
    """Tags in tags, 2000 deep, beside a tenth of a second of sound."""
    inner = b""
    for _ in range(2000):
        inner = element("67c8", inner)
    sound = b"".join(cluster(time, block(_PCM)) for time in range(0, 1000, 10))
    return matroska(sound_track(), clusters=sound, more=element("1254c367", element("7373", inner)))


def _lies(film: bytes) -> Attacks:
    """Sizes and counts of boxes that are not so (ISO/IEC 14496-12, chapter 8)."""
    moov = film.index(b"moov")
    long_ = film[: moov - 4] + struct.pack(">I4sQ", 1, b"moov", 2**62) + film[moov + 4 :]
    fragments = box(b"moof", box(b"traf", box(b"tfhd", bytes(4), b"\0\0\0\1"), box(b"trun", bytes(4), b"\xff" * 4)))
    broken = {
        "box of 2 bytes": poked(film, b"moov", -8, ">I", 2),
        "sample sizes": poked(film, b"stsz", 8, ">I", _MUCH),
        "sample times": poked(film, b"stts", 4, ">I", _MUCH),
        "chunk offsets": poked(film, b"stco", 4, ">I", _MUCH),
        "chunk map": poked(film, b"stsc", 4, ">I", _MUCH),
        "descriptions": poked(film, b"stsd", 4, ">I", _MUCH),
        "chunks beyond": poked(film, b"stco", 8, ">I", _MUCH),
        "depth": box(b"ftyp", b"isom\0\0\0\0isom") + nested(b"moov", 50_000),
        "nothing else": box(b"ftyp", b"isom\0\0\0\0isom"),
        "fragments": film[:moov] + fragments,
    }
    slow = poked(film, b"stts", 8, ">II", 10, 2**29)
    more: dict[str, tuple[bytes, Reason | None]] = {
        "moov size": (poked(film, b"moov", -8, ">I", _MUCH), None),  # it is the last box: whatever follows is there
        "moov of 4 exabytes": (long_, None),
        "sample sizes, all one": (poked(film, b"stsz", 4, ">II", 1, _MUCH), Reason.NO_MEDIA),
        "no clock": (poked(film, b"mdhd", 12, ">I", 0), None),
        "long clock": (slow, None),  # its edit list ends it after a second
        "long clock, no edits": (slow.replace(b"edts", b"free"), Reason.TOO_LONG),
        "run of samples": (poked(film, b"stts", 8, ">I", _MUCH), None),
        "edits": (poked(film, b"elst", 4, ">I", _MUCH), None),
        "16384 x 16384": (changed(film, b"stsd", _huge), Reason.TOO_MANY_PIXELS),
        "last 50 days": (
            poked(poked(film, b"mvhd", 12, ">II", 1000, _MUCH), b"mdhd", 16, ">I", _MUCH),
            Reason.TOO_LONG,
        ),
    }
    return {f"lies/{name}.mp4": (body, Reason.DAMAGED) for name, body in broken.items()} | {
        f"lies/{name}.mp4": attack for name, attack in more.items()
    }


def _huge(description: bytes) -> bytes:
    return avc_description(16_384, 16_384) if b"avc1" in description else description


def _matroska_lies() -> Attacks:
    """Laces without an end, elements of no known size, and one that is larger than the file."""
    laced = block(b"\xff" + bytes(255) + _PCM, flags=0x82)  # 256 frames, all but the last of no bytes
    unknown = b"\x1f\x43\xb6\x75\x01" + b"\xff" * 7
    sound = cluster(0, block(_PCM))
    return {
        "lies/laces.mkv": (matroska(sound_track(), clusters=cluster(0, *[laced] * 200)), Reason.DAMAGED),
        "lies/lace of nothing.mkv": (
            matroska(sound_track(), clusters=cluster(0, block(b"\xff", flags=0x86))),
            Reason.NO_MEDIA,
        ),
        "lies/unknown sizes.mkv": (matroska(sound_track(), clusters=unknown * 20_000), Reason.NO_MEDIA),
        "lies/void.mkv": (matroska(sound_track(), clusters=sound + b"\xec\x01" + b"\xff" * 6 + b"\xfe"), None),
        "lies/private.mkv": (
            matroska(
                picture_track(b"V_MPEG4/ISO/AVC", 64, 48, private=b"\1\x42\0\x1e\xff\xff\xff\xff"), clusters=sound
            ),
            Reason.DAMAGED,
        ),
    }


def _sounds() -> Attacks:
    """Sound of no rate, of too many channels, and of more bytes than there are."""

    def wav(channels: int, rate: int, bits: int = 16, claimed: int = 16_000) -> bytes:
        form = struct.pack("<HHIIHH", 1, channels, rate, rate * 2 % 2**32, channels * 2 % 2**16, bits)
        head = b"RIFF" + struct.pack("<I", 36 + claimed) + b"WAVEfmt " + struct.pack("<I", 16) + form
        return head + b"data" + struct.pack("<I", claimed) + _PCM * 100

    id3 = b"ID3\4\0\0" + bytes((0x7F, 0x7F, 0x7F, 0x7F))
    return {
        "sound/0 Hz.wav": (wav(1, 0), Reason.DAMAGED),
        "sound/no channel.wav": (wav(0, 8000), Reason.DAMAGED),
        "sound/65535 channels.wav": (wav(65_535, 8000), Reason.DAMAGED),
        "sound/4 GB.wav": (wav(1, 8000, claimed=_MUCH - 36), None),
        "sound/tag of 256 MB.mp3": (id3 + bytes(500), Reason.UNSUPPORTED_TYPE),
        "sound/pages.ogg": ((b"OggS" + bytes(22) + b"\0") * 20_000, Reason.DAMAGED),
        "sound/blocks.flac": (b"fLaC" + (b"\1\xff\xff\xff" + bytes(99)), Reason.DAMAGED),
        "sound/offset.au": (b".snd" + struct.pack(">5I", 2**31, _MUCH, 3, 8000, 1) + _PCM, None),
        "sound/text.amr": (b"#!AMR\n" + playlist("file:///etc/passwd"), None),
        "sound/packets.caf": (
            b"caff\0\1\0\0desc"
            + struct.pack(">QdIIIII", 32, 8000, 0x616C6163, 0, 0, 0, 1)
            + bytes(4)
            + b"pakt"
            + struct.pack(">QQQII", 2**62, 2**62, 2**62, 0, 0),
            Reason.DAMAGED,
        ),
        "sound/index.avi": (
            b"RIFF\xff\xff\xff\xffAVI LIST\xff\xff\xff\xffhdrlavih" + struct.pack("<15I", 56, *[_MUCH] * 14),
            Reason.DAMAGED,
        ),
        "sound/nested.flv": (
            b"FLV\1\5\0\0\0\x09\0\0\0\0\x12\x01\0\0" + bytes(7) + b"\2\0\x0aonMetaData" + b"\x03\0\1a" * 16_000,
            Reason.DAMAGED,
        ),
    }


def _words(folder: Path, to: Lures) -> Attacks:
    """Titles, languages, captions and fonts: the film is published, and nothing of them."""
    subs, font = folder / "words.ass", folder / "font.ttf"
    style = f"{{\\fn../../{to.file.name}\\p1}}{MARKUP.decode()}"
    subs.write_text(
        "[Script Info]\nScriptType: v4.00+\n[V4+ Styles]\nFormat: Name, Fontname\nStyle: Default,Arial\n[Events]\n"
        f"Format: Layer, Start, End, Style, Text\nDialogue: 0,0:00:00.00,0:00:00.90,Default,{style}\n"
    )
    srt = folder / "words.srt"
    srt.write_text(f"1\n00:00:00,000 --> 00:00:00,900\n<font face='{to.file}'>{{\\an8}}{MARKUP.decode()} -->\n")
    font.write_bytes(MARKUP)
    title = f"a\nb\r{MARKUP.decode()}"
    tags = [
        *("-metadata", f"title={title}", "-metadata", f"comment={to.file}", "-metadata:s:a:0", f"title={title}"),
        *("-metadata:s:a:0", f'language=de",URI="http://{to.canary}/a"'),
    ]
    both = [*_PICTURE, *_SOUND]
    codecs = [*_H264, *_AAC]
    attached = ["-attach", str(font), "-metadata:s:t", "mimetype=application/x-truetype-font"]
    sound = b"".join(cluster(time, block(_PCM)) for time in range(0, 1000, 10))
    return {
        "words/ass.mkv": (
            made(folder, "ass.mkv", *both, "-i", str(subs), *codecs, "-c:s", "copy", *attached, *tags),
            None,
        ),
        "words/srt.mkv": (made(folder, "srt.mkv", *both, "-i", str(srt), *codecs, "-c:s", "srt"), None),
        "words/text.mp4": (made(folder, "text.mp4", *both, "-i", str(srt), *codecs, "-c:s", "mov_text", *tags), None),
        "words/title.mp3": (made(folder, "title.mp3", *_SOUND, *tags), None),
        "words/not UTF-8.mkv": (
            matroska(sound_track(language=b'\xff\xfe"><\0', name=b"\xc3(\0" + MARKUP), clusters=sound),
            None,
        ),
        "words/number of a chapter.mkv": (
            matroska(sound_track(language=b"en\n#EXT-X-ENDLIST"), clusters=sound, more=number("1043a770", 2**63)),
            None,
        ),
    }


def _cut_off(folder: Path) -> Attacks:
    """Films and sounds that end amid their headers or amid their samples, which only some of them count."""
    picture = [*_PICTURE[:3], "testsrc2=size=64x48:rate=10:duration=4"]
    sound = ["-f", "lavfi", "-i", "sine=duration=4"]
    damaged, unknown = Reason.DAMAGED, Reason.UNSUPPORTED_TYPE
    kinds: dict[str, tuple[list[str], Reason, Reason | None]] = {
        "mp4": ([*picture, *sound, *_H264, *_AAC], damaged, damaged),
        "mkv": ([*picture, *sound, *_H264, *_AAC], damaged, damaged),
        "webm": ([*sound, "-c:a", "libopus"], damaged, damaged),
        "avi": ([*picture, "-c:v", "mpeg4"], damaged, None),
        "flv": ([*picture, *_H264], damaged, damaged),
        "flac": (sound, damaged, damaged),
        "wav": (sound, damaged, None),
        "ogg": ([*sound, "-c:a", "libvorbis"], damaged, None),
        "mp3": (sound, unknown, None),
        "ts": ([*picture, *_H264], unknown, None),
    }
    cut: dict[str, tuple[bytes, Reason | None]] = {}
    for kind, (arguments, headless, half) in kinds.items():
        whole = made(folder, f"whole.{kind}", *arguments)
        cut[f"cut/{kind} at 16 bytes"] = (whole[:16], headless)
        cut[f"cut/{kind} at 0.5"] = (whole[: len(whole) // 2], half)
    return cut
