"""S3: uploads by version, outputs by condition, checksums both ways."""

import asyncio
import base64
from collections.abc import AsyncGenerator, AsyncIterator, Mapping
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

from botocore.exceptions import ClientError

from service.aws import errors
from service.aws.errors import translated
from service.core import places, sniff
from service.core.outcome import Conflict, Misconfigured, Superseded, Unavailable
from service.core.sources import Listed
from service.runtime.ports import Head, Look, Sibling, Stored, anything

if TYPE_CHECKING:
    from types_aiobotocore_s3.client import S3Client

_CHUNK = 1 << 20  # bytes in memory of a download
_SINGLE_PUT = 4 << 30  # bytes; S3 takes 5 GiB in one request
_PART = 64 << 20  # bytes in memory of a multipart upload: ten thousand parts are 640 GB
_COPIED_PART = 1 << 30  # bytes: nothing of it passes through here
_MISSING = frozenset({"404", "NoSuchKey", "NoSuchVersion", "NotFound"})
_RACES = {
    "PreconditionFailed": Conflict,
    "412": Conflict,
    "ConditionalRequestConflict": Conflict,
    "NoSuchKey": Conflict,
}
_CHANGED = {"PreconditionFailed": Superseded, "412": Superseded, "NoSuchKey": Superseded, "NoSuchVersion": Superseded}
_GONE = dict.fromkeys(_MISSING, Conflict)
_ARCHIVES = frozenset({"GLACIER", "DEEP_ARCHIVE"})


class Uploads:
    """The input buckets; `owner` is the account that they must belong to."""

    def __init__(self, client: "S3Client", *, owner: str | None) -> None:
        self._client = client
        self._owner: dict[str, Any] = {"ExpectedBucketOwner": owner} if owner else {}

    async def head(self, bucket: str, key: str) -> Head | None:
        """The object as it is now, or None where there is none."""
        with translated("HeadObject"):
            try:
                found = await self._client.head_object(Bucket=bucket, Key=key, **self._owner)
            except ClientError as error:
                if errors.code(error) not in _MISSING:
                    raise
                await self._check_bucket(bucket)
                return None
        return Head(
            bucket=bucket,
            key=key,
            etag=found["ETag"].strip('"'),
            version_id=_version(found.get("VersionId")),
            last_modified=_iso(found["LastModified"]),
            size=found["ContentLength"],
            archived=_archived(found),
            language=found.get("Metadata", {}).get("language"),
        )

    async def beside(self, bucket: str, key: str) -> list[Sibling]:
        """The objects whose keys go on from `key` with a dot, as many as one page of a listing holds."""
        with translated("ListObjectsV2"):
            page = await self._client.list_objects_v2(Bucket=bucket, Prefix=f"{key}.", **self._owner)
        return [Sibling(key=one["Key"], etag=one["ETag"].strip('"')) for one in page.get("Contents", [])]

    async def listing(self, bucket: str, prefix: str, *, after: str = "") -> AsyncGenerator[Listed, None]:
        """Every object whose key begins with `prefix` and comes after `after` in UTF-8's order, which is theirs too.

        A page of a thousand is held at a time.

        :raises Misconfigured: when there is no such bucket, or it may not be listed (s3:ListBucket).
        """
        this: dict[str, Any] = {"Bucket": bucket, "Prefix": prefix, **self._owner}
        this |= {"StartAfter": after} if after else {}
        while True:
            with translated("ListObjectsV2"):
                page = await self._client.list_objects_v2(**this)
            for found in page.get("Contents", []):
                yield _listed(bucket, found)
            if not page.get("IsTruncated"):
                return
            this["ContinuationToken"] = page["NextContinuationToken"]

    async def _check_bucket(self, bucket: str) -> None:
        """Tell a missing bucket from a missing object, which HEAD answers alike: nothing is withdrawn for the former.

        :raises Misconfigured: when there is no such bucket.
        """
        try:
            await self._client.head_bucket(Bucket=bucket, **self._owner)
        except ClientError as error:
            if errors.code(error) in _MISSING:
                raise Misconfigured(f"there is no input bucket {bucket!r}: see MEDIA_INPUT_BUCKETS") from error
            raise

    async def fetch(self, head: Head, path: Path, *, look: Look = anything) -> None:
        """Download exactly this version; botocore checks the checksum that S3 keeps, and the size is checked here.

        `look` sees the beginning of this same request: to tell what an upload is costs none of its own.

        :raises Superseded: when the key holds another version by now.
        """
        this: dict[str, Any] = {"VersionId": head.version_id} if head.version_id else {"IfMatch": head.etag}
        with translated("GetObject", _CHANGED):
            answer = await self._client.get_object(
                Bucket=head.bucket, Key=head.key, ChecksumMode="ENABLED", **this, **self._owner
            )
            received = await _save(answer["Body"], path, look=look)
        if received != head.size:
            raise Unavailable(f"GetObject: {received} bytes of {head.size} arrived")


