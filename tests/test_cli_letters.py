"""`redrive`: what lies among the dead letters, by reason, and the way back from there."""

import asyncio
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any
from uuid import uuid4

import pytest

from scripts.resources import Client, Resources
from service.aws import sqs
from service.aws.sqs import Letter
from service.commands import redrive
from service.commands.redrive import Box, Group
from service.core import job as jobs
from service.core import places
from service.core.job import Job
from service.core.record import Failure, Outcome
from service.tables import letters as tables
from tests.acceptance.samples import sample
from tests.acceptance.service import running
from tests.acceptance.site import Site
from tests.test_cli import ROOT, Ended, run

NOW = datetime(2026, 1, 2, tzinfo=UTC)
URL = "http://sqs/intake"


@dataclass(kw_only=True)
class FakeLetters:
    """A dead-letter queue as SQS is one: in no order, with repeats, and what is received is hidden for a while."""

    there: dict[str, Letter]
    told: int | None = None  #: what it says there are, if that is not so
    repeats: bool = False
    held: set[str] = field(default_factory=set)
    released: int = 0
    random: Random = field(default_factory=lambda: Random(1))

    async def count(self) -> int:
        """About how many."""
        return len(self.there) if self.told is None else self.told

    async def receive(self, *, visibility: int) -> list[Letter]:
        """Ten at most, any of those that are not hidden."""
        free = [letter for name, letter in self.there.items() if name not in self.held]
        some = self.random.sample(free, min(10, len(free)))
        self.held |= {letter.id for letter in some}
        if self.repeats and self.held:
            some.append(self.there[self.random.choice(sorted(self.held))])
        return some[:10]

    async def release(self, receipts: Sequence[str]) -> None:
        """Not hidden any more."""
        self.released += len(receipts)
        self.held -= {receipt.removeprefix("receipt ") for receipt in receipts}

    async def delete(self, letters: Sequence[Letter]) -> list[Letter]:
        """Gone."""
        for letter in letters:
            del self.there[letter.id]
            self.held.discard(letter.id)
        return list(letters)


def letter(name: str, *, reason: str | None = "internal", hours: int = 1, origin: str | None = None) -> Letter:
    """A dead letter about a key of its own."""
    body = jobs.envelope(Job(bucket="uploads", key=f"{name}.jpg", type="reprocess", cause="redrive"))
    sent = NOW - timedelta(hours=hours)
    detail = f"detail of {name}"
    return Letter(
        id=name, receipt=f"receipt {name}", body=body, reason=reason, detail=detail, sent_at=sent, origin=origin
    )


def box(*letters: Letter, **values: Any) -> Box:
    """The dead letters of the intake."""
    return Box(letters=FakeLetters(there={one.id: one for one in letters}, **values), queues={"intake": URL})


@dataclass(kw_only=True)
class Sent:
    """What went back; the ids in `refused` do not."""

    letters: list[tuple[str, str]] = field(default_factory=list)
    refused: set[str] = field(default_factory=set)

    async def __call__(self, url: str, letters: Sequence[Letter]) -> list[Letter]:
        """SQS confirms what it takes."""
        taken = [one for one in letters if one.id not in self.refused]
        self.letters += [(url, one.body) for one in taken]
        return taken


@pytest.mark.parametrize("repeats", [False, True])
async def test_each_letter_is_counted_once(*, repeats: bool) -> None:
    """However often, and in whatever order, they come; by reason, with the oldest's age; none stays hidden."""
    letters = [letter(f"i{n}", hours=n) for n in range(1, 301)]
    letters += [letter(f"p{n}", reason="poison") for n in range(40)] + [letter("d", reason=None)]
    found = box(*letters, repeats=repeats)
    seen = await redrive.look(found)
    assert {"internal": 300, "poison": 40, "died": 1} == {one.reason: len(one.ids) for one in seen.groups}
    assert NOW - timedelta(hours=300) == min(one.oldest for one in seen.groups)
    assert (0, set()) == (seen.unseen, found.letters.held)  # type: ignore[attr-defined]  # it is the fake


