"""Captions through the real service: they join what is public already, whoever dies or forgets to say so."""

import json
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from scripts.resources import Client, Resources
from service.core.manifest import Manifest
from service.core.record import Role
from tests.acceptance.samples import plain, sample
from tests.acceptance.service import PUBLIC_URL, running, wait_for
from tests.acceptance.site import Site
from tests.strict.server import StrictAws

START = "StartTranscriptionJob"
TRANSCRIBE = '[captions]\nprovider = "transcribe"\n'
UNSEEN = '[moderation]\nprovider = "off"\n' + TRANSCRIBE
KEY = "clip.mp4"


@pytest.fixture(name="site")
def _site(resources: Resources, client_of: Callable[[str], Client]) -> Site:
    return Site(resources=resources, s3=client_of("s3"), sqs=client_of("sqs"))


@pytest.fixture(name="files", scope="session")
def _files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("samples")


@pytest.fixture(name="aws")
def _aws(resources: Resources) -> Iterator[StrictAws]:
    """An account of both services, whose events arrive in the worker's queue, and whose jobs end when we say so."""
    with StrictAws(endpoint=resources.endpoint, queue=resources.intake.url) as aws:
        aws.script.gets = None
        yield aws
    assert [] == aws.rejected


def _state(found: Manifest | None) -> tuple[str, str] | None:
    return (found.status, found.serving.captions) if found and found.serving else None


def _kinds(site: Site) -> list[str]:
    return sorted(step.kind for record in site.records(KEY) for step in record.steps)


def _spoken(site: Site, found: Manifest) -> str:
    """The text of the captions that a page is given."""
    assert found.serving
    (product,) = [one for one in found.serving.products if one.role is Role.CAPTIONS and one.url.endswith(".vtt")]
    return (site.read(product.url.removeprefix(f"{PUBLIC_URL}/")) or b"").decode()


@pytest.mark.timeout(120)
def test_killed_after_the_start_it_begins_no_second_one(
    site: Site, aws: StrictAws, files: Path, tmp_path: Path
) -> None:
    """The clip is public meanwhile; the next worker waits for the job that runs, and its end brings the captions."""
    aws.script.calls = {START: ["cut"]}  # it is begun, and no answer comes that says so
    site.upload(KEY, sample(files, KEY))

    with running(site.resources, tmp_path, recipe=UNSEEN, aws=aws.url) as service:
        wait_for(lambda: aws.starts or None, seconds=30, what="the start of a transcription")
        service.kill()
    pending, before = site.manifest(KEY), _kinds(site)
    with running(site.resources, tmp_path, recipe=UNSEEN, aws=aws.url):
        site.notify(KEY)
        (body,) = wait_for(lambda: site.delayed() or None, seconds=30, what="the message to ourselves")
        (job,) = aws.jobs
        aws.finish(job)
        found = site.heard(KEY)

    assert pending
    assert ("ready", "pending") == _state(pending)
    assert "Transcript" not in before
    assert "captions" == json.loads(body)["type"]
    assert ("ready", "machine") == _state(found)
    assert (1, 1) == (aws.starts, aws.calls[START])
    assert pending.revision + 1 == found.revision
    assert "quick brown fox" in _spoken(site, found)
    assert ["pending", "machine"] == [told["manifest"]["serving"]["captions"] for told in site.outcomes()]


@pytest.mark.timeout(120)
def test_a_failed_job_is_begun_anew_and_a_lost_event_is_made_up_for(
    site: Site, aws: StrictAws, files: Path, tmp_path: Path
) -> None:
    """The name of a job that failed is not used again; where no event comes, our own delayed message asks."""
    site.upload(KEY, sample(files, KEY))

    with running(site.resources, tmp_path, recipe=UNSEEN, aws=aws.url):
        pending = site.final(KEY)
        first = wait_for(lambda: next(iter(aws.jobs), None), seconds=30, what="a job")
        aws.finish(first, failure="Internal failure.")
        wait_for(lambda: len(aws.jobs) == 2 or None, seconds=30, what="the second job")
        wait_for(lambda: len(site.delayed()) == 2 or None, seconds=30, what="two messages to ourselves")
        aws.script.events = False
        aws.finish(list(aws.jobs)[1])
        unheard = site.manifest(KEY)
        site.send(json.loads(site.delayed()[-1]))  # delivered a minute early
        found = site.heard(KEY)
        site.empty()

    assert [first, f"{first.removesuffix('-1')}-2"] == list(aws.jobs)
    assert ("ready", "pending") == _state(pending) == _state(unheard)
    assert ("ready", "machine") == _state(found)
    assert 2 == aws.starts
    assert not [one for one in site.objects() if one.startswith("work/~speech/")]


