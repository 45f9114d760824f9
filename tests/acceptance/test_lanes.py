"""Two lanes over real queues: pictures never stand behind a film, and what can wait does."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.resources import Client, Resources
from tests.acceptance.samples import sample
from tests.acceptance.service import running
from tests.acceptance.site import Site

QUIET = """
moderation.provider = "off"
captions.provider = "off"
"""


@pytest.fixture(name="site")
def _site(resources: Resources, client_of: Callable[[str], Client]) -> Site:
    return Site(resources=resources, s3=client_of("s3"), sqs=client_of("sqs"))


def later(site: Site, key: str) -> None:
    """Ask for a key by the backfill queue."""
    source = {"bucket": site.resources.uploads, "key": key}
    body = {"media_worker": 1, "type": "process", "source": source, "cause": "a test"}
    site.sqs.send_message(QueueUrl=site.resources.backfill.url, MessageBody=json.dumps(body))


@pytest.mark.timeout(180)
def test_two_lanes_share_the_work(site: Site, tmp_path: Path) -> None:
    """The light one makes pictures and sends on what it does not take; the heavy one makes that, and the backfill."""
    for name in ("picture.jpg", "clip.mp4", "sound.mp3"):
        site.upload(name, sample(tmp_path, name))
    light, heavy = tmp_path / "light", tmp_path / "heavy"
    light.mkdir()
    heavy.mkdir()
    resources = site.resources
    with (
        running(resources, light, recipe=QUIET, MEDIA_LANE="light", MEDIA_HEAVY_QUEUE_URL=resources.heavy.url) as one,
        running(
            resources,
            heavy,
            recipe=QUIET,
            MEDIA_LANE="heavy",
            MEDIA_QUEUE_URL=resources.heavy.url,
            MEDIA_BACKFILL_QUEUE_URL=resources.backfill.url,
        ) as other,
    ):
        found = {name: site.final(name, seconds=90).status for name in ("picture.jpg", "clip.mp4", "sound.mp3")}
        site.upload("old.jpg", sample(tmp_path, "picture.jpg"))
        site.empty()
        before = site.final("old.jpg")
        site.s3.delete_object(Bucket=resources.published, Key="media/old.jpg/manifest.json")
        later(site, "old.jpg")
        again = site.final("old.jpg")

    assert dict.fromkeys(found, "ready") == found
    assert before.serving == again.serving
    ended = {
        at: {(line["key"], line["verdict"]) for line in lane.lines("attempt_ended") if line["key"]}
        for at, lane in (("light", one), ("heavy", other))
    }
    assert {
        "light": {("picture.jpg", "done"), ("old.jpg", "done"), ("clip.mp4", "forward"), ("sound.mp3", "forward")},
        "heavy": {("clip.mp4", "done"), ("sound.mp3", "done"), ("old.jpg", "done")},
    } == ended
    assert [] == list(light.glob("scratch/worker-*/job-*"))
