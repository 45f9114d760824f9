"""`audit`, `reprocess` and `recipe diff` as an operator types them: what they refuse, ask, print and send."""

import json
import os
import shlex
import signal
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest
import typer
from rich.console import Console

from scripts.resources import Client, Resources
from service.cli import catalogue
from service.commands.reprocess import Sent
from service.core.outcome import Unavailable
from tests.test_cli import Ended, run

ROOT = Path(__file__).resolve().parent.parent
UNREACHABLE = {
    "MEDIA_QUEUE_URL": "http://localhost:1/q",
    "MEDIA_INPUT_BUCKETS": "uploads/a/,uploads/b/",
    "MEDIA_OUTPUT_BUCKET": "published",
    "MEDIA_PUBLIC_URL": "https://media.example",
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
}
WIDTHS = "images = { widths = [64, 128] }\n"


@dataclass(frozen=True, kw_only=True)
class Place:
    """Buckets and queues, and somebody at a terminal."""

    resources: Resources
    s3: Client
    sqs: Client

    def environment(self, *, backfill: bool = True) -> dict[str, str]:
        """The settings."""
        found = self.resources.environment("https://media.example")
        return found | ({"MEDIA_BACKFILL_QUEUE_URL": self.resources.backfill.url} if backfill else {})

    def run(self, *arguments: object, backfill: bool = True) -> Ended:
        """A command that nobody answers the questions of."""
        return run(*arguments, **self.environment(backfill=backfill))

    def answer(self, text: str, *arguments: object) -> Ended:
        """A command, and what is typed."""
        done = subprocess.run(
            [sys.executable, "-W", "error", "-m", "service", *map(str, arguments)],
            env={"PATH": os.environ["PATH"], **self.environment()},
            input=text,
            capture_output=True,
            text=True,
            cwd=ROOT,
            check=False,
            timeout=60,
        )
        return Ended(code=done.returncode, out=done.stdout, err=done.stderr)

    def put(self, *keys: str) -> None:
        """Uploads that nobody processes."""
        for key in keys:
            self.s3.put_object(Bucket=self.resources.uploads, Key=key, Body=b"a picture")

    def sent(self, url: str | None = None) -> list[str]:
        """The keys of all messages in a queue, which is empty then; each of them is of a reprocess or an audit."""
        url, found = url or self.resources.backfill.url, list[str]()
        while messages := self.sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages"):
            documents = [json.loads(message["Body"]) for message in messages]
            found += [one["source"]["key"] for one in documents if "media_worker" in one]  # and not S3's greeting
            entries = [{"Id": str(at), "ReceiptHandle": one["ReceiptHandle"]} for at, one in enumerate(messages)]
            self.sqs.delete_message_batch(QueueUrl=url, Entries=entries)
        return sorted(found)


@pytest.fixture(name="place")
def _place(resources: Resources, client_of: Callable[[str], Client]) -> Place:
    s3 = client_of("s3")
    s3.put_bucket_notification_configuration(Bucket=resources.uploads, NotificationConfiguration={})
    return Place(resources=resources, s3=s3, sqs=client_of("sqs"))


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["audit", "c/"], "no input lies at 'c/': MEDIA_INPUT_BUCKETS has uploads/a/, uploads/b/"),
        (["audit", "--bucket", "other"], "no input lies at other/"),
        (["audit", "--older-than", "soon"], "--older-than: 'soon' is no time such as 90s, 15m, 2h or 1d"),
        (["reprocess", "c/", "--yes"], "no input lies at uploads/c/"),
        (["reprocess", "a/", "--recipe", "x.toml"], "--recipe is for --dry-run"),
        (["recipe", "diff", "missing.toml"], "missing.toml can't be read"),
        (["recipe", "diff", "missing.toml", "--old", "x.toml"], "missing.toml can't be read"),
    ],
)
def test_what_is_refused(arguments: list[str], said: str) -> None:
    """Before anything is asked of AWS; exit code 2."""
    ended = run(*arguments, **UNREACHABLE)
    assert (2, "") == (ended.code, ended.out)
    assert said in ended.err


