"""Message bodies: what they ask for, and that none of them breaks the reader."""

import json
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service.core import job, places
from service.core.job import Ended, Input, Job
from service.core.outcome import Forged, Poison, Unknown

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
JOB = Job(bucket="in", key="a b+c%.jpg", type="process", cause="ObjectCreated:Put", requested_at=NOON)


def record(key: str = "a+b%2Bc%25.jpg", **changed: Any) -> dict[str, Any]:
    """One record of an S3 event notification, as the S3 user guide prints it."""
    return {
        "eventVersion": "2.1",
        "eventSource": "aws:s3",
        "awsRegion": "eu-central-1",
        "eventTime": "2026-11-23T12:00:00.000Z",
        "eventName": "ObjectCreated:Put",
        "userIdentity": {"principalId": "AWS:AIDAEXAMPLE"},
        "requestParameters": {"sourceIPAddress": "127.0.0.1"},
        "responseElements": {"x-amz-request-id": "C3D13FE58DE4C810"},
        "s3": {
            "s3SchemaVersion": "1.0",
            "configurationId": "uploads",
            "bucket": {"name": "in", "ownerIdentity": {"principalId": "A3NL1KOZZKExample"}, "arn": "arn:aws:s3:::in"},
            "object": {"key": key, "size": 1024, "eTag": "d41d8cd98f00b204e9800998ecf8427e", "sequencer": "0055AED6"},
        },
    } | changed


def notification(*records: dict[str, Any]) -> dict[str, Any]:
    """An S3 event notification."""
    return {"Records": list(records)}


def by_sns(document: dict[str, Any]) -> dict[str, Any]:
    """The same, wrapped by SNS."""
    return {"Type": "Notification", "MessageId": "22b80b92", "TopicArn": "arn:aws:sns:eu-central-1:1:t"} | {
        "Message": json.dumps(document)
    }


def by_eventbridge(key: str = "a b+c%.jpg", **changed: Any) -> dict[str, Any]:
    """The event as EventBridge sends it: its key is not encoded."""
    return {
        "version": "0",
        "id": "17793124-05d4-b198-2fde-7ededc63b103",
        "detail-type": "Object Created",
        "source": "aws.s3",
        "account": "111122223333",
        "time": "2026-11-23T12:00:00Z",
        "detail": {"version": "0", "bucket": {"name": "in"}, "object": {"key": key, "size": 5, "etag": "b1946ac9"}},
    } | changed


def own(**changed: Any) -> dict[str, Any]:
    """The service's own envelope."""
    return {
        "media_worker": 1,
        "type": "reprocess",
        "source": {"bucket": "in", "key": "a b+c%.jpg"},
        "cause": "operator",
        "requested_at": "2026-11-23T13:00:00+01:00",
    } | changed


SPEECH = "0123456789" * 4


def ended(name: str, **changed: Any) -> dict[str, Any]:
    """The end of a job as Transcribe tells it by EventBridge (Transcribe developer guide, monitoring-events)."""
    return {
        "version": "0",
        "id": "9d3b2e3c-5d3f-4b6e-8a10-7f3a0d8f2a11",
        "detail-type": "Transcribe Job State Change",
        "source": "aws.transcribe",
        "account": "111122223333",
        "time": "2026-11-23T12:00:00Z",
        "region": "eu-central-1",
        "resources": [],
        "detail": {"TranscriptionJobName": name, "TranscriptionJobStatus": "COMPLETED"},
    } | changed


def read(document: Any) -> tuple[Job | Ended, ...]:
    """The jobs of a JSON document."""
    return job.read(json.dumps(document))


