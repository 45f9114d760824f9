"""Which stacks and values a stage has, what change sets and states mean, and what is kept: decisions without AWS."""

import pytest
from hypothesis import given as drawn
from hypothesis import strategies as st

from scripts.deployment import bill, changes, errors, facts, image, releases, stacks, templates
from scripts.deployment.__main__ import check_image, most_tasks, settings
from scripts.deployment.account import Account
from scripts.deployment.changes import Change
from scripts.deployment.deleting import refuse_messages
from scripts.deployment.errors import Trouble, WrongUse
from scripts.deployment.image import Source, Wanted
from scripts.deployment.releases import Release
from scripts.deployment.stacks import EDGE, HEAVY, KEY, LIGHT, NETWORK, PARTS, STORAGE, Deployed, Part

IMAGE = f"repository@sha256:{'a' * 64}"
SMALL = {"Profile": "small", "AlarmMail": "ops@example.com"}


def standing(**parts: dict) -> dict[Part, Deployed]:
    """Stacks by name (`lane_light` for the light lane's), with parameters, outputs, tags, or another status."""
    found = {}
    for name, told in parts.items():
        part = Part(*name.split("_"))
        found[part] = Deployed(name=part.stack("prod"), **({"status": "CREATE_COMPLETE"} | told))
    return found


# ---- which stacks --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "there", "left_out"),
    [
        (SMALL, {}, {KEY}),
        (SMALL | {"Profile": "private"}, {}, set()),
        (SMALL | {"PublicUrl": "https://cdn.example.com"}, {}, {KEY, EDGE}),
        (SMALL | {"Profile": "private", "KeyArn": "arn:aws:kms:x"}, {}, {KEY}),
        ({}, standing(network={"parameters": {"Profile": "small"}}), {KEY}),
        ({}, standing(network={"parameters": {"Profile": "small"}}, lane_light={}), {KEY, EDGE}),
        ({}, standing(network={"parameters": {"Profile": "small"}}, edge={}, lane_light={}), {KEY}),
        ({}, standing(network={"parameters": {"Profile": "private"}}, key={}, storage={}), set()),
        (
            {},
            standing(storage={"parameters": {"KeyArn": "arn"}}, network={"parameters": {"Profile": "private"}}),
            {KEY},
        ),
        ({}, standing(storage={"tags": {"media-worker:Profile": "private"}, "status": "ROLLBACK_COMPLETE"}), set()),
        (
            {},
            standing(storage={"tags": {"media-worker:Profile": "small", "media-worker:PublicUrl": "https://a"}}),
            {KEY, EDGE},
        ),
    ],
)
def test_plan(given, there, left_out):
    """A key in `private` without one's own; a distribution without one's own address, given now or at first."""
    assert set(PARTS) - set(stacks.plan(given, there)) == left_out


def test_a_stage_needs_a_profile_and_keeps_it():
    """Nobody guesses one, and a change would need new repositories of the same name."""
    with pytest.raises(WrongUse, match="--profile"):
        stacks.plan({}, {})
    with pytest.raises(WrongUse, match="has profile small"):
        stacks.plan({"Profile": "private"}, standing(network={"parameters": {"Profile": "small"}}))


# ---- which values --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("given", "handed", "there", "expected"),
    [
        ({}, {}, {}, {"Lane": "light", "QueueUrl": ""}),
        ({"light.MaxTasks": "6", "heavy.MaxTasks": "9"}, {}, {}, {"MaxTasks": "6"}),
        ({"MaxTasks": "3", "light.MaxTasks": "6"}, {}, {}, {"MaxTasks": "6"}),
        ({}, {}, standing(scaling_light={"parameters": {"MaxTasks": "7"}}), {"MaxTasks": "7"}),
        ({}, {}, standing(scaling_heavy={"parameters": {"MaxTasks": "7"}}), {}),
        ({"MaxTasks": "0"}, {}, standing(scaling_light={"parameters": {"MaxTasks": "7"}}), {}),
        ({}, {}, standing(storage={"tags": {"media-worker:light.MaxTasks": "5"}}), {"MaxTasks": "5"}),
        ({}, {}, standing(service={"parameters": {"InputPrefix": "up/"}}), {"InputPrefix": "up/"}),
        ({}, {"IntakeUrl": "i", "HeavyUrl": "h"}, {}, {"QueueUrl": "i"}),
        ({}, {"light.ServiceName": "l", "heavy.ServiceName": "h"}, {}, {"ServiceName": "l"}),
        ({}, {"Cluster": "new"}, standing(scaling_light={"parameters": {"Cluster": "old"}}), {"Cluster": "new"}),
    ],
)
def test_parameters_of_a_lane(given, handed, there, expected):
    """Own before common, now before before, outputs before what was; what equals the default is left out."""
    found = stacks.parameters(Part("scaling", "light"), given, handed, there)
    always = {"Lane": "light", "QueueUrl": ""}
    assert found == always | expected


