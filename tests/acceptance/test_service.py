"""The whole service through real S3 and SQS semantics: what a site owner was promised."""

import json
import random
import signal
import time
import urllib.request
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import pytest

from scripts.resources import Client, Resources
from service.core.outcome import Reason
from tests.acceptance.samples import NAMES, sample
from tests.acceptance.service import running, wait_for
from tests.acceptance.site import Site, event


@pytest.fixture(name="site")
def _site(resources: Resources, client_of: Callable[[str], Client]) -> Site:
    return Site(resources=resources, s3=client_of("s3"), sqs=client_of("sqs"))


@pytest.fixture(name="files", scope="session")
def _files(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("samples")


@pytest.mark.timeout(240)
def test_every_kind_of_file_ends_in_one_manifest(site: Site, files: Path, tmp_path: Path) -> None:
    """Each upload is published once, and once more when it was heard what is said in it; nothing else is there.

    A second delivery changes nothing.
    """
    keys = [f"uploads/{at} {name.upper()}" for at, name in enumerate(NAMES)]
    for key, name in zip(keys, NAMES, strict=True):
        site.upload(key, sample(files, name))

    with running(site.resources, tmp_path):
        found = {key: site.heard(key, seconds=120) for key in keys}
        site.empty()
        told = site.outcomes()
        expected = {key: site.times_told(key) for key in keys}
        before = site.objects()
        for key in keys:
            site.notify(key)
        site.empty()
        after = site.objects()

    assert dict.fromkeys(keys, "ready") == {key: manifest.status for key, manifest in found.items()}
    assert expected == Counter(message["name"] for message in told)
    assert {1, 2} == set(expected.values())
    assert dict.fromkeys(keys, "none") == {key: m.serving.captions for key, m in found.items() if m.serving}
    assert site.expected_objects(keys) == set(before)
    assert before == after
    assert [] == site.outcomes()


@pytest.mark.timeout(240)
def test_kill_9_in_the_middle_ends_in_the_same(site: Site, files: Path, tmp_path: Path) -> None:
    """A worker that is killed again and again loses nothing, leaves nothing, and repeats no step that has a record."""
    keys = [f"{name}" for name in NAMES]
    for key in keys:
        site.upload(key, sample(files, key))

    made: list[dict[str, object]] = []
    for delay in (3.0, 2.0, 4.0):
        with running(site.resources, tmp_path, MEDIA_VISIBILITY_SECONDS=15) as service:
            time.sleep(delay)  # the moment of death is arbitrary: that is the point
            service.kill()
            made += service.lines("committed")
    with running(site.resources, tmp_path, MEDIA_VISIBILITY_SECONDS=15) as service:
        found = {key: site.heard(key, seconds=120) for key in keys}
        site.empty()
        made += service.lines("committed")

    assert dict.fromkeys(keys, "ready") == {key: manifest.status for key, manifest in found.items()}
    assert site.expected_objects(keys) == set(site.objects())
    records = [str(line["record"]) for line in made]
    assert sorted(set(records)) == sorted(records)
    assert set(keys) == {message["name"] for message in site.outcomes()}
    assert [] == list((tmp_path / "scratch").glob("worker-*/job-*"))


@pytest.mark.timeout(120)
def test_a_damaged_replacement_leaves_the_former_picture(site: Site, files: Path, tmp_path: Path) -> None:
    """The page goes on showing what it showed; the status tells of the newest version."""
    picture = sample(files, "picture.jpg").read_bytes()
    site.upload("avatar.jpg", picture)

    with running(site.resources, tmp_path):
        first = site.final("avatar.jpg")
        site.upload("avatar.jpg", picture[: len(picture) // 2])
        second = site.final("avatar.jpg", after=first.revision)

    assert second.reason
    assert ("rejected", Reason.DAMAGED) == (second.status, second.reason.code)
    assert first.serving == second.serving
    assert first.serving
    assert set() == {product.url for product in first.serving.products} - {
        f"http://media.example/{key}" for key in site.objects()
    }


@pytest.mark.timeout(120)
def test_a_delete_removes_every_object_of_that_key_and_none_of_another(site: Site, files: Path, tmp_path: Path) -> None:
    """`a` and `a/b.jpg` are both keys; after a delete only the tombstone of the one is left."""
    for key in ("a", "a/b.jpg", "ab"):
        site.upload(key, sample(files, "picture.png"))

    with running(site.resources, tmp_path):
        first = site.final("a")
        site.final("a/b.jpg")
        site.final("ab")
        kept = site.expected_objects(["a/b.jpg", "ab"])
        site.delete("a")
        gone = site.final("a", after=first.revision)
        site.empty()

    assert ("deleted", None) == (gone.status, gone.serving)
    assert kept | {"media/a/manifest.json"} == set(site.objects())


@pytest.mark.timeout(120)
def test_names_are_only_names(site: Site, files: Path, tmp_path: Path) -> None:
    """Whatever a key looks like, the file is judged by its content, and a key reaches no path."""
    keys = [
        "IMG 1234.JPG",
        "a+b%d.mp4",
        "c#1?x=y&z.png",
        "../../etc/passwd",
        "-i",
        "üñï/日本語 🎬.jpeg",
        "line\nbreak.jpg",
        "manifest.json",
        "~tilde/x.jpg",
        "x" * 1024,
        "%2F..%2F",
        "a//b.jpg",
    ]
    for key in keys:
        site.upload(key, sample(files, "picture.png"))

    with running(site.resources, tmp_path):
        found = {key: site.final(key, seconds=60).status for key in keys}
        site.empty()

    assert dict.fromkeys(keys, "ready") == found
    assert site.expected_objects(keys) == set(site.objects())


@pytest.mark.timeout(120)
def test_bad_files_are_rejected_with_their_reason(site: Site, files: Path, tmp_path: Path) -> None:
    """Each ends in a manifest with a reason code; the messages are settled and the worker stays well."""
    clip = sample(files, "clip.mp4").read_bytes()
    bad: dict[str, tuple[bytes, Reason]] = {
        "empty.jpg": (b"", Reason.EMPTY),
        "text.mp4": (b"Dear diary, today nothing happened. " * 99, Reason.UNSUPPORTED_TYPE),
        "archive.png": (b"PK\x03\x04" + bytes(2000), Reason.UNSUPPORTED_TYPE),
        "drawing.jpg": (
            b'<svg xmlns="http://www.w3.org/2000/svg"><image href="/etc/passwd"/></svg>',
            Reason.UNSUPPORTED_TYPE,
        ),
        "playlist.mp4": (b"#EXTM3U\n#EXTINF:9,\nfile:///etc/passwd\n", Reason.UNSUPPORTED_TYPE),
        "concat.mp4": (b"ffconcat version 1.0\nfile /etc/passwd\n", Reason.UNSUPPORTED_TYPE),
        "truncated.mp4": (clip[: len(clip) // 2], Reason.DAMAGED),
        "truncated.png": (sample(files, "picture.png").read_bytes()[:300], Reason.DAMAGED),
    }
    for key, (body, _) in bad.items():
        site.upload(key, body)
    site.upload("good.jpg", sample(files, "picture.jpg"))

    with running(site.resources, tmp_path):
        found = {key: site.final(key) for key in bad}
        good = site.final("good.jpg")
        site.empty()

    assert {key: reason for key, (_, reason) in bad.items()} == {
        key: manifest.reason.code for key, manifest in found.items() if manifest.reason
    }
    assert {"rejected"} == {manifest.status for manifest in found.values()}
    assert good.status == "ready"
    assert [] == site.dead_letters()


@pytest.mark.timeout(60)
def test_messages_that_are_not_ours_go_to_the_dead_letters(site: Site, tmp_path: Path) -> None:
    """A forged bucket, nonsense and a test event: no call, a reason each, and nothing in the bucket."""
    forged = json.dumps(event("somebody-elses-bucket", "secret.jpg"))
    bodies = [forged, "not json", '{"a": 1}', '{"Event": "s3:TestEvent"}']
    for body in bodies:
        site.sqs.send_message(QueueUrl=site.resources.intake.url, MessageBody=body)

    with running(site.resources, tmp_path) as service:
        site.empty()
        with urllib.request.urlopen(f"http://127.0.0.1:{service.port}/metrics") as answer:
            metrics = answer.read().decode()

    assert [("forged", bodies[0]), ("poison", bodies[1]), ("poison", bodies[2])] == sorted(
        site.dead_letters(), key=lambda letter: bodies.index(letter[1])
    )
    assert {} == site.objects()
    assert "media_forged_messages_total 1.0" in metrics


@pytest.mark.timeout(60)
def test_multipart_uploads_are_uploads(site: Site, files: Path, tmp_path: Path) -> None:
    """CompleteMultipartUpload notifies like a plain put does."""
    where = {"Bucket": site.resources.uploads, "Key": "big.wav"}
    upload = site.s3.create_multipart_upload(**where)["UploadId"]
    body = sample(files, "sound.wav").read_bytes()
    part = site.s3.upload_part(**where, UploadId=upload, PartNumber=1, Body=body)
    parts = {"Parts": [{"PartNumber": 1, "ETag": part["ETag"]}]}
    site.s3.complete_multipart_upload(**where, UploadId=upload, MultipartUpload=parts)

    with running(site.resources, tmp_path):
        assert site.final("big.wav").status == "ready"


@pytest.mark.timeout(90)
def test_sigterm_releases_what_is_not_done(site: Site, files: Path, tmp_path: Path) -> None:
    """The worker leaves within its drain time; the next one finishes the job, and nobody counted a failure."""
    site.upload("clip.mkv", sample(files, "clip.mkv"))

    with running(site.resources, tmp_path, MEDIA_DRAIN_SECONDS=0) as service:
        wait_for(lambda: service.lines("planned") or None, seconds=20, what="the job to begin")
        service.process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        assert service.process.wait(20) == 0
        assert time.monotonic() - began < 10
    with running(site.resources, tmp_path):
        manifest = site.final("clip.mkv")

    assert manifest.status == "ready"


@pytest.mark.timeout(60)
def test_health_says_how_the_worker_is(site: Site, tmp_path: Path) -> None:
    """Alive and ready once the queue has answered."""
    with running(site.resources, tmp_path) as service:

        def ready() -> int | None:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{service.port}/readyz") as answer:
                    return int(answer.status)
            except urllib.error.HTTPError:
                return None

        assert wait_for(ready, seconds=10, what="readiness") == 200

        def idle() -> bool | None:  # S3 greets a new subscriber with a test event, which takes a slot for a moment
            with urllib.request.urlopen(f"http://127.0.0.1:{service.port}/healthz") as answer:
                return json.load(answer) == {"alive": True, "busy": 0, "slots": 2} or None

        assert wait_for(idle, seconds=10, what="an idle worker")


CORPUS = Path(__file__).resolve().parents[3] / "shared" / "corpus"


@pytest.mark.skipif(not CORPUS.is_dir(), reason="the corpus of real media files is not here")
@pytest.mark.timeout(400)
def test_fifty_real_files(site: Site, tmp_path: Path) -> None:
    """Fifty mixed files of cameras, editors and test suites: fifty manifests, and nothing else in the bucket."""
    files = sorted(path for path in CORPUS.rglob("*") if path.is_file() and path.stat().st_size < 1_500_000)
    chosen = random.Random(7).sample(files, 50)
    keys = [str(path.relative_to(CORPUS)) for path in chosen]
    for key, path in zip(keys, chosen, strict=True):
        site.upload(key, path)

    with running(site.resources, tmp_path):
        found = {key: site.heard(key, seconds=300) for key in keys}
        site.empty()

    assert {"ready", "rejected"} == {manifest.status for manifest in found.values()}
    expected = {key: site.times_told(key) for key in keys}
    assert expected == Counter(message["name"] for message in site.outcomes())
    assert site.expected_objects(keys) == set(site.objects())
    assert [] == site.dead_letters()
