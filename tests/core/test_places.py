"""Every key that is ever written: never two the same, never one a folder of another."""

import unicodedata
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from itertools import permutations

import pytest
from hypothesis import assume, example, given
from hypothesis import strategies as st

from service.core import places
from service.core.places import Places

DIGESTS = ("0123456789abcdef" + "0" * 24, "f" * 40)
FILES = ("320.webp", "720p.mp4", "720p-iframes.m3u8", "index.m3u8", "poster.jpg")
AREAS: tuple[places.Area, ...] = ("media", "quarantine")
HASH = r"~[0-9a-f]{64}"


def name(key: str) -> str:
    """The name of a key where there is one input bucket."""
    return places.name("in", key, several_buckets=False)


def hashed(key: str) -> str:
    """What stands for a key that is not plain."""
    return "~" + sha256(key.encode("utf-8", "surrogatepass")).hexdigest()


@pytest.mark.parametrize(
    "key",
    [
        "photo.jpg",
        "IMG 1234.JPG",
        "a+b%d.mp4",
        "a/b/c/d.png",
        "Fotos/Grüße aus Köln.jpg",
        "写真/猫.webp",
        "Screenshot 2026-01-01 at 9.41.00\u202fAM.png",
        "a\u00a0b\u3000c.jpg",
        "👩\u200d🚀.jpg",
        "\u202egpj.exe",
        "\U0003fffd",
        "-i",
        "|pipe:1",
        "it's $(here).jpg",
        "a~b/c~",
        "...",
        ".hidden",
        "manifest.json.bak",
        "a/Manifest.json",
        "a" * 200,
        "/".join(["a" * 199] * 3 + ["b" * 100]),
    ],
)
def test_plain_keys_name_themselves(key: str):
    """People find their upload by its own key wherever that is possible."""
    assert key == name(key)


@pytest.mark.parametrize(
    "key",
    [
        "",
        "/",
        "/a",
        "a/",
        "a//b",
        ".",
        "..",
        "a/../b",
        "./a",
        "~",
        "~a",
        "a/~b/c",
        "manifest.json",
        "a/manifest.json",
        "manifest.json/a",
        "a\0b",
        "line\nbreak",
        "tab\t",
        "\x7f",
        "a\x85b",
        "a\x1f",
        "\x9f",
        "\ud800",
        "a" * 201,
        "ü" * 101,
        "/".join(["a" * 199] * 3 + ["b" * 101]),
        "a" * 1024,
    ],
)
def test_other_keys_are_hashed(key: str):
    """A key that is no plain path on every disk is named by its SHA-256."""
    assert hashed(key) == name(key)


def test_several_buckets():
    """Several input buckets stand in front of the names, hashed ones too."""
    assert "one/a/b.jpg" == places.name("one", "a/b.jpg", several_buckets=True)
    assert f"two/{hashed('a//b')}" == places.name("two", "a//b", several_buckets=True)


def test_keys_of_one_source():
    """The layout, as a page's author and an operator see it."""
    at = Places(name="a/b.jpg")
    assert "media/a/b.jpg/manifest.json" == at.manifest
    assert "media/a/b.jpg/~0123456789abcdef-m1.2/" == at.folder(DIGESTS[0], "m1.2", area="media")
    assert "media/a/b.jpg/~/poster.jpg" == at.alias("poster.jpg")
    assert f"records/a/b.jpg/~v/{DIGESTS[1]}.json" == at.record("v", DIGESTS[1])
    assert "records/a/b.jpg/~v/outcome.json" == at.outcome("v")
    assert "records/a/b.jpg/~v/decision.json" == at.decision("v")
    assert "quarantine/a/b.jpg/~0123456789abcdef-m1.2/" == at.folder(DIGESTS[0], "m1.2", area="quarantine")
    assert "quarantine/a/b.jpg/~/waiting.json" == at.ticket


