"""Which subtitles of a source become captions, in which language, and what the command for them is."""

from collections.abc import Sequence
from dataclasses import replace
from importlib.resources import files
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core import languages, media, plan, products, recipe, survey, texts
from service.core.captions import Cue
from service.core.media import Clip, TextStream
from service.core.plan import Adopt, Assemble, Beside, Encode, Extract, Plan
from service.core.record import Captioned, StepRecord
from service.core.sniff import StreamFile
from service.core.step import Embedded, Package, Subtitles, Transcript
from service.core.tracks import CaptionTrack

SHIPPED = (files("service") / "recipe.toml").read_text()
RULES = recipe.read("", shipped=SHIPPED).general
MATROSKA = StreamFile(demuxers=("matroska",), certain=True, least_score=1)
ENGLISH = Subtitles(key="a.mkv.en.vtt", etag="e", language="en")


def text(index: int, language: str | None = "eng", *, forced: bool = False, title: str | None = None) -> TextStream:
    """A track of subtitles."""
    return TextStream(index=index, codec="subrip", language=language, title=title, default=False, forced=forced)


def document(*subtitles: dict[str, Any], container: str = "matroska,webm") -> dict[str, Any]:
    """What ffprobe says of a film with these subtitles."""
    picture = {"index": 0, "codec_type": "video", "codec_name": "h264", "width": 320, "height": 180}
    sound = {"index": 1, "codec_type": "audio", "codec_name": "aac", "channels": 2, "sample_rate": "48000"}
    more = [{"index": 2 + at, "codec_type": "subtitle"} | one for at, one in enumerate(subtitles)]
    return {
        "streams": [picture, sound, *more],
        "format": {"format_name": container, "duration": "4.0", "probe_score": 100},
    }


def clip(*tracks: TextStream) -> Clip:
    """A film of four seconds."""
    return replace(media.from_ffprobe(document(), size=1000, sniffed=MATROSKA), texts=tracks)


def digests(planned: Plan, kind: type) -> list[str]:
    """Of the steps of a kind, in order."""
    return [named.digest for named in planned.steps if isinstance(named.step, kind)]


def named(planned: Plan) -> list[Embedded]:
    """The subtitles that are taken out."""
    return [one.step for one in planned.steps if isinstance(one.step, Embedded)]


def done(digest: str, kind: str, *, cues: int) -> StepRecord:
    """A caption track, or why there is none."""
    track = CaptionTrack(file="a.vtt", playlist="a.m3u8") if cues else None
    found = Captioned(cues=cues, machine=False, none=None if cues else "damaged")
    return StepRecord(digest=digest, kind=kind, captions=track, captioned=found)


def make(film: Clip, *records: StepRecord, beside: Beside = plan.NOTHING_BESIDE) -> Plan:
    """What is to be done for a film of which this is done."""
    return plan.make(film, RULES, version="v", done={one.digest: one for one in records}, beside=beside)


# -- what a file holds --------------------------------------------------------------------------------------------


def test_text_tracks_are_read_with_what_is_said_of_them() -> None:
    """Language, title and flags as ffprobe has them; pictures of text are counted alone."""
    said = document(
        {"codec_name": "subrip", "tags": {"language": "eng", "title": "Full"}, "disposition": {"default": 1}},
        {"codec_name": "mov_text", "tags": {"language": "und"}, "disposition": {"forced": 1}},
        {"codec_name": "hdmv_pgs_subtitle", "tags": {"language": "eng"}},
        {"codec_name": "dvd_subtitle"},
    )
    found = media.from_ffprobe(said, size=1000, sniffed=MATROSKA)
    full = TextStream(index=2, codec="subrip", language="eng", title="Full", default=True, forced=False)
    bare = TextStream(index=3, codec="mov_text", language=None, title=None, default=False, forced=True)
    assert ((full, bare), 2) == (found.texts, found.bitmaps)


@pytest.mark.parametrize(
    ("title", "expected"),
    [
        ("x" * 500, "x" * 80),
        ("a\nb\x00\u202ec", "a bc"),
        ("\ud800", None),
        ("\u200b", None),
        (["no", "text"], None),
        (7, None),
    ],
)
def test_a_title_may_be_anything(title: object, expected: str | None) -> None:
    """One short line that can be written down, or none."""
    said = document({"codec_name": "ass", "tags": {"title": title}})
    (track,) = media.from_ffprobe(said, size=1000, sniffed=MATROSKA).texts
    assert expected == track.title


# -- which of them become captions --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tracks", "expected"),
    [
        ([text(2), text(3, "ger")], [(2, "en", 1), (3, "de", 1)]),
        ([text(2), text(3), text(4, "eng")], [(2, "en", 1), (3, "en", 2), (4, "en", 3)]),
        ([text(2, None), text(3, None)], [(2, None, 1), (3, None, 2)]),
        ([text(2, forced=True), text(3), text(4, "fre", forced=True)], [(3, "en", 1), (4, "fr", 1)]),
        ([text(index) for index in range(2, 20)], [(index, "en", index - 1) for index in range(2, 10)]),
        ([], []),
    ],
    ids=["languages", "one_language", "unknown", "forced", "many", "none"],
)
def test_each_track_is_a_step(tracks: Sequence[TextStream], expected: list[tuple[int, str | None, int]]) -> None:
    """Numbered within its language; forced ones count where there is no other, and eight are enough."""
    assert expected == [(one.stream, one.language, one.number) for one in texts.wanted(clip(*tracks))]