def test_an_address_of_ones_own_beats_the_edge_until_it_is_taken_back():
    """`--public-url ''` returns to the distribution of the edge stack."""
    handed = {"PublicUrl": "https://edge"}
    assert stacks.parameters(LIGHT, {"PublicUrl": "https://own"}, handed, {})["PublicUrl"] == "https://own"
    assert stacks.parameters(LIGHT, {"PublicUrl": ""}, handed, {})["PublicUrl"] == "https://edge"


def test_what_nobody_gave_is_missing():
    """Named, so that the option can be."""
    assert stacks.missing(STORAGE, {"Stage": "prod"}) == ["AlarmMail"]


def test_unmade_stacks_say_nothing():
    """Parameters of a creation that was rolled back are not what stands there."""
    there = standing(network={"parameters": {"Profile": "small"}, "status": "ROLLBACK_COMPLETE"})
    assert stacks.chosen("Profile", {}, there) == ""


@pytest.mark.parametrize(
    "given",
    [
        {"Profile": "medium"},
        {"AlarmMail": "nobody"},
        {"DollarsADay": "much"},
        {"heavy.DiskGiB": "20"},
        {"Recipe": "recipe.toml"},
        {"PublicUrl": "cdn.example.com"},
        {"Nonsense": "1"},
        {"Cluster": "mine"},
        {"middle.MaxTasks": "1"},
    ],
)
def test_wrong_values_are_refused_before_anything_is_made(given):
    """By what the templates themselves allow."""
    with pytest.raises(WrongUse):
        stacks.check(given)


def test_right_values_pass():
    """What the README shows."""
    stacks.check(SMALL | {"heavy.DiskGiB": "60", "light.MaxTasks": "4", "Recipe": "s3://a/b.toml", "LogDays": "90"})


@pytest.mark.parametrize("prefix", ["", "media/", "m", "records/x/"])
def test_one_bucket_needs_a_prefix_apart(prefix):
    """Products would start jobs."""
    same = {"ExistingInputBucket": "b", "ExistingOutputBucket": "b"}
    with pytest.raises(WrongUse, match="--input-prefix"):
        stacks.contradictions(same | {"InputPrefix": prefix}, {})
    stacks.contradictions(same | {"InputPrefix": "uploads/"}, {})


def test_a_vpc_needs_its_subnets():
    """Ours would be in another VPC."""
    with pytest.raises(WrongUse, match="--subnets"):
        stacks.contradictions({"VpcId": "vpc-1"}, {})


@drawn(st.text())
def test_any_value_survives_as_a_tag(value):
    """With the characters that tags may have."""
    encoded = stacks.encoded(value)
    assert stacks.decoded(encoded) == value
    assert all(one.isascii() and (one.isalnum() or one in " _.:/=+-@") for one in encoded)


def test_what_was_said_at_the_beginning_is_remembered():
    """But for the image, which is of one release, the mail address, and what no tag can hold."""
    said = SMALL | {"SubnetIds": "subnet-1,subnet-2", "Recipe": "s3://b/" + "ä" * 200, "Image": IMAGE}
    tags = stacks.tags(said, eventbridge="b1 b2")
    begun = stacks.begun(standing(storage={"tags": tags | {"team": "web"}}))
    assert begun == {"Profile": "small", "SubnetIds": "subnet-1,subnet-2", "eventbridge": "b1 b2"}


# ---- change sets ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("status", "step"),
    [
        (None, "create"),
        ("REVIEW_IN_PROGRESS", "remake"),
        ("ROLLBACK_COMPLETE", "remake"),
        ("DELETE_FAILED", "remake"),
        ("CREATE_IN_PROGRESS", "wait"),
        ("UPDATE_COMPLETE_CLEANUP_IN_PROGRESS", "wait"),
        ("ROLLBACK_IN_PROGRESS", "wait"),
        ("CREATE_COMPLETE", "update"),
        ("UPDATE_ROLLBACK_COMPLETE", "update"),
        ("UPDATE_ROLLBACK_FAILED", "stuck"),
    ],
)
def test_states(status, step):
    """What never came to something is made anew; what somebody works on is waited for."""
    assert changes.step(status) == step


