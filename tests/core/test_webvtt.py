"""Cues are written as WebVTT and SRT, and uploaded files are read."""

import json
import re
import shutil
import subprocess
from collections.abc import Callable, Sequence
from contextlib import suppress
from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core import webvtt
from service.core.captions import Cue, clean
from service.core.outcome import Reason, Rejected

Write = Callable[[Sequence[Cue]], str]

NASTY = ["<b>", "</b>", "<v ", "<v.x Ann>", "<00:00:01.000>", "&lt;", "&#60;", "&#10;", "&amp", "-->", "--&gt;", "\0"]
NASTY += ["00:01.000 --> 00:02.000\n", "01:00:00,500 --> 01:00:02,000 line:0\n", "NOTE", "STYLE\n", "WEBVTT", "\u2028"]
NASTY += [
    "\n",
    "\n\n",
    "\r",
    "\r\n",
    "<",
    ">",
    "{\\an8}",
    "\u202e",
    "<\u0338",
    "\ud800",
    "é",
    "1\n",
    "&#99999999;",
    "\ufeff",
]
written = st.lists(st.sampled_from(NASTY) | st.text(max_size=6), max_size=30).map("".join)
moments = st.integers(min_value=0, max_value=99 * 3_600_000)


@st.composite
def some_cues(draw: st.DrawFn) -> tuple[Cue, ...]:
    """Cues as any model or person may have made them."""
    starts = sorted(draw(st.lists(moments, max_size=6)))
    return tuple(
        Cue(
            start=start / 1000,
            end=(start + draw(st.integers(1, 100_000))) / 1000,
            lines=tuple(draw(st.lists(written, max_size=3))),
        )
        for start in starts
    )


def cue(*lines: str, start: float = 1.0, end: float = 2.5) -> Cue:
    return Cue(start=start, end=end, lines=lines)


def read(body: str) -> list[tuple[str, ...]]:
    return [each.lines for each in webvtt.parse(f"WEBVTT\n\n{body}".encode("utf-8", "surrogatepass"))]


def timed(text: str) -> list[tuple[str, ...]]:
    return read(f"00:01.000 --> 00:02.000\n{text}\n")


def test_a_written_file() -> None:
    """Header, a note that ends no block, and cues whose text is escaped."""
    made = webvtt.webvtt(
        [
            cue("Tom & <i>Jerry</i>", "a --> b"),
            cue("\n\n", "\u202e"),
            cue("one\n\ntwo", start=3661.001, end=360000 - 0.001),
        ],
        language="en-US",
        note="Made by a machine: whisper tiny --> int8\n\nNot read by anybody.",
    )

    assert made == (
        "WEBVTT\n"
        "\n"
        "NOTE\n"
        "Language: en-US\n"
        "Made by a machine: whisper tiny -- > int8\n"
        "Not read by anybody.\n"
        "\n"
        "00:00:01.000 --> 00:00:02.500\n"
        "Tom &amp; &lt;i&gt;Jerry&lt;/i&gt;\n"
        "a --&gt; b\n"
        "\n"
        "01:01:01.001 --> 99:59:59.999\n"
        "one two\n"
    )


def test_a_file_without_cues() -> None:
    """Silence is a file too."""
    assert ("WEBVTT\n", "") == (webvtt.webvtt([]), webvtt.srt([]))


def test_a_written_srt_file() -> None:
    """Numbered without gaps, and nothing in its text that a player takes for markup."""
    made = webvtt.srt([cue("<i>Tom</i> & {\\an8}Jerry", "a --> b"), cue(" "), cue("3", start=3661.001, end=3662)])

    assert made == (
        "1\r\n"
        "00:00:01,000 --> 00:00:02,500\r\n"
        "‹i›Tom‹/i› & (\\an8)Jerry\r\n"
        "a --› b\r\n"
        "\r\n"
        "2\r\n"
        "01:01:01,001 --> 01:01:02,000\r\n"
        "3\r\n"
    )