@pytest.mark.parametrize(("told", "unseen"), [(0, 0), (2, 0), (30, 27), (1000, 997)])
async def test_a_count_that_is_wrong(told: int, unseen: int) -> None:
    """Is no reason to see less, and what is missing is told."""
    seen = await redrive.look(box(letter("a"), letter("b"), letter("c"), told=told))
    assert (3, unseen) == (sum(len(one.ids) for one in seen.groups), seen.unseen)


async def test_a_look_that_is_interrupted_releases() -> None:
    """Ctrl-C while letters are on their way: nobody waits for these or for others."""
    found = box(*(letter(f"i{n}") for n in range(50)))
    fake = found.letters
    assert isinstance(fake, FakeLetters)
    receive, third, goes_on = fake.receive, asyncio.Event(), asyncio.Event()
    calls: list[int] = []

    async def slow(*, visibility: int) -> list[Letter]:
        calls.append(visibility)
        if len(calls) == 3:
            third.set()
            await goes_on.wait()
        return await receive(visibility=visibility)

    fake.receive = slow  # type: ignore[method-assign]  # a queue that takes its time
    looking = asyncio.create_task(redrive.look(found))
    await third.wait()
    looking.cancel()
    await asyncio.sleep(0)
    goes_on.set()
    with pytest.raises(asyncio.CancelledError):
        await looking
    assert (set(), True) == (fake.held, fake.released >= 30)


def groups(*reasons: str) -> list[Group]:
    """Letters of these reasons."""
    return [Group(queue="intake", reason=one, oldest=NOW, detail="", about="") for one in reasons]


@pytest.mark.parametrize(
    ("reasons", "expected"),
    [
        ((), ["internal", "died", "of_next_year"]),
        (("poison",), ["poison"]),
        (("forged", "internal"), ["internal", "forged"]),
        (("unheard_of",), []),
    ],
)
def test_which_are_chosen(reasons: Sequence[str], expected: list[str]) -> None:
    """Not what no worker will ever take, unless it is named."""
    found = groups("internal", "poison", "forged", "died", "of_next_year")
    assert expected == [one.reason for one in redrive.chosen(found, reasons=reasons)]


async def test_what_was_seen_goes_back_and_nothing_else() -> None:
    """A letter that came since stays, and so do those of other reasons; bodies are as they were."""
    mine, other = [letter(f"i{n}") for n in range(25)], letter("p", reason="poison")
    found, sent = box(*mine, other), Sent()
    seen = await redrive.look(found)
    found.letters.there["late"] = letter("late")  # type: ignore[attr-defined]  # it is the fake
    chosen = redrive.chosen(seen.groups, reasons=())
    settled = await redrive.settle(found, chosen, redrive.send_back(found, sent))
    assert (25, 0) == (settled.done, settled.left)
    assert sorted((URL, one.body) for one in mine) == sorted(sent.letters)
    assert ({"p", "late"}, set()) == (set(found.letters.there), found.letters.held)  # type: ignore[attr-defined]


async def test_a_few_among_many() -> None:
    """They are found, however many others come before them, and however often."""
    others = [letter(f"p{n}", reason="poison") for n in range(500)]
    found, sent = box(*others, letter("one"), repeats=True), Sent()
    chosen = redrive.chosen((await redrive.look(found)).groups, reasons=())
    settled = await redrive.settle(found, chosen, redrive.send_back(found, sent))
    assert (1, 0, set()) == (settled.done, settled.left, found.letters.held)  # type: ignore[attr-defined]


async def test_a_limit() -> None:
    """So many at most; the others stay."""
    found, sent = box(*(letter(f"i{n}") for n in range(25))), Sent()
    seen = await redrive.look(found)
    settled = await redrive.settle(found, seen.groups, redrive.send_back(found, sent), limit=3)
    assert (3, 0, 3) == (settled.done, settled.left, len(sent.letters))
    assert 22 == len(found.letters.there)  # type: ignore[attr-defined]  # it is the fake