class Store:
    """The output bucket."""

    def __init__(self, client: "S3Client", *, bucket: str, owner: str | None) -> None:
        self._client = client
        self._where: dict[str, Any] = {"Bucket": bucket} | ({"ExpectedBucketOwner": owner} if owner else {})
        self._bucket = bucket

    async def read(self, key: str) -> Stored | None:
        """A small object, or None."""
        with translated("GetObject"):
            try:
                answer = await self._client.get_object(**self._where, Key=key, ChecksumMode="ENABLED")
            except ClientError as error:
                if errors.code(error) in _MISSING:
                    return None
                raise
            async with answer["Body"] as body:
                return Stored(body=await body.read(), etag=answer["ETag"])

    async def write(self, key: str, body: bytes, *, replaces: str | None) -> str:
        """Put a JSON document in the place of the one with ETag `replaces`, or where none was; its ETag.

        :raises Conflict: when somebody else wrote first (412), or is writing (409).
        """
        condition: dict[str, Any] = {"IfMatch": replaces} if replaces else {"IfNoneMatch": "*"}
        with translated("PutObject", _RACES):
            answer = await self._client.put_object(**self._where, **_document(key, body), **condition)
        return answer["ETag"]

    async def overwrite(self, key: str, body: bytes) -> None:
        """Put a JSON document, whatever was there."""
        with translated("PutObject"):
            await self._client.put_object(**self._where, **_document(key, body))

    async def upload(self, key: str, path: Path, *, content_type: str, sha256: str) -> None:
        """Put a file under a key that nobody else writes; S3 refuses it if a byte changed on the way."""
        told: dict[str, Any] = {"ContentType": content_type, "CacheControl": places.cache_control(key)}
        with translated("PutObject"):
            if path.stat().st_size > _SINGLE_PUT:
                await self._upload_parts(key, path, told)
                return
            checksum = base64.b64encode(bytes.fromhex(sha256)).decode()
            with path.open("rb") as file:
                await self._client.put_object(**self._where, Key=key, Body=file, ChecksumSHA256=checksum, **told)

    async def _upload_parts(self, key: str, path: Path, told: Mapping[str, Any]) -> None:
        async with self._multipart(key, told) as (upload_id, parts):
            with path.open("rb") as file:
                while part := await asyncio.to_thread(file.read, _PART):
                    number = len(parts) + 1
                    answer = await self._client.upload_part(
                        **self._where,
                        Key=key,
                        UploadId=upload_id,
                        PartNumber=number,
                        Body=part,
                        ChecksumAlgorithm="SHA256",
                    )
                    checksum = answer.get("ChecksumSHA256")
                    parts.append({"PartNumber": number, "ETag": answer["ETag"], "ChecksumSHA256": checksum})

    @asynccontextmanager
    async def _multipart(self, key: str, told: Mapping[str, Any]) -> AsyncIterator[tuple[str, list[Any]]]:
        """A multipart upload that is completed, or aborted on every other way out."""
        begun = await self._client.create_multipart_upload(**self._where, Key=key, ChecksumAlgorithm="SHA256", **told)
        this: dict[str, Any] = {**self._where, "Key": key, "UploadId": begun["UploadId"]}
        parts: list[Any] = []
        try:
            yield begun["UploadId"], parts
            await self._client.complete_multipart_upload(**this, MultipartUpload={"Parts": parts})
        except BaseException:
            await asyncio.shield(self._client.abort_multipart_upload(**this))
            raise

    async def download(self, key: str, path: Path) -> None:
        """Get one of our own files.

        :raises Conflict: when somebody has deleted it.
        """
        with translated("GetObject", _GONE):
            answer = await self._client.get_object(**self._where, Key=key, ChecksumMode="ENABLED")
            await _save(answer["Body"], path)

    async def copy(self, source: str, target: str, *, content_type: str, size: int) -> None:
        """Copy one of our own files of `size` bytes to another place, within S3.

        :raises Conflict: when somebody has deleted it.
        """
        told: dict[str, Any] = {"ContentType": content_type, "CacheControl": places.cache_control(target)}
        origin: Any = {"Bucket": self._bucket, "Key": source}
        with translated("CopyObject", _GONE):
            if size > _SINGLE_PUT:
                await self._copy_parts(origin, target, size, told)
                return
            await self._client.copy_object(
                **self._where, Key=target, CopySource=origin, MetadataDirective="REPLACE", **told
            )

    async def _copy_parts(self, origin: Any, target: str, size: int, told: Mapping[str, Any]) -> None:
        async with self._multipart(target, told) as (upload_id, parts):
            for begin in range(0, size, _COPIED_PART):
                number, end = len(parts) + 1, min(size, begin + _COPIED_PART) - 1
                answer = await self._client.upload_part_copy(
                    **self._where,
                    Key=target,
                    UploadId=upload_id,
                    PartNumber=number,
                    CopySource=origin,
                    CopySourceRange=f"bytes={begin}-{end}",
                )
                copied = answer["CopyPartResult"]
                checksum = copied.get("ChecksumSHA256")
                parts.append({"PartNumber": number, "ETag": copied["ETag"], "ChecksumSHA256": checksum})

    async def link(self, key: str, seconds: int) -> str:
        """An address that shows the object to whoever has it, for `seconds` or until our own credentials run out.

        The owner is not in it: it would be a header that no browser sends.
        """
        with translated("GetObject"):
            this = {"Bucket": self._bucket, "Key": key}
            address: str = await self._client.generate_presigned_url("get_object", Params=this, ExpiresIn=seconds)
        return address

    async def keys(self, prefix: str) -> list[str]:
        """Every key that begins with `prefix`."""
        with translated("ListObjectsV2"):
            pages = self._client.get_paginator("list_objects_v2").paginate(**self._where, Prefix=prefix)
            return [found["Key"] async for page in pages for found in page.get("Contents", [])]

    async def delete(self, keys: list[str]) -> None:
        """Delete; those that are not there do not matter.

        :raises Unavailable: when S3 kept some of them.
        """
        for at in range(0, len(keys), 1000):
            some = keys[at : at + 1000]
            with translated("DeleteObjects"):
                answer = await self._client.delete_objects(
                    **self._where, Delete={"Objects": [{"Key": key} for key in some], "Quiet": True}
                )
            if failed := answer.get("Errors"):
                raise Unavailable(f"DeleteObjects: {len(failed)} objects were kept: {failed[0].get('Code')}")


