"""What arrives: jobs with their sizes drawn once, so that every policy is given the same work."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from random import Random
from typing import Literal

Kind = Literal["image", "video"]

IMAGE_CORES = 0.8  # of a slot's two seconds, this share is processor time; the rest waits for S3
IMAGE_SECONDS = (1.0, 1.8, 3.5)  # of one slot: least, mode, most
VIDEO_CPU = 2.5  # vCPU seconds a second of 1080p: five rungs, sound, captions, as `media-worker plan` estimates it
VIDEO_SPREAD = 0.25  # sigma of the log-normal factor between calm and busy pictures
HOUR, DAY = 3600.0, 86400.0


@dataclass(frozen=True, kw_only=True)
class Job:
    """One upload. `work` in vCPU seconds; `cores` is the most vCPUs that it can use at once."""

    number: int
    at: float
    kind: Kind
    work: float
    cores: float
    backfill: bool = False


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """Jobs in the order of their arrival, and how long the site is looked at, in seconds."""

    name: str
    jobs: tuple[Job, ...]
    horizon: float = 0.0


def image(number: int, at: float, random: Random, *, backfill: bool = False) -> Job:
    """A picture: 1 to 3.5 seconds of a slot."""
    low, mode, high = IMAGE_SECONDS
    work = random.triangular(low, high, mode) * IMAGE_CORES
    return Job(number=number, at=at, kind="image", work=work, cores=IMAGE_CORES, backfill=backfill)


def video(number: int, at: float, random: Random, *, seconds: float = 600.0) -> Job:
    """A film of `seconds`; its encoders use every vCPU that a task has."""
    work = seconds * VIDEO_CPU * random.lognormvariate(0, VIDEO_SPREAD)
    return Job(number=number, at=at, kind="video", work=work, cores=16)


def burst(seed: int, *, images: int = 1000, videos: int = 50, seconds: float = 600.0) -> Scenario:
    """Everything at once, in any order, on a site that was asleep."""
    random = Random(f"burst {seed}")
    kinds = ["image"] * images + ["video"] * videos
    random.shuffle(kinds)
    made = [
        image(n, 0.0, random) if kind == "image" else video(n, 0.0, random, seconds=seconds)
        for n, kind in enumerate(kinds)
    ]
    return Scenario(name="burst", jobs=tuple(made))


def _live(random: Random, rate: float, span: float, film: float, first: int) -> list[Job]:
    """Poisson arrivals, `rate` a day; one in ten is a film of `film` seconds."""
    made: list[Job] = []
    at = random.expovariate(rate / DAY)
    while at < span:
        number = first + len(made)
        made.append(video(number, at, random, seconds=film) if random.random() < 0.1 else image(number, at, random))
        at += random.expovariate(rate / DAY)
    return made


def trickle(seed: int, *, a_day: float = 20, days: float = 7) -> Scenario:
    """Twenty uploads a day at any time, one in ten a two-minute clip, for a week."""
    random = Random(f"trickle {seed}")
    return Scenario(name="trickle", jobs=tuple(_live(random, a_day, days * DAY, 120.0, 0)), horizon=days * DAY)


def backfill(seed: int, *, images: int = 100_000, a_day: float = 500, hours: float = 8) -> Scenario:
    """Old pictures in the backfill queue, and live uploads meanwhile: 500 a day, one in ten a ten-minute film."""
    random = Random(f"backfill {seed}")
    old = [image(n, 0.0, random, backfill=True) for n in range(images)]
    live = _live(random, a_day, hours * HOUR, 600.0, images)
    return Scenario(name="backfill", jobs=(*old, *live), horizon=hours * HOUR)


SCENARIOS: dict[str, Callable[[int], Scenario]] = {
    "trickle": partial(trickle),
    "burst": partial(burst),
    "backfill": partial(backfill),
}
