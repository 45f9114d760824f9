"""Settings: what is read, and each wrong one told by the name of its variable."""

import tempfile
from pathlib import Path

import pytest

from service import config
from service.core.job import Input
from service.core.outcome import Misconfigured

NEEDED = {
    "MEDIA_QUEUE_URL": "https://sqs.eu-central-1.amazonaws.com/123456789012/uploads",
    "MEDIA_INPUT_BUCKETS": "uploads",
    "MEDIA_OUTPUT_BUCKET": "published",
    "MEDIA_PUBLIC_URL": "https://media.example",
}


@pytest.fixture(autouse=True)
def _needed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The least that has to be set, and nothing else."""
    for name in ("AWS_REGION", "AWS_ENDPOINT_URL", "MEDIA_WHISPER_MODEL"):
        monkeypatch.delenv(name, raising=False)
    for name, value in NEEDED.items():
        monkeypatch.setenv(name, value)


def test_the_least_is_enough() -> None:
    """Everything else has a default."""
    settings = config.load()
    assert (NEEDED["MEDIA_QUEUE_URL"], "published", "https://media.example") == (
        settings.queue_url,
        settings.output_bucket,
        settings.public_url,
    )
    assert ((Input(bucket="uploads", prefix=""),), False) == (settings.inputs, settings.several_buckets)
    assert (2, 120, 20, None, None) == (
        settings.slots,
        settings.visibility_seconds,
        settings.poll_seconds,
        settings.recipe,
        settings.outcome_target,
    )
    assert Path(tempfile.gettempdir()) / "media-worker" == settings.scratch


@pytest.mark.parametrize("name", NEEDED)
@pytest.mark.parametrize("empty", [None, ""], ids=["missing", "empty"])
def test_what_is_needed_is_named(name: str, empty: str | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """An empty variable is one that is not set."""
    if empty is None:
        monkeypatch.delenv(name)
    else:
        monkeypatch.setenv(name, empty)
    with pytest.raises(Misconfigured) as raised:
        config.load()
    assert f"{name}: is not set" == str(raised.value)


def test_everything_that_is_missing_is_told_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody wants to start it four times."""
    for name in NEEDED:
        monkeypatch.delenv(name)
    with pytest.raises(Misconfigured) as raised:
        config.load()
    assert [f"{name}: is not set" for name in NEEDED] == str(raised.value).split("; ")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("MEDIA_INPUT_BUCKETS", " , "),
        ("MEDIA_PUBLIC_URL", "media.example"),
        ("MEDIA_BUCKET_OWNER", "12345"),
        ("MEDIA_SLOTS", "0"),
        ("MEDIA_SLOTS", "65"),
        ("MEDIA_SLOTS", "two"),
        ("MEDIA_VISIBILITY_SECONDS", "14"),
        ("MEDIA_VISIBILITY_SECONDS", "43201"),
        ("MEDIA_POLL_SECONDS", "0"),
        ("MEDIA_POLL_SECONDS", "21"),
        ("MEDIA_JOB_SECONDS", "59"),
        ("MEDIA_JOB_SECONDS", "42001"),
        ("MEDIA_DRAIN_SECONDS", "-1"),
        ("MEDIA_CHILD_MEMORY_MB", "255"),
        ("MEDIA_HTTP_PORT", "65536"),
        ("MEDIA_LOG_LEVEL", "loud"),
        ("MEDIA_REKOGNITION_RATE", "0"),
        ("MEDIA_REKOGNITION_RATE", "inf"),
        ("MEDIA_REKOGNITION_RATE", "nan"),
        ("MEDIA_TRANSCRIBE_RATE", "-1"),
        ("MEDIA_TRANSCRIBE_RATE", "many"),
    ],
)
def test_a_wrong_value_is_told_by_its_variable(name: str, value: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """And by nothing else's."""
    monkeypatch.setenv(name, value)
    with pytest.raises(Misconfigured) as raised:
        config.load()
    assert str(raised.value).startswith(name)
    assert 1 == str(raised.value).count("MEDIA_")


@pytest.mark.parametrize(
    "inputs",
    [
        "published",
        "published/media/",
        "published/media",
        "published/m",
        "published/records/x/",
        "uploads,published/work/",
    ],
)
def test_uploads_and_outputs_must_not_mix(inputs: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """In one bucket, the uploads need a prefix that no output has, and no output's begins with."""
    monkeypatch.setenv("MEDIA_INPUT_BUCKETS", inputs)
    with pytest.raises(Misconfigured, match="MEDIA_INPUT_BUCKETS: published is the output bucket too"):
        config.load()


@pytest.mark.parametrize(
    ("value", "inputs", "several"),
    [
        ("published/uploads/", [("published", "uploads/")], False),
        ("a, b/x/ ,", [("a", ""), ("b", "x/")], True),
        ("a/x/,a/y/", [("a", "x/"), ("a", "y/")], False),
    ],
)
def test_inputs_are_buckets_and_prefixes(
    value: str, inputs: list[tuple[str, str]], several: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Several prefixes of one bucket are not several buckets."""
    monkeypatch.setenv("MEDIA_INPUT_BUCKETS", value)
    settings = config.load()
    assert inputs == [(one.bucket, one.prefix) for one in settings.inputs]
    assert several == settings.several_buckets


def test_aws_keeps_its_own_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """Region and endpoint are what every AWS tool calls them."""
    monkeypatch.setenv("AWS_REGION", "eu-central-1")
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://127.0.0.1:4566")
    settings = config.load()
    assert ("eu-central-1", "http://127.0.0.1:4566") == (settings.aws_region, settings.aws_endpoint_url)


def test_models_and_quotas(monkeypatch: pytest.MonkeyPatch) -> None:
    """By default the model that is installed, and what every account has at least."""
    before = config.load()
    assert (None, 5, 5) == (before.whisper_model, before.rekognition_rate, before.transcribe_rate)
    monkeypatch.setenv("MEDIA_WHISPER_MODEL", "/models/small")
    monkeypatch.setenv("MEDIA_REKOGNITION_RATE", "50")
    monkeypatch.setenv("MEDIA_TRANSCRIBE_RATE", "0.5")
    after = config.load()
    assert (Path("/models/small"), 50, 0.5) == (after.whisper_model, after.rekognition_rate, after.transcribe_rate)


def test_addresses_do_not_end_in_a_slash(monkeypatch: pytest.MonkeyPatch) -> None:
    """Keys are appended to them."""
    monkeypatch.setenv("MEDIA_PUBLIC_URL", "https://media.example/x//")
    assert "https://media.example/x" == config.load().public_url


def test_settings_do_not_change() -> None:
    """They are read once."""
    with pytest.raises(ValueError, match="frozen"):
        config.load().slots = 3  # type: ignore[misc]  # it is frozen: that is the point


def test_queues_have_names(monkeypatch: pytest.MonkeyPatch) -> None:
    """One is enough; those that are set are known by their names."""
    assert {"intake": NEEDED["MEDIA_QUEUE_URL"]} == config.load().queue_urls
    monkeypatch.setenv("MEDIA_BACKFILL_QUEUE_URL", "https://sqs/later")
    assert {"intake": NEEDED["MEDIA_QUEUE_URL"], "backfill": "https://sqs/later"} == config.load().queue_urls


@pytest.mark.parametrize("name", ["MEDIA_HEAVY_QUEUE_URL", "MEDIA_BACKFILL_QUEUE_URL"])
def test_one_queue_is_not_two(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """A light worker that sends to its own queue would go in circles."""
    monkeypatch.setenv(name, NEEDED["MEDIA_QUEUE_URL"])
    with pytest.raises(Misconfigured, match="have to differ"):
        config.load()
