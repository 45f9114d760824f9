"""Every object key that is ever written, from bucket, key, version and digest alone.

No segment of a plain name begins with `~` or is `manifest.json`; everything that hangs below a name does or is.
So no two of these keys are equal, and none is a folder of the other, in S3 and on disk alike.
"""

import re
from dataclasses import dataclass
from datetime import date
from hashlib import sha256
from typing import Literal
from urllib.parse import quote, unquote

AREAS = ("media/", "quarantine/", "records/", "work/")

Area = Literal["media", "quarantine", "work"]
TICKET = "waiting.json"

_RECORD = re.compile(r"[0-9a-f]{40}\.json")
_SPEECH = re.compile(r"media-worker-([0-9a-f]{40})-[1-9][0-9]{0,2}")
_MAX_NAME = 700  # bytes; S3 allows 1024 for the whole key, and ours add up to 140
_MAX_SEGMENT = 200  # bytes; file systems allow 255
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]")  # C0, DEL and C1: the same in every version of Unicode


def name(bucket: str, key: str, *, several_buckets: bool) -> str:
    """The part of every key that names the source: the key itself where it is plain, else `~` and its SHA-256."""
    plain = key if _plain(key) else "~" + sha256(key.encode("utf-8", "surrogatepass")).hexdigest()
    return f"{bucket}/{plain}" if several_buckets else plain


def _plain(key: str) -> bool:
    try:
        size = len(key.encode())
    except UnicodeEncodeError:
        return False
    return 0 < size <= _MAX_NAME and all(_plain_segment(segment) for segment in key.split("/"))


def _plain_segment(segment: str) -> bool:
    if segment in {"", ".", "..", "manifest.json"} or segment.startswith("~"):
        return False
    return len(segment.encode()) <= _MAX_SEGMENT and not _CONTROL.search(segment)


@dataclass(frozen=True, kw_only=True)
class Places:
    """The keys of one source."""

    name: str

    @property
    def manifest(self) -> str:
        """The page manifest."""
        return f"media/{self.name}/manifest.json"

    @property
    def attempts(self) -> str:
        """What the folders of all steps' files begin with; the aliases' too."""
        return f"media/{self.name}/~"

    @property
    def held(self) -> str:
        """What the folders of all steps' files begin with, as long as they wait for a review."""
        return f"quarantine/{self.name}/~"

    def folder(self, digest: str, attempt: str, *, area: Area) -> str:
        """Where one attempt at a group of steps puts its files."""
        return f"{area}/{self.name}/~{digest[:16]}-{attempt}/"

    @property
    def ticket(self) -> str:
        """What says that the source waits for a review."""
        return f"{self.held}/{TICKET}"

    @property
    def parts(self) -> str:
        """What the folders of pieces begin with, which are there until they are joined."""
        return f"work/{self.name}/~"

    @property
    def aliases(self) -> str:
        """What every alias begins with."""
        return f"media/{self.name}/~/"

    def alias(self, product: str) -> str:
        """The stable place of a named product."""
        return self.aliases + product

    @property
    def versions(self) -> str:
        """What the records of all versions begin with."""
        return f"records/{self.name}/~"

    def records(self, version: str) -> str:
        """What the records of one version begin with."""
        return f"records/{self.name}/~{version}/"

    def key(self, address: str) -> str:
        """The object of this source that has this public address, whatever base it was published with."""
        begin = quote(f"media/{self.name}/", safe="/~")
        return unquote(address[max(0, address.rfind(begin)) :])

    def decision(self, version: str) -> str:
        """What a reviewer said of one version."""
        return f"{self.records(version)}decision.json"

    def record(self, version: str, digest: str) -> str:
        """The record of one group of steps."""
        return f"{self.records(version)}{digest}.json"

    def outcome(self, version: str) -> str:
        """The full outcome of one version."""
        return f"{self.records(version)}outcome.json"


def released(folder: str) -> str:
    """Where a folder that waited for a review lies when it is public: its files name one another as before."""
    return "media/" + folder.removeprefix("quarantine/")


def held(folder: str) -> str:
    """Where a folder lies, or lay, while it waits for a review."""
    return "quarantine/" + folder.removeprefix("quarantine/").removeprefix("media/")


def is_held(folder: str) -> bool:
    """Whether a folder waits for a review."""
    return folder.startswith("quarantine/")


def is_record(key: str) -> bool:
    """Whether `key` is that of a record of steps, not of an outcome or a decision."""
    return _RECORD.fullmatch(key.rpartition("/")[2]) is not None


def speech_job(name: str, number: int) -> str:
    """What a service's job for a speech is called; the name of one that failed is not used again."""
    return f"media-worker-{name}-{number}"


def speech_of(job: str) -> str | None:
    """The speech that such a job is for; None for a job of somebody else."""
    found = _SPEECH.fullmatch(job)
    return found[1] if found else None


def speech_source(name: str) -> str:
    """What says which source a speech is of, for messages that name the speech alone."""
    return f"work/~speech/{name}.json"


def quota() -> str:
    """Where all workers share what they buy; no name is like it, not even one that is a digest."""
    return "records/~quota.json"


def pause() -> str:
    """What says which queues are paused, to all workers."""
    return "records/~pause.json"


def failures(day: date) -> str:
    """What the entries begin with of all versions that were rejected or failed on that day (UTC)."""
    return f"records/~failures/{day.isoformat()}/"


def failure(day: date, version: str) -> str:
    """The entry of one of them. It outlives its source, as the page manifest does, until the bucket's rule for
    `records/~failures/` deletes it: on which days a version has failed is not known without reading them all.
    """
    return f"{failures(day)}{version}.json"


def speech_audio(name: str) -> str:
    """The sound of a clip, for a service that listens to it."""
    return f"work/~speech/{name}.flac"


def speech_text(job: str) -> str:
    """Where that service puts what it heard in `job`; Transcribe takes no `~` in a key (StartTranscriptionJob)."""
    return f"work/speech/{job}.json"


def version(bucket: str, key: str, version_id: str | None, etag: str, last_modified: str) -> str:
    """32 hex digits for a version's identity: its version id, or ETag and LastModified where there is none."""
    identity = version_id or f"{etag} {last_modified}"
    text = "\0".join((bucket, key, identity))
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:32]


def attempt(message_id: str, receive_count: int) -> str:
    """A folder's suffix for one attempt: two never share it, and earlier ones of a message are known as such."""
    return f"{_message(message_id)}.{receive_count}"


def is_dead(folder: str, message_id: str, receive_count: int) -> bool:
    """Whether `folder` was begun by an earlier receive of this message, whose lease is therefore over."""
    suffix = folder.rstrip("/").rpartition("-")[2]
    message, _, count = suffix.partition(".")
    return message == _message(message_id) and count.isdecimal() and int(count) < receive_count


def _message(message_id: str) -> str:
    return sha256(message_id.encode("utf-8", "surrogatepass")).hexdigest()[:10]


def url(base: str, key: str) -> str:
    """The public address of an object, percent-encoded (RFC 3986)."""
    return f"{base.rstrip('/')}/{quote(key, safe='/~')}"


def cache_control(key: str) -> str:
    """How long an output may be kept: for ever, but for the manifest and the aliases; what is not public, never."""
    if not key.startswith("media/"):
        return "private, no-store"
    if key.endswith("/manifest.json") or "/~/" in key:
        return "public, max-age=60, stale-while-revalidate=600"
    return "public, max-age=31536000, immutable"


def is_own(key: str) -> bool:
    """Whether `key` lies where this service writes, so that it never starts a job."""
    return key.startswith(AREAS)