def test_what_is_lost_comes_first():
    """Removals and replacements are loud."""
    told = [
        {"ResourceChange": {"Action": "Modify", "LogicalResourceId": "A", "ResourceType": "T", "Replacement": "False"}},
        {"ResourceChange": {"Action": "Add", "LogicalResourceId": "B", "ResourceType": "T"}},
        {"ResourceChange": {"Action": "Modify", "LogicalResourceId": "C", "ResourceType": "T", "Replacement": "True"}},
        {"ResourceChange": {"Action": "Remove", "LogicalResourceId": "D", "ResourceType": "T"}},
        {"Type": "Hook"},
    ]
    assert [(one.resource, one.loses) for one in changes.changes(told)] == [
        ("C", True),
        ("D", True),
        ("A", False),
        ("B", False),
    ]


@pytest.mark.parametrize(
    ("status", "reason", "empty"),
    [
        ("FAILED", "The submitted information didn't contain changes. Submit different information.", True),
        ("FAILED", "No updates are to be performed.", True),
        ("FAILED", "Transform failed", False),
        ("CREATE_COMPLETE", "", False),
    ],
)
def test_an_empty_change_set_is_no_error(status, reason, empty):
    """CloudFormation says that it failed."""
    assert changes.is_empty(status, reason) is empty


def event(resource: str, status: str, reason: str = "") -> dict:
    """As DescribeStackEvents tells it; resource `stack` is the stack itself."""
    own = {"StackId": "id", "LogicalResourceId": resource, "ResourceStatus": status, "ResourceStatusReason": reason}
    return own | {"PhysicalResourceId": "id" if resource == "stack" else resource}


def test_the_first_failure_is_told_not_its_consequences():
    """Events come newest first, and go back to operations before this one."""
    events = [
        event("stack", "ROLLBACK_IN_PROGRESS", "The following resource(s) failed to create: [Queue]."),
        event("Other", "CREATE_FAILED", "Resource creation cancelled"),
        event("Queue", "CREATE_FAILED", "media-prod-intake already exists"),
        event("stack", "UPDATE_IN_PROGRESS", "User Initiated"),
        event("Older", "UPDATE_FAILED", "of last year"),
    ]
    assert [(one.resource, one.reason) for one in changes.failures(events)] == [
        ("Queue", "media-prod-intake already exists")
    ]


@pytest.mark.parametrize(
    ("reason", "says"),
    [
        ("media-prod-intake already exists", "another stage"),
        ("User: x is not authorized to perform: sqs:CreateQueue", "permission"),
        ("ECS Deployment Circuit Breaker was triggered", "aws logs tail media-prod"),
        ("Something else", "run the same command again"),
    ],
)
def test_each_reason_has_advice(reason, says):
    """What to do, not only what was."""
    assert says in changes.advice(reason, "prod")


# ---- errors --------------------------------------------------------------------------------------------------------


def refused(operation: str, code: str, message: str) -> str:
    """What is said of an error of AWS's."""
    return str(errors.translated(errors.ClientError({"Error": {"Code": code, "Message": message}}, operation)))


def test_a_missing_permission_is_named():
    """As IAM calls it, also where S3 says nothing but no."""
    message = "User: arn:aws:iam::1:user/a is not authorized to perform: cloudformation:CreateChangeSet on resource: x"
    assert refused("CreateChangeSet", "AccessDenied", message).startswith("cloudformation:CreateChangeSet is denied")
    assert "s3:PutBucketNotification is denied" in refused(
        "PutBucketNotificationConfiguration", "AccessDenied", "Access Denied"
    )


@pytest.mark.parametrize(("code", "says"), [("ExpiredToken", "expired"), ("InvalidClientTokenId", "does not know")])
def test_bad_credentials_say_how_to_log_in(code, says):
    """Which is all that is wrong."""
    said = refused("GetCallerIdentity", code, "no")
    assert says in said
    assert "aws sso login" in said


# ---- the image -----------------------------------------------------------------------------------------------------

COMMIT = "0123456789abcdef0123456789abcdef01234567"


