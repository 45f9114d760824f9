"""Which uploads are captions of which, and which is whose poster."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core import sidecar


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("films/a.mp4.en.vtt", ("films/a.mp4", "en")),
        ("films/a.mp4.EN-us.VTT", ("films/a.mp4", "en-US")),
        ("a.zh-hans.vtt", ("a", "zh-Hans")),
        ("a.pt_BR.vtt", ("a", "pt-BR")),
        ("a b+ü.mp4.deu.vtt", ("a b+ü.mp4", "deu")),
        ("a.en.vtt.de.vtt", ("a.en.vtt", "de")),
        ("a\nb.en.vtt", ("a\nb", "en")),
        ("..en.vtt", (".", "en")),
        ("films/a.mp4.vtt", None),  # mp4 is no language
        ("films/a.mp4.en.srt", None),
        ("films/a.mp4.english.vtt", None),
        ("films/a.mp4.und.vtt", None),
        ("films/a.mp4. en.vtt", None),
        ("films/.en.vtt", None),
        (".en.vtt", None),
        ("en.vtt", None),
        (".vtt", None),
        ("vtt", None),
        ("a.en.vtt\n", None),
        ("a.en.vtt/b", None),
        ("", None),
    ],
)
def test_captions_name_their_source_and_language(key: str, expected: tuple[str, str] | None) -> None:
    """`<key>.<language>.vtt`, and nothing else."""
    assert expected == sidecar.parent(key)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("films/a.mp4.fr.vtt", "fr"),
        ("films/a.mp4", None),
        ("films/a.mp4.fr.vtt.de.vtt", None),
        ("films/a.mp4x.fr.vtt", None),
        ("films/A.mp4.fr.vtt", None),
    ],
)
def test_a_neighbour_is_captions_of_its_own_source_alone(key: str, expected: str | None) -> None:
    """A listing by prefix finds more than the captions of a source."""
    assert expected == sidecar.language(key, "films/a.mp4")


@given(st.text(min_size=1).filter(lambda key: not key.endswith("/")), st.sampled_from(["en", "pt-BR", "zh-Hans"]))
def test_every_source_can_have_captions(source: str, tag: str) -> None:
    """Whatever its key is."""
    assert (source, tag) == sidecar.parent(f"{source}.{tag}.vtt")
    assert tag == sidecar.language(f"{source}.{tag}.vtt", source)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("films/a.mp4.poster.jpg", "films/a.mp4"),
        ("films/a.mp4.POSTER.JPEG", "films/a.mp4"),
        ("a.poster.png", "a"),
        ("a b+ü.mp4.poster.webp", "a b+ü.mp4"),
        ("a.mp4.poster.jpg.poster.png", "a.mp4.poster.jpg"),
        ("a\nb.poster.jpg", "a\nb"),
        ("films/a.mp4.poster.gif", None),
        ("films/a.mp4.poster", None),
        ("films/a.mp4.jpg", None),
        ("films/poster.jpg", None),
        ("films/.poster.jpg", None),
        (".poster.jpg", None),
        ("a.poster.jpg\n", None),
        ("a.poster.jpg/b", None),
        ("", None),
    ],
)
def test_a_poster_names_its_source(key: str, expected: str | None) -> None:
    """`<key>.poster.jpg`, or another kind of picture, and nothing else."""
    assert (expected, expected) == (sidecar.pictured(key), sidecar.above(key))


def test_captions_belong_to_their_source_as_well() -> None:
    """One question for whatever lies beside a source."""
    assert "a.mp4" == sidecar.above("a.mp4.en.vtt")
    assert "a.mp4.poster.jpg" == sidecar.above("a.mp4.poster.jpg.en.vtt")
    assert sidecar.above("a.mp4") is None


@given(st.text())
def test_any_key_is_asked(key: str) -> None:
    """No key fails."""
    above = sidecar.above(key)

    assert above is None or key.startswith(f"{above}.")
    found = sidecar.parent(key)

    assert found is None or key.startswith(f"{found[0]}.")
