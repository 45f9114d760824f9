"""What an operator reads before spending money, and copies from a terminal."""

import subprocess

import pytest
from rich.console import Console

from service.core.audit import Audit, Kind
from service.core.differences import Difference
from service.core.survey import Survey, Surveyed, Tally
from service.tables import audited, shell, surveyed

KEYS = [
    "a.jpg",
    "IMG 1234.JPG",
    "it's",
    "line\nbreak.jpg",
    "tab\tand\x1b[31mred",
    "-i",
    "$HOME `id` \\",
    "üñï 🎬",
    "a\x85b\u202ec",
]


@pytest.mark.parametrize("key", KEYS)
def test_a_command_can_be_copied(key: str) -> None:
    """bash reads the same words, and a terminal obeys none of it."""
    line = shell.command(["printf", "%s\\0", key, "end"])
    told = subprocess.run(["bash", "-c", line], capture_output=True, check=True, env={"LC_ALL": "C.UTF-8"}).stdout
    assert [key, "end", ""] == told.decode().split("\0")
    assert line.isprintable()


def shown(renderable: object) -> list[str]:
    """The lines of a table, without what is between the cells."""
    console = Console(width=200)
    with console.capture() as captured:
        console.print(renderable)
    return [" ".join(line.split()) for line in captured.get().splitlines()]


def survey(**changed: Tally) -> Survey:
    """A thousand pictures and ten films."""
    images = Tally(objects=1000, touched=900, bytes=5e9, steps=1800, reused=3000, cpu_seconds=7260, dollars=0.0996)
    films = Tally(objects=10, touched=10, bytes=1e9, seconds=3600, steps=50, owed=5, cpu_seconds=90_000, dollars=1234.5)
    steps = {
        "variant": Tally(steps=1800, cpu_seconds=7260, dollars=0.0996),
        "rendition": Tally(steps=50, dollars=1234.5),
    }
    return Survey(media={"image": images, "video": films} | changed, steps=steps)


def test_a_survey_in_tables() -> None:
    """By kind of media, and by step, the dearest first."""
    found = Surveyed(survey=survey(), objects=1010, bytes=6_000_000_000, looked=1010)
    assert [
        "media objects touched bytes minutes steps again done one core dollars",
        "image 1,000 900 5.0 GB 1,800 3,000 2 h 1 min $0.0996",
        "video 10 10 1.0 GB 60.0 50 0 1 d 1 h $1,234.50",
    ] == shown(surveyed.media_table(found))
    assert [
        "step again one core dollars",
        "rendition 50 0 s $1,234.50",
        "variant 1,800 2 h 1 min $0.0996",
    ] == shown(surveyed.steps_table(found))


def test_a_survey_in_words() -> None:
    """How much, how sure, and what nobody can know."""
    unknown, refused = Tally(objects=3, bytes=1500), Tally(objects=2)
    found = Surveyed(survey=survey(unknown=unknown, refused=refused), objects=1015, bytes=6_000_001_500, looked=1015)
    assert [
        "1,015 object(s), 6.0 GB",
        "1,850 step(s) would run again on 910 object(s), 3,000 are done: about 1 d 3 h of one core, $1,234.60",
        "5 of these steps would run by the old recipe as well",
        "Unknown until they are opened, and not in it: 3 object(s), 1.5 kB, never processed or rejected",
        "Would be rejected by the recipe's limits, or lie in an archive: 2 object(s)",
    ] == list(surveyed.surveyed_lines(found))


def test_a_sample_says_that_it_is_one() -> None:
    """With how far the money may be off."""
    bills = [Tally(objects=1, touched=1, steps=1, dollars=one, squares=one**2) for one in (1.0, 3.0)]
    found = Surveyed(survey=Survey(media={"image": sum(bills, Tally())}), objects=100, bytes=0, looked=2)
    lines = list(surveyed.surveyed_lines(found))
    assert lines[1].startswith("Estimated from 2 of them")
    assert lines[2].endswith("$200.00, give or take $197.99")
    document = surveyed.surveyed_document(found)
    assert (100, 2, False) == (document["objects"], document["looked"], document["exact"])


@pytest.mark.parametrize(
    ("dollars", "told"),
    [(0, "$0.00"), (0.000_012_34, "$1.23e-05"), (0.099, "$0.099"), (0.1, "$0.10"), (12_345.678, "$12,345.68")],
)
def test_money(dollars: float, told: str) -> None:
    """No more digits than anybody reads, and no fewer than there are."""
    assert told == surveyed.money(dollars)


def test_an_audit_in_a_table() -> None:
    """A row for each kind, the first few keys in it, and what a terminal would obey taken out of them."""
    result = Audit()
    for number in range(7):
        result.wrong[Kind.MISSING].add("b", f"{number}\x1b.jpg", 1000)
    result.young.add("b", "young.jpg", 1)
    result.nameless.add("published", "media/~abc/manifest.json", 1)
    result.looked.objects, result.looked.bytes = 9, 7001
    lines = shown(audited.audited_table(result))
    assert "missing 7 7.0 kB no page manifest: never processed 0?.jpg" == lines[1]
    assert ["1?.jpg", "2?.jpg", "3?.jpg", "4?.jpg", "…"] == lines[2:7]
    assert lines[7].startswith("young 1 ")
    assert lines[8].startswith("nameless 1 ")
    assert "9 object(s), 7.0 kB, looked at: 8 to mend" == audited.audited_line(result)


def test_an_audit_that_found_nothing() -> None:
    """Says so, and what it did not judge."""
    result = Audit()
    assert "0 object(s), 0 bytes, looked at: nothing is lost" == audited.audited_line(result)
    result.young.add("b", "k", 1)
    assert audited.audited_line(result).endswith("nothing is lost, but for the young ones")


def test_differences() -> None:
    """A line each, or one that says that there are none."""
    assert ["Both recipes say the same."] == list(surveyed.differences_lines([]))
    found = [Difference(prefix="a\x1b/", entry="video.crf", old=23, new=None)]
    assert ['prefix "a?/": video.crf: 23 → null'] == list(surveyed.differences_lines(found))
    assert [{"prefix": "a\x1b/", "entry": "video.crf", "old": 23, "new": None}] == surveyed.differences_document(found)