@pytest.mark.parametrize(
    ("source", "architecture", "local", "tag"),
    [
        (Source(commit=COMMIT, clean=True), "X86_64", True, "0123456789ab-x86_64"),
        (Source(commit=COMMIT, clean=True), "ARM64", False, "0123456789ab-arm64-remote"),
        (Source(commit=COMMIT, clean=False), "X86_64", True, "0123456789ab-x86_64-now"),
        (Source(commit="", clean=False), "X86_64", True, "tree-x86_64-now"),
    ],
)
def test_tags(source, architecture, local, tag):
    """One image, one tag; only a clean commit is found again."""
    assert Wanted(source=source, architecture=architecture, local=local, version="1").tag("now") == tag


WANTED = Wanted(source=Source(commit=COMMIT, clean=True), architecture="ARM64", local=False, version="1.2")


@pytest.mark.parametrize(
    ("engine", "start"),
    [
        ("docker", ["docker", "build"]),
        ("podman", ["podman", "build", "--format", "docker"]),
        ("buildah", ["buildah", "bud", "--format", "docker", "--layers"]),
    ],
)
def test_build_argv(engine, start):
    """For the lane's processor, with the commit in it, and without models that nobody needs."""
    arguments = ["--build-arg", "VERSION=1.2", "--build-arg", f"REVISION={COMMIT}"]
    arguments += ["--build-arg", "LOCK=requirements.lock"]
    expected = [*start, "--platform", "linux/arm64", "--tag", "r:t", *arguments, str(image.ROOT)]
    assert image.build_argv(engine, WANTED, "r:t") == expected


def test_passwords_are_on_no_command_line():
    """Others on the machine see those."""
    assert image.login_argv("buildah", "registry") == [
        *("buildah", "login", "--username", "AWS", "--password-stdin", "registry")
    ]


def test_the_digest_is_the_one_that_the_push_gave(tmp_path):
    """Printed by docker, written by the others; without one nothing is deployed."""
    digest, file = f"sha256:{'c' * 64}", tmp_path / "digest"
    assert image.digest_of("docker", f"v1: digest: {digest} size: 1573\n", file) == digest
    with pytest.raises(Trouble, match="no digest"):
        image.digest_of("buildah", f"v1: digest: {digest} size: 1573\n", file)
    file.write_text(digest)
    assert image.digest_of("buildah", "", file) == digest


@pytest.mark.parametrize("said", ["repository:latest", "repository", f"repository@sha256:{'a' * 63}"])
def test_tags_are_refused(said):
    """They may be moved under the deployment's feet."""
    with pytest.raises(WrongUse, match="--image"):
        check_image(said)


# ---- releases ------------------------------------------------------------------------------------------------------


def task(revision: int, digest: str, **environment: str) -> dict:
    """As DescribeTaskDefinition tells it."""
    variables = [{"name": name, "value": value} for name, value in environment.items()]
    return {
        "revision": revision,
        "containerDefinitions": [{"image": f"repository@sha256:{digest}", "environment": variables}],
        "runtimePlatform": {"cpuArchitecture": "ARM64"},
        "ephemeralStorage": {"sizeInGiB": 30},
    }


def test_a_release_is_what_made_the_revision():
    """Image and parameters, read back."""
    found = releases.of(task(3, "a", MEDIA_RECIPE="s3://b/r.toml", MEDIA_SLOTS="1"))
    assert found.parameters == {
        "Image": "repository@sha256:a",
        "Recipe": "s3://b/r.toml",
        "Architecture": "ARM64",
        "DiskGiB": "30",
    }


def release(revision: int, image: str, disk: str = "30", settings: str = "") -> Release:
    """One, in short."""
    return Release(
        revision=revision, parameters={"Image": image, "DiskGiB": disk}, settings=frozenset(settings.split())
    )


def test_the_release_before_is_the_newest_that_differs():
    """A revision that only the template changed is the same release."""
    now, others = release(4, "b"), [release(1, "z"), release(2, "a"), release(3, "b"), release(5, "c")]
    assert releases.before(now, others) == others[1]
    assert releases.before(release(1, "z"), others) is None


@pytest.mark.parametrize(
    ("light", "heavy", "expected"),
    [
        ((release(2, "b"), release(1, "a")), (release(2, "b"), release(1, "a")), {"light": 1, "heavy": 1}),
        ((release(3, "b", "40"), release(2, "b")), (release(2, "b"), release(1, "a")), {"light": 2}),
        ((release(1, "a"), None), (release(1, "a"), None), {}),
        ((release(2, "b"), release(1, "a")), (release(1, "b"), None), {"light": 1}),
    ],
)
def test_lanes_go_back_together(light, heavy, expected):
    """By image both; where only one lane's parameters changed since, that one alone."""
    found = releases.together({"light": light, "heavy": heavy})
    assert {lane: one.revision for lane, one in found.items()} == expected