@pytest.mark.parametrize("write", [webvtt.webvtt, webvtt.srt])
def test_a_file_has_an_end(write: Write, monkeypatch: pytest.MonkeyPatch) -> None:
    """What would be too large is refused, not cut in the middle of a film."""
    monkeypatch.setattr(webvtt, "MAX_OUTPUT", 1000)

    with pytest.raises(Rejected) as refused:
        write([cue("é" * 500)])

    assert Reason.TOO_LARGE == refused.value.reason


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("Hello", ["Hello"]),
        ("Hello\n  world  ", ["Hello", "world"]),
        ("<v Ann>Hello</v>", ["Ann: Hello"]),
        ("<v.loud.first Mary  Ann>Hi\n<v\tBob>Ho", ["Mary Ann: Hi", "Bob: Ho"]),
        ("<v R&amp;B>Hi", ["R&B: Hi"]),
        ("<v Ann\nLee>Hi", ["Ann Lee: Hi"]),
        ("<v &amp;lt;>Hi", ["&lt;: Hi"]),
        ("<v <b>Hi", ["b: Hi"]),
        ("<v>Hi", ["Hi"]),
        ("<video>Hi", ["Hi"]),
        ("<c.red><b>a</b> <i>b</i></c> <u>c</u> <lang en>d</lang>", ["a b c d"]),
        ("<ruby>漢<rt>かん</rt></ruby>", ["漢かん"]),
        ("<00:00:01.500>now <00:01.700>then", ["now then"]),
        ("a &lt;b&gt; &amp; &quot;c&quot; &#233;&eacute;&nbsp;d &nosuch; &", ['a <b> & "c" éé\u00a0d &nosuch; &']),
        ("&amp;lt;", ["&lt;"]),
        ("a&#10;&#10;b &#0; &#x202e;c", ["a b \ufffd c"]),
        ("&#" + "9" * 5000 + ";", ["\ufffd"]),
        ("a < b, I <3 you, 1 <= 2", ["a < b, I <3 you, 1 <= 2"]),
        ("a <b unclosed", ["a"]),
        ("<<b>script>x", ["script>x"]),
        ("<script>alert(1)</script>", ["alert(1)"]),
        ("a <> b", ["a b"]),
        ("x" * 600, ["x" * 500]),
        ("\n".join("abcdefghijklmnopqrstuvwxyz"), list("abcdefghijklmnopqrst")),
        ("a\0b", ["a\ufffdb"]),
    ],
)
def test_text_is_what_is_left_without_markup(text: str, expected: list[str]) -> None:
    """Tags go, voices stay as names, and entities are what they mean."""
    assert [expected] == [list(lines) for lines in timed(text)]


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        ("", []),
        ("NOTE\nno cue\n\nSTYLE\n::cue { color: red }\n\nREGION\nid:x\n\n00:01.000 --> 00:02.000\na", [("a",)]),
        ("intro\n00:01.000 --> 00:02.000 line:0 position:20% align:start\na\n\n", [("a",)]),
        ("00:01.000-->00:02.000\na", [("a",)]),
        ("00:01.000 --> 00:02.000\na\n00:03.000 --> 00:04.000\nb", [("a",), ("b",)]),
        (
            "00:05.000 --> 00:06.000\nb\n\n00:01.000 --> 00:09.000\na\n\n00:01.000 --> 00:02.000\nc",
            [("a",), ("c",), ("b",)],
        ),
        ("00:01.000 --> 00:02.000\n\nnot of a cue", []),
        ("00:01.000 --> 00:02.000\n<i></i>\n \t\n&nbsp;", []),
        ("00:02.000 --> 00:02.000\na", []),
        ("00:02.000 --> 00:01.000\na", []),
        ("00:61.000 --> 00:62.000\na", []),
        ("60:00.000 --> 61:00.000\na", []),
        ("99:59:59.000 --> 99:59:59.999\na", [("a",)]),
        ("99:59:59.000 --> 100:00:00.000\na", []),
        ("1:00:00.000 --> 1:00:01.000\na", [("a",)]),
        ("٠٠:01.000 --> 00:02.000\na", []),
        ("00:01.000 --> 00:02.0000\na", []),
        ("--> 00:02.000\na", []),
        ("00:01.000 -->\na\n\n00:01.000 --> 00:02.000\nb", [("b",)]),
    ],
)
def test_cues_are_found_as_players_find_them(body: str, expected: list[tuple[str, ...]]) -> None:
    """Blocks without times go, and so do cues that never show."""
    assert expected == read(body)