@pytest.mark.parametrize(
    ("document", "expected"),
    [
        (notification(record()), JOB),
        (by_sns(notification(record())), JOB),
        (
            by_eventbridge(),
            Job(bucket="in", key="a b+c%.jpg", type="process", cause="Object Created", requested_at=NOON),
        ),
        (own(), Job(bucket="in", key="a b+c%.jpg", type="reprocess", cause="operator", requested_at=NOON)),
        (
            {"media_worker": 1, "type": "process", "source": {"bucket": "in", "key": "k"}},
            Job(bucket="in", key="k", type="process", cause="request"),
        ),
    ],
    ids=["s3", "sns", "eventbridge", "envelope", "short envelope"],
)
def test_shapes(document: dict[str, Any], expected: Job):
    """Each shape says which key of which bucket changed, and why."""
    assert (expected,) == read(document)


@pytest.mark.parametrize(
    ("encoded", "key"),
    [
        ("IMG+1234.JPG", "IMG 1234.JPG"),
        ("a%2Fb%2Fc.png", "a/b/c.png"),
        ("a/b/c.png", "a/b/c.png"),
        ("100%25.jpg", "100%.jpg"),
        ("%E5%86%99%E7%9C%9F.webp", "写真.webp"),
        ("%00%0A", "\0\n"),
        ("100%.jpg", "100%.jpg"),
    ],
)
def test_keys_of_notifications_are_urlencoded(encoded: str, key: str):
    """Plus is a space there, and slashes may be encoded or not."""
    assert [key] == [one.key for one in read(notification(record(encoded)))]


@given(st.text(min_size=1, max_size=200))
def test_any_key_arrives(key: str):
    """Any key that S3 takes arrives as it is, by each of the ways."""
    ways = (notification(record(quote_plus(key))), by_eventbridge(key), own(source={"bucket": "in", "key": key}))
    assert [key] * 4 == [read(way)[0].key for way in (*ways, by_sns(ways[0]))]


@pytest.mark.parametrize(
    ("name", "count"),
    [
        ("ObjectCreated:Put", 1),
        ("s3:ObjectCreated:CompleteMultipartUpload", 1),
        ("ObjectRemoved:DeleteMarkerCreated", 1),
        ("LifecycleExpiration:Delete", 1),
        ("ObjectRestore:Completed", 1),
        ("ObjectRestore:Post", 0),
        ("ObjectTagging:Put", 0),
        ("ReducedRedundancyLostObject", 0),
    ],
)
def test_events_that_change_a_key(name: str, count: int):
    """Only what changes an object is a job; the rest is acknowledged."""
    assert count == len(read(notification(record(eventName=name))))


@pytest.mark.parametrize(
    ("kind", "count"),
    [("Object Created", 1), ("Object Deleted", 1), ("Object Restore Completed", 1), ("Object Tags Added", 0)],
)
def test_events_of_eventbridge(kind: str, count: int):
    """The same on EventBridge."""
    assert count == len(read(by_eventbridge(**{"detail-type": kind})))


@pytest.mark.parametrize("wrap", [dict, by_sns])
@pytest.mark.parametrize("status", ["COMPLETED", "FAILED", "SOMETHING_NEW"])
def test_end_of_a_speech(status: str, wrap: Any):
    """It names the speech alone, however it ended: whose it is, the message can't say."""
    event = ended(places.speech_job(SPEECH, 2))
    event["detail"]["TranscriptionJobStatus"] = status
    assert (Ended(speech=SPEECH),) == read(wrap(event))


@pytest.mark.parametrize(
    "name", ["interview-3", "media-worker-", f"media-worker-{SPEECH}", f"media-worker-{SPEECH}-0", f"{SPEECH}-1", ""]
)
def test_speeches_of_others(name: str):
    """The account's other jobs come by the same rule: they are acknowledged, not condemned."""
    assert () == read(ended(name))


@pytest.mark.parametrize(
    ("changed", "says"),
    [
        ({"source": "aws.s3"}, "source: "),
        ({"detail": None}, "detail: "),
        ({"detail": {}}, "detail.TranscriptionJobName"),
    ],
)
def test_ends_that_are_none(changed: dict[str, Any], says: str):
    """What has the name of such an event but not its shape is poison."""
    with pytest.raises(Poison, match=says):
        read(ended("x", **changed))


