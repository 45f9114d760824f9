"""Settings that would do nothing, or fail only later: refused at start, by name."""

import json
import tempfile
import tomllib
from collections.abc import Callable
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from service import app, config, recipes
from service.aws import s3
from service.core.outcome import Misconfigured
from service.runtime.ports import Stored

NEEDED = {
    "MEDIA_QUEUE_URL": "http://sqs.example/q",
    "MEDIA_INPUT_BUCKETS": "uploads",
    "MEDIA_OUTPUT_BUCKET": "published",
    "MEDIA_PUBLIC_URL": "https://media.example",
}

ENDPOINTS = ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_REKOGNITION", "AWS_ENDPOINT_URL_TRANSCRIBE")

Refused = Callable[..., str]


@pytest.fixture(name="refused")
def _refused(monkeypatch: pytest.MonkeyPatch) -> Refused:
    """What is said of an environment that is all right but for these variables."""

    def refused(**wrong: str) -> str:
        for name, value in {**NEEDED, **wrong}.items():
            monkeypatch.setenv(name, value)
        with pytest.raises(Misconfigured) as raised:
            config.load()
        return str(raised.value)

    return refused


@pytest.mark.parametrize(
    "address", ["foo", "localhost:4566", "ftp://a", "http://", "http://:4566", "http://a:b", "http://a:0", "http://["]
)
@pytest.mark.parametrize("name", ENDPOINTS)
def test_an_endpoint_has_a_scheme_and_a_host(name: str, address: str, refused: Refused) -> None:
    """Botocore would say so only when the first client is made."""
    told = refused(**{name: address})
    assert f"{name}: {address!r} is no address such as http://localhost:4566" == told


@pytest.mark.parametrize("address", ["http://localhost:4566", "https://s3.example", "http://[::1]:4566"])
@pytest.mark.parametrize("name", ENDPOINTS)
def test_endpoints(name: str, address: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """With a port or without; a service has its own, or else the one of all."""
    for one, value in {**NEEDED, name: address}.items():
        monkeypatch.setenv(one, value)
    settings = config.load()
    found = {one: getattr(settings, one.lower()) for one in ENDPOINTS}
    assert {one: address if one == name else None for one in ENDPOINTS} == found


@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("MEDIA_SLOT", "MEDIA_SLOT: there is no such setting; is it MEDIA_SLOTS?"),
        ("MEDIA_INPUT_BUCKET", "MEDIA_INPUT_BUCKET: there is no such setting; is it MEDIA_INPUT_BUCKETS?"),
        ("media_slot", "media_slot: there is no such setting; is it MEDIA_SLOTS?"),
        ("MEDIA_AWS_REGION", "MEDIA_AWS_REGION: there is no such setting; is it AWS_REGION?"),
        ("MEDIA_REKOGNITION_RATES", "MEDIA_REKOGNITION_RATES: there is no such setting; is it MEDIA_REKOGNITION_RATE?"),
        ("MEDIA_WHISPER", "MEDIA_WHISPER: there is no such setting; is it MEDIA_WHISPER_MODEL?"),
        ("MEDIA_QQQQ", "MEDIA_QQQQ: there is no such setting"),
    ],
)
def test_a_misspelt_setting_is_refused(name: str, told: str, refused: Refused) -> None:
    """It would do nothing, and nobody would know."""
    assert told == refused(**{name: "3"})


