"""The real command line as a child process: exit codes, what goes to stdout, and what to stderr."""

import csv
import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

import jsonschema
import pytest
from PIL import Image

from service.core.manifest import Manifest

ROOT = Path(__file__).resolve().parent.parent
SMALL = "images = { widths = [64, 128] }\n"


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a command ended."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """What it printed, as JSON."""
        return json.loads(self.out)


def run(*arguments: object, cwd: Path = ROOT, **environment: str) -> Ended:
    """`media-worker` with these arguments, and no settings but these."""
    surroundings = {"PATH": os.environ["PATH"], "COLUMNS": "200", "PYTHONPATH": str(ROOT), **environment}
    argv = [sys.executable, "-W", "error", "-m", "service", *map(str, arguments)]
    done = subprocess.run(argv, env=surroundings, capture_output=True, text=True, cwd=cwd, check=False, timeout=100)
    return Ended(code=done.returncode, out=done.stdout, err=done.stderr)


@pytest.fixture(name="picture")
def _picture(tmp_path: Path) -> Path:
    path = tmp_path / "picture [1].jpg"
    Image.linear_gradient("L").resize((200, 100)).save(path)
    return path


@pytest.fixture(name="broken")
def _broken(tmp_path: Path, picture: Path) -> Path:
    path = tmp_path / "broken.jpg"
    path.write_bytes(picture.read_bytes()[:300])
    return path


@pytest.fixture(name="small")
def _small(tmp_path: Path) -> Path:
    path = tmp_path / "small.toml"
    path.write_text(SMALL)
    return path


def test_version() -> None:
    """As installed."""
    assert Ended(code=0, out=f"{version('media-worker')}\n", err="") == run("--version")


def test_without_a_command_it_says_which_there_are() -> None:
    """Every one of them; that is wrong use."""
    ended = run()
    assert 2 == ended.code
    made = ("run", "process", "plan", "validate", "show", "review", "doctor", "schema")
    operated = ("audit", "reprocess", "recipe", "redrive", "failures", "pause", "resume")
    for command in (*made, *operated):
        assert command in ended.out + ended.err


def test_files_are_processed_into_a_folder(picture: Path, small: Path, tmp_path: Path) -> None:
    """The same layout as in S3, and a table; nothing of scratch is left."""
    (tmp_path / "uploads" / "deep").mkdir(parents=True)
    (tmp_path / "uploads" / "deep" / "other.png").write_bytes(picture.read_bytes())
    out = tmp_path / "out"
    ended = run("process", picture, tmp_path / "uploads", "--out", out, "--recipe", small)
    assert (0, "") == (ended.code, ended.err.strip())
    lines = ended.out.splitlines()
    assert ["file", "status", "time"] == lines[0].split()
    assert {"picture [1].jpg", "deep/other.png"} == {line.partition(" ready ")[0].strip() for line in lines[1:]}
    assert all("image, 4 products" in line for line in lines[1:])
    for key in ("picture [1].jpg", "deep/other.png"):
        manifest = Manifest.model_validate_json((out / "media" / key / "manifest.json").read_bytes())
        assert manifest.serving
        products = {product.url for product in manifest.serving.products}
        assert 4 == len(products)
        assert (out / "media" / key / "~" / "128.webp").exists()
    assert [] == list(out.rglob("worker-*"))


def test_a_second_run_makes_nothing(picture: Path, small: Path, tmp_path: Path) -> None:
    """What is published stays as it is: products and documents are not even written again."""
    out = tmp_path / "out"
    arguments = ("process", picture, "--out", out, "--recipe", small)
    run(*arguments)
    before = _contents(out)
    assert 0 == run(*arguments).code
    assert before == _contents(out)


def _contents(folder: Path) -> dict[Path, tuple[bytes, int | None]]:
    """Every file below: its content, and when it was written, but for aliases, which may be copied anew."""
    found = [path for path in folder.rglob("*") if path.is_file()]
    return {path: (path.read_bytes(), None if "~" in path.parts else path.stat().st_mtime_ns) for path in found}


def test_a_bad_file_is_told_and_the_others_are_made(picture: Path, broken: Path, small: Path, tmp_path: Path) -> None:
    """Exit code 1, and the reason in the table."""
    ended = run("process", picture, broken, "--out", tmp_path / "out", "--recipe", small)
    assert 1 == ended.code
    told = {line.split()[0]: line for line in ended.out.splitlines()}
    assert " ready " in told["picture"]
    assert " rejected  damaged: " in told["broken.jpg"]


def test_json_is_for_machines(picture: Path, broken: Path, small: Path, tmp_path: Path) -> None:
    """A document on stdout and nothing else: manifests as they were written."""
    out = tmp_path / "out"
    ended = run(
        "process", picture, broken, "--out", out, "--recipe", small, "--public-url", "https://m.example", "--json"
    )
    assert (1, "") == (ended.code, ended.err)
    good, bad = ended.document
    assert (picture.name, "ready", None) == (good["key"], good["status"], good["error"])
    assert (broken.name, "rejected", "damaged") == (bad["key"], bad["status"], bad["manifest"]["reason"]["code"])
    assert json.loads((out / "media" / picture.name / "manifest.json").read_bytes()) == good["manifest"]
    assert good["manifest"]["serving"]["products"][0]["url"].startswith(
        "https://m.example/media/picture%20%5B1%5D.jpg/~"
    )


@pytest.mark.parametrize(
    ("recipe", "entry"),
    [
        ("[images]\nwidth = [1]\n", "images.width"),
        ("images = { widths = [640, 320] }\n", "images"),
        ("[limits]\npixels = -1\n", "limits.pixels"),
        ("[images\n", "not valid TOML"),
        ('[[prefix]]\nmatch = "a/"\n[prefix.video]\ncrf = 99\n', 'prefix "a/": video.crf'),
    ],
)
def test_a_wrong_recipe_names_the_entry(recipe: str, entry: str, picture: Path, tmp_path: Path) -> None:
    """Exit code 2, one line on stderr, and nothing is made."""
    (tmp_path / "recipe.toml").write_text(recipe)
    ended = run("process", picture, "--out", tmp_path / "out", "--recipe", tmp_path / "recipe.toml")
    assert (2, "") == (ended.code, ended.out)
    assert ended.err.startswith("media-worker: recipe: ")
    assert entry in ended.err
    assert not (tmp_path / "out" / "media").exists()


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["process", "nowhere.jpg", "--out", "out"], "nowhere.jpg: there is no such file"),
        (["process", "a.jpg", "sub", "--out", "out"], "have the same key, a.jpg"),
        (["process", "a.jpg", "--out", "out", "--recipe", "no.toml"], "no.toml can't be read"),
        (["schema", "nonsense"], "'nonsense' is neither recipe nor manifest"),
        (["process", "a.jpg"], "--out"),
        (["plan"], "Missing argument"),
        (["frobnicate"], "frobnicate"),
    ],
)
def test_wrong_use_is_told(arguments: Sequence[str], told: str, picture: Path, tmp_path: Path) -> None:
    """Exit code 2; what is wrong is on stderr, and nobody sees a traceback."""
    (tmp_path / "sub").mkdir()
    for path in (tmp_path / "a.jpg", tmp_path / "sub" / "a.jpg"):
        path.write_bytes(picture.read_bytes())
    ended = run(*arguments, cwd=tmp_path)
    assert (2, "") == (ended.code, ended.out)
    assert told in ended.err
    assert "Traceback" not in ended.err


@pytest.mark.parametrize("command", [["run"], ["show", "a.jpg"], ["validate", "s3://bucket/"]])
def test_missing_settings_are_named(command: list[str]) -> None:
    """Exit code 2, and each variable."""
    ended = run(*command)
    assert (2, "") == (ended.code, ended.out)
    assert ended.err.startswith("media-worker: MEDIA_QUEUE_URL: is not set; MEDIA_INPUT_BUCKETS: is not set")


@pytest.mark.parametrize(("what", "entry"), [("recipe", "images"), ("manifest", "serving")])
def test_schemas_are_printed(what: str, entry: str) -> None:
    """As JSON schemas."""
    ended = run("schema", what)
    assert 0 == ended.code
    assert entry in ended.document["properties"]


def test_manifests_are_as_their_schema_says(picture: Path, broken: Path, small: Path, tmp_path: Path) -> None:
    """Those that were written, of what is ready and of what is not."""
    run("process", picture, broken, "--out", tmp_path / "out", "--recipe", small)
    validator = jsonschema.Draft202012Validator(run("schema", "manifest").document)
    for key in (picture.name, broken.name):
        validator.validate(json.loads((tmp_path / "out" / "media" / key / "manifest.json").read_bytes()))


def test_a_plan_says_what_would_be_made_and_why(picture: Path, broken: Path, small: Path, tmp_path: Path) -> None:
    """Nothing is made; what would be rejected has no steps."""
    before = sorted(tmp_path.iterdir())
    ended = run("plan", picture, broken, "--recipe", small, "--json")
    good, bad = ended.document
    assert (1, "damaged", []) == (ended.code, bad["code"], bad["steps"])
    steps = {step["step"]: step["why"] for step in good["steps"]}
    expected = ["moderation", "variant 64.webp", "variant 128.webp", "variant 64.jpg", "variant 128.jpg", "placeholder"]
    assert expected == list(steps)
    assert "1 of 1 page(s) or frame(s), shown to local" == steps["moderation"]
    assert "64 of 200 pixels wide, quality 80, still" == steps["variant 64.webp"]
    assert good["cpu_seconds"] >= 0
    assert good["dollars"] >= 0
    assert before == sorted(tmp_path.iterdir())


def test_a_plan_says_what_services_would_bill(picture: Path, tmp_path: Path) -> None:
    """In words and in dollars; nobody is asked."""
    recipe = tmp_path / "recipe.toml"
    recipe.write_text(SMALL + '[moderation]\nprovider = "rekognition"\n')
    ended = run("plan", picture, "--recipe", recipe, COLUMNS="80")
    assert (0, "") == (ended.code, ended.err)
    assert "about " in ended.out
    assert "1 image(s) by Rekognition, 0.0 CPU seconds, $0.001" in ended.out


def test_captions_are_part_of_what_they_lie_beside(picture: Path, small: Path, tmp_path: Path) -> None:
    """No upload of their own, neither for a plan nor for the pipeline."""
    captions = tmp_path / f"{picture.name}.en.vtt"
    captions.write_text("WEBVTT\n\n00:00.000 --> 00:01.000\nhello\n")
    planned = run("plan", picture, captions, "--recipe", small, "--json")
    assert (0, [picture.name]) == (planned.code, [one["key"] for one in planned.document])
    ended = run("process", picture, captions, "--out", tmp_path / "out", "--recipe", small)
    assert 0 == ended.code
    assert f"captions  of {picture.name}" in ended.out
    assert [picture.name] == [path.name for path in (tmp_path / "out" / "media").iterdir()]


@pytest.mark.parametrize(
    ("recipe", "options", "told"),
    [
        ('moderation = { provider = "rekognition" }\n', [], "recipe: rekognition and transcribe need AWS"),
        ('captions = { provider = "transcribe" }\n', [], "recipe: rekognition and transcribe need AWS"),
        ("", ["--whisper-model", "nowhere"], 'recipe: captions.provider is "whisper": nowhere is no model'),
    ],
)
def test_what_cannot_be_asked_here_is_refused(
    recipe: str, options: list[str], told: str, picture: Path, tmp_path: Path
) -> None:
    """Before anything is made: one sentence that says what else can be said."""
    (tmp_path / "recipe.toml").write_text(recipe)
    arguments = ("process", picture, "--out", tmp_path / "out", "--recipe", tmp_path / "recipe.toml")
    ended = run(*arguments, *options)
    assert (2, "", 1) == (ended.code, ended.out, len(ended.err.strip().splitlines()))
    assert told in ended.err
    assert "off" in ended.err


def test_the_model_may_be_named_by_its_setting(picture: Path, tmp_path: Path) -> None:
    """The same variable as for the service."""
    ended = run("process", picture, "--out", tmp_path / "out", MEDIA_WHISPER_MODEL="/nowhere")
    assert (2, True) == (ended.code, "/nowhere is no model" in ended.err)


def test_a_validation_is_a_table_for_a_spreadsheet(picture: Path, broken: Path) -> None:
    """A row for each file: what it is, or why it would be rejected."""
    ended = run("validate", picture, broken, "--csv")
    rows = list(csv.DictReader(ended.out.splitlines()))
    assert 1 == ended.code
    assert [
        {"key": picture.name, "bytes": str(picture.stat().st_size), "media": "JPEG 200x100", "code": "", "message": ""},
        {"key": broken.name, "bytes": "300", "media": "", "code": "damaged", "message": rows[1]["message"]},
    ] == rows
    assert rows[1]["message"]


def test_show_tells_what_happened(picture: Path, broken: Path, small: Path, tmp_path: Path) -> None:
    """Ready is exit code 0; the reason of a rejection comes with what to do about it."""
    out = tmp_path / "out"
    run("process", picture, broken, "--out", out, "--recipe", small)
    good, bad = run("show", picture.name, "--out", out), run("show", broken.name, "--out", out)
    assert (0, 1) == (good.code, bad.code)
    assert "ready, revision 1" in good.out
    assert "image: /media/picture%20%5B1%5D.jpg/~" in good.out
    assert "damaged: " in bad.out
    assert "what to do" in bad.out
    shown = run("show", picture.name, "--out", out, "--json").document
    assert ("ready", "ready") == (shown["manifest"]["status"], shown["outcome"]["status"])
    assert ("allow", "local") == (shown["outcome"]["moderation"]["says"], shown["outcome"]["moderation"]["by"])
    told = {line[:12].strip(): line[12:].strip() for line in good.out.splitlines()}
    assert told["moderation"].startswith("allow, by local (open_nsfw")
    assert "1 frame(s)" == told["looked at"]
    assert told["cost"].startswith("$0.0000")


def test_show_knows_nothing_of_what_was_never_there(tmp_path: Path) -> None:
    """Exit code 1."""
    ended = run("show", "nothing.jpg", "--out", tmp_path)
    assert 1 == ended.code
    assert "Nothing is known of this key" in ended.out


def test_what_was_replaced_is_gone(picture: Path, small: Path, tmp_path: Path) -> None:
    """A file that has changed since is made anew, and nothing is left of the former one."""
    out, file = tmp_path / "out", tmp_path / "a.jpg"
    for source in (picture, picture):
        file.write_bytes(source.read_bytes() if not file.exists() else source.read_bytes() + b"\0")
        assert 0 == run("process", file, "--out", out, "--recipe", small).code
    folders = {path.name for path in (out / "media" / "a.jpg").glob("~?*")}
    assert 1 == len(folders)
