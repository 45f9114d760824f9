"""Both profiles deployed on moto by the real command: again, changed, rolled back, deleted; and what it refuses."""

import os
import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import pytest

from scripts.deployment import account
from scripts.deployment.__main__ import main
from tests.ecs.moto_server import Server
from tests.ecs.templates import REGION, ROOT

pytestmark = pytest.mark.timeout(600)  # the first test installs moto, unless scripts/test did

ACCOUNT = "123456789012"  # moto's
A, B = (f"repository@sha256:{letter * 64}" for letter in "ab")
LAMBDA = {
    "Id": "thumbs",
    "LambdaFunctionArn": f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:thumbs",
    "Events": ["s3:ObjectCreated:Put"],
}

#: What moto 5.2, repaired (moto_repaired.py), does not show.
STUBBED = (
    "a stack that fails or is being changed, modified and replaced resources (moto lists what comes and goes, also of "
    "what has a condition that does not hold), a mail that is not confirmed, building and pushing the image"
)
UNPROVEN = (
    "the whole of edge.yaml and with it CloudFront, whether S3 takes the notifications, a key's use, permissions, what "
    "CloudFormation says of the templates, that an inactive revision of a task definition can still be read"
)


class Command:
    """scripts/deploy as an operator runs it."""

    def __init__(self, cloud: Server) -> None:
        here = {"PATH": os.environ["PATH"], "HOME": str(cloud.log.parent), "AWS_ENDPOINT_URL": cloud.endpoint}
        keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_REGION": REGION}
        self.environment = here | keys | {"AWS_EC2_METADATA_DISABLED": "true"}
        self.cloud = cloud

    def __call__(self, *words: str, code: int = 0, answer: str = "") -> str:
        """What it prints, on both outputs; it has to end with `code`."""
        done = subprocess.run(
            [ROOT / "scripts" / "deploy", *words],
            env=self.environment,
            input=answer,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == code, done.stdout + done.stderr
        return done.stdout + done.stderr

    def statuses(self, stage: str) -> dict[str, str]:
        """The stacks of a stage, by what follows its name."""
        stacks = self.cloud.client("cloudformation").describe_stacks()["Stacks"]
        named = {one["StackName"].removeprefix(f"media-{stage}-"): one["StackStatus"] for one in stacks}
        return {name: status for name, status in named.items() if not name.startswith("media-")}

    def parameter(self, stack: str, name: str) -> str:
        """What a stack was given."""
        told = self.cloud.client("cloudformation").describe_stacks(StackName=stack)["Stacks"][0]["Parameters"]
        return next(one["ParameterValue"] for one in told if one["ParameterKey"] == name)

    def image(self, family: str) -> str:
        """What a lane's service runs."""
        task = self.cloud.client("ecs").describe_task_definition(taskDefinition=family)["taskDefinition"]
        return str(task["containerDefinitions"][0]["image"])


@pytest.fixture(scope="module")
def run(cloud) -> Command:
    """The command, against moto."""
    return Command(cloud)


@pytest.fixture(scope="module")
def site(cloud) -> Iterator[str]:
    """A distribution: what is below media/ of the output bucket, at an address of its own."""
    s3 = cloud.client("s3")

    class Published(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            bucket, _, key = self.path.lstrip("/").partition("/")
            body = s3.get_object(Bucket=bucket, Key=key)["Body"].read()
            self.send_response(200)
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Nothing."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Published)
    Thread(target=server.serve_forever, daemon=True).start()
    yield f"http://127.0.0.1:{server.server_port}/{bucket('small', 'published')}"
    server.shutdown()
    server.server_close()


def bucket(stage: str, kind: str) -> str:
    """One that storage.yaml makes."""
    return f"media-{stage}-{kind}-{ACCOUNT}-{REGION}"


FIRST = ("--mail", "ops@example.com", "--image", A, "--yes", "--smoke-minutes", "0")
STACKS = ("storage", "network", "service", "lane-light", "lane-heavy", "scaling-light", "scaling-heavy", "watch")


@pytest.fixture(scope="module")
def small(run, site) -> str:
    """The stage `small`, deployed; what was printed."""
    return run("small", "--profile", "small", "--public-url", site, *FIRST)


def test_small_is_deployed(run, small, capsys):
    """The bill comes first, then every stack in its order; the address of one's own takes the place of the edge."""
    with capsys.disabled():
        print(f"\nnot on moto but on stubs: {STUBBED}\nnowhere as yet: {UNPROVEN}")
    assert re.search(r"together +\d+\.\d\d\n", small)
    places = [small.index("together"), *(small.index(f"media-small-{name} (new)") for name in STACKS)]
    assert places == sorted(places)
    assert run.statuses("small") == dict.fromkeys(STACKS, "CREATE_COMPLETE")


def test_again_changes_nothing(run, small):
    """What is not given keeps its value, and CloudFormation's empty change sets are no error."""
    said = run("small", "--image", "keep", "--yes")
    assert said.count(": no changes\n") == len(STACKS)
    assert "no changes: everything is as it should be" in said
    assert "Smoke test" not in said


def test_one_parameter_changes_one_stack(run, small):
    """And stays when the next command does not name it."""
    said = run("small", "--image", "keep", "--max-tasks", "light=6", "--yes", "--smoke-minutes", "0")
    assert re.findall(r"(\S+): UPDATE_COMPLETE", said) == ["media-small-scaling-light"]
    run("small", "--image", "keep", "--set", "HeavyMinutes=200", "--yes", "--smoke-minutes", "0")
    assert run.parameter("media-small-scaling-light", "MaxTasks") == "6"


def test_a_dry_run_does_nothing(run, small):
    """For a stage that is there and for one that is not."""
    before = run.statuses("small")
    said = run("small", "--dry-run", "--image", B) + run("new", "--dry-run", "--profile", "private", *FIRST)
    assert said.count("Nothing was done") == 2
    assert "EcrApiEndpoint" in said
    assert run.image("media-small-light") == A
    assert (run.statuses("small"), run.statuses("new")) == (before, {})


def test_rolled_back_twice_is_where_it_was(run, small):
    """Both lanes, to the image of the release before."""
    run("small", "--image", B, "--yes", "--smoke-minutes", "0")
    assert [run.image(f"media-small-{lane}") for lane in ("light", "heavy")] == [B, B]
    said = run("small", "--rollback", "--yes", "--smoke-minutes", "0")
    assert f"Image: {B} -> {A}" in said
    assert [run.image(f"media-small-{lane}") for lane in ("light", "heavy")] == [A, A]
    run("small", "--rollback", "--yes", "--smoke-minutes", "0")
    assert run.image("media-small-light") == B


def test_smoke_test_with_a_worker(run, small, tmp_path):
    """A worker with what `--env` prints publishes the picture and withdraws it; a visitor gets it in between."""
    lines = run("small", "--env").splitlines()
    with worker(run, dict(line.split("=", 1) for line in lines), tmp_path) as log:
        said = run("small", "--image", "keep", "--dollars-a-day", "7", "--yes", "--smoke-minutes", "1")
        assert "withdrawn" in run("small", "--smoke")
    assert re.search(r"ready after \d+\.\d s", said), log.read_text()[-3000:]
    assert re.search(r"media-worker-smoke-test-\S+: \d+ bytes", said)
    assert re.search(r"withdrawn \d+\.\d s after it was deleted", said)
    left = run.cloud.client("s3").list_objects_v2(Bucket=bucket("small", "uploads"))
    assert left["KeyCount"] == 0


def test_a_smoke_test_without_workers_says_where_to_look(run, small):
    """And leaves nothing in the bucket of uploads; the stage is deployed all the same."""
    said = run("small", "--image", "keep", "--dollars-a-day", "8", "--yes", "--smoke-minutes", "0.02", code=1)
    assert "not published within 1 s: it has no manifest" in said
    assert "media-worker show 'media-worker-smoke-test-" in said
    assert run.cloud.client("s3").list_objects_v2(Bucket=bucket("small", "uploads"))["KeyCount"] == 0


def test_nobody_here_to_answer(run):
    """Without --yes each stack is asked for; what was proposed is withdrawn."""
    said = run("quiet", "--profile", "small", *FIRST[:4], code=1)
    assert "Give --yes" in said
    assert run.statuses("quiet") == {}


def test_what_an_earlier_attempt_left_is_made_anew(run):
    """A stack that was only proposed can't be updated."""
    run.cloud.client("cloudformation").create_change_set(
        StackName="media-again-storage",
        ChangeSetName="somebodys",
        ChangeSetType="CREATE",
        TemplateBody=(ROOT / "ecs" / "storage.yaml").read_text(),
        Parameters=[
            {"ParameterKey": "Stage", "ParameterValue": "again"},
            {"ParameterKey": "AlarmMail", "ParameterValue": "a@b"},
        ],
    )
    said = run("again", "--profile", "small", *FIRST[:4], answer="yes\nno\n", code=1)
    assert "media-again-storage: REVIEW_IN_PROGRESS of an earlier attempt, removing it" in said
    assert "Nothing more was done" in said
    assert run.statuses("again") == {"storage": "CREATE_COMPLETE"}
    said = run("again", "--yes", "--image", A, "--public-url", "https://a.example", "--smoke-minutes", "0")
    assert "media-again-storage: no changes" in said
    assert run.statuses("again").keys() == set(STACKS)


def test_deleted_and_made_again_with_the_same_buckets(run, small, site):
    """Messages are not thrown away unless that is said; buckets stay, their notifications of us do not."""
    s3, sqs = run.cloud.client("s3"), run.cloud.client("sqs")
    sqs.send_message(QueueUrl=sqs.get_queue_url(QueueName="media-small-heavy")["QueueUrl"], MessageBody="{}")
    assert "media-small-heavy 1" in run("small", "--delete", "--yes", code=1)
    assert "Nothing was done" in run("small", "--delete", "--force", "--dry-run")
    assert "Nothing was deleted" in run("small", "--delete", "--force", code=1, answer="prod\n")
    said = run("small", "--delete", "--force", answer="small\nyes\n")
    assert f"Stays, with all that is in it: s3://{bucket('small', 'uploads')}" in said
    assert run.statuses("small") == {}
    assert "QueueConfigurations" not in s3.get_bucket_notification_configuration(Bucket=bucket("small", "uploads"))
    said = run("small", "--profile", "small", "--public-url", site, *FIRST)
    assert f"{bucket('small', 'uploads')} is left of an earlier deployment, and is used again (--input-bucket)" in said
    assert run.parameter("media-small-storage", "ExistingOutputBucket") == bucket("small", "published")
    told = s3.get_bucket_notification_configuration(Bucket=bucket("small", "uploads"))["QueueConfigurations"]
    assert [one["Id"] for one in told] == ["media-small"]
    assert "There is no stage nothing" in run("nothing", "--delete", "--yes")


def shop(run: Command, name: str, *, prefix: str) -> None:
    """Somebody's bucket, whose pictures below a prefix start somebody's Lambda function."""
    rules = {"Filter": {"Key": {"FilterRules": [{"Name": "prefix", "Value": prefix}]}}}
    s3 = run.cloud.client("s3")
    s3.create_bucket(Bucket=name, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_bucket_notification_configuration(
        Bucket=name, NotificationConfiguration={"LambdaFunctionConfigurations": [LAMBDA | rules]}
    )


def test_somebodys_lambda_is_not_replaced(run):
    """Refused before anything is made, by its name."""
    shop(run, "shop", prefix="uploads/thumbs/")
    words = ("--input-bucket", "shop", "--input-prefix", "uploads/")
    said = run("shop", "--profile", "small", *words, *FIRST, code=1)
    assert "thumbs (s3:ObjectCreated:Put, prefix uploads/thumbs/)" in said
    assert "EventBridge" in said
    assert run.statuses("shop") == {}


def test_private_with_somebodys_bucket(run):
    """A key, the prefix list of S3, and a bucket that tells both; afterwards it tells as it did before."""
    shop(run, "store", prefix="thumbs/")
    s3 = run.cloud.client("s3")
    before = told(s3, "store")
    words = ("--profile", "private", "--public-url", "https://cdn.example.com", "--input-bucket", "store")
    said = run("private", *words, "--input-prefix", "up loads/", *FIRST)
    assert re.search(r"light task that is always on +1 +42\.53\n", said)
    assert run.statuses("private") == dict.fromkeys(("key", *STACKS), "CREATE_COMPLETE")
    assert run.parameter("media-private-network", "S3PrefixList").startswith("pl-")
    assert "+ EventBridge: everything" in said
    assert [one["Id"] for one in told(s3, "store")["QueueConfigurations"]] == ["media-private"]
    assert told(s3, "store")["LambdaFunctionConfigurations"] == before["LambdaFunctionConfigurations"]
    assert "no changes: everything" in run("private", "--image", "keep", "--yes")
    said = run("private", "--delete", "--yes", "--force")
    assert "Stays, at a dollar a month" in said
    assert told(s3, "store") == before


def told(s3, name: str) -> dict:
    """Whom a bucket tells what."""
    found = s3.get_bucket_notification_configuration(Bucket=name)
    return {key: value for key, value in found.items() if key != "ResponseMetadata"}


@pytest.mark.parametrize(
    ("words", "code", "says"),
    [
        (("prod",), 2, "--profile small or private"),
        (("prod", "--profile", "small"), 2, "Give it with --mail"),
        (("prod", "--profile", "large"), 2, "it may be small, private"),
        (("PROD", "--profile", "small"), 2, "it has to look like"),
        (("prod", "--image", "repository:latest"), 2, "sha256"),
        (("prod", "--delete", "--rollback"), 2, "goes alone"),
        (("prod", "--rollback", "--yes"), 1, "is not deployed here"),
        (("prod", "--account", "999999999999", "--env"), 1, f"This is account {ACCOUNT}"),
        (("small", "--profile", "private"), 2, "has profile small"),
    ],
)
def test_refused(here, small, words, code, says):
    """With the exit code, and what to do."""
    assert says in here(words, code)


def test_nobody_is_logged_in(here):
    """How to log in; and where, when no region is named."""
    assert "aws sso login" in here(("prod", "--env"), 1, AWS_ACCESS_KEY_ID="", AWS_SECRET_ACCESS_KEY="")
    assert "--region" in here(("prod", "--env"), 1, AWS_REGION="")


@pytest.fixture
def here(run, monkeypatch, capsys):
    """The same in this process, which is quicker: what it says when it ends with an exit code."""

    def call(words: tuple[str, ...], code: int, **environment: str) -> str:
        for name in [one for one in os.environ if one.startswith("AWS_")]:
            monkeypatch.delenv(name)
        for name, value in (run.environment | environment).items():
            monkeypatch.setenv(name, value)
        monkeypatch.setattr(sys, "argv", ["deploy", *words])
        account._client.cache_clear()
        with pytest.raises(SystemExit) as ended:
            main()
        assert ended.value.code == code
        return capsys.readouterr().err.replace("\n", " ")

    return call


@contextmanager
def worker(run: Command, settings: dict[str, str], folder) -> Iterator:
    """One on this machine, with the stage's settings."""
    here = {"MEDIA_SCRATCH": str(folder / "scratch"), "MEDIA_HTTP_PORT": "0", "MEDIA_POLL_SECONDS": "1"}
    log = folder / "worker.log"
    with log.open("wb") as out:
        variables = run.environment | settings | here | {"MEDIA_DRAIN_SECONDS": "5"}
        child = subprocess.Popen([sys.executable, "-m", "service", "run"], env=variables, stdout=out, stderr=out)
    try:
        yield log
    finally:
        child.terminate()
        child.wait(30)