async def test_what_is_not_confirmed_stays() -> None:
    """SQS refused it: it is a dead letter still, and counted."""
    found, sent = box(letter("a"), letter("b")), Sent(refused={"b"})
    seen = await redrive.look(found)
    settled = await redrive.settle(found, seen.groups, redrive.send_back(found, sent))
    assert (1, 1) == (settled.done, settled.left)
    assert {"b"} == set(found.letters.there)  # type: ignore[attr-defined]  # it is the fake


async def test_queues_that_share_their_dead_letters() -> None:
    """A letter goes to where SQS took it from; one that does not say, to the first, where everything is sorted out."""
    letters = [letter("a", origin="arn:aws:sqs:eu-central-1:1:heavy"), letter("b"), letter("c", origin="arn:x:gone")]
    shared = Box(
        letters=FakeLetters(there={one.id: one for one in letters}),
        queues={"intake": "http://sqs/intake", "heavy": "http://sqs/heavy"},
    )
    sent = Sent()
    seen = await redrive.look(shared)
    await redrive.settle(shared, seen.groups, redrive.send_back(shared, sent))
    keys = sorted((url.rpartition("/")[2], redrive.about(body)) for url, body in sent.letters)
    assert [("heavy", "a.jpg"), ("intake", "b.jpg"), ("intake", "c.jpg")] == keys


@pytest.mark.parametrize(
    ("body", "expected"),
    [
        (letter("a").body, "a.jpg"),
        ("no JSON" * 100, ("no JSON" * 100)[:100]),
        (json.dumps({"Event": "s3:TestEvent"}), '{"Event": "s3:TestEvent"}'),
        (
            json.dumps(
                {
                    "source": "aws.transcribe",
                    "detail-type": "Transcribe Job State Change",
                    "detail": {"TranscriptionJobName": f"media-worker-{'a' * 40}-1"},
                }
            ),
            f"speech {'a' * 40}",
        ),
    ],
)
def test_what_a_letter_is_about(body: str, expected: str) -> None:
    """Its key, or else how it begins."""
    assert expected == redrive.about(body)


def test_large_letters_are_sent_apart() -> None:
    """SQS takes so many bytes at once."""
    big = [replace(letter(str(n)), body="ü" * 60_000) for n in range(5)]
    assert [2, 2, 1] == [len(part) for part in sqs._fitting(big)]
    assert [1, 1] == [len(part) for part in sqs._fitting([replace(one, body="x" * 400_000) for one in big[:2]])]
    assert [] == list(sqs._fitting([]))


def test_details_are_told_on_one_line() -> None:
    """And what would be obeyed by a terminal is not printed."""
    (group,) = groups("internal")
    group.detail, group.about = "a\nb\x1b[31m" + "c" * 300, "k" * 100
    key, detail = tables._said(group)
    assert (44, 160) == (len(key), len(detail))
    assert detail.startswith("a?b?[31mccc")


# ---- the real command line on LocalStack ----


@pytest.fixture(name="site")
def _site(resources: Resources, client_of: Callable[[str], Client]) -> Site:
    return Site(resources=resources, s3=client_of("s3"), sqs=client_of("sqs"))


def command(site: Site, *arguments: object, **settings: str) -> Ended:
    """`media-worker redrive` with these resources."""
    return run("redrive", *arguments, **site.resources.environment("/"), **settings)


def bury(site: Site, body: str, reason: str | None = "internal", detail: str = "it broke") -> None:
    """A worker gives up a message; without a reason, SQS does."""
    told = {} if reason is None else {"reason": reason, "detail": detail}
    attributes = {name: {"DataType": "String", "StringValue": value} for name, value in told.items()}
    site.sqs.send_message(QueueUrl=site.resources.dead_letters.url, MessageBody=body, MessageAttributes=attributes)


