"""Application Auto Scaling as documented: alarms over delayed minutes, target tracking, steps, cooldowns.

Pure: what was measured goes in, a desired count comes out. The running count is the base of every change
(https://docs.aws.amazon.com/AmazonECS/latest/developerguide/service-auto-scaling.html), and a scale-out wins.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from scripts.simulation.policy import LanePolicy, Step, Stepping, Tracking

HIGH_MINUTES, LOW_MINUTES, LOW_SHARE = 3, 15, 0.9  # the alarms that target tracking makes for itself
_NEVER = -math.inf


@dataclass(frozen=True, kw_only=True)
class Sample:
    """One minute's datapoints of a lane; no alarm sees them before `available`. CPU in per cent."""

    available: float
    visible: int
    inflight: int
    running: int
    cpu: float

    @property
    def backlog(self) -> float:
        """(visible + in flight) / running, the zero guarded."""
        return (self.visible + self.inflight) / max(1, self.running)


def breached(samples: Sequence[Sample], minutes: int, beyond: Callable[[Sample], bool]) -> bool:
    """Whether the newest `minutes` datapoints are all beyond; too few of them is insufficient data, so no."""
    return len(samples) >= minutes and all(beyond(one) for one in samples[-minutes:])


def change_of(steps: Sequence[Step], distance: float) -> int:
    """The adjustment of the step that a breach of this `distance` from the threshold falls into."""
    return max((one for one in steps if one.beyond <= distance), key=lambda one: one.beyond).change


def percent_of(running: int, percent: int) -> int:
    """Tasks that a PercentChangeInCapacity removes: rounded down, but at least one."""
    return max(1, running * -percent // 100)


class Autoscaler:
    """The policies of one service, and since when each is in its cooldown."""

    def __init__(self, policy: LanePolicy) -> None:
        self._policy = policy
        self._stepped_out = self._stepped_in = self._tracked_in = self._tracked_out = _NEVER
        self._last_change = 0

    def decide(self, now: float, samples: Sequence[Sample], *, running: int, desired: int) -> int:
        """The desired count after this minute's alarms. `samples`: those available by now, oldest first."""
        policy = self._policy
        out = max(self._out(now, samples, running), self._track_out(now, samples, running, desired))
        if out > desired:
            return min(out, policy.maximum)
        back = min(self._back(now, samples, running, desired), self._track_in(now, samples, running, desired))
        return max(min(back, desired), policy.minimum)

    def _out(self, now: float, samples: Sequence[Sample], running: int) -> int:
        out = self._policy.out
        if out is None or not breached(samples, out.periods, lambda one: one.visible >= out.threshold):
            return 0
        change = change_of(out.steps, samples[-1].visible - out.threshold)
        if now < self._stepped_out + out.cooldown and change <= self._last_change:
            return 0  # a larger step may still be taken during the cooldown
        self._stepped_out, self._last_change = now, change
        return running + change

    def _back(self, now: float, samples: Sequence[Sample], running: int, desired: int) -> int:
        back = self._policy.back
        if back is None or now < self._stepped_in + back.cooldown or not breached(samples, back.periods, _idle(back)):
            return desired
        self._stepped_in = now
        return running - percent_of(running, change_of(back.steps, back.threshold - samples[-1].backlog))

    def _track_out(self, now: float, samples: Sequence[Sample], running: int, desired: int) -> int:
        tracking = self._policy.tracking
        if tracking is None or not breached(samples, HIGH_MINUTES, lambda one: _value(tracking, one) > tracking.target):
            return 0
        wanted = math.ceil(max(1, running) * _value(tracking, samples[-1]) / tracking.target)
        if wanted <= desired or (now < self._tracked_out + tracking.out_cooldown and running < desired):
            return 0  # what the last scale-out ordered and has not arrived is part of the count
        self._tracked_out = now
        return wanted

    def _track_in(self, now: float, samples: Sequence[Sample], running: int, desired: int) -> int:
        tracking = self._policy.tracking
        if tracking is None or not tracking.scales_in:
            return desired
        since = max(self._tracked_in, self._tracked_out)
        low = tracking.target * LOW_SHARE
        if now < since + tracking.in_cooldown or not breached(samples, LOW_MINUTES, _below(tracking, low)):
            return desired
        self._tracked_in = now
        return min(desired, math.ceil(running * _value(tracking, samples[-1]) / tracking.target))


def _value(tracking: Tracking, sample: Sample) -> float:
    return sample.cpu if tracking.metric == "cpu" else sample.backlog


def _below(tracking: Tracking, low: float) -> Callable[[Sample], bool]:
    return lambda one: one.running > 0 and _value(tracking, one) < low


def _idle(back: Stepping) -> Callable[[Sample], bool]:
    """Guarded by the running count: with none the alarm rests, or it would stop the task that an event just woke."""
    return lambda one: one.running > 0 and one.backlog <= back.threshold
