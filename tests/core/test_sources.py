"""Which objects are sources, and which of them are looked at for all."""

from datetime import UTC, datetime

import pytest

from service.core import recipe, sources
from service.core.job import Input
from service.core.manifest import Source
from service.core.outcome import Misconfigured
from service.core.sources import Listed, Sample
from tests.core.samples import SHIPPED

MOMENT = datetime(2026, 1, 2, 3, 4, 5, tzinfo=UTC)
RECIPE = recipe.read("", shipped=SHIPPED)


def listed(key: str = "a.jpg", *, bucket: str = "uploads", size: int = 1) -> Listed:
    """An object in a listing."""
    return Listed(bucket=bucket, key=key, etag="e", modified=MOMENT, size=size)


def parts(*inputs: str) -> tuple[Input, ...]:
    """As MEDIA_INPUT_BUCKETS has them."""
    found = (one.partition("/") for one in inputs)
    return tuple(Input(bucket=bucket, prefix=prefix) for bucket, _, prefix in found)


@pytest.mark.parametrize(
    ("source", "same"),
    [
        (Source(etag="e", last_modified="2026-01-02T03:04:05+00:00"), True),
        (Source(etag="e", last_modified="2026-01-02T03:04:05+00:00", version_id="v"), True),
        (Source(etag="f", last_modified="2026-01-02T03:04:05+00:00"), False),
        (Source(etag="e", last_modified="2026-01-02T03:04:06+00:00"), False),
        (Source(), False),
    ],
)
def test_what_a_listing_tells_of_a_version(source: Source, same: bool):  # noqa: FBT001
    """ETag and second; a version id is not in it."""
    assert same == sources.agree(source, listed())
    assert sources.agree(listed().source, listed())


@pytest.mark.parametrize(
    ("inputs", "bucket", "prefix", "expected"),
    [
        (["a"], None, "", ["a/"]),
        (["a"], None, "x/", ["a/x/"]),
        (["a/x/"], None, "", ["a/x/"]),
        (["a/x/"], "a", "x/y", ["a/x/y"]),
        (["a/x/", "a/y/", "b"], None, "", ["a/x/", "a/y/", "b/"]),
        (["a/y/", "a/x/"], None, "", ["a/x/", "a/y/"]),
        (["a/x/", "a/y/", "b"], "a", "", ["a/x/", "a/y/"]),
        (["a/x/", "a/x/y/"], None, "", ["a/x/"]),
        (["a", "a/x/"], None, "x/y", ["a/x/y"]),
        (["a/x/", "b"], None, "x", ["a/x/", "b/x"]),
    ],
)
def test_only_inputs_are_walked_over(inputs: list[str], bucket: str | None, prefix: str, expected: list[str]):
    """What the settings name and the operator asks for, each key once, in the order of keys."""
    assert parts(*expected) == sources.within(parts(*inputs), bucket=bucket, prefix=prefix)


@pytest.mark.parametrize(("bucket", "prefix"), [("c", ""), (None, "z/"), ("b", "x/")])
def test_what_is_no_input_is_refused(bucket: str | None, prefix: str):
    """With what the inputs are."""
    with pytest.raises(Misconfigured, match=r"MEDIA_INPUT_BUCKETS has a/x/, b/y/"):
        sources.within(parts("a/x/", "b/y/"), bucket=bucket, prefix=prefix)


@pytest.mark.parametrize(
    ("key", "bucket", "starts"),
    [
        ("a.jpg", "uploads", True),
        ("folder/", "uploads", False),
        ("map.geojson", "uploads", False),
        ("media/a.jpg", "uploads", True),
        ("media/a.jpg", "published", False),
        ("records/x.json", "published", False),
        ("uploads/a.jpg", "published", True),
    ],
)
def test_what_starts_a_job(key: str, bucket: str, starts: bool):  # noqa: FBT001
    """Neither what is ignored nor what the service itself has written."""
    assert starts == sources.starts_jobs(listed(key, bucket=bucket), RECIPE, output_bucket="published")


def test_a_sample_is_the_same_each_time():
    """Whatever the order; all are counted, and those that were chosen come as they were offered."""
    keys = [f"{number}.jpg" for number in range(1000)]
    chosen = []
    for order in (keys, keys[::-1]):
        sample = Sample(50)
        for key in order:
            sample.offer(listed(key, size=3))
        assert (1000, 3000) == (sample.objects, sample.bytes)
        chosen.append([one.key for one in sample.chosen])
    assert chosen[0] == chosen[1][::-1]
    assert sorted(chosen[0], key=keys.index) == chosen[0]
    assert 50 == len(set(chosen[0]))


def test_a_sample_is_spread():
    """Of each tenth about a tenth: 100 of 10,000, so that fewer than 2 or more than 25 would be odd indeed."""
    sample = Sample(100)
    for number in range(10_000):
        sample.offer(listed(f"{number:04}.jpg"))
    tenths = [int(one.key[0]) for one in sample.chosen]
    assert all(2 <= tenths.count(tenth) <= 25 for tenth in range(10))


def test_a_sample_of_few_is_all_of_them():
    """Fewer than asked for."""
    sample = Sample(5)
    for key in "abc":
        sample.offer(listed(key))
    assert ["a", "b", "c"] == [one.key for one in sample.chosen]
