"""Transcription jobs: the rules that no service model holds, their states, their files and their events."""

import json
import re
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from botocore.exceptions import ClientError

from scripts.resources import REGION, Client, client
from tests.strict.model import Refused, Violation
from tests.strict.script import FAVOURITE, Said, Script, Word
from tests.strict.transcript import document, event

_LANGUAGES = ("LanguageCode", "IdentifyLanguage", "IdentifyMultipleLanguages")
_UNFAKED = (
    "IdentifyMultipleLanguages",
    "Subtitles",
    "ContentRedaction",
    "ToxicityDetection",
    "ModelSettings",
    "LanguageIdSettings",
)
_UNSEEN = ("OutputBucketName", "OutputKey", "OutputEncryptionKMSKeyId", "KMSEncryptionContext")
_MAGIC = {"flac": b"fLaC", "wav": b"RIFF", "ogg": b"OggS"}
_LOST = "The requested job couldn't be found. Check the job name and try your request again."


def permitted(request: Mapping[str, Any]) -> None:
    """Whether a StartTranscriptionJob keeps the rules beside its model; raises `Violation`."""
    if wrong := list(_refusals(request)):
        raise Violation("BadRequestException", "; ".join(wrong))


def _refusals(request: Mapping[str, Any]) -> Iterator[str]:
    asked = [name for name in _LANGUAGES if request.get(name)]
    if len(asked) != 1:
        yield f"exactly one of {_LANGUAGES}, not {asked}"
    options = request.get("LanguageOptions")
    if options is not None and (asked == ["LanguageCode"] or not 2 <= len(options) <= 5):
        yield "LanguageOptions are 2 to 5, and for identification"
    uri = request["Media"].get("MediaFileUri", "")
    if not re.match(r"s3://[^/]+/.|https://.", uri) or not uri.endswith(f".{request.get('MediaFormat', '')}"):
        yield f"MediaFileUri {uri!r} is not in S3, or does not end as its MediaFormat"
    if "OutputBucketName" not in request:
        yield "OutputBucketName is missing: the service's own bucket is not for us"
    if (how := request.get("JobExecutionSettings")) is not None and len(how) != 2:
        yield "JobExecutionSettings needs both AllowDeferredExecution and DataAccessRoleArn"
    yield from (f"{name}: not faked" for name in _UNFAKED if name in request)


@dataclass(kw_only=True)
class Job:
    """One transcription; times are Unix seconds. `transcript` is the file's text, written or not."""

    request: dict[str, Any]
    created: float = field(default_factory=time.time)
    status: str = "QUEUED"
    ended: float | None = None
    gets: int = 0
    failure: str | None = None
    transcript: str | None = None
    timer: threading.Timer | None = field(default=None, repr=False)

    @property
    def key(self) -> str:
        """Where the transcript goes: an OutputKey that does not end in .json is a folder."""
        default = f"{self.request['TranscriptionJobName']}.json"
        given: str = self.request.get("OutputKey", default)
        return given if given.endswith(".json") else f"{given.rstrip('/')}/{default}"

    @property
    def done(self) -> bool:
        """Whether nothing changes any more."""
        return self.status in {"COMPLETED", "FAILED"}

    def summary(self) -> dict[str, Any]:
        """What Start and List say of it."""
        times = {"CreationTime": self.created, "StartTime": self.created, "CompletionTime": self.ended}
        names = {"TranscriptionJobName": self.request["TranscriptionJobName"], "TranscriptionJobStatus": self.status}
        seen = {**names, **times, "FailureReason": self.failure, "LanguageCode": self.request.get("LanguageCode")}
        return {name: value for name, value in seen.items() if value is not None}

    def language(self, spoken: str) -> str | None:
        """What `spoken` is taken for, if the language was to be identified: one of the options."""
        options = self.request.get("LanguageOptions", [spoken])
        found: str = spoken if spoken in options else options[0]
        return None if "LanguageCode" in self.request else found

    def view(self, spoken: str) -> dict[str, Any]:
        """What Get says of it."""
        seen = {name: value for name, value in self.request.items() if name not in _UNSEEN} | self.summary()
        if self.status == "COMPLETED":
            place = f"https://s3.{REGION}.amazonaws.com/{self.request['OutputBucketName']}/{self.key}"
            seen["Transcript"] = {"TranscriptFileUri": place}
            if language := self.language(spoken):
                seen |= {"LanguageCode": language, "IdentifiedLanguageScore": 0.9876}
        return seen