def test_what_waits_lies_where_it_will_be_public():
    """One word of the key changes: playlists name their tracks as before, and back again."""
    at = Places(name="quarantine/media/b.jpg")
    held, public = (at.folder(DIGESTS[0], "m1.2", area=area) for area in ("quarantine", "media"))
    assert (public, held) == (places.released(held), places.held(public))
    assert (held, public) == (places.held(held), places.released(places.held(public)))
    assert (True, False) == (places.is_held(held), places.is_held(public))
    assert held.startswith(at.held)


def test_records_are_known_by_their_names():
    """Neither the outcome nor the decision is one."""
    at = Places(name="a.jpg")
    keys = [at.record("v", DIGESTS[1]), at.outcome("v"), at.decision("v"), at.manifest, at.ticket]
    assert [True, False, False, False, False] == [places.is_record(key) for key in keys]


@pytest.mark.parametrize(
    ("job", "expected"),
    [
        (places.speech_job(DIGESTS[0], 1), DIGESTS[0]),
        (places.speech_job(DIGESTS[0], 999), DIGESTS[0]),
        (f"media-worker-{DIGESTS[0]}-1000", None),
        (f"media-worker-{DIGESTS[0]}-0", None),
        (f"media-worker-{DIGESTS[0]}", None),
        (f"media-worker-{DIGESTS[0]}-1\n", None),
        (f"media-worker-{DIGESTS[0].upper()}-1", None),
        (f"x-media-worker-{DIGESTS[0]}-1", None),
        ("media-worker-../../records/a-1", None),
        ("somebody-else", None),
        ("", None),
    ],
)
def test_speech_of_a_job(job: str, expected: str | None):
    """A service's job names the speech, and nothing that is not of our making names any."""
    assert expected == places.speech_of(job)


@dataclass(frozen=True, kw_only=True)
class Upload:
    """A source, and whether its bucket is one of several."""

    bucket: str
    key: str
    several: bool

    def written(self) -> set[str]:
        """Every key that two attempts at two versions of it may write."""
        at = Places(name=places.name(self.bucket, self.key, several_buckets=self.several))
        keys = {at.manifest, *(at.alias(file) for file in FILES)}
        for count in (1, 20):
            attempt = places.attempt("5fea7756-0ea4-451a-a703-a558b933e274", count)
            areas = (at.folder(digest, attempt, area=area) for digest in DIGESTS for area in AREAS)
            keys |= {folder + file for folder in areas for file in FILES}
        for etag in ("e1", "e2"):
            version = places.version(self.bucket, self.key, None, etag, "2026-01-01T00:00:00+00:00")
            keys |= {at.outcome(version), at.decision(version), *(at.record(version, digest) for digest in DIGESTS)}
        return keys | {at.ticket}


_SEGMENTS = st.sampled_from(
    [
        *("", ".", "..", "~", "~~", "a", "b", "a b", "manifest.json", "outcome.json", "\0", "\n", "\ud800", "é"),
        *("x" * 200, "x" * 201, "x" * 255, "ü" * 100, "ü" * 101, "media", "records", "in", "~0123456789abcdef-m.1"),
    ]
)
_PATHS = st.lists(_SEGMENTS, min_size=1, max_size=6).map("/".join)
_ANY = st.text(st.characters(exclude_categories=()), min_size=1, max_size=40)
_LONG = st.integers(600, 1024).map(lambda size: ("ab/" * 400)[: size - 1] + "c")
_KEYS = st.one_of(_PATHS, _ANY, _LONG).filter(lambda key: 0 < len(key.encode("utf-8", "surrogatepass")) <= 1024)
_BUCKETS = st.sampled_from(["in", "media", "records", "a", "b" * 63])


@st.composite
def pairs(draw: st.DrawFn) -> tuple[Upload, Upload]:
    """Two different sources; often the second's key is made from the first's, to collide with what it writes."""
    several = draw(st.booleans())
    one = Upload(bucket=draw(_BUCKETS), key=draw(_KEYS), several=several)
    derived = [hashed(one.key), f"{one.key}/", f"{one.key}/a", f"/{one.key}", f"~/{one.key}", one.key + "\0"]
    written = [key.partition("/")[2] for key in sorted(one.written())]
    parents = [key.rpartition("/")[0] for key in written]
    key = draw(st.one_of(_KEYS, st.sampled_from(derived + written + parents)))
    other = Upload(bucket=draw(_BUCKETS) if several else one.bucket, key=key, several=several)
    assume(one != other and key)
    return one, other


