"""Somebody who looks at pages all the time: what a manifest serves has to be there."""

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from random import Random

from scripts.chaos_run.world import World
from scripts.resources import Client, client
from service.core.manifest import Manifest
from service.core.places import Places, name


@dataclass(kw_only=True)
class Visitor:
    """What was looked at, and what was served and not there."""

    looks: int = 0
    halves: list[str] = field(default_factory=list)


@contextmanager
def visiting(world: World, *, seed: int) -> Iterator[Visitor]:
    """Visit one page after another, from a thread of its own, until the block ends."""
    visitor, stop = Visitor(), threading.Event()
    with closing(client("s3", world.resources.endpoint)) as s3:
        thread = threading.Thread(target=_visit, args=(visitor, stop, world, s3, Random(seed)))
        thread.start()
        try:
            yield visitor
        finally:
            stop.set()
            thread.join()


def _visit(visitor: Visitor, stop: threading.Event, world: World, s3: Client, random: Random) -> None:
    while not stop.wait(0.03):
        keys = list(world.histories)[-40:]
        if keys:
            at = Places(name=name(world.resources.uploads, random.choice(keys), several_buckets=False))
            _look(visitor, s3, world.resources.published, at)


def _look(visitor: Visitor, s3: Client, bucket: str, at: Places) -> None:
    """A product that is missing counts, if the page says the same when one looks again: else it was just replaced."""
    page = _read(s3, bucket, at)
    if page is None or page.serving is None:
        return
    visitor.looks += 1
    missing = [one.url for one in page.serving.products if not _is_there(s3, bucket, at.key(one.url))]
    again = _read(s3, bucket, at) if missing else None
    if again and again.serving == page.serving:
        visitor.halves.append(f"{at.manifest}: revision {page.revision} serves {missing[0]}, which is not there")


def _read(s3: Client, bucket: str, at: Places) -> Manifest | None:
    try:
        return Manifest.model_validate_json(s3.get_object(Bucket=bucket, Key=at.manifest)["Body"].read())
    except s3.exceptions.NoSuchKey:
        return None


def _is_there(s3: Client, bucket: str, key: str) -> bool:
    try:
        s3.head_object(Bucket=bucket, Key=key)
    except s3.exceptions.ClientError as error:
        if error.response["Error"]["Code"] != "404":
            raise
        return False
    return True