class Transcriptions:
    """All jobs of the account. With an endpoint, sound is read from its S3, transcripts go there, events to `queue`."""

    def __init__(self, script: Script, endpoint: str | None, queue: str | None) -> None:
        self.jobs: dict[str, Job] = {}
        self.starts = 0
        self.events: list[dict[str, Any]] = []
        self._script, self._queue = script, queue
        self._lock = threading.RLock()
        self._s3: Client = client("s3", endpoint) if endpoint else None
        self._sqs: Client = client("sqs", endpoint) if endpoint and queue else None

    def close(self) -> None:
        """Let no job end any more."""
        with self._lock:
            timers = [job.timer for job in self.jobs.values() if job.timer]
        for timer in timers:
            timer.cancel()
            timer.join()
        for each in filter(None, (self._s3, self._sqs)):
            each.close()

    def answer(self, operation: str, request: dict[str, Any]) -> dict[str, Any]:
        """Do what is asked; raises `Refused`."""
        does = {
            "StartTranscriptionJob": self._start,
            "GetTranscriptionJob": self._get,
            "ListTranscriptionJobs": self._list,
            "DeleteTranscriptionJob": self._delete,
        }
        with self._lock:
            return does[operation](request)

    def finish(self, name: str, failure: str | None = None) -> None:
        """End a job now, however it was to end, with this FailureReason if any."""
        with self._lock:
            job = self.jobs.get(name)
            if job is None or job.done:
                return
            if job.timer:
                job.timer.cancel()
            self._write(job, {"failure": failure} if failure else self._said(job.request))
            job.ended = time.time()
            self._tell(job)

    def _start(self, request: dict[str, Any]) -> dict[str, Any]:
        name = request["TranscriptionJobName"]
        if name in self.jobs:
            raise Refused("ConflictException", "The requested job name already exists. Use a different job name.")
        self._head(request)
        job = self.jobs[name] = Job(request=request)
        self.starts += 1
        if self._script.seconds is not None:
            job.timer = threading.Timer(self._script.seconds, self.finish, (name,))
            job.timer.start()
        return {"TranscriptionJob": job.view(self._script.language)}

    def _get(self, request: Mapping[str, Any]) -> dict[str, Any]:
        job = self._known(request)
        job.gets += 1
        if not job.done:
            job.status = "IN_PROGRESS"
        if self._script.gets is not None and job.gets >= self._script.gets:
            self.finish(request["TranscriptionJobName"])
        seen = job.view(self._script.language)
        if self._script.status:
            seen["TranscriptionJobStatus"] = self._script.status
        return {"TranscriptionJob": seen}

    def _list(self, request: Mapping[str, Any]) -> dict[str, Any]:
        status, part = request.get("Status"), request.get("JobNameContains", "")
        found = [job.summary() for name, job in reversed(self.jobs.items()) if part in name]
        found = [summary for summary in found if status in {None, summary["TranscriptionJobStatus"]}]
        begin, most = int(request.get("NextToken", 0)), request.get("MaxResults", 5)
        page = {"TranscriptionJobSummaries": found[begin : begin + most], "Status": status}
        more = {"NextToken": str(begin + most)} if begin + most < len(found) else {}
        return {name: value for name, value in {**page, **more}.items() if value is not None}

    def _delete(self, request: Mapping[str, Any]) -> dict[str, Any]:
        if not self._known(request).done:
            raise Refused("BadRequestException", "The job is in a non-terminal state.")
        del self.jobs[request["TranscriptionJobName"]]
        return {}

    def _known(self, request: Mapping[str, Any]) -> Job:
        if (job := self.jobs.get(request["TranscriptionJobName"])) is None:
            raise Refused("BadRequestException", _LOST)
        return job

    def _head(self, request: Mapping[str, Any]) -> bytes:
        """The sound's first bytes, as far as it can be read here; raises `Refused`."""
        uri = request["Media"]["MediaFileUri"]
        if self._s3 is None or not uri.startswith("s3://"):
            return b""
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        try:
            head: bytes = self._s3.get_object(Bucket=bucket, Key=key, Range="bytes=0-3")["Body"].read()
        except ClientError as error:
            raise Refused("BadRequestException", f"The S3 URI that you provided can't be accessed: {error}") from error
        return head

    def _said(self, request: Mapping[str, Any]) -> Said:
        magic = _MAGIC.get(request.get("MediaFormat", ""), b"")
        if (head := self._head(request)) and not head.startswith(magic):
            return {"failure": "The media format provided does not match the detected media format."}
        if self._script.said_for:
            return self._script.said_for(request)
        ends = sorted(self._script.said, key=len, reverse=True)
        uri = request["Media"]["MediaFileUri"]
        return next((self._script.said[end] for end in ends if uri.endswith(end)), FAVOURITE)

    def _write(self, job: Job, said: Said) -> None:
        job.status = "FAILED"
        if isinstance(said, Mapping):
            job.failure = said["failure"]
            return
        job.transcript = said if isinstance(said, str) else self._document(job, said)
        try:
            if self._s3:
                body = job.transcript.encode()
                self._s3.put_object(Bucket=job.request["OutputBucketName"], Key=job.key, Body=body)
            job.status = "COMPLETED"
        except ClientError as error:
            job.failure = f"The output could not be written: {error}"

    def _document(self, job: Job, words: Sequence[Word]) -> str:
        return json.dumps(document(job.request, words, job.language(self._script.language)))

    def _tell(self, job: Job) -> None:
        if not self._script.events:
            return
        self.events.append(event(job.summary()))
        if self._sqs:
            self._sqs.send_message(QueueUrl=self._queue, MessageBody=json.dumps(self.events[-1]))
