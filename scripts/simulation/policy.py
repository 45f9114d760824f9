"""The numbers of the scaling policies, lane by lane: what the templates in ecs/ set, as values.

`template.py` reads the same values out of the templates, so that a test can compare the two.
"""

from dataclasses import dataclass, replace
from typing import Literal

_VCPU_HOUR = 0.04048  # dollars, Fargate Linux x86_64 on demand, us-east-1
_GB_HOUR = 0.004445
SPOT_FACTOR = 0.3  # of the price on demand; Spot's own price moves, this is about what it has been


@dataclass(frozen=True, kw_only=True)
class Size:
    """One task: vCPUs, gigabytes of memory, jobs at once (`MEDIA_SLOTS`)."""

    vcpu: float
    memory: float
    slots: int

    def price(self, *, spot: bool = False) -> float:
        """Dollars a second."""
        hour = self.vcpu * _VCPU_HOUR + self.memory * _GB_HOUR
        return hour / 3600 * (SPOT_FACTOR if spot else 1)


@dataclass(frozen=True, kw_only=True)
class Step:
    """A step adjustment. `beyond`: distance from the alarm's threshold at which it begins.

    `change` is in tasks (scale-out) or per cent of the running tasks (scale-in, negative).
    """

    beyond: float
    change: int


@dataclass(frozen=True, kw_only=True)
class Tracking:
    """Target tracking: `metric` is backlog a task, or CPU in per cent. Cooldowns in seconds.

    Its two alarms are Application Auto Scaling's own: 3 minutes above the target, 15 below 0.9 of it.
    """

    metric: Literal["backlog", "cpu"]
    target: float
    out_cooldown: float
    in_cooldown: float
    scales_in: bool


@dataclass(frozen=True, kw_only=True)
class Stepping:
    """Step scaling behind one alarm: `periods` minutes at or beyond `threshold`, then by `steps`."""

    threshold: float
    periods: int
    cooldown: float
    steps: tuple[Step, ...]


@dataclass(frozen=True, kw_only=True)
class LanePolicy:
    """How one service scales. `out` listens to visible messages alone, `back` to the backlog a task."""

    size: Size
    maximum: int
    minimum: int = 0
    woken: bool = False  # an upload's own event raises a desired count of zero to one; heavy: if its name is a film's
    kept_active: bool = True  # a scheduled GetQueueAttributes: the queue's metrics never sleep
    tracking: Tracking | None = None
    out: Stepping | None = None
    back: Stepping | None = None
    spot: float = 0.0  # share of the tasks on Fargate Spot, above
    on_demand: int = 0  # tasks that never are


@dataclass(frozen=True, kw_only=True)
class Policy:
    """Both services of a deployment; `foresight` makes them the oracle's."""

    name: str
    light: LanePolicy
    heavy: LanePolicy
    foresight: bool = False


# A start (60 s), a period (60) and a metric's delay (120): as long as an alarm shows what was before a change.
# Sooner, the same messages order tasks twice, and the idleness of a task that is gone stops the one just woken.
_STALE = 240.0

_LIGHT = LanePolicy(
    size=Size(vcpu=1, memory=4, slots=1),
    maximum=4,
    woken=True,
    tracking=Tracking(metric="backlog", target=20, out_cooldown=60, in_cooldown=300, scales_in=False),
    out=Stepping(
        threshold=1,
        periods=2,  # longer than a task that the event woke takes to start, or it would be given a needless second
        cooldown=_STALE,
        steps=(Step(beyond=0, change=1), Step(beyond=59, change=2), Step(beyond=199, change=4)),
    ),
    back=Stepping(
        threshold=0.5,
        periods=3,
        cooldown=_STALE,
        steps=(Step(beyond=0, change=-25), Step(beyond=0.45, change=-100)),
    ),
)
_HEAVY = LanePolicy(
    size=Size(vcpu=2, memory=4, slots=1),
    maximum=10,
    woken=True,
    tracking=Tracking(metric="backlog", target=1, out_cooldown=60, in_cooldown=300, scales_in=False),
    out=Stepping(
        threshold=1,
        periods=2,  # longer than a task that the event woke takes to start, or it would be given a needless second
        cooldown=_STALE,
        steps=(Step(beyond=0, change=1), Step(beyond=3, change=4), Step(beyond=9, change=10)),
    ),
    back=Stepping(
        threshold=0.95,
        periods=3,
        cooldown=_STALE,
        steps=(
            Step(beyond=0, change=-20),
            Step(beyond=0.3, change=-50),
            Step(beyond=0.6, change=-80),
            Step(beyond=0.9, change=-100),
        ),
    ),
)

SMALL = Policy(name="ours", light=_LIGHT, heavy=_HEAVY)
PRIVATE = Policy(
    name="ours",
    light=replace(_LIGHT, minimum=1, maximum=8, spot=0.5, on_demand=1),
    heavy=replace(_HEAVY, spot=0.75),
)
PROFILES = {"small": SMALL, "private": PRIVATE}


def by_cpu(policy: Policy) -> Policy:
    """The usual way instead: 60 % CPU, never below one task; the same tasks and maxima."""
    tracking = Tracking(metric="cpu", target=60, out_cooldown=60, in_cooldown=300, scales_in=True)

    def lane(one: LanePolicy) -> LanePolicy:
        plain = LanePolicy(size=one.size, maximum=one.maximum, spot=one.spot, on_demand=one.on_demand)
        return replace(plain, minimum=1, tracking=tracking)

    return Policy(name="CPU 60 %", light=lane(policy.light), heavy=lane(policy.heavy))


def oracle(policy: Policy) -> Policy:
    """What nobody can do: the same tasks and maxima, started and stopped in knowledge of every arrival."""

    def lane(one: LanePolicy) -> LanePolicy:
        return LanePolicy(size=one.size, maximum=one.maximum, spot=one.spot, on_demand=one.on_demand)

    return Policy(name="oracle", light=lane(policy.light), heavy=lane(policy.heavy), foresight=True)
