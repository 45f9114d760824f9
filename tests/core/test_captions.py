"""Words become cues that people can read."""

import unicodedata
from itertools import pairwise
from math import inf, nan

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core import captions
from service.core.captions import Cue, Word

SPEECH = """And so my fellow Americans, ask not what your country can do for you, ask what you can do for your country.
It was, as Mr. Smith said to the people of the town who had come a long way to listen, the best of times. No! I don't
think so. """

times = st.floats(min_value=-10, max_value=100) | st.sampled_from([nan, inf, -inf, 0.0, 1e300])
words = st.lists(st.builds(Word, text=st.text(max_size=60), start=times, end=times), max_size=40)


def spoken(text: str, *, at: float = 0.0, pace: float = 15.0) -> list[Word]:
    """`text` at `pace` characters a second from `at` on; ` / ` is a second of silence."""
    said: list[Word] = []
    for word in text.split():
        length = (len(word) + 1) / pace
        if word != "/":
            said.append(Word(text=word, start=at, end=at + length))
        at += 1.0 if word == "/" else length
    return said


def lines(*said: Word, until: float = 1000.0) -> list[tuple[str, ...]]:
    return [cue.lines for cue in captions.cues(said, until=until)]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("Hello.", [("Hello.",)]),
        ("We wait for the rain. The rain does not come.", [("We wait for the rain.",), ("The rain does not come.",)]),
        ("No! I don't think so.", [("No! I don't think so.",)]),  # alone it would be gone before it is read
        ("It is / not yet", [("It is",), ("not yet",)]),
        ("This was what Mr. Smith told us all.", [("This was what Mr. Smith told us all.",)]),
        (
            "And so my fellow Americans, ask not what your country can do for you.",
            [("And so my fellow Americans,", "ask not what your country can do for you.")],
        ),
        (
            "He put the heavy suitcase on the table and opened it.",
            [("He put the heavy suitcase", "on the table and opened it.")],
        ),
    ],
)
def test_cues_end_where_speech_does(text: str, expected: list[tuple[str, ...]]) -> None:
    """Pauses and sentences part cues, punctuation and small words part lines, and the lower line is the longer one."""
    assert expected == lines(*spoken(text))


def test_a_long_speech_is_parted_well() -> None:
    """No cue of running speech ends with an article, and none is a single word."""
    parts = lines(*spoken(SPEECH * 5))

    assert " ".join(SPEECH.split() * 5) == " ".join(" ".join(part) for part in parts)
    assert [] == [
        part for part in parts if part[-1].split()[-1] in {"the", "a", "of", "to"} or len(part[-1].split()) < 2
    ]


def test_a_short_cue_is_extended_into_the_silence() -> None:
    """It stays for a second, or until everybody has read it, but not until the next one."""
    first, second = captions.cues(
        [Word(text="Yes.", start=1, end=1.2), *spoken("Incomprehensibilities!", at=2.1, pace=90)], until=2.9
    )

    assert (1.0, 2.0) == (first.start, first.end)
    assert (2.1, 2.9) == (second.start, second.end)  # 22 characters are read in 1.1 s, but the clip ends


def test_fast_speech_stays_for_as_long_as_it_is_read() -> None:
    """Forty characters take two seconds."""
    [cue] = captions.cues(spoken("a" * 19 + " " + "b" * 20, pace=200), until=60)

    assert 2.0 == cue.end


def test_a_word_that_nobody_stops_saying_goes_after_seven_seconds() -> None:
    """A recogniser that never ends a word does not leave it on the screen."""
    [cue] = captions.cues([Word(text="Ooooh", start=3, end=90)], until=100)

    assert (3.0, 10.0) == (cue.start, cue.end)


def test_words_are_put_in_order() -> None:
    """Words come unsorted, overlapping and without times; one that begins after the end can't be shown."""
    said = [
        Word(text="world", start=1.2, end=0.9),
        Word(text="Hello", start=1.0, end=5.0),
        Word(text="again", start=nan, end=nan),
        Word(text="never", start=20, end=21),
    ]

    [cue] = captions.cues(said, until=4)

    assert Cue(start=1.0, end=2.0, lines=("Hello again world",)) == cue


def test_a_word_that_fits_no_line_is_broken() -> None:
    """A hundred letters fill two lines and a half."""
    assert [("a" * 42,), ("a" * 42, "a" * 16)] == lines(Word(text="a" * 100, start=0, end=5))


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("今日は天気がいいですね。", "今日は天気がいいですね。"),
        ("สวัสดีครับ", "สวัสดีครับ"),
    ],
)
def test_scripts_without_spaces_have_none(text: str, expected: str) -> None:
    """Their words come one by one and are joined."""
    assert [(expected,)] == lines(*(Word(text=each, start=n / 8, end=(n + 1) / 8) for n, each in enumerate(text)))


def test_spaces_stay_beside_other_scripts() -> None:
    """A Latin word among Chinese ones keeps its spaces, and Korean has them."""
    mixed = ["我", "用", "Python", "写", "안녕", "하세요"]

    assert [("我用 Python 写 안녕 하세요",)] == lines(
        *(Word(text=w, start=n / 8, end=n / 8) for n, w in enumerate(mixed))
    )


