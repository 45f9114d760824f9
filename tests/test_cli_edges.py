"""The command line with hostile names, wrong settings, a changed recipe and a lost delete."""

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from PIL import Image

from service import app, cli, recipes
from service.commands import examine, process
from service.commands.show import Shown
from service.core import manifest
from service.core.manifest import Manifest, Source, Status
from service.core.outcome import Misconfigured, Unavailable
from service.runtime.ports import Head
from service.tables import shown as shown_pages

ROOT = Path(__file__).resolve().parent.parent
HOSTILE = "q[/b].txt"
LATIN_1 = b"caf\xe9.txt"
SETTINGS = {
    "MEDIA_QUEUE_URL": "http://localhost:1/q",
    "MEDIA_INPUT_BUCKETS": "uploads",
    "MEDIA_OUTPUT_BUCKET": "published",
    "MEDIA_PUBLIC_URL": "https://media.example",
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
}


def run(*arguments: object, **environment: str) -> tuple[int, str, str]:
    """Exit code, stdout and stderr of `media-worker`, with no settings but these."""
    surroundings = {"PATH": os.environ["PATH"], "COLUMNS": "200", "PYTHONPATH": str(ROOT), **environment}
    argv = [sys.executable, "-m", "service", *(a if isinstance(a, bytes) else str(a) for a in arguments)]
    done = subprocess.run(argv, env=surroundings, capture_output=True, text=True, check=False, timeout=100)
    return done.returncode, done.stdout, done.stderr


@pytest.fixture(name="hostile")
def _hostile(tmp_path: Path) -> Path:
    """A folder with a file whose path is rich markup, and one whose name is Latin-1."""
    folder = tmp_path / "in"
    (folder / HOSTILE).parent.mkdir(parents=True)
    (folder / HOSTILE).write_text("hi")
    try:
        Path(os.fsdecode(os.fsencode(folder) + b"/" + LATIN_1)).write_text("hi")
    except OSError:
        pytest.skip("this file system takes UTF-8 names only")
    return folder


@pytest.mark.parametrize("command", [["plan"], ["validate"], ["validate", "--csv"], ["validate", "--json"]])
def test_hostile_names_are_shown(command: Sequence[str], hostile: Path) -> None:
    """No name is markup, and none is too strange to print."""
    code, out, err = run(*command, hostile)
    assert (1, "") == (code, err)
    assert HOSTILE in out
    assert "caf" in out


def test_hostile_names_get_manifests(hostile: Path, tmp_path: Path) -> None:
    """Rejected like any other text file; `show` finds them by the name on disk."""
    published = tmp_path / "out"
    code, out, err = run("process", hostile, "--out", published)
    assert 1 == code
    assert "Traceback" not in err
    assert HOSTILE in out
    for key, name in ((HOSTILE, HOSTILE), (os.fsdecode(LATIN_1), "caf\\xe9.txt")):
        assert "rejected" == json.loads((published / f"media/{name}/manifest.json").read_text())["status"]
        code, out, _ = run("show", key, "--out", published, "--json")
        assert (1, name) == (code, json.loads(out)["key"])


def test_keys_of_other_bytes_differ() -> None:
    """Two Latin-1 names are two keys, both of which are UTF-8."""
    keys = {process.as_key(os.fsdecode(name)) for name in (b"\xe8", b"\xe9", "é".encode())}
    assert {"\\xe8", "\\xe9", "é"} == keys


@pytest.mark.parametrize(
    ("out", "expected"),
    [
        (".", {"a.jpg", "sub/b.jpg", "sub/media/c.jpg"}),
        ("sub", {"a.jpg", "media/d.jpg", ".scratch/worker-1/e"}),
        ("..", {"a.jpg", "sub/b.jpg", "sub/media/c.jpg", "media/d.jpg", ".scratch/worker-1/e"}),
        ("elsewhere", {"a.jpg", "sub/b.jpg", "sub/media/c.jpg", "media/d.jpg", ".scratch/worker-1/e"}),
    ],
)
def test_what_a_run_wrote_is_not_taken_in(out: str, expected: set[str], tmp_path: Path) -> None:
    """The whole of `--out` below a folder of uploads, and our own areas where both are one."""
    folder = tmp_path / "in"
    for name in ("a.jpg", "sub/b.jpg", "sub/media/c.jpg", "media/d.jpg", ".scratch/worker-1/e"):
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        (folder / name).touch()
    assert expected == set(process.collect([folder], out=folder / out))


def test_a_named_file_is_taken_in_wherever_it_lies(tmp_path: Path) -> None:
    """Who names it means it."""
    (tmp_path / "a.jpg").touch()
    assert {"a.jpg"} == set(process.collect([tmp_path / "a.jpg"], out=tmp_path))


