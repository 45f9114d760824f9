"""What dashboards and alarms ask for is what workers send while they work, and it adds up."""

import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any
from urllib.request import urlopen

import pytest
from PIL import Image
from prometheus_client.parser import text_string_to_metric_families

from scripts.resources import Client, Resources
from service.core.outcome import Reason
from tests import emf
from tests.acceptance.samples import plain, sample
from tests.acceptance.service import Service, running, wait_for
from tests.acceptance.site import Site, event
from tests.ecs import dashboard
from tests.strict.rekognition import colour
from tests.strict.script import Label
from tests.strict.server import StrictAws

LOOK, LISTEN = "DetectModerationLabels", "StartTranscriptionJob"
RECIPE = """
[moderation]
provider = "rekognition"
[captions]
provider = "transcribe"
[images]
widths = [64]
formats = ["jpeg"]
[video]
ladder = [{ height = 144, max_bit_rate = 200_000 }]
[[prefix]]
match = "dear/"
spend = { upload = 0.003 }
moderation = { provider = "off" }
"""
GAUGES = {
    *("media_slots", "media_slots_busy"),
    *("media_encode_silence_seconds", "media_encode_seconds_per_second"),
}


@pytest.fixture(name="site")
def _site(resources: Resources, client_of: Callable[[str], Client]) -> Site:
    return Site(resources=resources, s3=client_of("s3"), sqs=client_of("sqs"))


@pytest.fixture(name="aws")
def _aws(resources: Resources) -> Iterator[StrictAws]:
    """An account of both services that refuses the first call of each as one too many."""
    with StrictAws(endpoint=resources.endpoint, queue=resources.intake.url) as aws:
        aws.script.calls = {LOOK: ["ThrottlingException"], LISTEN: ["ThrottlingException"]}
        aws.script.seconds = 0.1
        yield aws
    assert [] == aws.rejected


def _scraped(service: Service) -> str:
    with urlopen(f"http://127.0.0.1:{service.port}/metrics") as answer:
        return str(answer.read().decode())


def _counted(text: str) -> tuple[Counter[emf.Key], Counter[emf.Key]]:
    """What Prometheus is told of counters and histograms: sums and observations, by each label alone."""
    sums: Counter[emf.Key] = Counter()
    counts: Counter[emf.Key] = Counter()
    for family in text_string_to_metric_families(text):
        for one in family.samples:
            for label, value in one.labels.items() or [("", "")]:
                if family.type != "gauge" and (value or not label):
                    key = (family.name, label, value)
                    sums[key] += one.value if one.name.endswith(("_total", "_sum")) else 0
                    counts[key] += one.value if one.name.endswith("_count") else 0
    return +sums, +counts


def _sent(service: Service) -> list[dict[str, Any]]:
    """The documents among the lines of its log; each keeps the limits."""
    lines = [line for line in service.log.read_text().splitlines() if '"_aws"' in line]
    return [emf.checked(line) for line in lines]


def _idle(services: dict[str, Service]) -> bool | None:
    healths = [urlopen(f"http://127.0.0.1:{one.port}/healthz") for one in services.values()]
    busy = [json.load(health)["busy"] for health in healths]
    for health in healths:
        health.close()
    return not any(busy) or None


def _told(services: dict[str, Service], **wanted: str) -> bool | None:
    lines = [line for one in services.values() for line in one.lines("attempt_ended")]
    return any(wanted.items() <= line.items() for line in lines) or None


def _two_lanes(site: Site, aws: StrictAws, folder: Path, stack: ExitStack) -> dict[str, Service]:
    """A light worker that sends on, and a heavy one."""
    mine = {
        "light": {"MEDIA_HEAVY_QUEUE_URL": site.resources.heavy.url, "MEDIA_CHILD_MEMORY_MB": "256"},
        "heavy": {"MEDIA_QUEUE_URL": site.resources.heavy.url},
    }
    return {
        lane: stack.enter_context(
            running(
                site.resources,
                folder,
                program="tests.acceptance.hurried_worker",
                recipe=RECIPE,
                aws=aws.url,
                MEDIA_METRICS="emf",
                MEDIA_STAGE="test",
                MEDIA_LANE=lane,
                MEDIA_VISIBILITY_SECONDS=15,
                MEDIA_DEAD_LETTER_QUEUE_URL=site.resources.dead_letters.url,
                **settings,
            )
        )
        for lane, settings in mine.items()
    }


