"""Which release a lane had before.

Releases are kept where ECS keeps them anyway: each is a revision of the lane's task definition, with its image, its
size and its settings. CloudFormation deregisters a revision that it replaces, and an inactive one can still be read
(ECS promises no date until which; in practice it is years), while a stack knows its present parameters alone. So the
release before is read from the newest earlier revision that differs, and deployed as these parameters on the
template that stands: a change set like any other. Rolled back twice, a lane is where it was.

The repository keeps three images: what was pushed four builds ago is gone.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, TypeVar

Lane = TypeVar("Lane")

#: Parameters of lane.yaml that the environment has.
_SETTINGS = {
    "Recipe": "MEDIA_RECIPE",
    "PublicUrl": "MEDIA_PUBLIC_URL",
    "RekognitionRate": "MEDIA_REKOGNITION_RATE",
    "TranscribeRate": "MEDIA_TRANSCRIBE_RATE",
}


@dataclass(frozen=True, kw_only=True)
class Release:
    """One revision of a lane: the parameters of lane.yaml that made it, and the names of its settings."""

    revision: int
    parameters: Mapping[str, str]
    settings: frozenset[str]

    @property
    def image(self) -> str:
        """By its digest."""
        return self.parameters["Image"]


def of(task: Mapping[str, Any]) -> Release:
    """A task definition, as DescribeTaskDefinition tells it."""
    container = task["containerDefinitions"][0]
    environment = {one["name"]: str(one["value"]) for one in container.get("environment", []) if one}
    found = {"Image": container["image"]}
    found |= {name: environment[variable] for name, variable in _SETTINGS.items() if variable in environment}
    found.setdefault("Recipe", "")  # without the variable it is the shipped one
    if architecture := task.get("runtimePlatform", {}).get("cpuArchitecture"):
        found["Architecture"] = architecture
    if disk := task.get("ephemeralStorage", {}).get("sizeInGiB"):
        found["DiskGiB"] = str(disk)
    return Release(revision=int(task["revision"]), parameters=found, settings=frozenset(environment))


def before(now: Release, others: Iterable[Release]) -> Release | None:
    """The newest earlier one that is another release."""
    earlier = (one for one in others if one.revision < now.revision and one.parameters != now.parameters)
    return max(earlier, key=lambda one: one.revision, default=None)


def together(found: Mapping[Lane, tuple[Release, Release | None]]) -> dict[Lane, Release]:
    """Which lanes go back, and to what: both to another image, or else those whose own parameters changed last."""
    steps = {lane: (now, then) for lane, (now, then) in found.items() if then}
    alone = {lane: then for lane, (now, then) in steps.items() if then.image == now.image}
    return alone or {lane: then for lane, (_, then) in steps.items()}


def unknown_settings(now: Release, then: Release) -> list[str]:
    """Settings that only the present template gives: a worker refuses what it does not know."""
    return sorted(now.settings - then.settings)


# ---- doing ---------------------------------------------------------------------------------------------------------


def read(ecs: Any, arn: str) -> tuple[Release, Release | None]:
    """The release that a task definition's ARN names, and the one before it."""
    now = of(ecs.describe_task_definition(taskDefinition=arn)["taskDefinition"])
    family = arn.rpartition("/")[2].partition(":")[0]
    for status in ("INACTIVE", "ACTIVE"):  # CloudFormation leaves one active
        pages = ecs.get_paginator("list_task_definitions").paginate(familyPrefix=family, status=status, sort="DESC")
        arns = [
            one for page in pages for one in page["taskDefinitionArns"] if one.split("/")[-1].split(":")[0] == family
        ]
        for one in sorted(arns, key=_revision, reverse=True):
            found = of(ecs.describe_task_definition(taskDefinition=one)["taskDefinition"])
            if then := before(now, [found]):
                return now, then
    return now, None


def _revision(arn: str) -> int:
    return int(arn.rpartition(":")[2])