def test_a_changed_recipe_counts(tmp_path: Path) -> None:
    """New widths are made, and what was rejected is looked at again."""
    picture, recipe, out = tmp_path / "a.jpg", tmp_path / "recipe.toml", tmp_path / "out"
    Image.linear_gradient("L").resize((200, 100)).save(picture)

    def widths(text: str) -> tuple[str, set[int]]:
        recipe.write_text(text)
        _, printed, _ = run("process", picture, "--out", out, "--recipe", recipe, "--json")
        found = Manifest.model_validate(json.loads(printed)[0]["manifest"])
        return found.status, {p.width or 0 for p in found.serving.products} if found.serving else set()

    assert ("rejected", set()) == widths("[limits]\npixels = 100")
    assert ("ready", {64}) == widths("[images]\nwidths = [64]")
    assert ("ready", {64, 128}) == widths("[images]\nwidths = [64, 128]")


@pytest.mark.parametrize(
    ("wrong", "told"),
    [
        ({"AWS_ENDPOINT_URL": "foo"}, "AWS_ENDPOINT_URL: 'foo' is no address"),
        ({"AWS_ENDPOINT_URL": "http://-a-"}, "AWS_ENDPOINT_URL"),
        ({"AWS_ENDPOINT_URL": "http://localhost:1"}, "http://localhost:1"),
        ({"MEDIA_SCRATCH": "/proc/none"}, "MEDIA_SCRATCH: [Errno"),
        ({"MEDIA_SLOT": "3"}, "MEDIA_SLOT: there is no such setting; is it MEDIA_SLOTS?"),
    ],
)
def test_a_wrong_setting_is_told(wrong: dict[str, str], told: str, tmp_path: Path) -> None:
    """One line and exit code 2, not a traceback."""
    code, _, err = run("run", **SETTINGS | {"MEDIA_SCRATCH": str(tmp_path)} | wrong)
    assert 2 == code
    assert err.startswith("media-worker: ")
    assert told in err
    assert 1 == err.count("\n")


@pytest.mark.parametrize("error", [Unavailable("no answer"), Misconfigured("wrong"), PermissionError(13, "not yours")])
def test_errors_before_the_work_are_told(error: Exception, capsys: pytest.CaptureFixture[str]) -> None:
    """Ours and the system's."""

    def call(**_: object) -> None:
        raise error

    with pytest.raises(SystemExit) as ended:
        cli.main([], call)
    assert 2 == ended.value.code
    assert f"media-worker: {error}\n" == capsys.readouterr().err


@pytest.mark.parametrize("paths", [["s3://bucket/a", "b.jpg"], ["b.jpg", "s3://bucket/a"], ["s3://a", "s3://b"]])
def test_buckets_and_files_do_not_mix(paths: list[str]) -> None:
    """Nothing is left out in silence."""
    code, _, err = run("validate", *paths, **SETTINGS)
    assert (2, True) == (code, "either files and folders, or one s3://bucket/prefix" in err)


def test_validate_of_a_bucket_reads_the_recipe_given() -> None:
    """Before anything is asked of S3."""
    code, _, err = run("validate", "s3://bucket/a", "--recipe", "/none.toml", **SETTINGS)
    assert (2, True) == (code, "/none.toml can't be read" in err)


def test_validate_of_a_bucket_takes_recipe_and_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """They are handed on; without them the settings count."""
    given: list[tuple[object, object]] = []

    async def objects(address: str, settings: object, *, recipe: object, memory_mb: object, jobs: int) -> list[object]:
        given.append((recipe, memory_mb))
        return []

    for name, value in SETTINGS.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(examine, "objects", objects)
    recipe = tmp_path / "recipe.toml"
    recipe.write_text("[images]\nwidths = [64]")
    options = ["--recipe", str(recipe), "--child-memory-mb", "512"]
    for arguments in (options, []):
        with pytest.raises(SystemExit):
            cli.main(["validate", "s3://bucket/a", *arguments])
    assert [(recipes.read_file(recipe), 512), (None, None)] == given


def shown(status: Status, *, looked: bool, head: Head | None = None) -> Shown:
    """What is known of a key whose manifest has this status."""
    found = Manifest(status=status, revision=1, updated_at=datetime.now(UTC), source=Source(etag="e"))
    return Shown(
        key="a",
        bucket="b",
        manifest_key="media/a/manifest.json",
        looked=looked,
        head=head,
        manifest=found,
        outcome=None,
    )


@pytest.mark.parametrize(
    ("status", "looked", "lags"),
    [
        (manifest.Status.READY, True, True),
        (manifest.Status.PROCESSING, True, True),
        (manifest.Status.DELETED, True, False),
        (manifest.Status.READY, False, False),
    ],
)
def test_a_lost_delete_is_told(status: Status, *, looked: bool, lags: bool) -> None:
    """The object is gone, its products are not; a folder's sources are not looked for."""
    one = shown(status, looked=looked)
    assert (lags, lags) == (one.lags, shown_pages._advice(one).startswith("The object is gone"))


async def test_a_worker_that_dies_is_no_wrong_setting() -> None:
    """What comes after the start keeps its traceback, and exit code 1."""

    class Dying:
        async def run(self, stop: asyncio.Event) -> None:
            raise OSError("disk on fire")

    with pytest.raises(RuntimeError) as raised:
        await app._work(Dying(), asyncio.Event())
    assert "disk on fire" == str(raised.value.__cause__)
