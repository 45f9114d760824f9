"""Notifications of an existing bucket: what is others' is never touched, and what S3 would refuse is refused before."""

from copy import deepcopy

import pytest
from botocore.stub import Stubber
from hypothesis import given as drawn
from hypothesis import strategies as st

from scripts.deployment import notifications
from scripts.deployment.account import Account
from scripts.deployment.errors import Trouble
from scripts.deployment.notifications import Ours

QUEUE = "arn:aws:sqs:eu-central-1:111122223333:media-prod-intake"
OURS = Ours(id="media-prod", queue=QUEUE, prefix="uploads/")
KINDS = {"QueueConfigurations": "QueueArn", "TopicConfigurations": "TopicArn"}
KINDS |= {"LambdaFunctionConfigurations": "LambdaFunctionArn"}


def entry(events: list[str], prefix: str = "", suffix: str = "", *, key: str = "LambdaFunctionArn") -> dict:
    """One configuration of somebody's, as S3 tells it."""
    rules = [{"Name": name, "Value": one} for name, one in (("Prefix", prefix), ("Suffix", suffix)) if one]
    told = {"Id": "theirs", key: "arn:theirs", "Events": events}
    return told | ({"Filter": {"Key": {"FilterRules": rules}}} if rules else {})


EVENTS = st.lists(
    st.sampled_from(
        [
            *("s3:ObjectCreated:*", "s3:ObjectCreated:Put", "s3:ObjectCreated:Copy", "s3:ObjectRemoved:*"),
            *("s3:ObjectRemoved:Delete", "s3:ObjectTagging:*", "s3:Replication:*"),
        ]
    ),
    min_size=1,
    max_size=3,
    unique=True,
)
WORDS = st.text("ab/.", max_size=3)


@st.composite
def configurations(draw: st.DrawFn) -> dict:
    """What somebody may have in a bucket, whatever S3 thinks of it."""
    found: dict = {"EventBridgeConfiguration": {}} if draw(st.booleans()) else {}
    for kind, key in KINDS.items():
        made = [
            entry(draw(EVENTS), draw(WORDS), draw(WORDS), key=key) | {"Id": f"{kind}-{number}"}
            for number in range(draw(st.integers(0, 2)))
        ]
        found |= {kind: made} if made else {}
    return found


OURS_DRAWN = st.builds(
    Ours,
    id=st.just("media-prod"),
    queue=st.sampled_from([QUEUE, None]),
    prefix=st.sampled_from(["", "a/", "up loads/"]),
    eventbridge=st.booleans(),
)


@drawn(configurations(), OURS_DRAWN)
def test_merged_and_taken_out_again_is_what_was_there(before, ours):
    """EventBridge too, where it was us who turned it on."""
    merged = notifications.merged(before, ours)
    turned_on = ours.eventbridge and not notifications.has_eventbridge(before)
    assert notifications.same(notifications.without(merged, ours, eventbridge=turned_on), before)


@drawn(configurations(), configurations(), OURS_DRAWN)
def test_nothing_of_others_is_ever_lost(before, later, ours):
    """Neither by merging, nor by what they add between that and our end."""
    since = deepcopy(notifications.merged(before, ours))
    for kind in KINDS:
        since[kind] = since.get(kind, []) + later.get(kind, [])
    after = notifications.without(since, ours)
    for kind in KINDS:
        assert after.get(kind, []) == before.get(kind, []) + later.get(kind, [])


@drawn(configurations(), OURS_DRAWN)
def test_merging_twice_is_merging_once(before, ours):
    """So that a second run finds no changes."""
    once = notifications.merged(before, ours)
    assert notifications.same(notifications.merged(once, ours), once)


@drawn(configurations(), OURS_DRAWN)
def test_the_difference_is_what_changes(before, ours):
    """Each line that comes or goes is one of the two, and nothing of others goes."""
    after = notifications.merged(before, ours)
    shown = notifications.difference(before, after)
    assert not [line for line in shown if line.startswith("- ")]
    assert sorted(line[2:] for line in shown) == sorted(notifications.lines(after))


def test_what_cloudformation_made_for_us_is_ours():
    """Its ids are its own: a configuration is known by where it leads."""
    before = {"QueueConfigurations": [{"Id": "x", "QueueArn": QUEUE, "Events": ["s3:ObjectCreated:*"]}]}
    assert notifications.merged(before, OURS)["QueueConfigurations"] == [OURS.entry]
    assert notifications.without(before, OURS) == {}


def test_ours():
    """Both events, one queue, and a prefix as S3 wants it written: a space is a plus."""
    assert Ours(id="media-prod", queue=QUEUE, prefix="up loads/ä/").entry == {
        "Id": "media-prod",
        "QueueArn": QUEUE,
        "Events": ["s3:ObjectCreated:*", "s3:ObjectRemoved:*"],
        "Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": "up+loads/%C3%A4/"}]}},
    }


CREATED = ["s3:ObjectCreated:*"]