def waiting(site: Site, url: str) -> int:
    """How many messages can be received now."""
    names = ["ApproximateNumberOfMessages"]
    found = site.sqs.get_queue_attributes(QueueUrl=url, AttributeNames=names)["Attributes"]
    return int(found[names[0]])


def greeted(site: Site) -> None:
    """Take away what S3 says when a bucket is made."""
    site._drained(site.resources.intake.url)


def test_no_letters(site: Site) -> None:
    """That is said, and which queue has nowhere to bury any."""
    ended = command(site, MEDIA_HEAVY_QUEUE_URL=site.resources.heavy.url)
    assert (0, ["There are no dead letters.", "heavy: has no dead-letter queue"]) == (
        ended.code,
        ended.out.splitlines(),
    )


def test_letters_by_reason_first(site: Site) -> None:
    """A table; without an answer nothing is sent, and nothing stays hidden."""
    for n in range(12):
        bury(site, letter(f"i{n}").body)
    bury(site, "nonsense", "poison", "the body is not JSON")
    bury(site, letter("killer").body, None)
    ended = command(site)
    told = {line.split()[1]: line.split() for line in ended.out.splitlines()[1:] if line.startswith("intake ")}
    assert {"internal": "12", "poison": "1", "died": "1"} == {reason: line[2] for reason, line in told.items()}
    assert {"nonsense", "not", "JSON"} <= set(told["poison"])
    assert "killer.jpg" in told["died"]
    assert "Send back to where they came from: 13 letter(s) (" in ended.err
    assert "Poison and forged letters stay" in ended.out
    assert 1 == ended.code
    assert 14 == waiting(site, site.resources.dead_letters.url)


def test_letters_for_machines(site: Site) -> None:
    """As JSON; nobody is asked, and nothing is sent without --yes."""
    bury(site, letter("a").body)
    ended = command(site, "--json")
    (group,) = ended.document["groups"]
    assert (0, "") == (ended.code, ended.err)
    assert ("intake", "internal", 1, "a.jpg", "it broke") == (
        group["queue"],
        group["reason"],
        group["letters"],
        group["about"],
        group["detail"],
    )
    assert 1 == waiting(site, site.resources.dead_letters.url)
    assert {"done": 1, "left": 0}.items() <= command(site, "--json", "--yes").document.items()
    assert 0 == waiting(site, site.resources.dead_letters.url)


def test_letters_are_sent_back_as_they_are(site: Site) -> None:
    """But for poison; that is deleted where it is named."""
    greeted(site)
    bodies = {letter(f"ü{n}").body for n in range(23)}
    for body in bodies:
        bury(site, body)
    bury(site, "nonsense", "poison")
    ended = command(site, "--yes")
    assert (0, "23 letter(s) sent back") == (ended.code, ended.out.splitlines()[-1])
    assert bodies == {found["Body"] for found in site._drained(site.resources.intake.url)}
    assert 1 == waiting(site, site.resources.dead_letters.url)
    refused = command(site, "--drop", "--yes")
    assert (2, True) == (refused.code, "say --reason" in refused.err)
    dropped = command(site, "--drop", "--yes", "--reason", "poison")
    assert (0, "1 letter(s) deleted") == (dropped.code, dropped.out.splitlines()[-1])
    assert (0, 0) == (waiting(site, site.resources.dead_letters.url), waiting(site, site.resources.intake.url))


def test_one_queue_alone(site: Site) -> None:
    """One that is not set, or has no dead letters, is wrong use."""
    bury(site, letter("a").body)
    assert "1 letter(s) sent back" in command(site, "--queue", "intake", "--yes").out
    ended = command(site, "--queue", "heavy")
    assert (2, True) == (ended.code, "MEDIA_HEAVY_QUEUE_URL" in ended.err)
    ended = command(site, "--queue", "heavy", MEDIA_HEAVY_QUEUE_URL=site.resources.heavy.url)
    assert (2, True) == (ended.code, "give it a redrive policy" in ended.err)


