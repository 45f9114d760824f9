"""Moderation through the real service: what nobody has allowed is in no listing of the bucket, whatever goes wrong."""

import json
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from random import Random
from typing import Any

import pytest
from PIL import Image

from scripts.resources import Client, Resources
from service.core.outcome import Reason
from service.core.places import released
from tests.acceptance.samples import plain
from tests.acceptance.service import Service, Site, environment, running
from tests.acceptance.watch import watching
from tests.strict.model import Refused
from tests.strict.rekognition import colour
from tests.strict.script import Label
from tests.strict.server import StrictAws

CALL = "DetectModerationLabels"
SILENT = '[captions]\nprovider = "off"\n'
REKOGNITION = SILENT + '[moderation]\nprovider = "rekognition"\n'
CHEAP = '[images]\nwidths = [64]\nformats = ["jpeg"]\nplaceholder = false\n'
HELD, REFUSED = Reason.MODERATION_REVIEW, Reason.MODERATION_BLOCKED
AWAY = Reason.MODERATION_UNAVAILABLE


@pytest.fixture(name="site")
def _site(resources: Resources, client_of: Callable[[str], Client]) -> Site:
    return Site(resources=resources, s3=client_of("s3"), sqs=client_of("sqs"))


@pytest.fixture(name="aws")
def _aws() -> Iterator[StrictAws]:
    """An account of Rekognition that flags by colour; whatever it is sent keeps all its rules."""
    with StrictAws() as aws:
        aws.script.labels = {
            "red": [{"Name": "Explicit", "Confidence": 70.0}],
            "blue": [{"Name": "Explicit", "Confidence": 95.0}],
        }
        yield aws
    assert [] == aws.rejected


def _worker(provider: str, site: Site, folder: Path, aws: StrictAws) -> AbstractContextManager[Service]:
    """A worker whose judge flags what is red, and blocks what is blue."""
    if provider == "rekognition":
        return running(site.resources, folder, recipe=REKOGNITION, aws=aws.url)
    return running(site.resources, folder, recipe=SILENT, program="tests.acceptance.doubled_worker")


def _of(keys: Iterable[str], objects: Iterable[str], area: str = "media") -> set[str]:
    """Those of the objects that belong to these sources."""
    return {one for one in objects if one.startswith(tuple(f"{area}/{key}/" for key in keys))}


def _manifests(keys: Iterable[str]) -> set[str]:
    return {f"media/{key}/manifest.json" for key in keys}


def _made(site: Site, keys: Sequence[str]) -> set[tuple[str, str, str]]:
    """Of every file that was made of these sources: where it is public, its ETag, and when its record was made."""
    there = site.objects()
    return {
        (released(record.folder) + file.name, there[record.folder + file.name][0], record.made_at.isoformat())
        for key in keys
        for record in site.records(key)
        for step in record.steps
        for file in step.files
        if not step.screening
    }


@pytest.mark.timeout(180)
@pytest.mark.parametrize("provider", ["rekognition", "local"])
def test_what_waits_for_a_review_is_never_public(site: Site, aws: StrictAws, tmp_path: Path, provider: str) -> None:
    """Held or blocked, picture or clip: only its manifest is ever listed. Allowed, it is public without more work."""
    colours = {"fine.jpg": "green", "held.jpg": "red", "held.mp4": "red", "spurned.jpg": "red", "no.jpg": "blue"}
    colours["no.mp4"] = "blue"
    hidden, approved = [key for key in colours if key != "fine.jpg"], ["held.jpg", "held.mp4"]
    site.remember()
    for key, color in colours.items():
        site.upload(key, plain(tmp_path, key, color))

    with watching(site.resources) as watch, _worker(provider, site, tmp_path, aws) as service:
        first = {key: site.final(key) for key in colours}
        site.empty()
        ever, listed, rounds = _of(hidden, site.ever("media/")), _of(hidden, watch.seen), watch.rounds
        kinds = {step.kind for key in ("no.jpg", "no.mp4") for record in site.records(key) for step in record.steps}
        made, frames = _made(site, approved), _of(hidden, site.objects(), "quarantine")
        asked, committed = aws.calls[CALL], len(service.lines("committed"))
        for key in approved:
            site.order("approve", key, revision=first[key].revision)
        site.order("reject", "spurned.jpg", revision=first["spurned.jpg"].revision)
        second = {key: site.final(key, after=first[key].revision) for key in (*approved, "spurned.jpg")}
        site.empty()
        assert committed == len(service.lines("committed"))

    reasons = {key: found.reason.code if found.reason else None for key, found in first.items()}
    assert {
        "fine.jpg": None,
        "held.jpg": HELD,
        "held.mp4": HELD,
        "spurned.jpg": HELD,
        "no.jpg": REFUSED,
        "no.mp4": REFUSED,
    } == reasons
    assert first["fine.jpg"].status == "ready"
    assert _manifests(hidden) == ever
    assert _manifests(hidden) == listed
    assert rounds > 20
    assert {"Screen"} == kinds
    assert any("/frame-" in one for one in frames)
    assert asked == aws.calls[CALL]
    assert (asked >= len(colours)) == (provider == "rekognition")
    after = site.objects()
    assert ["ready", "ready", "rejected"] == [found.status for found in second.values()]
    assert made == _made(site, approved)
    assert {key for key, _, _ in made} <= set(after)
    assert not _of([*approved, "spurned.jpg"], after, "quarantine")
    assert _manifests(["spurned.jpg"]) == _of(["spurned.jpg"], after)


