"""What the fake is told to do, and the count of what was done to it."""

import threading
import time
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Any

from PIL import Image

from tests.strict.model import OPERATIONS, Refused

Label = Mapping[str, Any]  # Name and Confidence (percent), and as wanted ParentName and TaxonomyLevel
Word = str | Sequence[Any]  # "text", or ("text", start, end) in seconds
#: Words (none: nobody speaks), a str for a transcript file of exactly this text, or {"failure": "why"}.
Said = Sequence[Word] | str | Mapping[str, str]

THROTTLES = {"ThrottlingException", "ProvisionedThroughputExceededException", "LimitExceededException"}
NAMES = frozenset(target.partition(".")[2] for target in OPERATIONS)
FAVOURITE = ("The", "quick", "brown", "fox", "jumps", "over", "the", "lazy", "dog.")


@dataclass(kw_only=True)
class Script:
    """How the fake behaves. All but the two callables can be set over HTTP too.

    A behaviour is `ok`, `stall` (nothing is done, and no answer comes until the fake closes), `cut` (it is done, and
    the connection breaks in the middle of the answer), or the code of an error.
    """

    modes: dict[str, str] = field(default_factory=dict)  #: of all calls of an operation
    calls: dict[str, list[str]] = field(default_factory=dict)  #: of its next calls, in order; then the mode again
    quotas: dict[str, float] = field(default_factory=dict)  #: calls a second and in a burst; one is the least
    throttle: str = "ThrottlingException"  #: what is answered above the quota

    model: str = "7.0"  #: before 7, answers have neither TaxonomyLevel nor ContentTypes
    labels: dict[str, list[Label]] = field(default_factory=dict)  #: by `rekognition.colour`; "any" for the others
    labels_for: Callable[[Image.Image], Sequence[Label]] | None = None
    content_types: list[Label] = field(default_factory=list)

    said: dict[str, Said] = field(default_factory=dict)  #: by the end of the media's URI, the longest first
    said_for: Callable[[Mapping[str, Any]], Said] | None = None  #: is given the request
    language: str = "en-US"  #: what is spoken, when it is to be identified
    gets: int | None = 2  #: a job ends with this Get; None: never
    seconds: float | None = None  #: a job ends so long after its start; None: never
    status: str | None = None  #: what every Get says in the place of the status
    events: bool = True  #: whether EventBridge delivers; it promises nothing

    def apply(self, changes: Mapping[str, Any]) -> None:
        """Set fields by name; raises ValueError for an unknown field or operation, and then changes nothing."""
        known = {item.name for item in fields(self)} - {"labels_for", "said_for"}
        if unknown := changes.keys() - known:
            raise ValueError(f"no such fields: {sorted(unknown)}")
        for name in ("modes", "calls", "quotas"):
            if unknown := changes.get(name, {}).keys() - NAMES:
                raise ValueError(f"no such operations: {sorted(unknown)}")
        for name, value in changes.items():
            setattr(self, name, value)


@dataclass
class Tally:
    """What was asked and answered, by operation; `per_second` by operation and Unix second."""

    calls: Counter[str] = field(default_factory=Counter)
    answered: Counter[str] = field(default_factory=Counter)
    errors: Counter[str] = field(default_factory=Counter)  #: by "Operation Code"
    per_second: dict[str, Counter[int]] = field(default_factory=lambda: defaultdict(Counter))
    rejected: list[str] = field(default_factory=list)  #: what a correct client never sends
    looks: list[dict[str, Any]] = field(default_factory=list)  #: width, height, format, bytes, colour of each picture

    @property
    def throttles(self) -> int:
        """Calls that were answered with one of `THROTTLES`."""
        return sum(count for name, count in self.errors.items() if name.rpartition(" ")[2] in THROTTLES)


class Turnstile:
    """Lets calls through by quota and script; one for all threads."""

    def __init__(self, script: Script, tally: Tally) -> None:
        self._script, self._tally = script, tally
        self._lock = threading.Lock()
        self._buckets: dict[str, tuple[float, float]] = {}  # tokens and when they were counted

    def behaviour(self, name: str) -> str:
        """Count a call of the operation and say how it goes; raises `Refused` above the quota."""
        with self._lock:
            self._tally.calls[name] += 1
            self._tally.per_second[name][int(time.time())] += 1
            if not self._token(name):
                raise Refused(self._script.throttle, "Rate exceeded")
            pending = self._script.calls.get(name)
            return pending.pop(0) if pending else self._script.modes.get(name, "ok")

    def _token(self, name: str) -> bool:
        rate = self._script.quotas.get(name)
        if rate is None:
            return True
        now, most = time.monotonic(), max(1.0, rate)
        tokens, then = self._buckets.get(name, (most, now))
        tokens = min(most, tokens + (now - then) * rate)
        self._buckets[name] = (tokens - 1 if tokens >= 1 else tokens, now)
        return tokens >= 1