@given(pairs())
@example((Upload(bucket="in", key="a", several=False), Upload(bucket="in", key="a/b", several=False)))
@example((Upload(bucket="in", key="a", several=True), Upload(bucket="a", key="in", several=True)))
def test_nothing_collides(pair: tuple[Upload, Upload]):
    """No two sources share a key, and no key is a folder of another's: in S3 and on disk alike."""
    one, other = (upload.written() for upload in pair)
    assert one.isdisjoint(other)
    files = one | other
    folders = {key[:at] for key in files for at, letter in enumerate(key) if letter == "/"}
    assert files.isdisjoint(folders)


SHARED = (
    places.quota(),
    places.pause(),
    places.failure(date(2026, 1, 2), DIGESTS[1][:32]),
    places.speech_source(DIGESTS[1]),
    places.speech_audio(DIGESTS[1]),
    places.speech_text(places.speech_job(DIGESTS[1], 1)),
)


def test_keys_of_all_workers():
    """What belongs to no single source lies beside them all, and is never public."""
    assert (
        "records/~quota.json",
        "records/~pause.json",
        f"records/~failures/2026-01-02/{'f' * 32}.json",
        f"work/~speech/{DIGESTS[1]}.json",
        f"work/~speech/{DIGESTS[1]}.flac",
        f"work/speech/media-worker-{DIGESTS[1]}-1.json",
    ) == SHARED
    assert {"private, no-store"} == {places.cache_control(key) for key in SHARED}
    assert all(places.is_own(key) for key in SHARED)


@given(
    bucket=_BUCKETS,
    key=st.one_of(
        _KEYS, st.sampled_from(["~quota.json", "~speech", "quota.json", "~failures", "~failures/2026-01-02"])
    ),
    several=st.booleans(),
)
def test_no_name_is_that_of_all_workers(bucket: str, key: str, *, several: bool):
    """Whatever the upload was called, neither its keys nor what it is purged by are anybody else's."""
    upload = Upload(bucket=bucket, key=key, several=several)
    at = Places(name=places.name(bucket, key, several_buckets=several))
    for shared in SHARED:
        assert not shared.startswith((at.attempts, at.versions, at.held, f"work/{at.name}/"))
        assert not any(f"{written}/".startswith(f"{shared}/") for written in upload.written())


@given(bucket=_BUCKETS, key=_KEYS, several=st.booleans())
def test_any_key_gives_plain_places(bucket: str, key: str, *, several: bool):
    """Whatever the upload was called, S3 and every file system take what is written for it."""
    for written in Upload(bucket=bucket, key=key, several=several).written():
        assert len(written.encode()) <= 1024
        assert places.is_own(written)
        for segment in written.split("/"):
            assert segment not in {"", ".", ".."}
            assert len(segment.encode()) <= 255
            assert not any(unicodedata.category(letter) in {"Cc", "Cs"} for letter in segment)