@pytest.mark.parametrize(  # the first five are the user guide's own examples
    ("one", "other", "overlap"),
    [
        (entry(CREATED, "images/", ".jpg"), entry(CREATED, "images/", ".png"), False),
        (entry(CREATED, "images"), entry(CREATED, "logs"), False),
        (entry(CREATED, suffix=".jpg"), entry(CREATED, suffix=".png"), False),
        (entry(CREATED, "images"), entry(CREATED, suffix=".jpg"), True),
        (entry(CREATED, "images"), entry(CREATED, "images/2024"), True),
        (entry(CREATED), entry(["s3:ObjectCreated:Put"]), True),
        (entry(CREATED), entry(["s3:ObjectRemoved:*"]), False),
        (entry(["s3:ObjectCreated:Put"]), entry(["s3:ObjectCreated:Copy"]), False),
        (entry(["s3:ObjectCreated:Put"]), entry(["s3:ObjectCreated:Post"]), False),
        (entry(["s3:ObjectRemoved:Delete"]), entry(["s3:ObjectRemoved:DeleteMarkerCreated"]), False),
        (entry(CREATED, suffix="a.jpg"), entry(CREATED, suffix=".jpg"), True),
    ],
)
def test_overlaps(one, other, overlap):
    """For the same event, prefixes and suffixes may not both overlap; whichever comes first."""
    assert notifications.overlap(one, other) is overlap
    assert notifications.overlap(other, one) is overlap


@st.composite
def listeners(draw: st.DrawFn) -> dict:
    """One that hears of the object `abc/abc` being put."""
    event = draw(st.sampled_from(["s3:ObjectCreated:*", "s3:ObjectCreated:Put"]))
    return entry([event], "abc/abc"[: draw(st.integers(0, 7))], "abc/abc"[draw(st.integers(0, 7)) :])


@drawn(listeners(), listeners())
def test_two_that_hear_of_one_object_overlap(one, other):
    """That is what S3 does not take."""
    assert notifications.overlap(one, other)


@pytest.mark.parametrize(
    "theirs",
    [
        entry(["s3:ObjectCreated:Put"], suffix=".jpg"),
        entry(["s3:ObjectRemoved:*"], "uploads/2024/"),
        entry(CREATED, key="TopicArn"),
        entry(CREATED, key="QueueArn"),
    ],
)
def test_somebodys_trigger_is_not_ours_to_replace(theirs):
    """Refused by its name, with the ways out."""
    kind = next(name for name, key in KINDS.items() if key in theirs)
    with pytest.raises(Trouble, match="theirs") as caught:
        notifications.refuse_overlaps("shop", {kind: [theirs]}, OURS)
    assert "EventBridge" in str(caught.value)
    assert "SNS" in str(caught.value)


def test_a_stranger_with_our_name_is_refused():
    """S3 takes an Id once, and it would be theirs that goes."""
    stranger = {"Id": "media-prod", "QueueArn": "arn:other", "Events": ["s3:ObjectTagging:*"]}
    with pytest.raises(Trouble, match="called media-prod"):
        notifications.refuse_overlaps("shop", {"QueueConfigurations": [stranger]}, OURS)


def test_neighbours_are_let_be():
    """Other prefixes, other events, EventBridge, and our own."""
    before = {"LambdaFunctionConfigurations": [entry(CREATED, "other/"), entry(["s3:ObjectTagging:*"])]}
    before |= {"EventBridgeConfiguration": {}, "QueueConfigurations": [OURS.entry]}
    notifications.refuse_overlaps("shop", before, OURS)
    assert notifications.lines(before)[0] == "EventBridge: everything"


@pytest.fixture
def s3():
    """S3's answers, in order, for requests that have to be as they are said."""
    client = Account(id="111122223333", region="eu-central-1", partition="aws")
    made = client.client("s3")
    with Stubber(made) as stubber:
        yield made, stubber
        stubber.assert_no_pending_responses()


BUCKET = {"Bucket": "shop", "ExpectedBucketOwner": "111122223333"}


def test_written_only_if_still_what_was_read(s3):
    """Somebody else's change in between is not overwritten."""
    client, stubber = s3
    stubber.add_response("get_bucket_notification_configuration", {"EventBridgeConfiguration": {}}, BUCKET)
    with pytest.raises(Trouble, match="just now"):
        notifications.write(client, "shop", "111122223333", before={}, after=notifications.merged({}, OURS))


def test_written_whole_to_the_owners_bucket(s3):
    """With what others have in it."""
    client, stubber = s3
    before = {"LambdaFunctionConfigurations": [entry(CREATED, "other/")]}
    after = notifications.merged(before, OURS)
    stubber.add_response("get_bucket_notification_configuration", before, BUCKET)
    request = BUCKET | {"NotificationConfiguration": after, "SkipDestinationValidation": False}
    stubber.add_response("put_bucket_notification_configuration", {}, request)
    notifications.write(client, "shop", "111122223333", before=before, after=after)
    assert after["LambdaFunctionConfigurations"] == before["LambdaFunctionConfigurations"]