@pytest.mark.parametrize("end", ["\n", "\r\n", "\r"])
@pytest.mark.parametrize(
    "begin", ["WEBVTT", "\ufeffWEBVTT", "WEBVTT - made by hand", "WEBVTT\tx", "WEBVTT\nKind: captions"]
)
def test_line_ends_and_headers(begin: str, end: str) -> None:
    """All three line ends, a byte order mark and whatever follows the signature."""
    data = f"{begin}\n\n1\n01:00.250 --> 01:02.000\nLine é\n".replace("\n", end).encode()

    assert (Cue(start=60.25, end=62.0, lines=("Line é",)),) == webvtt.parse(data)


@pytest.mark.parametrize("begin", ["", "1\n", "\n\n0\n"])
def test_srt_is_read_too(begin: str) -> None:
    """Some people only rename the file."""
    data = f"{begin}00:00:01,000 --> 00:00:02,000\n<i>a</i>\n\n2\n00:00:03,000 --> 00:00:04,000\nb\n".encode()

    assert [("a",), ("b",)] == [each.lines for each in webvtt.parse(data)]


def test_bad_bytes_are_replaced() -> None:
    """As the format's decoder does, so that one letter in Latin-1 costs that letter."""
    assert [("caf\ufffd",)] == [each.lines for each in webvtt.parse(b"WEBVTT\n\n00:01.000 --> 00:02.000\ncaf\xe9\n")]


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", Reason.DAMAGED),
        (b"WEBVT", Reason.DAMAGED),
        (b"WEBVTTX\n\n", Reason.DAMAGED),
        (b" WEBVTT\n\n", Reason.DAMAGED),
        (b"webvtt\n\n", Reason.DAMAGED),
        ("WEBVTT\n\n".encode("utf-16"), Reason.DAMAGED),
        (b"<html>", Reason.DAMAGED),
        (b"\x89PNG\r\n\x1a\n", Reason.DAMAGED),
        (b"1\nHello", Reason.DAMAGED),
        (b"WEBVTT\n\n" + b"a" * webvtt.MAX_INPUT, Reason.TOO_LARGE),
    ],
)
def test_other_files_are_refused(data: bytes, reason: Reason) -> None:
    """With a reason, in words for the person who uploaded it."""
    with pytest.raises(Rejected) as refused:
        webvtt.parse(data)

    assert reason == refused.value.reason
    assert refused.value.message.endswith(".")


@pytest.mark.timeout(60)
@pytest.mark.parametrize(
    "text",
    [
        "<" * 4_000_000,
        "<1" * 2_000_000,
        "<v " * 1_300_000,
        "&" * 4_000_000,
        "&#9" * 1_300_000,
        "\u0301\u0323" * 1_000_000,
        "<" + "1" * 4_000_000,
        "a\n" * 2_000_000,
        "00:01.000 --> 00:02.000\na\n" * 150_000,
    ],
)
def test_no_text_takes_long(text: str) -> None:
    """Four megabytes of the worst are read in seconds, and no more cues than anybody needs."""
    assert webvtt.MAX_CUES >= len(timed(text))


@given(some_cues())
def test_what_is_written_is_read_again(cues: tuple[Cue, ...]) -> None:
    """The same times and, but for what can't be seen, the same text."""
    seen = [(each, tuple(line for line in map(clean, each.lines) if line)) for each in cues]
    expected = tuple(Cue(start=each.start, end=each.end, lines=lines) for each, lines in seen if lines)

    assert expected == webvtt.parse(webvtt.webvtt(cues, language="en", note="a --> b\n\nc").encode())


