"""Moderation through the real service: what nobody has allowed is in no listing of the bucket, whatever goes wrong."""

import io
import json
import os
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from random import Random
from typing import Any
from urllib.request import urlopen

import pytest
from PIL import Image

from scripts.resources import Client, Resources
from service.core.outcome import Reason
from service.core.places import is_held, released
from tests.acceptance.samples import plain
from tests.acceptance.service import Service, environment, running
from tests.acceptance.site import Site
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


def _command(site: Site, folder: Path, *arguments: object) -> tuple[int, str]:
    """The exit code and the output of `media-worker` with these arguments."""
    argv = [sys.executable, "-m", "service", *map(str, arguments)]
    settings = environment(site.resources, folder)
    said = subprocess.run(argv, env=settings, capture_output=True, text=True, check=False)
    assert not said.stderr, said.stderr
    return said.returncode, said.stdout


def _waiting(site: Site, folder: Path) -> dict[str, dict[str, Any]]:
    """What `media-worker review list` shows, by key."""
    code, said = _command(site, folder, "review", "list", "--json")
    assert code == 0
    return {one["key"]: one for one in json.loads(said)["waiting"]}


def _worker(provider: str, site: Site, folder: Path, aws: StrictAws) -> AbstractContextManager[Service]:
    """A worker whose judge flags what is red, and blocks what is blue."""
    if provider == "rekognition":
        return running(site.resources, folder, recipe=REKOGNITION, aws=aws.url)
    return running(site.resources, folder, recipe=SILENT, program="tests.acceptance.doubled_worker")


def _fetched(link: str) -> Image.Image:
    """The picture behind an address."""
    with urlopen(link) as answer:
        return Image.open(io.BytesIO(answer.read()))


def _of(keys: Iterable[str], objects: Iterable[str], area: str = "media") -> set[str]:
    """Those of the objects that belong to these sources."""
    return {one for one in objects if one.startswith(tuple(f"{area}/{key}/" for key in keys))}


def _manifests(keys: Iterable[str]) -> set[str]:
    return {f"media/{key}/manifest.json" for key in keys}


def _state(manifest: dict[str, Any]) -> tuple[str, str]:
    return manifest["status"], manifest["reason"]["code"]


def _public(folder: str) -> str:
    return released(folder) if is_held(folder) else folder


def _made(site: Site, keys: Sequence[str]) -> set[tuple[str, str, str]]:
    """Of every file that was made of these sources: where it is public, its ETag, and when its record was made."""
    there = site.objects()
    return {
        (_public(record.folder) + file.name, there[record.folder + file.name][0], record.made_at.isoformat())
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
        waiting = _waiting(site, tmp_path)
        pictures = [_fetched(link) for one in waiting.values() for link in one["links"]]
        approval = ["review", "approve", "held.jpg", "--revision", waiting["held.jpg"]["revision"]]
        code, said = _command(site, tmp_path, *approval)
        assert (0, "held.jpg: ready") == (code, said.partition(",")[0])
        site.order("approve", "held.mp4", revision=first["held.mp4"].revision)
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
    assert {"held.jpg", "held.mp4", "spurned.jpg"} == set(waiting)
    assert {"red"} == {colour(picture) for picture in pictures}
    assert len(pictures) >= 3
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
    uploads, pages, rate = 12, 5, 5  # a picture of several pages asks more often than it keeps this machine busy
    times: list[float] = []
    aws.script.quotas = {CALL: rate}
    aws.script.labels_for = lambda _picture: times.append(time.monotonic()) or ()  # type: ignore[func-returns-value]
    keys = [f"{at}.gif" for at in range(uploads)]
    for at, key in enumerate(keys):
        first, *others = (_noise(pages * at + page) for page in range(pages))
        first.save(tmp_path / key, save_all=True, append_images=others)
        site.upload(key, tmp_path / key)

    def worker() -> AbstractContextManager[Service]:
        recipe = REKOGNITION + CHEAP
        return running(site.resources, tmp_path, recipe=recipe, aws=aws.url, MEDIA_REKOGNITION_RATE=rate, MEDIA_SLOTS=4)

    with worker(), worker():
        found = {site.final(key).status for key in keys}

    assert {"ready"} == found
    assert uploads * pages == len(times)
    assert aws.throttles < aws.calls[CALL] / 100
    assert (len(times) - 1) / (times[-1] - times[0]) >= 0.8 * rate


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
    recipe = (
        f"{REKOGNITION}patience_seconds = 1.0\n{CHEAP}[[prefix]]\nmatch = 'silent'\nmoderation.patience_seconds = 0.0"
    )
    site.remember()
    for key, color in keys.items():
        site.upload(key, plain(tmp_path, key, color))
    try:
        with running(site.resources, tmp_path, recipe=recipe, aws=aws.url, MEDIA_SLOTS=4):
            first = {key: site.final(key) for key in keys}
            code, shown = _command(site, tmp_path, "show", "silent.jpg", "--json")
            waiting = _waiting(site, tmp_path)
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
    assert (1, "quarantined", AWAY) == (code, *_state(json.loads(shown)["manifest"]))
    assert dict.fromkeys(keys, AWAY) == {key: one["reason"] for key, one in waiting.items()}
    assert dict.fromkeys(keys, "ready") == {key: one.status for key, one in second.items()}


def test_the_models_of_this_machine_tell_nobody(tmp_path: Path) -> None:
    """Loaded, they have the one thread that forks, and nothing was written that could be sent anywhere."""
    code = "import os; from service.tools import models; print(len(os.listdir('/proc/self/task')))"
    settings = {"PATH": os.environ["PATH"], "HOME": str(tmp_path)}
    said = subprocess.run([sys.executable, "-c", code], env=settings, capture_output=True, text=True, check=True)
    assert ("1\n", []) == (said.stdout, list(tmp_path.iterdir()))
