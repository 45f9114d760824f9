"""Somebody who looks at the bucket all the time."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from scripts.resources import Client, Resources, client


@dataclass(kw_only=True)
class Watch:
    """What was ever in a listing of `media/`, and how many listings there were."""

    seen: set[str] = field(default_factory=set)
    rounds: int = 0

    def of(self, key: str) -> set[str]:
        """What was seen of a source with a plain key."""
        return {one for one in self.seen if one.startswith(f"media/{key}/")}


@contextmanager
def watching(resources: Resources) -> Iterator[Watch]:
    """List what is public as fast as can be, from a thread of its own, until the block ends."""
    watch, stop = Watch(), threading.Event()
    s3 = client("s3", resources.endpoint)
    thread = threading.Thread(target=_watch, args=(watch, stop, s3, resources.published))
    thread.start()
    try:
        yield watch
    finally:
        stop.set()
        thread.join()
        s3.close()


def _watch(watch: Watch, stop: threading.Event, s3: Client, bucket: str) -> None:
    while not stop.is_set():
        pages = s3.get_paginator("list_objects_v2").paginate(Bucket=bucket, Prefix="media/")
        watch.seen |= {one["Key"] for page in pages for one in page.get("Contents", [])}
        watch.rounds += 1