def test_no_place_for_scratch(refused: Refused, monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine without a temporary folder is told which setting helps."""

    def none() -> str:
        raise FileNotFoundError("No usable temporary directory found")

    monkeypatch.setattr(tempfile, "gettempdir", none)
    assert "MEDIA_SCRATCH: is not set, and No usable temporary directory found" == refused()


SCHEMA = recipes.schema()


def _valid(recipe: str) -> bool:
    document: dict[str, Any] = json.loads(json.dumps(tomllib.loads(recipe)))
    return bool(jsonschema.Draft202012Validator(SCHEMA).is_valid(document))


def test_the_shipped_recipe_is_as_its_schema_says() -> None:
    """The schema is of a whole file."""
    assert _valid(recipes.shipped())


@pytest.mark.parametrize(
    ("recipe", "valid"),
    [
        ("", True),
        ('ignore = ["*.txt"]', True),
        ("ignore = [1]", False),
        ("[images]\nwidths = [320]", True),
        ("[images]\nwidth = [320]", False),
        ('[[prefix]]\nmatch = "a/"\n[prefix.video]\ncrf = 20', True),
        ('[[prefix]]\nmatch = "a/"\nignore = ["*"]', False),
        ("[[prefix]]\n[prefix.video]\ncrf = 20", False),
        ('[[prefix]]\nmatch = ""', False),
        ("[video]\nladder = [{ height = 240, max_bit_rate = 400_000 }]", True),
        ("[video]\nladder = [{ height = 240 }]", False),
        ("[sound]\nbit_rate = 1", False),
        ('[moderation]\nprovider = "rekognition"', True),
        ('[moderation]\nprovider = "somebody"', False),
        ("[moderation]\nunknown = { block = 90 }", True),
        ("[moderation]\nunknown = { block = 10 }", False),
        ('[moderation.local]\nrules = [{ label = "Explicit" }]', True),
        ("[moderation.local]\nrules = [{ review = 60 }]", False),
        ("[moderation.local]\nrules = []", False),
        ('[[prefix]]\nmatch = "a/"\n[prefix.moderation]\nprovider = "off"', True),
        (
            '[[prefix]]\nmatch = "a/"\n[prefix.moderation.rekognition]\nrules = [{ label = "Violence", block = 90 }]',
            True,
        ),
        ('[[prefix]]\nmatch = "a/"\n[prefix.moderation]\nrules = []', False),
        ('[captions]\nlanguage = "de-DE"', True),
        ('[captions]\nlanguage = "German, please"', False),
        ('[captions]\nlanguages = ["en-US", "de-DE"]', True),
        ("[captions]\nlanguages = [1]", False),
        ("[spend]\nupload = 0", True),
        ("[spend]\nmonth = 1.0", False),
        ("[prices]\nrekognition_image = -1.0", False),
    ],
)
def test_the_schema_says_what_the_reader_says(recipe: str, *, valid: bool) -> None:
    """What is left out comes from the shipped recipe; what is unknown is refused."""
    try:
        recipes.read(recipe)
    except Misconfigured:
        read = False
    else:
        read = True
    assert (valid, valid) == (_valid(recipe), read)


def test_an_unreadable_recipe_is_named(tmp_path: Path) -> None:
    """With what the system says."""
    with pytest.raises(Misconfigured, match=r"gone\.toml can't be read"):
        recipes.read_file(tmp_path / "gone.toml")


async def test_a_recipe_in_s3_that_is_no_text_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    """An archive in its place, or another encoding."""

    async def read(_store: object, _key: str) -> Stored:
        return Stored(body=b"\xff\xfe[", etag="e")

    async def client(*_: object) -> None:
        """Nobody is asked."""

    monkeypatch.setattr(s3.Store, "read", read)
    monkeypatch.setattr(app.Aws, "client", client)
    for name, value in {**NEEDED, "MEDIA_RECIPE": "s3://b/recipe.toml"}.items():
        monkeypatch.setenv(name, value)
    async with AsyncExitStack() as stack:
        settings = config.load()
        with pytest.raises(Misconfigured, match=r"MEDIA_RECIPE: s3://b/recipe\.toml is no UTF-8"):
            await app.fetch_recipe(settings, app.Aws(settings, stack))


def test_service_links_are_no_settings(monkeypatch: pytest.MonkeyPatch) -> None:
    """Kubernetes tells of a service called media-worker in variables that begin like ours."""
    monkeypatch.setenv("MEDIA_WORKER_SERVICE_HOST", "10.0.0.7")
    needed = {"QUEUE_URL": "q", "INPUT_BUCKETS": "in", "OUTPUT_BUCKET": "out", "PUBLIC_URL": "https://media.example"}
    for name, value in needed.items():
        monkeypatch.setenv(f"MEDIA_{name}", value)
    assert "q" == config.load().queue_url
