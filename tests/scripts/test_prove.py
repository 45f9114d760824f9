"""The proof on a corpus sees what it should: films that were made wrong, each in one way."""

import subprocess
from fractions import Fraction
from pathlib import Path

import pytest

from scripts.proofs import clips, corpus, likeness, samples
from scripts.proofs.likeness import Likeness
from tests.core.renditions import needs_ffmpeg

pytestmark = needs_ffmpeg

SIZE, RATE = (160, 90), Fraction(25)
_MATRIX = "scale=in_color_matrix=bt601:out_color_matrix=bt709"  # what so few lines are in, and what is published


def _encoded(path: Path, filters: str = "null") -> Path:
    """One second of moving picture."""
    source = f"testsrc2=size=160x90:rate=25:duration=1,{filters}"
    options = ["-c:v", "libx264", "-preset", "ultrafast", "-crf", "18", "-pix_fmt", "yuv420p"]
    subprocess.run(["ffmpeg", "-v", "error", "-f", "lavfi", "-i", source, *options, str(path)], check=True)
    return path


def _alike(folder: Path, filters: str = _MATRIX) -> Likeness:
    source, made = _encoded(folder / "source.mp4"), _encoded(folder / "made.mp4", filters)
    return likeness.compared(clips.read(source), made, size=SIZE, rate=RATE, folder=folder / "pairs")


def test_what_is_right_is_right(tmp_path: Path) -> None:
    """A good copy is upright, alike in every frame and of the same colour."""
    found = _alike(tmp_path)

    assert [] == list(corpus.looks(found))
    assert (25, True, 5) == (found.frames, found.upright, len(found.pairs))
    assert found.lowest > 0.95


@pytest.mark.parametrize(
    ("filters", "said"),
    [
        ("hflip", "it does not stand upright"),
        ("rotate=PI", "it does not stand upright"),
        ("tpad=start_duration=0.4:start_mode=clone", "SSIM is"),
        ("scale=in_range=tv:out_range=pc,setparams=range=tv", "its colour is"),
        ("", "its colour is"),
        ("crop=120:90,scale=160:90", "SSIM is"),
    ],
)
def test_what_is_wrong_is_told(tmp_path: Path, filters: str, said: str) -> None:
    """Mirrored, upside down, late, washed out, in another matrix or cropped."""
    found = _alike(tmp_path, f"{_MATRIX},{filters}" if filters else "null")

    assert any(wrong.startswith(said) for wrong in corpus.looks(found)), found


def test_an_index_is_read(tmp_path: Path) -> None:
    """Of videos and sounds that are `ok`, with the tags of their notes."""
    lines = ["path\tbytes\tkind\texpected\tnote", "a.mp4\t7\tvideo\tok\tmov h264 2x2 [hdr-pq,no-audio] | a note"]
    more = ["b.mp4\t7\tvideo\teither\tmov", "c.jpg\t7\timage\tok\tjpeg"]
    (tmp_path / samples.INDEX).write_text("\n".join([*lines, *more, ""]))

    (found,) = samples.read(tmp_path)
    assert ("a.mp4", 7, "video", {"hdr-pq", "no-audio"}) == (found.key, found.size, found.kind, found.tags)