async def _save(body: Any, path: Path, *, look: Look = anything) -> int:
    async with body:
        beginning = await _beginning(body)
        look(beginning)
        received = len(beginning)
        with path.open("wb") as file:
            file.write(beginning)
            while chunk := await body.read(_CHUNK):
                received += len(chunk)
                await asyncio.to_thread(file.write, chunk)
    return received


async def _beginning(body: Any) -> bytes:
    """As many bytes as `sniff` wants to see: a read gives what has arrived, which may be less."""
    found = b""
    while len(found) < sniff.HEAD_BYTES and (more := await body.read(sniff.HEAD_BYTES - len(found))):
        found += more
    return found


def _document(key: str, body: bytes) -> dict[str, Any]:
    return {
        "Key": key,
        "Body": body,
        "ContentType": "application/json",
        "CacheControl": places.cache_control(key),
        "ChecksumAlgorithm": "SHA256",
    }


def _listed(bucket: str, found: Mapping[str, Any]) -> Listed:
    """HEAD tells whole seconds alone: so does this, or no version would be the same in both."""
    modified: datetime = found["LastModified"]
    return Listed(
        bucket=bucket,
        key=found["Key"],
        etag=found["ETag"].strip('"'),
        modified=modified.replace(microsecond=0),
        size=found["Size"],
    )


def _version(version_id: str | None) -> str | None:
    """`null` is what S3 calls an object from before versioning, or in a bucket where it is suspended."""
    return None if version_id in {None, "null"} else version_id


def _archived(found: Mapping[str, Any]) -> bool:
    archived = found.get("StorageClass") in _ARCHIVES or bool(found.get("ArchiveStatus"))
    return archived and 'ongoing-request="false"' not in (found.get("Restore") or "")


def _iso(moment: datetime) -> str:
    return moment.isoformat()