def test_two_tracks_of_a_language_have_files_of_their_own() -> None:
    """No alias is that of another track or language."""
    first, second = ({one.name for one in products.captions("en", machine=False, number=number)} for number in (1, 2))
    assert {"captions.en.vtt", "captions.en.srt", "captions.en.m3u8"} == first
    assert {"captions.en-2.vtt", "captions.en-2.srt", "captions.en-2.m3u8"} == second
    assert "captions-2.vtt" == products.captions(None, machine=False, number=2)[0].name


def test_subtitles_are_taken_out_before_anything_is_put_together() -> None:
    """They are a group of their own: that an encode is kept for what was bought with it would be wrong of them."""
    planned = make(clip(text(2)))
    assert [Extract, Encode, Assemble] == [type(group) for group in planned.groups]


@pytest.mark.parametrize(("cues", "heard"), [(3, 0), (0, 1)])
def test_a_machine_listens_only_where_nothing_can_be_read(cues: int, heard: int) -> None:
    """Tracks with cues join the package and spare the transcript; those without do neither."""
    film = clip(text(2))
    (digest,) = digests(make(film), Embedded)
    planned = make(film, done(digest, "Embedded", cues=cues))
    (package,) = [one.step for one in planned.steps if isinstance(one.step, Package)]
    assert (heard, (digest,) if cues else ()) == (len(digests(planned, Transcript)), package.captions)


@pytest.mark.parametrize(
    ("cues", "expected"), [(None, ["de"]), (2, ["de"]), (0, ["en", "de"])], ids=["unread", "read", "damaged"]
)
def test_captions_beside_the_source_win_in_their_language(cues: int | None, expected: list[str]) -> None:
    """But for those that turn out not to be readable."""
    film, beside = clip(text(2), text(3, "ger")), Beside(subtitles=(ENGLISH,))
    planned = make(film, beside=beside)
    assert [Adopt, Extract] == [type(group) for group in planned.groups[:2]]
    if cues is not None:
        (digest,) = digests(planned, Subtitles)
        planned = make(film, done(digest, "Subtitles", cues=cues), beside=beside)
    assert expected == [one.language for one in named(planned)]


def test_what_is_foreseen_takes_subtitles_for_readable() -> None:
    """No transcript is foreseen, and the package is made once."""
    known = survey.Known(version="v", size=1000, media=clip(text(2)), decided="allow")
    kinds = [type(one.step) for one in survey.foresee(known, RULES).again]
    assert (1, 0, 1) == (kinds.count(Embedded), kinds.count(Transcript), kinds.count(Package))


def test_the_command_names_tracks_by_number_alone() -> None:
    """Guards before the input; each track has an output of its own that can't grow without end."""
    argv = texts.extract(clip(), texts.wanted(clip(text(2, title="$(rm)"), text(3))), RULES.limits)
    assert argv.index("-codec_whitelist") < argv.index("-i")
    outputs = [argv[argv.index(f"text-{index}.vtt") - 20 : argv.index(f"text-{index}.vtt")] for index in (2, 3)]
    assert all("webvtt" in one and "-fs" in one for one in outputs)
    assert not [word for word in argv if "$" in word or word == "null"]


def test_a_container_without_a_clock_of_its_own_is_read_whole() -> None:
    """There, tracks that nobody reads would not count for when the film begins."""
    film = replace(clip(text(2)), container="mpegts")
    assert "null" in texts.extract(film, texts.wanted(film), RULES.limits)


@pytest.mark.parametrize(
    ("lines", "expected"),
    [
        (("m 0 0 l 100 0 100 100",), ()),
        (("m -12.5 0 b 1 2 3 4 5 6", "Exit"), ("Exit",)),
        (("m 1 2",), ("m 1 2",)),
        (("n. 0 0 is a draw",), ("n. 0 0 is a draw",)),
    ],
)
def test_drawings_are_no_text(lines: tuple[str, ...], expected: tuple[str, ...]) -> None:
    """ASS draws shapes, of which the strokes would be read aloud."""
    found = texts.spoken((Cue(start=0, end=1, lines=lines),))
    assert expected == (found[0].lines if found else ())


# -- languages ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("declared", "expected"),
    [
        ("eng", "en"),
        ("ger", "de"),
        ("deu", "de"),
        ("chi", "zh"),
        ("zho-hant", "zh-Hant"),
        ("pt_br", "pt-BR"),
        ("gsw", "gsw"),
        ("und", None),
        ("", None),
        ("English", None),
    ],
)
def test_a_language_has_its_short_name(declared: str, expected: str | None) -> None:
    """Containers have three letters and browsers two, where there are two."""
    assert expected == languages.canonical(declared)


@pytest.mark.parametrize(
    ("one", "other", "expected"),
    [
        ("en", "en", True),
        ("eng", "en-GB", True),
        ("zh-Hans", "zh-Hant", False),
        ("zh", "zh-Hant", True),
        ("de", "en", False),
        (None, "en", False),
        (None, None, False),
    ],
)
def test_languages_are_alike_as_far_as_both_are_told(one: str | None, other: str | None, *, expected: bool) -> None:
    """A region or a script more is still the same; two different ones are not."""
    assert expected == languages.alike(one, other) == languages.alike(other, one)


@given(st.text(max_size=20))
def test_any_language_may_be_declared(declared: str) -> None:
    """What comes of it stays the same when it is asked again."""
    found = languages.canonical(declared)
    assert found is None or found == languages.canonical(found)