def _lose_a_lease(site: Site, aws: StrictAws, services: dict[str, Service], folder: Path) -> None:
    """Its message is deleted while a provider thinks about the picture."""
    asked, over = threading.Event(), threading.Event()

    def thinks(picture: Image.Image) -> tuple[Label, ...]:
        if colour(picture) == "red":
            asked.set()
            over.wait()
        return ()

    aws.script.labels_for = thinks
    try:
        site.upload("lost.jpg", plain(folder, "lost.jpg", "red"))
        assert asked.wait(30)
        site.sqs.purge_queue(QueueUrl=site.resources.intake.url)
        wait_for(lambda: _told(services, verdict="abandon"), seconds=30, what="a lost lease")
    finally:
        over.set()


@pytest.mark.timeout(240)
def test_what_is_watched_is_sent(site: Site, aws: StrictAws, tmp_path: Path) -> None:
    """Every metric of the dashboard, by its label, and every series of an alarm, by a real cause; nothing twice."""
    Image.new("RGB", (8400, 8400)).save(tmp_path / "huge.png")  # 282 MB when it is decoded
    messages = [json.dumps(event("somebody-elses-bucket", "secret.jpg")), "not json"]
    with ExitStack() as stack:
        services = _two_lanes(site, aws, tmp_path, stack)
        for key, body in {
            "picture.jpg": sample(tmp_path, "picture.jpg"),
            "speech.mp4": sample(tmp_path, "speech.mp4"),
            "dear/clip.mp4": sample(tmp_path, "clip.mp4"),
            "damaged.png": b"\x89PNG\r\n\x1a\n" + bytes(100),
            "huge.png": tmp_path / "huge.png",
        }.items():
            site.upload(key, body)
        for message in messages:
            site.sqs.send_message(QueueUrl=site.resources.intake.url, MessageBody=message)
        found = {key: site.final(key) for key in ("picture.jpg", "damaged.png", "huge.png")}
        found |= {key: site.heard(key, seconds=90) for key in ("speech.mp4", "dear/clip.mp4")}
        site.empty()
        _lose_a_lease(site, aws, services, tmp_path)
        wait_for(lambda: _idle(services), seconds=30, what="the end of every attempt")
        scraped = {lane: _scraped(one) for lane, one in services.items()}

    assert {
        "picture.jpg": ("ready", "none"),
        "speech.mp4": ("ready", "machine"),
        "dear/clip.mp4": ("ready", "unavailable"),
        "damaged.png": ("rejected", Reason.DAMAGED),
        "huge.png": ("rejected", Reason.MEMORY_LIMIT),
    } == {
        key: (one.status, one.reason.code if one.reason else one.serving and one.serving.captions)
        for key, one in found.items()
    }
    documents = {lane: _sent(one) for lane, one in services.items()}
    for lane, sent in documents.items():
        assert {("test", lane)} == {(one["Stage"], one["Lane"]) for one in sent}
        sums, counts = _counted(scraped[lane])
        assert pytest.approx(dict(sums), abs=1e-6) == {
            key: value for key, value in emf.sums(sent).items() if key[0] not in GAUGES
        }
        assert counts == emf.counts(sent)
        assert len({one["_aws"]["Timestamp"] for one in sent}) > 5

    seen = {lane: emf.series(sent) for lane, sent in documents.items()}
    every = seen["light"] | seen["heavy"]
    wanted = {(name, label or "") for name, label in dashboard.shown()}
    print("series sent:", {lane: len(found) for lane, found in seen.items()})
    print("in /metrics alone:", sorted(wanted - {key[:2] for key in every}))
    assert wanted == {key[:2] for key in every}
    assert set() == dashboard.alarmed() - every


@pytest.mark.timeout(120)
@pytest.mark.parametrize(("setting", "retries"), [("emf", 1), ("off", 0)])
def test_a_drained_worker_sends_its_last_minute(
    site: Site, aws: StrictAws, tmp_path: Path, setting: str, retries: int
) -> None:
    """What it gave back when its time was over is counted, long before a minute has passed; no gauges any more."""
    aws.script.calls, aws.script.modes = {}, {LOOK: "stall"}
    site.upload("a.jpg", plain(tmp_path, "a.jpg", "red"))
    settings = {"MEDIA_METRICS": setting, "MEDIA_LANE": "light", "MEDIA_DRAIN_SECONDS": "0"}
    with running(site.resources, tmp_path, recipe=RECIPE, aws=aws.url, **settings) as service:
        wait_for(lambda: aws.calls[LOOK] or None, seconds=30, what="a call that gets no answer")
        before = _sent(service)
    sent = _sent(service)
    assert [] == before
    assert retries == emf.sums(sent)["media_attempts", "verdict", "retry"]
    assert bool(retries) == bool(sent)
    assert not GAUGES & {name for name, *_ in emf.series(sent)}
