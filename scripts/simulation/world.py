"""What AWS does by itself: delays, prices' minimum, Spot; and the clock that everything happens on."""

import heapq
from collections.abc import Callable
from dataclasses import dataclass

Act = Callable[[], None]


@dataclass(frozen=True, kw_only=True)
class World:
    """Seconds, drawn evenly between two bounds where there are two.

    Metrics: https://docs.aws.amazon.com/AWSSimpleQueueService/latest/SQSDeveloperGuide/sqs-monitoring-using-cloudwatch.html
    """

    metric_delay: tuple[float, float] = (60.0, 120.0)  # from the end of a minute until an alarm sees its datapoint
    asleep_after: float = 6 * 3600.0  # an SQS queue that nobody touched
    asleep_delay: float = 900.0  # until its metrics are back: "up to 15 minutes"
    start: tuple[float, float] = (35.0, 60.0)  # Fargate: network interface, image, process
    stop: float = 10.0  # from SIGTERM of an idle task, on average half a long poll
    wake: float = 3.0  # from the upload's event through EventBridge to a desired count of one
    drain: float = 100.0  # of Spot's two minutes: MEDIA_DRAIN_SECONDS
    least_billed: float = 60.0  # Fargate bills by the second, from a minute on
    reclaims: float = 0.05  # of one Spot task, an hour
    forward: float = 0.2  # vCPU seconds until the light lane knows that a file is a film, and has sent it on
    patience: float = 2 * 86400.0  # with nothing left to do, after which a model that never settles is an error


class Clock:
    """The events still to come, in order of time; those of one moment in the order they were planned."""

    def __init__(self) -> None:
        self.now = 0.0
        self._planned = 0
        self._events: list[tuple[float, int, Act]] = []

    def at(self, when: float, act: Act) -> None:
        """Plan `act`; a time that has passed means now."""
        self._planned += 1
        heapq.heappush(self._events, (max(when, self.now), self._planned, act))

    def step(self) -> bool:
        """Let the next event happen; false when there is none."""
        if not self._events:
            return False
        self.now, _, act = heapq.heappop(self._events)
        act()
        return True
