"""What a person says of what waits: the real command line on a folder, and what it refuses."""

import asyncio
import json
import shutil
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import unquote, urlsplit

import pytest
from aiobotocore.session import get_session
from PIL import Image, ImageDraw

from service.aws import s3
from service.commands import review, waiting
from service.commands.review import Said
from service.commands.show import Shown
from service.core import places
from service.core.manifest import Manifest, Source, Status, Why
from service.core.outcome import Forged, Misconfigured, Reason
from service.core.places import Places
from service.core.record import Because, Ticket
from service.runtime.ports import Head
from service.tables import waiting as waiting_tables
from service.tools.folder import FolderStore
from tests.test_cli import Ended, run

HELD = 'images = { widths = [64] }\n[moderation.local]\nrules = [{ label = "Explicit", review = 20 }]\n'
OVAL = "an oval.jpg"
GREY = "grey.png"


@dataclass(frozen=True, kw_only=True)
class Place:
    """Where files come from, by which recipe, and where outputs go."""

    files: Path
    recipe: Path
    out: Path

    def run(self, *arguments: object, sources: bool = True) -> Ended:
        """A command with this recipe over these folders."""
        paths = [self.files, "--recipe", self.recipe] if sources else []
        return run(*arguments, *paths, "--out", self.out)

    def manifest(self, key: str) -> Manifest:
        """The page manifest of a file."""
        return Manifest.model_validate_json((self.out / "media" / key / "manifest.json").read_bytes())

    def all(self, area: str, key: str) -> list[str]:
        """Every file of a source in an area."""
        folder = self.out / area / key
        return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.fixture(name="processed", scope="module")
def _processed(tmp_path_factory: pytest.TempPathFactory) -> tuple[Place, Ended]:
    """An oval, which the model is not sure about, and plain grey; and how processing them ended."""
    root = tmp_path_factory.mktemp("review")
    place = Place(files=root / "in", recipe=root / "recipe.toml", out=root / "out")
    place.files.mkdir()
    oval = Image.new("RGB", (200, 200), (230, 180, 150))
    ImageDraw.Draw(oval).ellipse((40, 20, 160, 180), fill=(180, 110, 80))
    oval.save(place.files / OVAL)
    Image.new("RGB", (100, 100), "#808080").save(place.files / GREY)
    place.recipe.write_text(HELD)
    return place, place.run("process")


@pytest.fixture(name="place")
def _place(processed: tuple[Place, Ended], tmp_path: Path) -> Place:
    """A copy of what was made: the sources stay where, and as old as, they are."""
    shutil.copytree(processed[0].out, tmp_path / "out")
    return Place(files=processed[0].files, recipe=processed[0].recipe, out=tmp_path / "out")


def test_what_waits_is_told_plainly(processed: tuple[Place, Ended]) -> None:
    """In the table, with what was seen and how to go on; exit code 1."""
    place, ended = processed
    told = {line[:13].strip(): line for line in ended.out.splitlines()}
    assert 1 == ended.code
    assert "quarantined  moderation_review: Explicit " in told[OVAL]
    assert " ready " in told[GREY]
    assert f"media-worker review list --out {place.out}" in ended.out
    assert ["manifest.json"] == place.all("media", OVAL)


def test_the_list_has_all_that_is_needed_to_decide(place: Place) -> None:
    """Since when, why, a link to the frame, and the commands."""
    ended = place.run("review", "list", sources=False)
    told = dict(line.split(maxsplit=1) for line in ended.out.strip().splitlines()[1:])
    assert (0, f"{OVAL}, revision 1") == (ended.code, ended.out.splitlines()[0])
    assert {"since", "reason", "why", "look", "approve", "reject"} == set(told)
    assert told["reason"].startswith("moderation_review: ")
    assert told["why"].startswith("Explicit ")
    with Image.open(unquote(urlsplit(told["look"]).path)) as frame:
        assert "JPEG" == frame.format
    assert told["approve"].startswith(f"media-worker review approve '{OVAL}' --revision 1 --out ")