@pytest.mark.timeout(120)
def test_one_more_width_asks_nobody_again(site: Site, aws: StrictAws, files: Path, tmp_path: Path) -> None:
    """What moderation saw and what was heard belong to the file: another recipe makes what is missing, and no call."""
    recipe = '[moderation]\nprovider = "rekognition"\n' + TRANSCRIBE
    wider = recipe + "[images]\nwidths = [160, 320, 640]\n[video]\nladder = [{ height = 240, max_bit_rate = 400_000 }, "
    wider += "{ height = 144, max_bit_rate = 200_000 }]\n"
    aws.script.seconds = 0.1
    site.upload(KEY, sample(files, KEY))
    site.upload("photo.jpg", plain(tmp_path, "photo.jpg", "green"))

    with running(site.resources, tmp_path, recipe=recipe, aws=aws.url):
        first = {key: site.heard(key) for key in (KEY, "photo.jpg")}
        site.empty()
    asked = dict(aws.calls)
    with running(site.resources, tmp_path, recipe=wider, aws=aws.url):
        for key in first:
            site.order("reprocess", key)
        second = {key: site.heard(key, after=found.revision) for key, found in first.items()}
        site.empty()

    widths = {product.width for found in second.values() if found.serving for product in found.serving.products}
    assert ("ready", "machine") == _state(first[KEY]) == _state(second[KEY])
    assert 160 in widths
    assert 3 == _kinds(site).count("Rendition")
    assert (1, 1) == (_kinds(site).count("Screen"), _kinds(site).count("Transcript"))
    assert {"DetectModerationLabels", START} <= set(asked)
    assert asked == dict(aws.calls)


@pytest.mark.timeout(120)
def test_nobody_hears_what_may_not_be_seen_yet(site: Site, aws: StrictAws, files: Path, tmp_path: Path) -> None:
    """Captions are not begun before a clip is allowed; a reviewer's word brings the clip, and then its captions."""
    aws.script.seconds = 0.1
    aws.script.labels = {"any": [{"Name": "Violence", "Confidence": 90.0}]}
    site.upload(KEY, sample(files, KEY))

    recipe = '[moderation]\nprovider = "rekognition"\n' + TRANSCRIBE
    with running(site.resources, tmp_path, recipe=recipe, aws=aws.url):
        held = site.final(KEY)
        site.empty()
        begun, hidden = aws.calls[START], {one for one in site.objects() if one.startswith(("media/", "work/"))}
        site.order("approve", KEY, revision=held.revision)
        found = site.heard(KEY, after=held.revision)
        site.empty()

    assert ("quarantined", 0) == (held.status, begun)
    assert {f"media/{KEY}/manifest.json"} == hidden
    assert ("ready", "machine") == _state(found)
    assert ["quarantined", "ready", "ready"] == [told["manifest"]["status"] for told in site.outcomes()]
    assert not [one for one in site.objects() if one.startswith("quarantine/")]


@pytest.mark.timeout(120)
def test_what_is_said_can_be_read(site: Site, files: Path, tmp_path: Path) -> None:
    """By the model of this machine: a voice has captions, which join what is public already; a tone has none."""
    site.upload("speech.mp4", sample(files, "speech.mp4"))
    site.upload("tone.mp3", sample(files, "sound.mp3"))

    with running(site.resources, tmp_path):
        voice, tone = site.heard("speech.mp4"), site.heard("tone.mp3")
        site.empty()
        told = site.outcomes()

    text = _spoken(site, voice).lower()
    assert [("ready", "machine"), ("ready", "none")] == [_state(voice), _state(tone)]
    assert [] == [word for word in ("file", "bucket", "minutes", "later", "people", "read") if word not in text]
    assert {("speech.mp4", "pending"), ("speech.mp4", "machine"), ("tone.mp3", "pending"), ("tone.mp3", "none")} == {
        (one["name"], one["manifest"]["serving"]["captions"]) for one in told
    }
    assert 4 == len(told)
