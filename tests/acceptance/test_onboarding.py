"""The first day of a site that has uploads already: nobody notified the queue of them, and none may be lost."""

import io
import json
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from PIL import Image

from scripts.resources import Client, Resources
from tests.acceptance.service import environment, running, wait_for
from tests.acceptance.site import Site

ROOT = Path(__file__).resolve().parents[2]
OBJECTS = 200
AWKWARD = (
    "IMG 1234.JPG",
    "a+b%d.jpg",
    "%2F..%2F.png",
    "üñï/日本語 🎬.jpeg",
    "~x",
    "~x/~y.jpg",
    "nested/very/deep/folder/of/a.b.c.png",
    "line\nbreak.jpg",
    "films/a.mp4",
    "films/a.mp4.en.jpg",
    "manifest.json",
    "-i",
)
RECIPE = """
images = { widths = [16], placeholder = false }
moderation.provider = "off"
captions.provider = "off"
"""
WIDER = RECIPE.replace("[16]", "[16, 32]")
SLOTS = 16  # the first queue is asked for a second before each look at the backfill, which gives so many at once
MORE = ("webp", "jpeg")  # what the new width is made as
SOME = "photos/00"


@dataclass(frozen=True, kw_only=True)
class Ended:
    """How a command ended."""

    code: int
    document: Any
    err: str


@dataclass(frozen=True, kw_only=True)
class Operator:
    """Somebody at a terminal, with the deployment's settings and the recipe of the day."""

    site: Site
    folder: Path

    def run(self, *arguments: object, recipe: str = RECIPE) -> Ended:
        """`media-worker` with `--json`."""
        settings = environment(self.site.resources, self.folder, recipe=recipe) | backfill(self.site)
        argv = [sys.executable, "-W", "error", "-m", "service", *map(str, arguments), "--json"]
        done = subprocess.run(argv, env=settings, capture_output=True, text=True, check=False, cwd=ROOT, timeout=100)
        assert done.stdout, done.stderr
        return Ended(code=done.returncode, document=json.loads(done.stdout), err=done.stderr)

    def audit(self, *arguments: object) -> Ended:
        """What is wrong by now, however young it is."""
        return self.run("audit", "--older-than", "0s", *arguments)


@pytest.fixture(name="site")
def _site(resources: Resources, client_of: Callable[[str], Client]) -> Site:
    """With a bucket that notifies nobody."""
    site = Site(resources=resources, s3=client_of("s3"), sqs=client_of("sqs"))
    site.s3.put_bucket_notification_configuration(Bucket=resources.uploads, NotificationConfiguration={})
    return site


def backfill(site: Site) -> dict[str, str]:
    """The setting that both the worker and the operator have."""
    return {"MEDIA_BACKFILL_QUEUE_URL": site.resources.backfill.url}


def keys() -> list[str]:
    """Names as people have them."""
    return [*AWKWARD, *(f"photos/{at:03}.jpg" for at in range(OBJECTS - len(AWKWARD)))]


def picture(number: int) -> bytes:
    """A small picture that no other number has."""
    body = io.BytesIO()
    Image.new("RGB", (40, 30), (number % 256, 255 - number % 256, 90)).save(body, "PNG")
    return body.getvalue()


def done(site: Site) -> None:
    """Wait until the backfill is empty and nothing of it is being worked on."""

    def look() -> bool | None:
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = site.sqs.get_queue_attributes(QueueUrl=site.resources.backfill.url, AttributeNames=names)
        return True if all(int(found["Attributes"][one]) == 0 for one in names) else None

    wait_for(look, seconds=150, what="the backfill to be done")


def did(site: Site, name: str) -> tuple[int, int]:
    """How many steps the last job made, and how many it found done."""
    outcome = site.outcome(name)
    return len(outcome.made), len(outcome.reused)


@pytest.mark.timeout(300)
def test_what_nobody_was_notified_of_is_found_and_published(site: Site, tmp_path: Path) -> None:
    """200 uploads without an event end ready by `audit --enqueue`; a wider recipe makes the steps that were foreseen.

    The worker is the real one: a queue of its own, which stays empty, and the backfill.
    """
    names = keys()
    for number, name in enumerate(names):
        site.upload(name, picture(number))
    operator = Operator(site=site, folder=tmp_path)

    lost = operator.audit()
    sent = operator.audit("--enqueue")
    with running(site.resources, tmp_path, recipe=RECIPE, MEDIA_SLOTS=SLOTS, **backfill(site)):
        done(site)
    well = operator.audit("--gone")
    states = [manifest.status for name in names if (manifest := site.manifest(name))]
    settled = operator.run("reprocess", "", "--dry-run")
    wider = tmp_path / "wider.toml"
    wider.write_text(WIDER)
    compared = operator.run("recipe", "diff", wider)
    foreseen = operator.run("reprocess", "", "--dry-run", "--recipe", wider)
    with running(site.resources, tmp_path, recipe=WIDER, MEDIA_SLOTS=SLOTS, **backfill(site)):
        enqueued = operator.run("reprocess", SOME, "--yes", recipe=WIDER)
        done(site)

    some = [name for name in names if name.startswith(SOME)]
    assert (1, {"missing": OBJECTS}) == (lost.code, {k: v["objects"] for k, v in lost.document["found"].items()})
    assert (0, OBJECTS, site.resources.backfill.url) == (sent.code, sent.document["enqueued"], sent.document["queue"])
    assert (0, {}, OBJECTS) == (well.code, well.document["found"], well.document["looked"]["objects"])
    assert ["ready"] * OBJECTS == states
    assert (0, 0, OBJECTS) == tuple(settled.document["total"][one] for one in ("steps", "dollars", "objects"))
    assert {"variant": OBJECTS * len(MORE)} == {kind: one["steps"] for kind, one in foreseen.document["steps"].items()}
    assert ["images.widths"] == [one["entry"] for one in compared.document["entries"]]
    assert foreseen.document == compared.document["survey"]
    assert (len(some), some[-1]) == (enqueued.document["objects"], enqueued.document["last"])
    assert dict.fromkeys(some, (len(MORE), len(MORE))) == {name: did(site, name) for name in some}
