"""Subtitles inside films by the real ffmpeg and the real reader, in the sandbox: honest ones and hostile ones."""

import shutil
import subprocess
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from importlib.resources import files
from pathlib import Path

import pytest

from service.core import places, plan, recipe, webvtt
from service.core.media import Clip
from service.core.plan import Extract
from service.core.record import StepRecord
from service.runtime import captioner
from service.runtime.captioner import Captioner
from service.runtime.desk import Desk
from service.runtime.examine import Examiner
from service.runtime.ledger import Ledger
from service.runtime.ports import Head
from service.tools.caption_files import CaptionFiles
from service.tools.ffmpeg import FFmpeg
from service.tools.folder import LocalUploads
from service.tools.painter import Painter
from service.tools.sandbox import Sandbox
from tests.fakes import FakeStore

RULES = recipe.read("", shipped=(files("service") / "recipe.toml").read_text()).general
MEMORY = 1 << 30
FILM = [
    *("-f", "lavfi", "-i", "testsrc2=size=64x64:rate=25:duration=2"),
    *("-f", "lavfi", "-i", "sine=sample_rate=48000:duration=2"),
]
CODECS = ["-c:v", "libx264", "-preset", "ultrafast", "-c:a", "aac"]

SRT = "1\n00:00:00,500 --> 00:00:01,000\n{}\n\n"
ASS = """[Script Info]
ScriptType: v4.00+
[V4+ Styles]
Format: Name, Fontname, Fontsize
Style: Default,Arial,20
[Events]
Format: Layer, Start, End, Style, Name, MarginL, MarginR, MarginV, Effect, Text
Dialogue: 0,0:00:00.50,0:00:01.00,Default,Ann,0,0,0,,{}
Dialogue: 0,0:00:01.10,0:00:01.50,Default,,0,0,0,,{{\\p1}}m 0 0 l 100 0 100 100{{\\p0}}
"""


@dataclass(frozen=True, kw_only=True)
class Bench:
    """The tools, and the scratch folder of a job."""

    captioner: Captioner
    examiner: Examiner
    folder: Path

    def film(self, name: str, *tracks: tuple[str, str], language: str = "eng") -> Path:
        """A film with subtitles: the codec of each, and the file it is made of (`.srt` or `.ass`)."""
        target, inputs, maps = self.folder / name, list[str](), list[str]()
        for at, (codec, text) in enumerate(tracks):
            source = self.folder / f"track-{at}.{'ass' if text.startswith('[Script') else 'srt'}"
            source.write_text(text)
            inputs += ["-i", str(source)]
            maps += ["-map", str(2 + at), f"-c:s:{at}", codec, f"-metadata:s:s:{at}", f"language={language}"]
        command = ["ffmpeg", "-v", "error", "-nostdin", "-y", *FILM, *inputs, "-map", "0", "-map", "1"]
        subprocess.run([*command, *maps, *CODECS, str(target)], check=True, timeout=120)
        return target

    async def clip(self, film: Path) -> tuple[Clip, Desk]:
        """What it is, and a desk that it lies on."""
        job = self.folder / "job"
        shutil.copyfile(film, job / "in")
        found = await self.examiner.examine(job, film.stat().st_size, RULES.limits)
        assert isinstance(found, Clip)
        uploads = LocalUploads({film.name: film})
        head = await uploads.head("", film.name)
        assert isinstance(head, Head)
        return found, Desk(folder=job, head=head, uploads=uploads, limits=RULES.limits)

    async def extracted(self, film: Path) -> list[StepRecord]:
        """What comes of its subtitles."""
        clip, desk = await self.clip(film)
        planned = plan.make(clip, RULES, version="v", done={})
        (group,) = [group for group in planned.groups if isinstance(group, Extract)]
        at = places.Places(name="film")
        ledger = Ledger(store=FakeStore(), at=at, version="v", attempt="a", made_by={}, media=clip)
        records, _ = await self.captioner.extract(group, desk, ledger)
        return records

    def said(self, record: StepRecord) -> list[str]:
        """The lines of a track that are shown."""
        assert record.captions
        text = (self.folder / "job" / record.captions.file).read_bytes()
        return [line for cue in webvtt.parse(text) for line in cue.lines]

    def written(self, record: StepRecord) -> str:
        """The whole WebVTT file."""
        assert record.captions
        return (self.folder / "job" / record.captions.file).read_text()


@pytest.fixture(name="bench")
async def _bench(tmp_path: Path) -> AsyncIterator[Bench]:
    (tmp_path / "job").mkdir()
    async with Sandbox() as sandbox:
        films = FFmpeg(sandbox, memory_bytes=MEMORY)
        reader = CaptionFiles(sandbox, memory_bytes=MEMORY)
        making = Captioner(films=films, reader=reader, scribes={}, store=FakeStore())
        examiner = Examiner(pictures=Painter(sandbox, memory_bytes=MEMORY), films=films)
        yield Bench(captioner=making, examiner=examiner, folder=tmp_path)