def test_a_bucket_that_is_not_there(place: Place) -> None:
    """Says which call failed; nothing is taken for well."""
    ended = run("audit", **(place.environment() | {"MEDIA_INPUT_BUCKETS": "no-such-bucket"}))
    assert (2, "") == (ended.code, ended.out)
    assert "ListObjectsV2" in ended.err


def test_an_audit_for_people(place: Place) -> None:
    """A table, a line, and how to go on; then it is sent, and said to which queue."""
    place.put("a.jpg", "b c.jpg", "folder/", "map.geojson")
    young = place.run("audit")
    found = place.run("audit", "--older-than", "0s")
    sent = place.run("audit", "--older-than", "0s", "--enqueue", backfill=False)
    assert 0 == young.code
    assert "young" in young.out
    assert "nothing is lost, but for the young ones" in young.out
    assert 1 == found.code
    assert ["missing", "2", "18", "bytes"] == found.out.splitlines()[1].split()[:4]
    assert found.out.splitlines()[-2:] == [
        "2 object(s), 18 bytes, looked at: 2 to mend",
        "--enqueue sends them to the workers",
    ]
    assert 0 == sent.code
    assert f"2 sent to the queue of MEDIA_QUEUE_URL, {place.resources.intake.url}" in sent.out
    assert ["a.jpg", "b c.jpg"] == place.sent(place.resources.intake.url)


def test_an_audit_of_a_part(place: Place) -> None:
    """Below a prefix alone."""
    place.put("a/1.jpg", "a/2.jpg", "b/1.jpg")
    ended = place.run("audit", "a/", "--older-than", "0s", "--json")
    assert {"missing": 2} == {kind: one["objects"] for kind, one in ended.document["found"].items()}
    assert (2, 0, None) == (ended.document["looked"]["objects"], ended.document["enqueued"], ended.document["queue"])


@pytest.mark.parametrize(("typed", "code", "keys"), [("y\n", 0, ["a.jpg", "b.jpg"]), ("n\n", 1, []), ("", 1, [])])
def test_nothing_is_sent_unasked(typed: str, code: int, keys: list[str], place: Place) -> None:
    """How many objects it is and what they cost is said first; whoever says nothing has not said yes."""
    place.put("a.jpg", "b.jpg")
    ended = place.answer(typed, "reprocess", "")
    assert code == ended.code
    assert "2 object(s), 18 bytes" in ended.out
    assert "Unknown until they are opened, and not in it: 2 object(s)" in ended.out
    assert "Send 2 object(s) to the workers?" in ended.err
    assert keys == place.sent()


def test_where_nothing_is_nothing_is_asked(place: Place) -> None:
    """An empty prefix is no failure."""
    ended = place.run("reprocess", "nothing/")
    assert (0, True) == (ended.code, "Nothing was sent." in ended.err)


def test_a_dry_run_sends_nothing(place: Place) -> None:
    """Nor does it ask."""
    place.put("a.jpg")
    ended = place.run("reprocess", "", "--dry-run", "--json")
    assert (0, 1, {"unknown"}) == (ended.code, ended.document["objects"], set(ended.document["media"]))
    assert [] == place.sent()


def test_new_uploads_may_have_to_wait(place: Place) -> None:
    """Where there is no queue for what nobody waits for, that is said aloud."""
    place.put("a.jpg")
    ended = place.run("reprocess", "", "--yes", backfill=False)
    assert 0 == ended.code
    assert "There is no MEDIA_BACKFILL_QUEUE_URL: new uploads have to wait behind them." in ended.err
    assert ["a.jpg"] == place.sent(place.resources.intake.url)


def rest_of(text: str) -> list[str]:
    """The command that is printed to go on with."""
    (line,) = [line for line in text.splitlines() if line.startswith("  media-worker reprocess ")]
    return shlex.split(line)[1:]


def test_a_part_and_the_rest(place: Place) -> None:
    """What is printed after a limited run goes on where it ended, also after what looks like an option."""
    place.put("-i", "a.jpg", "c.jpg", "d.jpg")
    first = place.run("reprocess", "", "--limit", 2, "--yes")
    assert (0, ["-i", "a.jpg"]) == (first.code, place.sent())
    second = place.run(*rest_of(first.err))
    assert (0, ["c.jpg", "d.jpg"]) == (second.code, place.sent())