def test_ctrl_c_releases_what_was_looked_at(site: Site) -> None:
    """Nobody has to wait until letters may be seen again."""
    for n in range(30):
        bury(site, letter(f"i{n}").body)
    variables = {"PATH": os.environ["PATH"], "PYTHONPATH": str(ROOT), **site.resources.environment("/")}
    looking = subprocess.Popen([sys.executable, "-m", "service", "redrive", "--json"], env=variables, cwd=ROOT)
    deadline = time.monotonic() + 30
    while waiting(site, site.resources.dead_letters.url) == 30 and time.monotonic() < deadline:
        time.sleep(0.005)
    looking.send_signal(signal.SIGINT)
    assert looking.wait(30) != 0
    assert 30 == waiting(site, site.resources.dead_letters.url)


@pytest.mark.timeout(180)
def test_what_failed_for_good_is_published_once_its_cause_is_mended(site: Site, tmp_path: Path) -> None:
    """From the fifth failure over the dead letter and `redrive` to the page."""
    key = "it breaks [1].png"
    site.upload(key, sample(tmp_path, "picture.png"))
    nonsense = _break(site, key)
    with running(site.resources, tmp_path, recipe='moderation.provider = "off"\n'):
        failed = site.final(key)
        site.empty()
        listed = command(site, "--json").document["groups"]
        failures = run("failures", "--json", **site.resources.environment("/"))
        site.s3.delete_object(Bucket=site.resources.published, Key=nonsense)
        sent = command(site, "--yes")
        ready = site.final(key, after=failed.revision)
        site.empty()
    mended = run("failures", **site.resources.environment("/"))
    assert ("failed", "ready") == (failed.status, ready.status)
    assert [("intake", "internal", 1, key)] == [
        (one["queue"], one["reason"], one["letters"], one["about"]) for one in listed
    ]
    assert "ValidationError" in listed[0]["detail"]
    (one,) = failures.document["failures"]
    assert (1, key, "failed", "internal", "failed") == (
        failures.code,
        one["key"],
        one["status"],
        one["reason"],
        one["now"],
    )
    assert "7 validation errors for Record" in one["message"]
    assert (0, "1 letter(s) sent back") == (sent.code, sent.out.splitlines()[-1])
    assert (0, True) == (mended.code, mended.out.startswith("Nothing was rejected or failed within 1d"))
    assert [] == site.dead_letters()


def _break(site: Site, key: str) -> str:
    """Something that is no record lies among the records, and four attempts have failed of it; where it lies."""
    uploads = site.resources.uploads
    head = site.s3.head_object(Bucket=uploads, Key=key)
    etag, modified = head["ETag"].strip('"'), head["LastModified"].isoformat()
    at = places.Places(name=places.name(uploads, key, several_buckets=False))
    version = places.version(uploads, key, None, etag, modified)
    outcome = Outcome(
        version=version,
        bucket=uploads,
        key=key,
        etag=etag,
        version_id=None,
        size=head["ContentLength"],
        status="retrying",
        cause="a test",
        started_at=NOW,
        worker="w",
        recipe="r",
        failures=(Failure(at=NOW, error="before"),) * 4,
    )
    site.s3.put_object(Bucket=site.resources.published, Key=at.outcome(version), Body=outcome.to_json())
    nonsense = at.record(version, uuid4().hex + "0" * 8)
    site.s3.put_object(Bucket=site.resources.published, Key=nonsense, Body=b"{}")
    received = site.sqs.receive_message(
        QueueUrl=site.resources.intake.url, MaxNumberOfMessages=10, WaitTimeSeconds=2, VisibilityTimeout=0
    )
    assert any("ObjectCreated" in one["Body"] for one in received["Messages"]), "records are read the second time"
    return nonsense