def test_the_list_is_for_machines_too(place: Place) -> None:
    """The same as JSON."""
    document = place.run("review", "list", "--json", sources=False).document
    (one,) = document["waiting"]
    assert (0, OVAL, "local", 1) == (document["more"], one["key"], one["bucket"], one["revision"])
    assert ("moderation_review", "Explicit") == (one["reason"], one["because"][0]["label"])
    assert one["seconds"] >= 0
    assert 1 == len(one["links"])


def test_nothing_waits(tmp_path: Path) -> None:
    """That is said."""
    assert Ended(code=0, out="Nothing waits for a review.\n", err="") == run("review", "list", "--out", tmp_path)


def test_an_approval_publishes_what_was_made(place: Place) -> None:
    """Without encoding again; `show` says who said so, and it can't be said twice."""
    (before,) = [path for path in place.all("quarantine", OVAL) if path.endswith(".webp")]
    held = (place.out / "quarantine" / OVAL / before).read_bytes()
    ended = place.run("review", "approve", OVAL, "--revision", "1", "--by", "alice")
    assert Ended(code=0, out=f"{OVAL}: ready, revision 2\n", err="") == ended
    assert held == (place.out / "media" / OVAL / before).read_bytes()
    assert [] == place.all("quarantine", OVAL)
    shown = run("show", OVAL, "--out", place.out)
    assert "allow: a reviewer said so" in shown.out
    assert "allow: review by alice, " in shown.out
    again = place.run("review", "approve", OVAL, "--revision", "1")
    told = f"media-worker: {OVAL} does not wait for a review: it is ready\n"
    assert Ended(code=1, out="", err=told) == again


def test_a_rejection_leaves_nothing(place: Place) -> None:
    """But the page manifest, which says that it may not be shown."""
    ended = place.run("review", "reject", OVAL, "--revision", "1")
    assert (0, True) == (ended.code, ended.out.startswith(f"{OVAL}: rejected (moderation_blocked: "))
    assert (["manifest.json"], []) == (place.all("media", OVAL), place.all("quarantine", OVAL))
    assert (Status.REJECTED, 2) == (place.manifest(OVAL).status, place.manifest(OVAL).revision)


@pytest.mark.parametrize(
    ("arguments", "code", "told"),
    [
        ((OVAL, "--revision", 7), 1, f"{OVAL} is at revision 1, not 7: look again"),
        ((GREY, "--revision", 1), 1, f"{GREY} does not wait for a review: it is ready"),
        (("nothing.jpg", "--revision", 1), 2, "no file has the key nothing.jpg"),
        ((OVAL,), 2, "--revision"),
        ((OVAL, "--revision", 0), 2, "--revision"),
    ],
)
def test_what_is_refused_changes_nothing(arguments: tuple[object, ...], code: int, told: str, place: Place) -> None:
    """One sentence on stderr."""
    before = (place.manifest(OVAL), place.manifest(GREY))
    ended = place.run("review", "approve", *arguments)
    assert (code, "") == (ended.code, ended.out)
    assert told in ended.err
    assert before == (place.manifest(OVAL), place.manifest(GREY))


def test_a_folder_and_its_sources_go_together(place: Place) -> None:
    """Either alone is wrong use."""
    for paths in (["--out", place.out], [place.files]):
        ended = run("review", "approve", OVAL, "--revision", "1", *paths)
        assert (2, True) == (ended.code, "go together" in ended.err)


@pytest.mark.parametrize("command", [("list",), ("approve", "a.jpg", "--revision", "1")])
def test_without_a_folder_settings_are_needed(command: tuple[str, ...]) -> None:
    """Exit code 2, and each that is missing."""
    ended = run("review", *command)
    assert (2, True) == (ended.code, "MEDIA_QUEUE_URL: is not set" in ended.err)


SOURCE = Source(etag="e", last_modified="2026-01-01T00:00:00+00:00")
VERSION = places.version("local", "a", None, "e", "2026-01-01T00:00:00+00:00")
NOW = datetime(2026, 1, 2, tzinfo=UTC)


