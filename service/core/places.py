"""Every object key that is ever written, from bucket, key, version and digest alone.

No segment of a plain name begins with `~` or is `manifest.json`; everything that hangs below a name does or is.
So no two of these keys are equal, and none is a folder of the other, in S3 and on disk alike.
"""

import re
from dataclasses import dataclass
from hashlib import sha256
from urllib.parse import quote, unquote

AREAS = ("media/", "quarantine/", "records/", "work/")

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

    def folder(self, digest: str, attempt: str) -> str:
        """Where one attempt at a group of steps puts its files."""
        return f"media/{self.name}/~{digest[:16]}-{attempt}/"

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

    def record(self, version: str, digest: str) -> str:
        """The record of one group of steps."""
        return f"{self.records(version)}{digest}.json"

    def outcome(self, version: str) -> str:
        """The full outcome of one version."""
        return f"{self.records(version)}outcome.json"


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