@given(pairs())
def test_purge_prefixes_are_private(pair: tuple[Upload, Upload]):
    """The prefixes that a deleted source is purged by hold no key of any other source."""
    for upload, neighbour in permutations(pair):
        at = Places(name=places.name(upload.bucket, upload.key, several_buckets=upload.several))
        assert not [key for key in neighbour.written() if key.startswith((at.attempts, at.versions, at.held))]


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        (("b", "k", "v1", "e", "t"), ("b", "k", "v1", "e2", "t2"), True),
        (("b", "k", "v1", "e", "t"), ("b", "k", "v2", "e", "t"), False),
        (("b", "k", None, "e", "t"), ("b", "k", None, "e", "t"), True),
        (("b", "k", None, "e", "t"), ("b", "k", None, "e2", "t"), False),
        (("b", "k", None, "e", "t"), ("b", "k", None, "e", "t2"), False),
        (("b", "k", "v1", "e", "t"), ("c", "k", "v1", "e", "t"), False),
        (("b", "k", "v1", "e", "t"), ("b", "l", "v1", "e", "t"), False),
        (("b", "kv", "1", "e", "t"), ("b", "k", "v1", "e", "t"), False),
        (("b", "\ud800", "1", "e", "t"), ("b", "\ud801", "1", "e", "t"), False),
    ],
)
def test_version(one: tuple[str, ...], other: tuple[str, ...], *, same: bool):
    """A version is its version id, or ETag and time where the bucket keeps none; of one key in one bucket."""
    versions = places.version(*one), places.version(*other)
    assert same == (versions[0] == versions[1])
    assert [32, 32] == [len(version) for version in versions]


@pytest.mark.parametrize(
    ("message", "count", "expected"),
    [("m1", 2, True), ("m1", 3, True), ("m1", 1, False), ("m1", 0, False), ("m2", 2, False)],
)
def test_dead_attempts(message: str, count: int, *, expected: bool):
    """Only what an earlier receive of the same message began is dead: others may still be at work."""
    folder = Places(name="a-b").folder(DIGESTS[0], places.attempt("m1", 1), area="media")
    assert expected == places.is_dead(folder, message, count)


def test_an_attempt_at_a_name_that_is_no_utf_8():
    """A message of `process` is called by its file: a name of other bytes has a suffix as well."""
    assert places.attempt("caf\udce9", 1) != places.attempt("caf\udce8", 1)


@pytest.mark.parametrize("folder", ["", "/", "~", "media/a/~0-", "media/a/~0-m1.²", "media/a/~0-m1.x", "media/a/~/"])
def test_folders_of_others(folder: str):
    """A folder that is no attempt's is nobody's to sweep."""
    assert not places.is_dead(folder.replace("m1", places.attempt("m1", 1).partition(".")[0]), "m1", 9)


@pytest.mark.parametrize(
    ("base", "key", "expected"),
    [
        ("https://cdn.example", "media/a.jpg/~/1.webp", "https://cdn.example/media/a.jpg/~/1.webp"),
        ("https://cdn.example/", "media/a b+c%.jpg", "https://cdn.example/media/a%20b%2Bc%25.jpg"),
        ("/files", "media/ü?#&.jpg", "/files/media/%C3%BC%3F%23%26.jpg"),
        ("", "media/a,b 2w.jpg", "/media/a%2Cb%202w.jpg"),
        ("https://cdn.example", "media/\"'<>.jpg", "https://cdn.example/media/%22%27%3C%3E.jpg"),
    ],
)
def test_url(base: str, key: str, expected: str):
    """Addresses are percent-encoded, so that they stand in markup and srcset as they are."""
    assert expected == places.url(base, key)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("media/a/manifest.json", "public, max-age=60, stale-while-revalidate=600"),
        ("media/a/~/poster.jpg", "public, max-age=60, stale-while-revalidate=600"),
        ("media/a/~0123-m.1/320.webp", "public, max-age=31536000, immutable"),
        ("records/a/~v/outcome.json", "private, no-store"),
        ("quarantine/a/~0123-m.1/320.webp", "private, no-store"),
        ("work/a/x", "private, no-store"),
    ],
)
def test_cache_control(key: str, expected: str):
    """What never changes may be kept for ever; what is not public, nowhere."""
    assert expected == places.cache_control(key)


@pytest.mark.parametrize(
    ("key", "expected"),
    [
        ("media/a/manifest.json", True),
        ("quarantine/a", True),
        ("records/a", True),
        ("work/a", True),
        ("mediaeval.jpg", False),
        ("uploads/media/a", False),
        ("media", False),
    ],
)
def test_own_outputs(key: str, *, expected: bool):
    """What the service writes is known by the first segment alone."""
    assert expected == places.is_own(key)