def page(status: Status, *, revision: int = 3, reason: Reason | None = None) -> Manifest:
    """A page manifest of the version."""
    why = Why(code=reason, message="because") if reason else None
    return Manifest(status=status, reason=why, revision=revision, updated_at=NOW, source=SOURCE)


async def put(store: FolderStore, key: str, found: Manifest | None, *, version: str = VERSION, hour: int = 0) -> None:
    """A ticket, and the page manifest that it is of."""
    at = Places(name=key)
    ticket = Ticket(bucket="local", key=key, version=version, since=NOW.replace(hour=hour))
    await store.overwrite(at.ticket, ticket.to_json())
    if found:
        await store.overwrite(at.manifest, found.to_json())


def version_of(key: str) -> str:
    """The version of another key with the same ETag and time."""
    return places.version("local", key, None, "e", "2026-01-01T00:00:00+00:00")


@pytest.mark.parametrize(
    ("found", "version", "listed"),
    [
        (page(Status.QUARANTINED, reason=Reason.MODERATION_REVIEW), VERSION, 1),
        (page(Status.QUARANTINED, reason=Reason.MODERATION_UNAVAILABLE), VERSION, 1),
        (page(Status.QUARANTINED, reason=Reason.MODERATION_REVIEW), "another", 0),
        (page(Status.READY), VERSION, 0),
        (page(Status.PROCESSING), VERSION, 0),
        (None, VERSION, 0),
    ],
)
async def test_stale_tickets_are_left_out(found: Manifest | None, version: str, listed: int, tmp_path: Path) -> None:
    """The page manifest is the truth."""
    store = FolderStore(tmp_path)
    await put(store, "a", found, version=version)
    assert listed == len((await waiting.listed(store, limit=9)).waiting)


async def test_the_oldest_come_first(tmp_path: Path) -> None:
    """As many as are wanted, and how many more there are."""
    store = FolderStore(tmp_path)
    for hour, key in enumerate("cab"):
        await put(store, key, page(Status.QUARANTINED), version=version_of(key), hour=hour)
    some = await waiting.listed(store, limit=2)
    assert (["c", "a"], 1) == ([one.key for one in some.waiting], some.more)


async def test_nonsense_in_the_place_of_a_ticket_is_named(tmp_path: Path) -> None:
    """An operator has to move it away."""
    await FolderStore(tmp_path).overwrite(Places(name="a").ticket, b"{}")
    with pytest.raises(Misconfigured, match=r"quarantine/a/~/waiting\.json"):
        await waiting.listed(FolderStore(tmp_path), limit=1)


def said(verb: review.Verb = "approve", *, revision: int = 3, by: str = "alice") -> Said:
    """What a reviewer says of a."""
    return Said(verb=verb, key="a", bucket="local", revision=revision, by=by)


def shown(found: Manifest | None, *, etag: str | None = "e") -> Shown:
    """The key, whose object has this ETag now."""
    modified = str(SOURCE.last_modified)
    head = Head(bucket="local", key="a", etag=etag, version_id=None, last_modified=modified, size=1) if etag else None
    return Shown(
        key="a", bucket="local", manifest_key="m", looked=True, head=head, manifest=found, outcome=None, decision=None
    )


BLOCKED = page(Status.REJECTED, reason=Reason.MODERATION_BLOCKED)