def _noise(seed: int) -> Image.Image:
    """A small picture like no other."""
    return Image.frombytes("RGB", (100, 100), Random(seed).randbytes(30_000))


@pytest.mark.timeout(180)
def test_two_workers_share_one_quota(site: Site, aws: StrictAws, tmp_path: Path) -> None:
    """At five calls a second, less than one in a hundred is throttled, and at least four of five are used."""
    number, rate = 60, 5
    times: list[float] = []
    aws.script.quotas = {CALL: rate}
    aws.script.labels_for = lambda _picture: times.append(time.monotonic()) or ()  # type: ignore[func-returns-value]
    keys = [f"{at}.png" for at in range(number)]
    for at, key in enumerate(keys):
        _noise(at).save(tmp_path / "noise.png")
        site.upload(key, tmp_path / "noise.png")

    settings = {"MEDIA_REKOGNITION_RATE": rate, "MEDIA_SLOTS": 4}
    one = running(site.resources, tmp_path, recipe=REKOGNITION + CHEAP, aws=aws.url, **settings)
    other = running(site.resources, tmp_path, recipe=REKOGNITION + CHEAP, aws=aws.url, **settings)
    with one, other:
        found = {site.final(key).status for key in keys}

    assert {"ready"} == found
    assert number == len(times)
    assert aws.throttles < aws.calls[CALL] / 100
    assert (number - 1) / (times[-1] - times[0]) >= 0.8 * rate


@pytest.mark.timeout(120)
def test_a_cap_refuses_the_next_frame(site: Site, aws: StrictAws, tmp_path: Path) -> None:
    """What an upload or a day may cost is spent, and no cent more: what was not looked at waits, and says why."""
    caps = "[spend]\nday = 0.0065\n[[prefix]]\nmatch = 'dear/'\nspend = { upload = 0.0025 }\n"
    keys = [f"{at}.png" for at in range(6)]

    def fails_for_red(picture: Image.Image) -> tuple[Label, ...]:
        if colour(picture) == "red":
            raise Refused("InternalServerError")
        return ()

    aws.script.labels_for = fails_for_red
    with running(site.resources, tmp_path, recipe=REKOGNITION + CHEAP + caps, aws=aws.url):
        site.upload("dear/a.png", plain(tmp_path, "a.png", "red"))
        dear = site.final("dear/a.png")
        bought = aws.calls[CALL]
        for at, key in enumerate(keys):
            _noise(at).save(tmp_path / "noise.png")
            site.upload(key, tmp_path / "noise.png")
        found = {key: site.final(key) for key in keys}

    waiting = [key for key, one in found.items() if one.status == "quarantined"]
    assert (dear.reason and dear.reason.code, 2) == (AWAY, bought)
    assert "spend.upload" in (site.outcome("dear/a.png").message or "")
    assert (2, 6) == (len(waiting), aws.calls[CALL])
    assert {"ready", "quarantined"} == {one.status for one in found.values()}
    assert all("spend.day" in (site.outcome(key).message or "") for key in waiting)
    assert _manifests([*waiting, "dear/a.png"]) == _of([*waiting, "dear/a.png"], site.objects())


def _shown(site: Site, folder: Path, key: str) -> dict[str, Any]:
    """What `media-worker show` says of a key."""
    argv = [sys.executable, "-m", "service", "show", key, "--json"]
    said = subprocess.run(argv, env=environment(site.resources, folder), capture_output=True, text=True, check=False)
    assert said.returncode == 1, said.stderr
    document: dict[str, Any] = json.loads(said.stdout)
    return document


@pytest.mark.timeout(120)
def test_a_provider_that_gives_no_answer_has_not_said_yes(site: Site, aws: StrictAws, tmp_path: Path) -> None:
    """Denied, throttled for ever, broken or silent: it waits, `show` says so, and the next delivery publishes it."""
    refusals = {"red": "AccessDeniedException", "green": "ThrottlingException", "blue": "InternalServerError"}
    over = threading.Event()

    def outage(picture: Image.Image) -> tuple[Label, ...]:
        if code := refusals.get(colour(picture)):
            raise Refused(code)
        over.wait()
        return ()

    aws.script.labels_for = outage
    keys = {"denied.jpg": "red", "throttled.jpg": "green", "broken.jpg": "blue", "silent.jpg": "gray"}
    recipe = f"{REKOGNITION}patience_seconds = 1.0\n{CHEAP}"
    site.remember()
    for key, color in keys.items():
        site.upload(key, plain(tmp_path, key, color))
    try:
        with running(site.resources, tmp_path, recipe=recipe, aws=aws.url, MEDIA_SLOTS=4):
            first = {key: site.final(key) for key in keys}
            shown = _shown(site, tmp_path, "silent.jpg")
            hidden = site.ever("media/")
            messages = {key: site.outcome(key).message or "" for key in keys}
            aws.script.labels_for = None
            aws.script.labels = {}
            for key in keys:
                site.notify(key)
            second = {key: site.final(key, after=found.revision) for key, found in first.items()}
    finally:
        over.set()

    assert dict.fromkeys(keys, AWAY) == {key: one.reason and one.reason.code for key, one in first.items()}
    assert _manifests(keys) == hidden
    assert all(messages[key].startswith("rekognition: ") for key in keys), messages
    assert AWAY in json.dumps(shown)
    assert dict.fromkeys(keys, "ready") == {key: one.status for key, one in second.items()}