def none(records: Sequence[StepRecord]) -> list[str | None]:
    """Why there are no cues, of each track."""
    return [record.captioned.none if record.captioned else "nothing" for record in records]


@pytest.mark.parametrize(
    ("name", "codec", "text"),
    [
        ("a.mkv", "subrip", SRT.format("<i>Good</i> morning & co.")),
        ("a.mkv", "ass", ASS.format("{\\i1}Good{\\i0} morning & co.")),
        ("a.mkv", "webvtt", SRT.format("<i>Good</i> morning & co.")),
        ("a.mp4", "mov_text", SRT.format("<i>Good</i> morning & co.")),
        ("a.mov", "mov_text", SRT.format("<i>Good</i> morning & co.")),
    ],
)
async def test_text_of_every_kind_becomes_webvtt(name: str, codec: str, text: str, bench: Bench) -> None:
    """Without its markup, and at its time on the clock of the other tracks (AAC's priming, 23 ms in Matroska)."""
    (record,) = await bench.extracted(bench.film(name, (codec, text)))
    assert ["Good morning & co."] == bench.said(record)
    assert record.captions
    assert ("captions.en.vtt", "en", False) == (
        record.captions.file,
        record.captions.language,
        record.captions.machine,
    )
    (cue,) = webvtt.parse(bench.written(record).encode())
    assert (0.5, 1.0) == (pytest.approx(cue.start, abs=0.03), pytest.approx(cue.end, abs=0.03))
    assert not list((bench.folder / "job").glob("text-*"))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("<script>alert(1)</script>", ["alert(1)"]),
        ("&lt;img src=x onerror=alert(1)&gt;", ["<img src=x onerror=alert(1)>"]),
        ("1 > 0 and a < b", ["1 > 0 and a < b"]),
        ("one\n00:00:05.000 --> 00:00:06.000", ["one"]),
        ("\u202egnirts\u202c", ["gnirts"]),
    ],
)
async def test_markup_is_text_or_nothing(text: str, expected: list[str], bench: Bench) -> None:
    """What a page gets is escaped, whatever was in the film."""
    (record,) = await bench.extracted(bench.film("a.mkv", ("subrip", SRT.format(text))))
    assert expected == bench.said(record)[:1]
    body = bench.written(record).partition("-->")[2]
    assert not any(tag in body for tag in ("<script", "<img"))


async def test_two_tracks_of_one_language(bench: Bench) -> None:
    """Each has files of its own."""
    film = bench.film("a.mp4", ("mov_text", SRT.format("One")), ("mov_text", SRT.format("Two")))
    records = await bench.extracted(film)
    assert [["One"], ["Two"]] == [bench.said(record) for record in records]
    assert ["captions.en.vtt", "captions.en-2.vtt"] == [record.captions.file for record in records if record.captions]


async def test_a_text_that_ffmpeg_cannot_end_takes_no_other_with_it(
    bench: Bench, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One cue larger than its buffer of a megabyte: it works on that for eight seconds and more, and fails."""
    monkeypatch.setattr(captioner, "_PATIENCE", 1.5)
    huge = SRT.format("x" * 1_100_000)
    records = await bench.extracted(bench.film("a.mkv", ("copy", SRT.format("Fine")), ("copy", huge)))
    assert [None, "damaged"] == none(records)
    assert ["Fine"] == bench.said(records[0])


async def test_a_track_without_a_word(bench: Bench) -> None:
    """It is empty, which is no fault."""
    (record,) = await bench.extracted(bench.film("a.mkv", ("subrip", SRT.format("<b></b>"))))
    assert ["empty"] == none([record])


async def test_bytes_that_are_no_text(bench: Bench) -> None:
    """A track that was overwritten is read as far as it is text, or not at all; nothing fails."""
    film = bench.film("a.mkv", ("subrip", SRT.format("MARKER" * 20)))
    body = film.read_bytes()
    assert b"MARKER" * 20 in body
    film.write_bytes(body.replace(b"MARKER" * 20, b"\xff\xfe\x00-->\n\n" * 15))
    (record,) = await bench.extracted(film)
    assert record.captioned
    assert (record.captions is None) == (record.captioned.none in {"damaged", "empty"})


async def test_more_text_than_anybody_says_is_cut_off(bench: Bench) -> None:
    """The file that ffmpeg writes does not grow with the film's."""
    lines = "".join(f"{n}\n00:00:01,000 --> 00:00:01,900\n{n} {'y' * 900}\n\n" for n in range(5_500))
    (record,) = await bench.extracted(bench.film("a.mkv", ("copy", lines)))
    assert record.captioned
    assert 1_000 < record.captioned.cues < 4_000