def test_wide_characters_count_twice() -> None:
    """Twenty-one of them fill a line."""
    [part] = lines(*(Word(text="語", start=n / 10, end=(n + 1) / 10) for n in range(42)))

    assert [21, 21] == [len(line) for line in part]


@given(words, st.floats(min_value=0, max_value=120))
def test_cues_of_any_words_can_be_shown(said: list[Word], until: float) -> None:
    """In order, apart by two frames, inside the clip, at most seven seconds and two lines of 42 characters."""
    made = captions.cues(said, until=until)

    for cue in made:
        assert 0 <= cue.start < cue.end <= until
        assert cue.end - cue.start <= 7.0001
        assert 1 <= len(cue.lines) <= 2
        for line in cue.lines:
            assert 0 < captions.columns(line) <= captions.LINE
            assert line == captions.clean(line)
    assert all(after.start - before.end > 0.0799 for before, after in pairwise(made))


@given(st.lists(st.tuples(st.text("abc.,?", min_size=1, max_size=50), st.floats(0, 0.5), st.floats(0, 2)), max_size=60))
def test_no_word_is_lost(said: list[tuple[str, float, float]]) -> None:
    """Where the clip leaves time enough, all that was said is shown in order, each cue for 1 s or up to the next."""
    now, heard = 0.0, []
    for text, length, pause in said:
        heard.append(Word(text=text, start=now, end=now + length))
        now += length + pause

    made = captions.cues(heard, until=now + 100)

    assert "".join(text for text, _, _ in said) == "".join("".join(cue.lines) for cue in made).replace(" ", "")
    for cue, after in pairwise(made):
        assert cue.end - cue.start > 0.999 or after.start - cue.end < 0.0811


@pytest.mark.parametrize("until", [0.0, -1.0, nan])
def test_nothing_is_shown_in_no_time(until: float) -> None:
    """A clip without a duration has no cues."""
    assert () == captions.cues(spoken("Hello there."), until=until)


def test_the_end_may_be_unknown() -> None:
    """An infinite one bounds nothing."""
    assert [("Hello.",)] == lines(*spoken("Hello."), until=inf)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("  a \t\n b\u2028c\x1cd ", "a b c d"),
        ("a\0b\x1b[31mc\x7f", "ab[31mc"),
        ("\u202eevil\u202c \u2066x\u2069", "evil x"),
        ("e\u0301", "é"),
        ("<\u0338", "≮"),
        ("\ud800x", "x"),
        ("quoi\u00a0?", "quoi\u00a0?"),
        ("\u200b \u200d", ""),
        ("می\u200cخواهم", "می\u200cخواهم"),
        ("<b> & -->", "<b> & -->"),  # written by somebody: escaped where it is written down
    ],
)
def test_clean_keeps_what_can_be_read(text: str, expected: str) -> None:
    """One line, NFC, nothing that turns the text around or can't be seen."""
    assert expected == captions.clean(text)


@given(st.text(st.characters(), max_size=60) | st.text("<\u0338\u202e e\u0301\n\u00a0\u2000", max_size=12))
def test_clean_twice_is_clean_once(text: str) -> None:
    """What is clean stays as it is, and can be written."""
    line = captions.clean(text)

    assert line == captions.clean(line)
    assert line == unicodedata.normalize("NFC", line).strip()
    assert [line] == (line.splitlines() or [""])
    line.encode()


@pytest.mark.parametrize(
    ("declared", "tag"),
    [
        ("en", "en"),
        ("EN", "en"),
        ("deu", "deu"),
        ("en-us", "en-US"),
        (" pt_br\n", "pt-BR"),
        ("ZH-hANS-cn", "zh-Hans-CN"),
        ("zh-yue", "zh-yue"),
        ("es-419", "es-419"),
        ("de-CH-1996", "de-CH-1996"),
        ("sl-IT-NEDIS", "sl-IT-nedis"),
        ("de-1A2b", "de-1a2b"),
        ("und", None),
        ("mul-Latn", None),
        ("", None),
        ("e", None),
        ("english", None),
        ("en-", None),
        ("en--US", None),
        ("en-US\nX", None),
        ("\u212an", None),  # the Kelvin sign, whose lower case is k
        ("en\u0660", None),
        ("x-klingon", None),
        ("<script>", None),
        ("en" * 100_000, None),
    ],
)
def test_language_tags(declared: str, tag: str | None) -> None:
    """A declared language is a BCP 47 tag in its usual case, or none."""
    assert tag == captions.language_tag(declared)


@given(st.from_regex(r"[A-Za-z]{2,3}([-_][A-Za-z0-9]{2,8}){0,4}", fullmatch=True) | st.text())
def test_a_tag_is_its_own_tag(declared: str) -> None:
    """What was made a tag once stays as it is."""
    tag = captions.language_tag(declared)

    assert tag is None or (tag == captions.language_tag(tag) and tag.isascii())