def test_settings_that_an_older_worker_does_not_know_are_named():
    """It would end with exit code 2."""
    assert releases.unknown_settings(release(2, "b", settings="A NEW"), release(1, "a", settings="A OLD")) == ["NEW"]


# ---- the rest ------------------------------------------------------------------------------------------------------


def test_the_bill_follows_the_parameters():
    """ARM costs a fifth less, a key of one's own nothing more, and another VPC's endpoints are not ours."""
    given = SMALL | {
        "Profile": "private",
        "KeyArn": "arn",
        "VpcId": "vpc-1",
        "SubnetIds": "a,b",
        "Architecture": "ARM64",
    }
    plan = stacks.plan(given, {})
    items = {what: (many, dollars) for what, many, dollars in bill.idle_month(stacks.resolved(plan, given, {}, {}))}
    assert items["customer keys"] == (0, 0)
    assert items["interface endpoints, in two zones"] == (0, 0)
    assert items["light task that is always on"] == (1, pytest.approx((0.03238 + 4 * 0.00356) * 730))


def test_environment_has_all_three_queues():
    """And nothing that is empty; quoted where a shell would break it."""
    known = {"Stage": "prod", "IntakeUrl": "i", "HeavyUrl": "h", "BackfillUrl": "b", "InputBucket": "in"}
    known |= {
        "InputPrefix": "a b/",
        "OutputBucket": "out",
        "PublicUrl": "https://p",
        "OutcomesTopicArn": "t",
        "Recipe": "",
    }
    where = Account(id="123456789012", region="eu-central-1", partition="aws")
    lines = facts.lines(facts.environment(where, known))
    assert {"MEDIA_QUEUE_URL=i", "MEDIA_HEAVY_QUEUE_URL=h", "MEDIA_BACKFILL_QUEUE_URL=b"} <= set(lines)
    assert "MEDIA_INPUT_BUCKETS='in/a b/'" in lines
    assert not any(line.startswith("MEDIA_RECIPE") for line in lines)


def test_a_stage_that_is_not_whole_has_no_environment():
    """Says what to do."""
    with pytest.raises(Trouble, match="scripts/deploy prod"):
        facts.of("prod", standing(storage={}, network={}))


def test_messages_are_not_deleted_unseen():
    """Their counts are named, unless forced."""
    with pytest.raises(Trouble, match=r"media-prod-heavy 2.*--force|media-prod-heavy 2"):
        refuse_messages({"media-prod-intake": 0, "media-prod-heavy": 2}, force=False)
    refuse_messages({"media-prod-heavy": 2}, force=True)
    refuse_messages({"media-prod-intake": 0}, force=False)


def test_short_forms_of_options():
    """`--max-tasks` and `--set`, or a sentence that shows how."""
    assert most_tasks("light=4, heavy=10") == {"light.MaxTasks": "4", "heavy.MaxTasks": "10"}
    assert settings(["LogDays=90", "light.DiskGiB=40"]) == {"LogDays": "90", "light.DiskGiB": "40"}
    for wrong in ("4", "middle=4"):
        with pytest.raises(WrongUse, match="light=4,heavy=10"):
            most_tasks(wrong)
    with pytest.raises(WrongUse, match="NAME=VALUE"):
        settings(["LogDays"])


def test_only_what_goes_is_loud():
    """A conditional replacement may lose something too."""
    assert not Change(action="Modify", resource="A", type="T").loses
    assert Change(action="Modify", resource="A", type="T", replaces="Conditional").loses


def outputs(part: Part) -> set[str]:
    """What a template gives."""
    return set(templates.load(part.template)["Outputs"])


def test_parts_are_in_the_readmes_order():
    """Each stack's parameters come from stacks before it."""
    assert [part.stack("prod") for part in (STORAGE, NETWORK, LIGHT, HEAVY)] == [
        "media-prod-storage",
        "media-prod-network",
        "media-prod-lane-light",
        "media-prod-lane-heavy",
    ]
    anywhere, before = set().union(*map(outputs, PARTS)), set()
    for part in PARTS:
        assert set(stacks.missing(part, {})) & anywhere <= before, part
        before |= outputs(part)