@given(
    written | st.text(),
    st.sampled_from(["WEBVTT\n\n", "WEBVTT\n\n00:01.000 --> 00:02.000\n", "1\n00:00:01,000 --> 00:00:02,000\n"]),
)
def test_no_text_becomes_markup(text: str, begin: str) -> None:
    """Cues hold clean lines, and neither file of theirs has a tag, an arrow or an empty line in its text."""
    cues = webvtt.parse((begin + text).encode("utf-8", "surrogatepass"))

    assert all(line and line == clean(line) and len(line) <= webvtt.MAX_LINE for each in cues for line in each.lines)
    assert all(before.start <= after.start for before, after in pairwise(cues))
    assert cues == webvtt.parse(webvtt.webvtt(cues).encode())
    times = r"[\d:.,]+ --> [\d:.,]+"
    for block in webvtt.webvtt(cues).split("\n\n")[1:]:
        assert re.fullmatch(times + r"(\n[^<>\n]+)+\n?", block)
    for block in webvtt.srt(cues).split("\r\n\r\n") if cues else []:
        assert re.fullmatch(r"\d+\r\n" + times + r"(\r\n[^<>{}\r\n]+)+(\r\n)?", block)


@given(written)
def test_markup_comes_from_entities_alone(text: str) -> None:
    """Where nobody escaped one, what follows a `<` begins no tag."""
    lines = [line for each in timed(text.replace("&", "")) for line in each]

    assert [] == [line for line in lines if re.search(r"<[^\s0-9=]", line)]


@given(st.binary() | st.binary().map(lambda tail: b"WEBVTT\n\n00:01.000 --> 00:02.000\n" + tail))
def test_no_bytes_fail(data: bytes) -> None:
    """They are cues, or refused."""
    with suppress(Rejected):
        cues = webvtt.parse(data)

        assert all(0 <= each.start < each.end and each.lines for each in cues)


@pytest.mark.skipif(not shutil.which("ffprobe"), reason="needs ffprobe")
@pytest.mark.parametrize(("name", "write"), [("a.vtt", webvtt.webvtt), ("a.srt", webvtt.srt)])
def test_ffmpeg_reads_what_is_written(name: str, write: Write, tmp_path: Path) -> None:
    """Another parser finds the same cues at the same times."""
    cues = [
        cue("Tom & <i>Jerry</i>", "a --> b {\\an8}"),
        cue("3", start=3661.001, end=3662.5),
        cue("é", start=3662.5, end=3663),
    ]
    (tmp_path / name).write_bytes(write(cues).encode())

    command = ["ffprobe", "-v", "error", "-show_entries", "packet=pts_time,duration_time,size", "-of", "json", name]
    shown = subprocess.run(command, cwd=tmp_path, capture_output=True, check=True)

    packets = json.loads(shown.stdout)["packets"]
    assert b"" == shown.stderr
    assert [(each.start, round(each.end - each.start, 3)) for each in cues] == [
        (float(packet["pts_time"]), float(packet["duration_time"])) for packet in packets
    ]


@pytest.mark.skipif(not shutil.which("ffmpeg"), reason="needs ffmpeg")
@pytest.mark.parametrize(
    ("name", "write", "text"),
    [("a.vtt", webvtt.webvtt, "<i>Tom</i> & {x}"), ("a.srt", webvtt.srt, "‹i›Tom‹/i› & (x)")],
)
def test_ffmpeg_shows_text_as_text(name: str, write: Write, text: str, tmp_path: Path) -> None:
    """What looked like markup is no style in another format either."""
    (tmp_path / name).write_bytes(write([cue("<i>Tom</i> & {x}")]).encode())

    made = subprocess.run(
        ["ffmpeg", "-v", "error", "-i", name, "-f", "ass", "-"], cwd=tmp_path, capture_output=True, check=True
    )

    assert made.stdout.decode().rstrip().endswith(f",,{text}".replace("{", "\\{").replace("}", "\\}"))
