"""The smoke test where something is wrong: it says what, and leaves nothing behind."""

import io
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from types import SimpleNamespace

import pytest
from botocore.stub import Stubber

from scripts.deployment.account import Account
from scripts.deployment.deploying import unconfirmed
from scripts.deployment.errors import Trouble
from scripts.deployment.smoke import Smoke, fetched

KNOWN = {"Stage": "prod", "InputBucket": "in", "OutputBucket": "out", "PublicUrl": "https://cdn", "InputPrefix": "up/"}
TOPIC = "arn:aws:sns:eu-central-1:111122223333:media-prod-alarms"


class NoSuchKey(Exception):
    """As S3 says it."""


class Bucket:
    """Both buckets; every upload gets the same manifest at once."""

    exceptions = SimpleNamespace(NoSuchKey=NoSuchKey)

    def __init__(self, manifest: str) -> None:
        self.uploads: set[str] = set()
        self._manifest = manifest

    def put_object(self, *, Bucket: str, Key: str, **_: object) -> None:  # noqa: N803 - boto3's names
        assert Bucket == "in"
        self.uploads.add(Key)

    def delete_object(self, *, Bucket: str, Key: str) -> None:  # noqa: N803 - boto3's names
        assert Bucket == "in"
        self.uploads.remove(Key)

    def get_object(self, *, Bucket: str, Key: str) -> dict:  # noqa: N803 - boto3's names
        assert Bucket == "out"
        assert Key.startswith("media/up/media-worker-smoke-test-")
        if not self._manifest:
            raise NoSuchKey
        return {"Body": io.BytesIO(self._manifest.encode())}


QUARANTINED = """{"status": "quarantined", "revision": 1, "updated_at": "2026-11-24T00:00:00Z", "source": {},
"reason": {"code": "moderation_review", "message": "It will be shown when a person has looked at it."}}"""


@pytest.mark.parametrize(
    ("manifest", "says"),
    [
        ("", "not published within 0 s: it has no manifest"),
        (QUARANTINED.replace("quarantined", "processing"), "its manifest says processing"),
        (QUARANTINED, "The picture is quarantined: moderation_review"),
    ],
)
def test_what_is_not_published_says_where_to_look(manifest, says):
    """And what was uploaded is deleted again."""
    bucket = Bucket(manifest)
    with pytest.raises(Trouble, match=says) as caught:
        Smoke(bucket, KNOWN, seconds=0, tell=print).run()
    assert "aws logs tail media-prod" in str(caught.value)
    assert bucket.uploads == set()


@pytest.fixture(scope="module")
def address() -> Iterator[str]:
    """A distribution that serves three bytes, but refuses /denied."""

    class Distribution(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(403 if self.path == "/denied" else 200)
            self.send_header("Content-Length", "3")
            self.end_headers()
            self.wfile.write(b"abc")

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Distribution)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def test_a_visitor_gets_the_product(address):
    """Whole."""
    assert fetched(f"{address}/a", 3) == f"{address}/a: 3 bytes"
    with pytest.raises(Trouble, match="3 bytes instead of 4"):
        fetched(f"{address}/a", 4)


def test_a_distribution_that_may_not_read_is_a_failure(address):
    """Policies are to be looked at."""
    with pytest.raises(Trouble, match="answers 403") as caught:
        fetched(f"{address}/denied", 3)
    assert "policies" in str(caught.value)


def test_an_address_that_is_not_reached_is_none():
    """The operator's machine may be anywhere."""
    assert "can't be reached from here" in fetched("http://127.0.0.1:9/a", 3)


@pytest.mark.parametrize(("arn", "waits"), [("PendingConfirmation", True), (f"{TOPIC}:1", False)])
def test_a_mail_that_nobody_confirmed_is_noticed(arn, waits):
    """Until then alarms reach nobody."""
    sns = Account(id="111122223333", region="eu-central-1", partition="aws").client("sns")
    with Stubber(sns) as stubber:
        subscription = {"SubscriptionArn": arn, "Protocol": "email", "Endpoint": "ops@example.com"}
        stubber.add_response("list_subscriptions_by_topic", {"Subscriptions": [subscription]}, {"TopicArn": TOPIC})
        assert unconfirmed(sns, TOPIC) is waits