@pytest.mark.parametrize(
    ("verb", "found", "etag", "why"),
    [
        ("approve", page(Status.QUARANTINED), "e", None),
        ("reject", page(Status.QUARANTINED), "e", None),
        ("reject", page(Status.READY), "e", None),
        ("approve", BLOCKED, "e", None),
        ("reject", BLOCKED, "e", "does not wait for a review: it is rejected (moderation_blocked)"),
        ("approve", page(Status.REJECTED, reason=Reason.DAMAGED), "e", "does not wait for a review"),
        ("approve", page(Status.READY), "e", "does not wait for a review: it is ready"),
        ("approve", page(Status.QUARANTINED, revision=4), "e", "is at revision 4, not 3"),
        ("approve", page(Status.QUARANTINED), "f", "is another version by now"),
        ("approve", page(Status.QUARANTINED), None, "is gone"),
        ("approve", None, "e", "nothing is known of a"),
    ],
)
def test_refusals(verb: review.Verb, found: Manifest | None, etag: str | None, why: str | None) -> None:
    """As a worker would, but told to whom it concerns."""
    told = review.refusal(said(verb), shown(found, etag=etag))
    assert told is None if why is None else why in str(told)


def test_a_long_name_fits_into_a_message() -> None:
    """No worker takes a longer cause."""
    assert 200 == len(said(by="a" * 300).job.cause)


async def test_the_state_that_follows_is_waited_for(tmp_path: Path) -> None:
    """A final one, further than the revision that was seen."""
    store, at = FolderStore(tmp_path), Places(name="a")
    await store.overwrite(at.manifest, page(Status.QUARANTINED).to_json())
    assert await review.followed(store, at, 3, seconds=0.01) is None
    await store.overwrite(at.manifest, page(Status.PROCESSING, revision=4).to_json())
    assert await review.followed(store, at, 3, seconds=0.01) is None
    waits = asyncio.create_task(review.followed(store, at, 3, seconds=30))
    await asyncio.sleep(0)
    await store.overwrite(at.manifest, page(Status.READY, revision=5).to_json())
    assert page(Status.READY, revision=5) == await waits
    assert await review.followed(store, at, 3, seconds=0) is None


async def test_what_no_worker_would_take_is_not_sent(monkeypatch: pytest.MonkeyPatch) -> None:
    """A bucket that is no input."""
    for name, value in {"QUEUE_URL": "q", "INPUT_BUCKETS": "in", "OUTPUT_BUCKET": "o", "PUBLIC_URL": "/"}.items():
        monkeypatch.setenv(f"MEDIA_{name}", value)
    with pytest.raises(Forged, match="not among the configured inputs"):
        await review.in_s3(said(), review.Settings(), wait=0)  # type: ignore[call-arg]  # it reads the environment


async def test_links_are_good_for_browsers() -> None:
    """Signed, for so long, and without a header that a browser would have to send."""
    keys = {"aws_access_key_id": "k", "aws_secret_access_key": "s", "region_name": "eu-central-1"}
    async with get_session().create_client("s3", config=waiting._SIGNING, **keys) as client:
        address = await s3.Store(client, bucket="b", owner="1" * 12).link("quarantine/a b/~1/frame-0.jpg", 60)
    assert "/quarantine/a%20b/~1/frame-0.jpg?" in address
    assert "X-Amz-Algorithm=AWS4-HMAC-SHA256" in address
    assert "X-Amz-Expires=60" in address
    assert "owner" not in address.lower()


def test_documents_of_what_waits_are_json() -> None:
    """Times as ISO 8601, and how long ago in seconds."""
    one = waiting.Waiting(
        key="a",
        bucket="b",
        revision=1,
        since=NOW,
        reason="moderation_review",
        detail=None,
        because=(Because(label="Explicit", confidence=70, at=4, rule="Explicit"),),
        media={"seconds": 9.0},
        links=(),
    )
    document = json.loads(json.dumps(waiting_tables.waiting_document(one, now=NOW.replace(minute=1))))
    assert ("2026-01-02T00:00:00+00:00", 60) == (document["since"], document["seconds"])
    lines = [
        str(line)
        for line in waiting_tables.waiting_lines(
            waiting.Listed(waiting=(one,), more=2), now=NOW, options=lambda _: ["--bucket", "b"]
        )
    ]
    assert "  why      Explicit 70 % at 4 s" in lines
    assert "  reject   media-worker review reject a --revision 1 --bucket b" in lines
    assert "2 more: --limit 3" == lines[-1]
