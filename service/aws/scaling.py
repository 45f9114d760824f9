"""Application Auto Scaling and ECS: how many tasks a lane may have, and has.

The names are those of ecs/*.yaml: cluster `media-STAGE`, services `media-STAGE-light` and `media-STAGE-heavy`.
"""

from typing import Any, Literal

from service.aws.errors import translated
from service.core.outcome import MediaWorkerError, Misconfigured
from service.core.record import Capacity

Lane = Literal["light", "heavy"]

_TASKS = {"ServiceNamespace": "ecs", "ScalableDimension": "ecs:service:DesiredCount"}
_MISSING: dict[str, type[MediaWorkerError]] = dict.fromkeys(
    ("ClusterNotFoundException", "ServiceNotFoundException", "ServiceNotActiveException"), Misconfigured
)


class Scaling:
    """The lanes of one deployment."""

    def __init__(self, autoscaling: Any, ecs: Any, *, stage: str) -> None:  # no stubs are installed of these two
        self._autoscaling = autoscaling
        self._ecs = ecs
        self._stage = stage

    def target(self, lane: Lane) -> str:
        """The id of a lane's scalable target."""
        return f"service/media-{self._stage}/media-{self._stage}-{lane}"

    async def capacity(self, lane: Lane) -> Capacity:
        """How many tasks scaling may start.

        :raises Misconfigured: when there is no such target.
        """
        name = self.target(lane)
        with translated("DescribeScalableTargets"):
            answer = await self._autoscaling.describe_scalable_targets(**_TASKS, ResourceIds=[name])
        for found in answer["ScalableTargets"]:
            return Capacity(fewest=found["MinCapacity"], most=found["MaxCapacity"])
        raise Misconfigured(f"nothing scales {name}: see --stage (MEDIA_STAGE) and AWS_REGION")

    async def limit(self, lane: Lane, to: Capacity) -> None:
        """Let scaling start so many; the tasks that run are left to it."""
        with translated("RegisterScalableTarget"):
            await self._autoscaling.register_scalable_target(
                **_TASKS, ResourceId=self.target(lane), MinCapacity=to.fewest, MaxCapacity=to.most
            )

    async def bring(self, lane: Lane, within: Capacity) -> None:
        """Have as many tasks as are within, started or stopped now rather than when an alarm next looks."""
        where: dict[str, Any] = {"cluster": f"media-{self._stage}"}
        service = f"media-{self._stage}-{lane}"
        with translated("DescribeServices", _MISSING):
            answer = await self._ecs.describe_services(**where, services=[service])
        there = [one for one in answer["services"] if one["status"] == "ACTIVE"]  # deleted ones are told of for a while
        if not there:
            raise Misconfigured(f"there is no service {service}: see --stage (MEDIA_STAGE) and AWS_REGION")
        now = there[0]["desiredCount"]
        wanted = min(within.most, max(within.fewest, now))
        if wanted != now:
            with translated("UpdateService", _MISSING):
                await self._ecs.update_service(**where, service=service, desiredCount=wanted)