def test_an_interrupted_run_is_gone_on_with(place: Place) -> None:
    """Ctrl-C ends it after the batch at hand; the command that it prints sends the rest, and nothing twice."""
    keys = [f"{number:03}.jpg" for number in range(200)]
    place.put(*keys)
    process = subprocess.Popen(
        [sys.executable, "-m", "service", "reprocess", "", "--yes"],
        env={"PATH": os.environ["PATH"], **place.environment()},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stderr
    assert process.stderr.readline().startswith("Sending to ")
    process.send_signal(signal.SIGINT)
    _, err = process.communicate(timeout=60)
    first = place.sent()
    second = place.run(*rest_of(err))
    assert (130, 0) == (process.returncode, second.code)
    assert len(first) < len(keys)
    assert keys == sorted(first + place.sent())


def test_a_queue_that_is_not_there(place: Place) -> None:
    """Nothing was sent: there is nothing to go on with."""
    place.put("a.jpg")
    gone = place.environment() | {"MEDIA_BACKFILL_QUEUE_URL": f"{place.resources.backfill.url}-gone"}
    ended = run("reprocess", "", "--yes", **gone)
    assert (2, "") == (ended.code, ended.out)
    assert "SendMessageBatch" in ended.err


@pytest.mark.parametrize(
    ("error", "code", "said"),
    [(Unavailable("SendMessageBatch: no answer"), 1, "no answer"), (KeyboardInterrupt(), 130, "interrupted")],
)
def test_a_failure_tells_how_to_go_on(
    error: BaseException, code: int, said: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the reason, and from the last key that was confirmed on."""
    monkeypatch.setattr(catalogue, "err", Console(stderr=True, width=200))
    wanted = catalogue._Wanted(prefix="a/", bucket="uploads", after="a/1", limit=50)
    with pytest.raises(typer.Exit) as ended, catalogue._telling_the_rest(wanted, Sent(objects=20, last="a/it's 2")):
        raise error
    printed = capsys.readouterr().err
    assert (code, True) == (ended.value.exit_code, said in printed)
    assert "20 object(s) were sent" in printed
    expected = ["reprocess", "--bucket", "uploads", "--after=a/it's 2", "--limit=30", "--yes", "--", "a/"]
    assert expected == rest_of(printed)


def test_two_recipes_without_any_bucket(tmp_path: Path) -> None:
    """The entries alone need no settings."""
    old, new = tmp_path / "old.toml", tmp_path / "new.toml"
    old.write_text(WIDTHS)
    new.write_text(WIDTHS.replace("128", "256"))
    ended = run("recipe", "diff", new, "--old", old, "--entries")
    assert (0, "images.widths: [64, 128] → [64, 256]\n", "") == (ended.code, ended.out, ended.err)


def test_two_recipes_that_say_the_same(place: Place, tmp_path: Path) -> None:
    """The deployed one is the shipped one where none is set; nothing is looked at then."""
    new = tmp_path / "new.toml"
    new.write_text("")
    ended = place.run("recipe", "diff", new)
    assert (0, "Both recipes say the same.\n") == (ended.code, ended.out)


def test_a_recipe_that_is_deployed_to_s3(place: Place, tmp_path: Path) -> None:
    """It is the old one."""
    place.s3.put_object(Bucket=place.resources.published, Key="recipe.toml", Body=WIDTHS.encode())
    place.put("a.jpg")
    new = tmp_path / "new.toml"
    new.write_text("images = { widths = [64] }\n")
    settings = place.environment() | {"MEDIA_RECIPE": f"s3://{place.resources.published}/recipe.toml"}
    document = run("recipe", "diff", new, "--json", **settings).document
    (entry,) = document["entries"]
    assert ("images.widths", [64, 128], [64]) == (entry["entry"], entry["old"], entry["new"])
    assert (1, 0) == (document["survey"]["objects"], document["survey"]["total"]["steps"])