@pytest.mark.parametrize("type_", ["approve", "reject"])
def test_review(type_: str):
    """A reviewer says which revision was seen."""
    (found,) = read(own(type=type_, revision=7, cause="Ann"))
    assert (type_, 7, "Ann") == (found.type, found.revision, found.cause)


def test_several_records():
    """A message with several records is as many jobs, in order."""
    documents = notification(record("a"), record("b", eventName="ObjectTagging:Put"), record("c"))
    assert ["a", "c"] == [one.key for one in read(documents)]


@pytest.mark.parametrize("wrap", [dict, by_sns])
def test_test_event(wrap: Any):
    """What S3 sends when notifications are switched on is no job and no mistake."""
    greeting = {"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "in", "Time": "2026-11-23T12:00:00.000Z"}
    assert () == read(wrap(greeting))


@pytest.mark.parametrize(
    ("body", "says"),
    [
        ("", "not JSON"),
        ("hello", "not JSON"),
        ("\ufeff{}", "not JSON"),
        ("[]", "not a JSON object"),
        ("null", "not a JSON object"),
        ("{}", "no S3 event and no envelope"),
        ('{"Type": "Notification", "Message": "hello"}', "not JSON"),
        ('{"Type": "Notification", "Message": 3}', "no S3 event and no envelope"),
        ('{"Records": []}', "Records: "),
        ('{"Records": {}}', "Records: "),
        (json.dumps(notification(record(eventSource="aws:sqs"))), "Records.0.eventSource: "),
        (json.dumps(notification(record(eventVersion="3.0"))), "Records.0.eventVersion: "),
        (json.dumps(notification(record(eventTime="yesterday"))), "Records.0.eventTime: "),
        (json.dumps(notification(record(eventTime="2026-11-23T12:00:00"))), "Records.0.eventTime: .*timezone"),
        (json.dumps(notification(record(eventName="x" * 201))), "Records.0.eventName: "),
        (json.dumps(notification(record(s3={"bucket": {"name": "in"}}))), "Records.0.s3.object: "),
        (json.dumps(notification(*[record()] * 1001)), "Records: "),
        (json.dumps(notification(record("%FF%FE"))), "the key is not UTF-8"),
        (json.dumps(notification(record(""))), "Records.0.s3.object.key: "),
        (json.dumps(notification(record("\ud800"))), "Records.0.s3.object.key: .*unicode"),
        (json.dumps(by_eventbridge(source="aws.ec2")), "source: "),
        (json.dumps(by_eventbridge(detail=None)), "detail: "),
        (json.dumps(own(source="in/key")), "source: "),
        (json.dumps(own(source={"bucket": "in"})), "source.key: "),
        (json.dumps(own(source={"bucket": "in", "key": "\udfff"})), "source.key: .*unicode"),
        (json.dumps(own(cause="\ud800")), "cause: .*unicode"),
        (json.dumps(own(requested_at="2026-11-23T12:00:00")), "requested_at: .*timezone"),
        (json.dumps(own(type="approve")), "names the revision"),
        (json.dumps(own(type="reject", revision=None)), "names the revision"),
        (json.dumps(own(type="approve", revision=0)), "revision: "),
        (json.dumps(own(type="approve", revision="x")), "revision: "),
        (json.dumps(own(type="approve", revision=1.5)), "revision: "),
    ],
)
def test_poison(body: str, says: str):
    """What nobody will ever understand is poison, and its text says where it is wrong."""
    with pytest.raises(Poison, match=says):
        job.read(body)


@pytest.mark.parametrize(
    "changed",
    [
        {"media_worker": 2},
        {"media_worker": "1"},
        {"media_worker": None},
        {"media_worker": [[[]]]},
        {"type": "release"},
        {"type": []},
        {"type": {}},
        {"type": None},
        {"type": "x" * 1_000_000},
        {"media_worker": "x" * 1_000_000},
    ],
    ids=lambda changed: str(changed)[:40],
)
def test_unknown(changed: dict[str, Any]):
    """An envelope of a newer worker is released, not condemned; what is said of it is short."""
    with pytest.raises(Unknown) as caught:
        read(own(**changed))
    assert len(str(caught.value)) < 200


@pytest.mark.parametrize(
    "one",
    [
        JOB,
        Job(bucket="in", key="k", type="reprocess", cause="redrive"),
        Job(bucket="in", key="\0\n\u2028ü", type="process", cause=""),
        Job(bucket="in", key="k", type="captions", cause="not heard yet", requested_at=NOON),
        Job(bucket="in", key="k", type="approve", cause="Ann", revision=1),
        Job(bucket="in", key="k", type="reject", cause="Ann", revision=2**40),
    ],
)
def test_envelope_reads_back(one: Job):
    """What the service writes for itself it understands."""
    assert (one,) == job.read(job.envelope(one))


def understood(body: str) -> tuple[Job | Ended, ...] | Poison | Unknown:
    """What a body gives: nothing else is ever raised."""
    try:
        return job.read(body)
    except (Poison, Unknown) as error:
        return error


@given(st.text(st.characters(exclude_categories=())) | st.binary().map(lambda body: body.decode("latin-1")))
def test_any_text(body: str):
    """No text breaks the reader."""
    assert understood(body) is not None


@given(st.binary(), st.sampled_from(["replace", "surrogateescape", "ignore"]))
def test_any_bytes(body: bytes, errors: str):
    """No bytes break it, whatever they were decoded with."""
    assert understood(body.decode(errors=errors)) is not None


_TEXT = st.one_of(
    st.text(st.characters(exclude_categories=()), max_size=6),
    st.sampled_from(
        ["process", "Notification", "s3:TestEvent", "aws:s3", "aws.s3", "2.1", "2026-11-23T12:00:00Z", "%ff"]
    ),
)
_LEAF = st.one_of(
    st.none(), st.booleans(), st.integers(), st.sampled_from([1, 1e400, -0.0, 10**300]), st.floats(), _TEXT
)
_FIELD = st.sampled_from(
    "Type Message Event media_worker type source bucket key name cause requested_at detail detail-type time Records s3 "
    "TranscriptionJobName revision object eventName eventTime eventVersion eventSource".split()
)
_JSON = st.recursive(
    _LEAF, lambda below: st.lists(below, max_size=3) | st.dictionaries(_FIELD | _TEXT, below, max_size=4)
)
_VALID = [
    notification(record()),
    by_sns(notification(record())),
    by_eventbridge(),
    own(),
    own(type="approve", revision=3),
    ended(places.speech_job(SPEECH, 1)),
]


def grafted(document: Any, path: list[str], value: Any) -> Any:
    """`document` with one value in the place of another."""
    if not path:
        return value
    step, *rest = path
    if isinstance(document, dict):
        return document | {step: grafted(document.get(step), rest, value)}
    if isinstance(document, list) and document:
        return [grafted(document[0], path, value), *document[1:]]
    return value


@given(_JSON)
def test_any_json(document: Any):
    """No document breaks the reader."""
    assert understood(json.dumps(document)) is not None


@given(document=st.sampled_from(_VALID), path=st.lists(_FIELD, min_size=1, max_size=4), value=_JSON)
def test_any_value_in_a_valid_body(document: dict[str, Any], path: list[str], value: Any):
    """Nor does any value of the wrong type in an otherwise valid one; jobs that come of it can be written down."""
    found = understood(json.dumps(grafted(document, path, value)))
    if isinstance(found, tuple):
        kept = [one for one in found if isinstance(one, Job)]
        assert kept == [job.read(job.envelope(one))[0] for one in kept]


_PATHS = [
    ["Records"],
    ["Records", "s3"],
    ["Records", "s3", "object", "key"],
    ["Records", "eventTime"],
    ["detail", "bucket"],
    ["detail-type"],
    ["source", "key"],
    ["type"],
    ["requested_at"],
    ["media_worker"],
    ["Message"],
    ["revision"],
    ["detail", "TranscriptionJobName"],
]


@pytest.mark.parametrize("path", _PATHS, ids="/".join)
@pytest.mark.parametrize("document", _VALID, ids=["s3", "sns", "eventbridge", "envelope", "review", "transcribe"])
def test_wrong_types_everywhere(document: dict[str, Any], path: list[str]):
    """Each known field of each shape, with each kind of value in it."""
    for value in (None, True, 0, -1, 10**30, 1.5, "", "x", "\ud800", [], [[]], {}, {"a": 1}, [None] * 9):
        assert understood(json.dumps(grafted(document, path, value))) is not None


@pytest.mark.parametrize("depth", [10, 200, *range(880, 1010, 3), 5000, 100_000])
@pytest.mark.parametrize("around", ['{"media_worker": %s}', '{"Records": %s}', '{"media_worker": 1, "type": %s}', "%s"])
def test_deep_nesting(depth: int, around: str):
    """A body of a hundred thousand brackets is poison like any other, at whatever depth Python gives up."""
    assert isinstance(understood(around % ("[" * depth + "]" * depth)), Poison | Unknown)


@pytest.mark.parametrize(
    "body",
    [
        "x" * (1 << 20),
        '{"Records": [' + ",".join(["{}"] * 300_000) + "]}",
        json.dumps(own(source={"bucket": "in", "key": "k", "more": "x" * (1 << 20)}, type="later")),
        '{"media_worker": ' + "9" * (1 << 20) + "}",
        json.dumps(notification(*[record(eventName=7)] * 1000)),
    ],
    ids=["text", "many records", "much beside", "a long number", "a thousand mistakes"],
)
def test_a_megabyte(body: str):
    """The largest body that SQS carries is read or refused, with a text short enough for an attribute."""
    found = understood(body)
    assert isinstance(found, Poison | Unknown)
    assert len(str(found)) < 1000


INPUTS = (Input(bucket="in", prefix=""), Input(bucket="shared", prefix="uploads/"))


@pytest.mark.parametrize(
    ("bucket", "key", "expected"),
    [
        ("in", "a.jpg", True),
        ("in", "media/a.jpg", True),
        ("in", "k" * 1024, True),
        ("shared", "uploads/a.jpg", True),
        ("shared", "media/uploads/a.jpg/~0-1/320.webp", False),
        ("shared", "records/uploads/a.jpg/~v/outcome.json", False),
    ],
)
def test_admitted(bucket: str, key: str, *, expected: bool):
    """Uploads are admitted; the service's own outputs never start a job, and are no forgery either."""
    one = Job(bucket=bucket, key=key, type="process", cause="")
    assert expected == job.admit(one, INPUTS, output_bucket="shared")


@pytest.mark.parametrize(
    ("bucket", "key"),
    [
        ("other", "a.jpg"),
        ("shared", "a.jpg"),
        ("shared", "uploads"),
        ("shared", "Uploads/a.jpg"),
        ("arn:aws:s3:eu-central-1:1:accesspoint/in", "a.jpg"),
        ("in/", "a.jpg"),
        ("https://in.example", "a.jpg"),
        ("", "a.jpg"),
        ("in", ""),
        ("in", "k" * 1025),
        ("in", "ü" * 513),
        ("in", "\ud800" * 342),
    ],
)
def test_forged(bucket: str, key: str):
    """What names anything but an upload of ours is refused before anything is called."""
    with pytest.raises(Forged):
        job.admit(Job(bucket=bucket, key=key, type="process", cause=""), INPUTS, output_bucket="shared")
