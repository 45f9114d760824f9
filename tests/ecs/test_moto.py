"""Both profiles deployed on moto, their outputs used, and the worker run with what its task definition says."""

import io
import json
import os
import subprocess
import sys
import time
from contextlib import contextmanager

import pytest
from PIL import Image

from service.config import Settings
from tests.ecs.moto_server import deploy
from tests.ecs.templates import load

pytestmark = pytest.mark.timeout(600)  # the first test installs the tools, unless scripts/test did

#: What moto 5.2 makes nothing of; the rules and cfn-lint are all that looks at these.
SKIPPED = {
    "AWS::ApplicationAutoScaling::ScalableTarget",
    "AWS::ApplicationAutoScaling::ScalingPolicy",
    "AWS::CloudWatch::Alarm",
    "AWS::S3::BucketPolicy",
    "AWS::SNS::TopicPolicy",
    "AWS::SQS::QueuePolicy",
}
_DAY = 86_400
KNOWN = {str(field.validation_alias or f"MEDIA_{name.upper()}") for name, field in Settings.model_fields.items()}


@pytest.fixture(scope="module", params=["small", "private"])
def deployed(request, moto):
    """The profile and what its stacks gave."""
    return request.param, deploy(moto, request.param, request.param)


def test_all_types_are_made_but_those(moto, deployed, capsys):
    """What moto skips is known, and printed."""
    deploy(moto, deployed[0], f"{deployed[0]}2", ModerationProvider="rekognition", CaptionProvider="transcribe")
    edge = {one["Type"] for one in load("edge")["Resources"].values()}
    with capsys.disabled():
        print(
            f"\nmoto skips {', '.join(sorted(moto.skipped()))}, and the whole of edge.yaml: {', '.join(sorted(edge))}"
        )
    assert moto.skipped() == SKIPPED


def test_uploads_reach_the_intake(moto, deployed):
    """What is put into the bucket of uploads is told to the queue; both are as the outputs say."""
    _, out = deployed
    s3, sqs = moto.client("s3"), moto.client("sqs")
    s3.put_object(Bucket=out["InputBucket"], Key="a b.jpg", Body=b"x")
    told = []
    while not any("a%20b.jpg" in one or "a+b.jpg" in one for one in told):
        got = sqs.receive_message(QueueUrl=out["IntakeUrl"], MaxNumberOfMessages=10, WaitTimeSeconds=5).get(
            "Messages", []
        )
        told += [one["Body"] for one in got]
        for one in got:
            sqs.delete_message(QueueUrl=out["IntakeUrl"], ReceiptHandle=one["ReceiptHandle"])
    s3.delete_object(Bucket=out["InputBucket"], Key="a b.jpg")


@pytest.mark.parametrize("name", ["Intake", "Heavy", "Backfill"])
def test_queues_bury_after_twenty(moto, deployed, name):
    """Each queue has its own dead-letter queue, which keeps longer and takes from it alone."""
    _, out = deployed
    sqs = moto.client("sqs")
    queue, dead = (
        sqs.get_queue_attributes(QueueUrl=out[f"{name}{kind}Url"], AttributeNames=["All"])["Attributes"]
        for kind in ("", "Dead")
    )
    assert json.loads(queue["RedrivePolicy"]) == {"deadLetterTargetArn": dead["QueueArn"], "maxReceiveCount": 20}
    assert int(queue["MessageRetentionPeriod"]) == 12 * _DAY
    assert int(dead["MessageRetentionPeriod"]) == 14 * _DAY


def test_services_stand(moto, deployed):
    """Two services in one cluster, with addresses of their own in small alone."""
    profile, out = deployed
    names = [f"media-{profile}-light", f"media-{profile}-heavy"]
    found = moto.client("ecs").describe_services(cluster=out["Cluster"], services=names)["services"]
    assert sorted(one["serviceName"] for one in found) == sorted(names)


def test_settings_are_settings(moto, deployed):
    """Each variable of both lanes is one that the worker knows: it refuses others."""
    for lane in ("light", "heavy"):
        assert set(_environment(moto, f"media-{deployed[0]}-{lane}")) - KNOWN == set()


def test_a_picture_is_published(moto, deployed, tmp_path):
    """The worker, with the light lane's settings as deployed, makes a page of an upload and tells the topic."""
    profile, out = deployed
    s3, sqs, sns = moto.client("s3"), moto.client("sqs"), moto.client("sns")
    listener = sqs.create_queue(QueueName=f"{profile}-site")["QueueUrl"]
    arn = sqs.get_queue_attributes(QueueUrl=listener, AttributeNames=["QueueArn"])["Attributes"]["QueueArn"]
    sns.subscribe(TopicArn=out["OutcomesTopicArn"], Protocol="sqs", Endpoint=arn)
    with _worker(moto, profile, tmp_path) as log:
        s3.put_object(Bucket=out["InputBucket"], Key="Sunrise.jpg", Body=_picture())
        told = _told(sqs, listener, log)
    assert told["manifest"]["status"] == "ready"
    page = json.loads(s3.get_object(Bucket=out["OutputBucket"], Key="media/Sunrise.jpg/manifest.json")["Body"].read())
    assert page["serving"]["products"][0]["url"].startswith("https://media.example.com/media/Sunrise.jpg/")


def _told(sqs, queue, log):
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        for one in sqs.receive_message(QueueUrl=queue, WaitTimeSeconds=2).get("Messages", []):
            return json.loads(json.loads(one["Body"])["Message"])
    raise AssertionError(log.read_text()[-3000:])


def _environment(moto, family):
    task = moto.client("ecs").describe_task_definition(taskDefinition=family)["taskDefinition"]
    made = task["containerDefinitions"][0]["environment"]
    return {one["name"]: one["value"] for one in made if one}  # moto keeps an empty place for AWS::NoValue


@contextmanager
def _worker(moto, profile, folder):
    here = {"PATH": os.environ["PATH"], "MEDIA_SCRATCH": str(folder / "scratch"), "MEDIA_HTTP_PORT": "0"}
    here |= {"AWS_ENDPOINT_URL": moto.endpoint, "AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test"}
    here |= {"AWS_EC2_METADATA_DISABLED": "true", "MEDIA_POLL_SECONDS": "1", "MEDIA_DRAIN_SECONDS": "5"}
    log = folder / "worker.log"
    with log.open("wb") as out:
        variables = _environment(moto, f"media-{profile}-light") | here
        worker = subprocess.Popen([sys.executable, "-m", "service", "run"], env=variables, stdout=out, stderr=out)
    try:
        yield log
    finally:
        worker.terminate()
        worker.wait(30)


def _picture():
    out = io.BytesIO()
    Image.linear_gradient("L").convert("RGB").resize((640, 480)).save(out, "JPEG")
    return out.getvalue()
