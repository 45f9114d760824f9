"""`pause` and `resume` against Application Auto Scaling and ECS, as moto has them."""

import json
from uuid import uuid4

import pytest

from tests.ecs.templates import REGION
from tests.test_cli import run

pytestmark = pytest.mark.timeout(600)  # the first test installs the tools, unless scripts/test did

_SCALED = {"ServiceNamespace": "ecs", "ScalableDimension": "ecs:service:DesiredCount"}
CAPACITIES = {"light": (1, 8), "heavy": (0, 10)}


@pytest.fixture
def stage(moto):
    """A deployment of its own: a bucket, two services with tasks, and what scales them."""
    stage = f"s{uuid4().hex[:8]}"
    cluster = f"media-{stage}"
    ecs, scaling = moto.client("ecs"), moto.client("application-autoscaling")
    moto.client("s3").create_bucket(Bucket=cluster, CreateBucketConfiguration={"LocationConstraint": REGION})
    ecs.create_cluster(clusterName=cluster)
    container = {"name": "media-worker", "image": "i", "memory": 512}
    task = ecs.register_task_definition(family=cluster, containerDefinitions=[container])["taskDefinition"]
    for lane, (fewest, most) in CAPACITIES.items():
        service = f"{cluster}-{lane}"
        ecs.create_service(
            cluster=cluster, serviceName=service, taskDefinition=task["taskDefinitionArn"], desiredCount=3
        )
        scaling.register_scalable_target(
            **_SCALED, ResourceId=f"service/{cluster}/{service}", MinCapacity=fewest, MaxCapacity=most
        )
    return stage


def command(moto, stage, *arguments):
    """A command on this deployment."""
    settings = {"QUEUE_URL": "q", "INPUT_BUCKETS": "in", "OUTPUT_BUCKET": f"media-{stage}", "PUBLIC_URL": "/"}
    keys = {"AWS_ACCESS_KEY_ID": "test", "AWS_SECRET_ACCESS_KEY": "test", "AWS_EC2_METADATA_DISABLED": "true"}
    where = {"AWS_ENDPOINT_URL": moto.endpoint, "AWS_REGION": REGION}
    return run(*arguments, **{f"MEDIA_{name}": value for name, value in settings.items()}, **keys, **where)


def lanes(moto, stage):
    """Of each lane: fewest, most, and how many tasks are wanted now."""
    cluster = f"media-{stage}"
    names = [f"{cluster}-{lane}" for lane in CAPACITIES]
    found = moto.client("application-autoscaling").describe_scalable_targets(
        ServiceNamespace="ecs", ResourceIds=[f"service/{cluster}/{name}" for name in names]
    )["ScalableTargets"]
    wanted = moto.client("ecs").describe_services(cluster=cluster, services=names)["services"]
    limits = {one["ResourceId"].rpartition("-")[2]: (one["MinCapacity"], one["MaxCapacity"]) for one in found}
    return {one["serviceName"].rpartition("-")[2]: _of(one, limits) for one in wanted}


def _of(service, limits):
    return (*limits[service["serviceName"].rpartition("-")[2]], service["desiredCount"])


def test_there_and_back(moto, stage):
    """Tasks are stopped; a second pause forgets nothing; a resume gives lanes exactly what they had."""
    ended = command(moto, stage, "pause", "--stage", stage, "--by", "Ann")
    assert (0, "") == (ended.code, ended.err)
    assert {"light": (0, 0, 0), "heavy": (0, 0, 0)} == lanes(moto, stage)
    assert "light lane: no task (1 to 8 before)" in ended.out.splitlines()
    assert command(moto, stage, "pause", "--stage", stage).code == 0
    ended = command(moto, stage, "resume")
    assert (2, True) == (ended.code, f"say --stage {stage}" in ended.err)
    ended = command(moto, stage, "resume", "--stage", stage)
    assert (0, "") == (ended.code, ended.err)
    assert {"light": (1, 8, 1), "heavy": (0, 10, 0)} == lanes(moto, stage)


def test_the_backfill_alone(moto, stage):
    """One task of the heavy lane stays."""
    document = command(moto, stage, "pause", "backfill", "--stage", stage, "--json").document
    assert {"heavy": {"now": {"fewest": 0, "most": 1}, "former": {"fewest": 0, "most": 10}}} == document["lanes"]
    assert {"light": (1, 8, 3), "heavy": (0, 1, 1)} == lanes(moto, stage)
    stored = moto.client("s3").get_object(Bucket=f"media-{stage}", Key="records/~pause.json")["Body"].read()
    target = f"service/media-{stage}/media-{stage}-heavy"
    assert {target: {"fewest": 0, "most": 10}} == json.loads(stored)["lanes"]
    assert command(moto, stage, "resume", "backfill", "--stage", stage).code == 0
    assert {"light": (1, 8, 3), "heavy": (0, 10, 1)} == lanes(moto, stage)


def test_no_such_deployment(moto, stage):
    """Or no such service: workers are told all the same, and the operator is told what to look at."""
    ended = command(moto, stage, "pause", "intake", "--stage", "other")
    assert (2, True) == (ended.code, "nothing scales service/media-other/media-other-light: see --stage" in ended.err)
    assert "intake: paused since " in ended.out
    moto.client("ecs").delete_service(cluster=f"media-{stage}", service=f"media-{stage}-light", force=True)
    ended = command(moto, stage, "pause", "intake", "--stage", stage)
    assert (2, True) == (ended.code, "--stage (MEDIA_STAGE) and AWS_REGION" in ended.err)
