"""The checker of scripts/chaos sees what it should: each promise is broken once, in a bucket that is right else."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from hashlib import sha256
from typing import Any

import pytest

from scripts.chaos_run import every_fault
from scripts.chaos_run.check import Findings, Thing, Version, check
from service.core.manifest import Manifest, Serving, Source, Status, idempotency_key
from service.core.places import Places, url
from service.core.record import Entry, File, Outcome, Product, Record, Role, Spent, StepRecord

NOW = datetime(2026, 1, 1, tzinfo=UTC)
AT = Places(name="a.jpg")
FILE = AT.folder("d" * 40, "m.1", area="media") + "64.webp"
CONTENT = b"a picture"
FIRST = Version(etag="e1", version_id=None, status="ready")
NEXT = Version(etag="e2", version_id=None, status="ready")


@dataclass(kw_only=True)
class Scene:
    """One key, published as it should be."""

    history: list[Version | None] = field(default_factory=lambda: [FIRST])
    bucket: dict[str, Thing] = field(default_factory=dict)
    told: list[dict[str, Any]] = field(default_factory=list)

    def publish(self, etag: str = "e1", revision: int = 1, status: Status = Status.READY) -> None:
        """Write a manifest of this version, and tell it."""
        address = url("http://m", FILE)
        product = Product(role=Role.IMAGE, url=address, content_type="image/webp", bytes=len(CONTENT))
        serving = Serving(kind="image", products=(product,), html="")
        manifest = Manifest(status=status, revision=revision, updated_at=NOW, source=Source(etag=etag), serving=serving)
        self.bucket[AT.manifest] = document(manifest.to_json())
        self.told.append(message(manifest))

    def check(self) -> Findings:
        """What the checker says."""
        return check({"a.jpg": self.history}, self.bucket, self.told, uploads="uploads")


def document(body: bytes) -> Thing:
    """An object that holds JSON."""
    return Thing(sha256=sha256(body).hexdigest(), size=len(body), body=body)


def message(manifest: Manifest) -> dict[str, Any]:
    """An outcome message."""
    key = idempotency_key(AT.name, manifest)
    return {"name": AT.name, "idempotency_key": key, "manifest": manifest.model_dump(mode="json")}


@pytest.fixture(name="scene")
def _scene() -> Scene:
    scene = Scene()
    hash_ = sha256(CONTENT).hexdigest()
    file = File(
        name="64.webp", content_type="image/webp", bytes=len(CONTENT), sha256=hash_, product=Entry(role=Role.IMAGE)
    )
    record = Record(
        version="v1",
        digest="d" * 40,
        folder=FILE.removesuffix("64.webp"),
        made_at=NOW,
        made_by={},
        spent=Spent(wall_seconds=0, cpu_seconds=0, peak_memory_bytes=0),
        steps=(StepRecord(digest="s", kind="Variant", files=(file,)),),
    )
    outcome = Outcome(
        version="v1",
        bucket="uploads",
        key="a.jpg",
        etag="e1",
        version_id=None,
        size=1,
        status="ready",
        cause="test",
        started_at=NOW,
        ended_at=NOW,
        worker="w",
        recipe="r",
    )
    scene.bucket[FILE] = Thing(sha256=hash_, size=len(CONTENT))
    scene.bucket[AT.record("v1", "d" * 40)] = document(record.to_json())
    scene.bucket[AT.outcome("v1")] = document(outcome.to_json())
    scene.publish()
    return scene


def test_what_is_right_is_right(scene: Scene) -> None:
    """A published picture, told twice in the same words, gives nothing to say."""
    scene.told *= 2
    assert [] == scene.check().all


def _not_told(scene: Scene) -> None:
    scene.told.clear()


def _no_manifest(scene: Scene) -> None:
    del scene.bucket[AT.manifest]


def _of_a_former_version(scene: Scene) -> None:
    scene.history.append(NEXT)


def _not_withdrawn(scene: Scene) -> None:
    scene.history.append(None)


def _under_way(scene: Scene) -> None:
    scene.publish(status=Status.PROCESSING, revision=2)


def _twice(scene: Scene) -> None:
    scene.publish(revision=2)


def _in_two_ways(scene: Scene) -> None:
    scene.told.append({**scene.told[0], "manifest": {**scene.told[0]["manifest"], "serving": None}})


def _out_of_order(scene: Scene) -> None:
    scene.history.insert(0, NEXT)
    scene.publish(etag="e2", revision=2)


def _gone(scene: Scene) -> None:
    del scene.bucket[FILE]


def _other_bytes(scene: Scene) -> None:
    scene.bucket[FILE] = Thing(sha256="0" * 64, size=len(CONTENT))


def _no_record(scene: Scene) -> None:
    del scene.bucket[AT.record("v1", "d" * 40)]


def _left_over(scene: Scene) -> None:
    scene.bucket["work/a.jpg/~x/y.mp4"] = Thing(sha256="0" * 64, size=1)


def _old_alias(scene: Scene) -> None:
    scene.bucket[AT.alias("gone.webp")] = Thing(sha256="0" * 64, size=1)


@pytest.mark.parametrize(
    ("spoil", "kind"),
    [
        (_not_told, "lost"),
        (_no_manifest, "lost"),
        (_of_a_former_version, "lost"),
        (_not_withdrawn, "lost"),
        (_under_way, "lost"),
        (_twice, "double"),
        (_in_two_ways, "double"),
        (_out_of_order, "double"),
        (_gone, "partial"),
        (_other_bytes, "partial"),
        (_no_record, "partial"),
        (_left_over, "stray"),
        (_old_alias, "stray"),
    ],
)
def test_what_is_wrong_is_seen(spoil: Callable[[Scene], None], kind: str, scene: Scene) -> None:
    """Each broken promise is found, and called what it is."""
    spoil(scene)
    assert getattr(scene.check(), kind)


def test_calls_of_different_jobs_are_comparable() -> None:
    """Keys, versions and folders are taken out of what a call names; messages are found by the key in them."""
    path = f"/chaos-0123abcd-published/media/uploads/f00007f/~{'0' * 16}-{'1' * 10}.3/64.webp?x-id=PutObject"
    assert every_fault.sign("PUT", path) == "PUT published/media/uploads/KEY/~FOLDER/64.webp"
    assert every_fault.token("uploads%2Ff00007f") == "f00007f"
    assert every_fault.token("uploads/else") is None
