"""What can go wrong, and how an attempt ends: the exception tree, the reason codes and the verdict.

MediaWorkerError
├── Rejected          the file is at fault: published with its reason code, never tried again
├── Unseekable        a long source has to be worked on as a whole: plan again
├── Superseded        the source changed under way: reconcile again
├── Conflict          somebody else wrote first (412, 409): reconcile again
├── Elsewhere         another worker takes such a job: send it on
├── Crowded           not now: somebody else is at the key, or the disk is full; no failure of the job
├── Overspent         a cap of the recipe refuses to buy it
├── Unscreened        nobody could be asked whether it may be shown: it stays out of sight, and is tried again
├── Transient         try again later
│   ├── Throttled     the other side asked for less
│   └── Unavailable   it did not answer, or answered with its own failure
├── Interrupted       this worker has to stop: not a failure, released at once
├── LeaseLost         the message is somebody else's now: settle nothing
├── Poison            a message that no worker will ever understand
│   └── Forged        it names a bucket or key that is not ours: nothing was called
├── Unknown           a message type that a newer worker may understand
└── Misconfigured     a setting, permission or tool is wrong: an operator has to act
"""

from dataclasses import dataclass
from enum import StrEnum
from random import Random


class Reason(StrEnum):
    """Why a version is not ready: part of the contract, so codes are only ever added."""

    EMPTY = "empty"
    UNSUPPORTED_TYPE = "unsupported_type"
    TOO_LARGE = "too_large"
    TOO_MANY_PIXELS = "too_many_pixels"
    TOO_MANY_FRAMES = "too_many_frames"
    TOO_LONG = "too_long"
    TOO_MANY_STREAMS = "too_many_streams"
    NO_MEDIA = "no_media"
    DAMAGED = "damaged"
    ENCRYPTED = "encrypted"
    ARCHIVED = "archived"
    BAD_TIMESTAMPS = "bad_timestamps"
    TIME_LIMIT = "time_limit"
    MEMORY_LIMIT = "memory_limit"
    MODERATION_BLOCKED = "moderation_blocked"
    MODERATION_REVIEW = "moderation_review"
    MODERATION_UNAVAILABLE = "moderation_unavailable"
    SUPERSEDED = "superseded"
    INTERNAL = "internal"


class MediaWorkerError(Exception):
    """Anything this service raises on purpose."""


class Rejected(MediaWorkerError):
    """The file is at fault; `message` is written for the person who uploaded it."""

    def __init__(self, reason: Reason, message: str) -> None:
        super().__init__(f"{reason}: {message}")
        self.reason = reason
        self.message = message


class Unseekable(MediaWorkerError):
    """A long source that can't be begun anywhere, whatever its index says: it is to be worked on as a whole."""


class Superseded(MediaWorkerError):
    """The source is no longer what it was when the job began."""


class Conflict(MediaWorkerError):
    """A conditional write found that somebody else was first."""


class Crowded(MediaWorkerError):
    """There is no room for this job now; `after` is in how many seconds there may be."""

    def __init__(self, message: str, *, after: int = 60) -> None:
        super().__init__(message)
        self.after = after


class Elsewhere(MediaWorkerError):
    """This worker does not take such a job, but there is one that does."""


class Overspent(MediaWorkerError):
    """A cap of the recipe refuses to buy it; its text says which."""


class Unscreened(MediaWorkerError):
    """Moderation gave no verdict; its text says why."""


class Transient(MediaWorkerError):
    """Worth another try."""


class Throttled(Transient):
    """The other side asked for fewer calls."""


class Unavailable(Transient):
    """The other side did not answer, or failed."""


class Interrupted(MediaWorkerError):
    """The worker is draining; the job goes on elsewhere from its last record."""


class LeaseLost(MediaWorkerError):
    """The message's visibility ran out, or its receipt is no longer ours."""


class Poison(MediaWorkerError):
    """A message that cannot be understood; its text says why."""


class Forged(Poison):
    """A message that names something outside the configured buckets and prefixes."""


class Unknown(MediaWorkerError):
    """An envelope of a type that this version does not know."""


class Misconfigured(MediaWorkerError):
    """Something an operator has to mend; its text says what and how."""


@dataclass(frozen=True, kw_only=True)
class Done:
    """Acknowledge: delete the message."""


@dataclass(frozen=True, kw_only=True)
class Retry:
    """Release the message, to be seen again after `after` seconds; `counts` if this was a failure."""

    after: int
    counts: bool


@dataclass(frozen=True, kw_only=True)
class DeadLetter:
    """Copy the message to the dead-letter queue with `reason`, then delete it."""

    reason: str
    detail: str
    publish_failed: bool


@dataclass(frozen=True, kw_only=True)
class Forward:
    """Send the job to the heavy queue, then delete the message."""


@dataclass(frozen=True, kw_only=True)
class Abandon:
    """Settle nothing: the message belongs to somebody else."""


Verdict = Done | Retry | DeadLetter | Forward | Abandon

MAX_ATTEMPTS = 5
FIRST_BACKOFF = 15  # seconds; with the factor of 4, five tries span about ten minutes: a passing outage
MAX_BACKOFF = 900  # a delay that an operator still notices; the ceiling of SQS is 12 h
FULL_DELAY = 60  # whoever is in the way has made some progress by then
UNKNOWN_TYPE_DELAY = 300  # long enough for a rolling deployment to bring a worker that knows it


def decide(error: BaseException | None, *, attempts: int, jitter: Random) -> Verdict:
    """How the message of an attempt ends; `attempts` counts this one, by the worker's own count.

    What only an operator can mend is no fault of the file: it waits, and the queue's age raises the alarm; so does
    what a cap refuses, until the day is over or the cap is raised. Anything that nobody foresaw is transient: five
    tries tell a bug from a bad moment.
    """
    if (pause := _no_fault(error)) is not None:
        return Retry(after=pause, counts=False)
    match error:
        case None | Rejected() | Superseded():
            return Done()
        case LeaseLost():
            return Abandon()
        case Elsewhere():
            return Forward()
        case Poison():
            return DeadLetter(reason=_snake(type(error)), detail=str(error), publish_failed=False)
        case _ if attempts >= MAX_ATTEMPTS:
            return DeadLetter(reason=Reason.INTERNAL, detail=_described(error), publish_failed=True)
        case _:
            return Retry(after=backoff(attempts, jitter=jitter), counts=True)


def _no_fault(error: BaseException | None) -> int | None:
    """Seconds until the next try of what nobody can blame the file for; None for the rest."""
    match error:
        case Interrupted():
            return 0
        case Unknown():
            return UNKNOWN_TYPE_DELAY
        case Crowded(after=after):
            return after
        case OSError(errno=28):  # no space left on device
            return FULL_DELAY
        case Misconfigured() | Overspent() | Unscreened():
            return MAX_BACKOFF
    return None


def backoff(attempts: int, *, jitter: Random) -> int:
    """Seconds until the next try: full jitter below a growing ceiling (AWS Architecture Blog, 2015)."""
    ceiling = min(MAX_BACKOFF, FIRST_BACKOFF * 4 ** max(0, attempts - 1))
    return jitter.randint(1, ceiling)


def _described(error: BaseException) -> str:
    return f"{type(error).__name__}: {error}"


def _snake(kind: type) -> str:
    return "".join(f"_{c.lower()}" if c.isupper() else c for c in kind.__name__).lstrip("_")
