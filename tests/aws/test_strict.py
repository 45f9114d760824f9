"""The strict fake of Rekognition and Transcribe, driven by real clients: what it refuses, accepts, keeps and spoils."""

import io
import json
import subprocess
import sys
import threading
import time
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import boto3  # type: ignore[import-untyped]  # see scripts/resources.py
import pytest
from aiobotocore.config import AioConfig
from aiobotocore.session import get_session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError
from PIL import Image

from scripts.resources import Client, Resources
from tests.strict.server import StrictAws

ROOT = Path(__file__).resolve().parent.parent.parent

LABEL = {"Name": "Weapons", "ParentName": "Violence", "Confidence": 70.0}
START = {
    "TranscriptionJobName": "a-1",
    "LanguageCode": "en-US",
    "MediaFormat": "flac",
    "Media": {"MediaFileUri": "s3://bucket/work/1.flac"},
    "OutputBucketName": "bucket",
    "OutputKey": "work/1.json",
}


@pytest.fixture
def aws() -> Iterator[StrictAws]:
    """A fake of one's own."""
    with StrictAws() as fake:
        yield fake


@pytest.fixture(scope="module")
def session() -> boto3.Session:
    """Loads botocore's models once."""
    return boto3.Session(aws_access_key_id="test", aws_secret_access_key="test", region_name="eu-central-1")


@pytest.fixture
def strict_client(session: boto3.Session) -> Iterator[Callable[..., Client]]:
    """Makes clients that neither check what they send nor try again."""
    made: list[Client] = []

    def one(service: str, url: str, seconds: float = 5) -> Client:
        config = Config(parameter_validation=False, read_timeout=seconds, retries={"total_max_attempts": 1})
        made.append(session.client(service, endpoint_url=url, config=config))
        return made[-1]

    yield one
    for client in made:
        client.close()


@pytest.fixture
def rekognition(aws: StrictAws, strict_client: Callable[..., Client]) -> Client:
    """A client of Rekognition."""
    return strict_client("rekognition", aws.url)


@pytest.fixture
def transcribe(aws: StrictAws, strict_client: Callable[..., Client]) -> Client:
    """A client of Transcribe."""
    return strict_client("transcribe", aws.url)


def picture(
    width: int = 80, height: int = 80, *, kind: str = "JPEG", colour: str = "grey", size: int | None = None
) -> bytes:
    """An encoded picture, filled up to `size` bytes."""
    encoded = io.BytesIO()
    Image.new("RGB", (width, height), colour).save(encoded, kind)
    return encoded.getvalue().ljust(size or 0, b"\0")


def refusal(call: Callable[..., Any], **request: Any) -> str:
    """The code of the error that a call ends with."""
    with pytest.raises(ClientError) as caught:
        call(**request)
    return str(caught.value.response["Error"]["Code"])


@pytest.mark.parametrize(
    ("request_", "code"),
    [
        ({"Image": {"Bytes": picture(size=5_242_881)}}, "InvalidParameterException"),
        ({"Image": {"Bytes": b""}}, "InvalidParameterException"),
        ({"Image": {"Bytes": picture(79, 200)}}, "InvalidParameterException"),
        ({"Image": {"Bytes": picture(200, 79)}}, "InvalidParameterException"),
        ({"Image": {"Bytes": picture(10_001, 80)}}, "ImageTooLargeException"),
        ({"Image": {"Bytes": picture(kind="WEBP")}}, "InvalidImageFormatException"),
        ({"Image": {"Bytes": picture(kind="GIF")}}, "InvalidImageFormatException"),
        ({"Image": {"Bytes": picture(400, 400, kind="PNG")[:300]}}, "InvalidImageFormatException"),
        ({"Image": {}}, "InvalidParameterException"),
        ({"Image": {"Bytes": picture(), "S3Object": {"Bucket": "bucket", "Name": "a"}}}, "InvalidParameterException"),
        ({"Image": {"Bytes": picture()}, "MinConfidence": 101}, "InvalidParameterException"),
        ({"MinConfidence": 50}, "InvalidParameterException"),
    ],
    ids="too-many-bytes no-bytes narrow flat too-wide webp gif torn no-image two-images percent missing".split(),
)
def test_a_picture_outside_the_limits_is_refused_and_recorded(
    aws: StrictAws, rekognition: Client, request_: dict[str, Any], code: str
) -> None:
    """AI-1: bytes, sides, format, and whatever the model says."""
    assert code == refusal(rekognition.detect_moderation_labels, **request_)
    assert len(aws.rejected) == 1
    assert code in aws.rejected[0]


@pytest.mark.parametrize(
    "data",
    [picture(size=5_242_880), picture(10_000, 80), picture(80, 10_000, kind="PNG")],
    ids=["bytes", "wide", "tall"],
)
def test_a_picture_at_the_limits_is_looked_at(aws: StrictAws, rekognition: Client, data: bytes) -> None:
    """No labels, model 7.0, and a note of what was sent."""
    answer = rekognition.detect_moderation_labels(Image={"Bytes": data})
    assert ([], "7.0", []) == tuple(answer[k] for k in ("ModerationLabels", "ModerationModelVersion", "ContentTypes"))
    assert [] == aws.rejected
    assert [len(data)] == [look["bytes"] for look in aws.tally.looks]


def test_labels_are_given_by_colour_above_the_asked_confidence(aws: StrictAws, rekognition: Client) -> None:
    """The mean colour of the picture chooses; MinConfidence is 50 unless said."""
    aws.script.labels = {"red": [LABEL, {"Name": "Violence", "Confidence": 49.9}], "any": [{**LABEL, "Name": "Other"}]}

    def names(colour: str, **more: Any) -> list[str]:
        answer = rekognition.detect_moderation_labels(Image={"Bytes": picture(colour=colour)}, **more)
        return [label["Name"] for label in answer["ModerationLabels"]]

    assert ["Weapons"] == names("red")
    assert ["Weapons", "Violence"] == names("red", MinConfidence=0)
    assert [] == names("red", MinConfidence=71)
    assert ["Other"] == names("white")


def test_other_models_answer_in_their_own_shape(aws: StrictAws, rekognition: Client) -> None:
    """6.1 knows no levels; names, levels and content types of the future pass the client."""
    aws.script.labels_for = lambda image: [LABEL] if image.size == (80, 80) else []
    answers = []
    for aws.script.model in ("6.1", "7.0", "8.0"):
        if aws.script.model == "8.0":
            aws.script.content_types = [{"Name": "Hologram", "Confidence": 99.0}]
            aws.script.labels_for = lambda _: [{"Name": "Unheard Of", "TaxonomyLevel": 9, "Confidence": 99.0}]
        answers.append(rekognition.detect_moderation_labels(Image={"Bytes": picture()}))
    assert ["6.1", "7.0", "8.0"] == [answer["ModerationModelVersion"] for answer in answers]
    assert [None, 2, 9] == [answer["ModerationLabels"][0].get("TaxonomyLevel") for answer in answers]
    assert [None, [], ["Hologram"]] == [
        None if (types := answer.get("ContentTypes")) is None else [kind["Name"] for kind in types]
        for answer in answers
    ]


@pytest.mark.parametrize(
    "changes",
    [
        {"TranscriptionJobName": "a b"},
        {"TranscriptionJobName": "a" * 201},
        {"TranscriptionJobName": None},
        {"LanguageCode": "en-XX"},
        {"LanguageCode": None},
        {"IdentifyLanguage": True},
        {"LanguageOptions": ["en-US", "de-DE"]},
        {"LanguageCode": None, "IdentifyLanguage": True, "LanguageOptions": ["en-US"]},
        {"LanguageCode": None, "IdentifyLanguage": True, "LanguageOptions": ["de-DE"] * 6},
        {"MediaFormat": "aac"},
        {"MediaFormat": "mp3"},
        {"Media": {"MediaFileUri": "http://example.com/a.flac"}},
        {"Media": {}},
        {"MediaSampleRateHertz": 7_999},
        {"MediaSampleRateHertz": "16000"},
        {"OutputBucketName": None},
        {"OutputBucketName": "Bucket"},
        {"OutputKey": "work/ä.json"},
        {"OutputKey": "work/a b.json"},
        {"JobExecutionSettings": {"AllowDeferredExecution": True}},
        {"Subtitles": {"Formats": ["ass"]}},
        {"ClientToken": "a"},
    ],
    ids=str,
)
def test_a_transcription_against_the_rules_is_refused_and_recorded(
    aws: StrictAws, transcribe: Client, changes: dict[str, Any]
) -> None:
    """By model: names, enums, ranges, patterns. Beside it: languages, media, output, roles. Nothing is started."""
    request = {name: value for name, value in {**START, **changes}.items() if value is not None}
    if "ClientToken" in changes:  # botocore drops members that it doesn't know, so this one goes by hand
        assert b"BadRequestException" in raw(aws, "Transcribe.StartTranscriptionJob", request)
    else:
        assert "BadRequestException" == refusal(transcribe.start_transcription_job, **request)
    assert (1, 0) == (len(aws.rejected), aws.starts)


def raw(aws: StrictAws, target: str, request: Any, service: str = "transcribe") -> bytes:
    """The answer to a request that no client would make."""
    signed = f"AWS4-HMAC-SHA256 Credential=test/20260101/eu-central-1/{service}/aws4_request"
    headers = {"X-Amz-Target": target, "Content-Type": "application/x-amz-json-1.1", "Authorization": signed}
    call = urllib.request.Request(aws.url, json.dumps(request).encode(), headers)
    with pytest.raises(urllib.request.HTTPError) as caught, urllib.request.urlopen(call):
        pass
    with caught.value as answer:
        return bytes(answer.read())


def test_what_is_no_call_at_all_is_recorded(aws: StrictAws) -> None:
    """Unknown operations, foreign signatures, and a body that is no structure."""
    assert b"UnknownOperation" in raw(aws, "Transcribe.StartCallAnalyticsJob", {})
    assert b"MissingAuthentication" in raw(aws, "Transcribe.GetTranscriptionJob", {}, "s3")
    assert b"BadRequest" in raw(aws, "Transcribe.GetTranscriptionJob", [])
    assert b"UnknownOperation" in raw(aws, "", {})
    assert (4, 0) == (len(aws.rejected), aws.throttles)


def test_a_transcription_runs_until_it_can_be_read(aws: StrictAws, transcribe: Client) -> None:
    """Queued, in progress, completed at the second Get; its file and its event have the real shapes."""
    started = transcribe.start_transcription_job(**START)["TranscriptionJob"]
    first = transcribe.get_transcription_job(TranscriptionJobName="a-1")["TranscriptionJob"]
    second = transcribe.get_transcription_job(TranscriptionJobName="a-1")["TranscriptionJob"]
    states = [job["TranscriptionJobStatus"] for job in (started, first, second)]
    assert ["QUEUED", "IN_PROGRESS", "COMPLETED"] == states
    assert second["Transcript"]["TranscriptFileUri"].endswith("/bucket/work/1.json")
    document = json.loads(aws.jobs["a-1"].transcript or "")
    assert "The quick brown fox jumps over the lazy dog." == document["results"]["transcripts"][0]["transcript"]
    word, mark = document["results"]["items"][-2:]
    assert ("pronunciation", "3.2", "3.55") == (word["type"], word["start_time"], word["end_time"])
    assert {"id": 9, "type": "punctuation", "alternatives": [{"confidence": "0.0", "content": "."}]} == mark
    assert {"TranscriptionJobName": "a-1", "TranscriptionJobStatus": "COMPLETED"} == aws.events[0]["detail"]
    assert ([], 1) == (aws.rejected, aws.starts)


def test_an_identified_language_is_one_of_the_options(aws: StrictAws, transcribe: Client) -> None:
    """The job and the file say which; the event comes once, though the job is looked at again."""
    aws.script.gets, aws.script.language = 1, "de-DE"
    request = {name: value for name, value in START.items() if name != "LanguageCode"}
    for name, options in (("free", {}), ("bound", {"LanguageOptions": ["fr-FR", "en-GB"]})):
        changes = {"TranscriptionJobName": name, "IdentifyLanguage": True, **options}
        transcribe.start_transcription_job(**{**request, **changes})
    for name, language in (("free", "de-DE"), ("bound", "fr-FR"), ("free", "de-DE")):
        assert (
            language == transcribe.get_transcription_job(TranscriptionJobName=name)["TranscriptionJob"]["LanguageCode"]
        )
        results = json.loads(aws.jobs[name].transcript or "")["results"]
        assert [language] == [each["code"] for each in results["language_identification"]]
    assert 2 == len(aws.events)


def test_a_name_is_taken_until_its_job_is_deleted(aws: StrictAws, transcribe: Client) -> None:
    """A conflict in any state, even a failed one; neither it nor an unknown name is the client's fault."""
    assert "BadRequestException" == refusal(transcribe.get_transcription_job, TranscriptionJobName="a-1")
    transcribe.start_transcription_job(**START)
    assert "ConflictException" == refusal(transcribe.start_transcription_job, **START)
    assert "BadRequestException" == refusal(transcribe.delete_transcription_job, TranscriptionJobName="a-1")
    aws.finish("a-1", "The media is damaged.")
    assert "ConflictException" == refusal(transcribe.start_transcription_job, **START)
    seen = transcribe.get_transcription_job(TranscriptionJobName="a-1")["TranscriptionJob"]
    assert ("FAILED", "The media is damaged.") == (seen["TranscriptionJobStatus"], seen["FailureReason"])
    transcribe.delete_transcription_job(TranscriptionJobName="a-1")
    transcribe.start_transcription_job(**START)
    assert ([], 2) == (aws.rejected, aws.starts)


def test_jobs_are_listed_in_pages(aws: StrictAws, transcribe: Client) -> None:
    """The youngest first, by state and name."""
    for name in ("a-1", "b-2", "a-3"):
        transcribe.start_transcription_job(**{**START, "TranscriptionJobName": name})
    aws.finish("b-2")
    first = transcribe.list_transcription_jobs(Status="QUEUED", JobNameContains="a-", MaxResults=1)
    second = transcribe.list_transcription_jobs(Status="QUEUED", MaxResults=1, NextToken=first["NextToken"])
    names = [page["TranscriptionJobSummaries"][0]["TranscriptionJobName"] for page in (first, second)]
    assert (["a-3", "a-1"], False) == (names, "NextToken" in second)


def test_what_is_said_is_chosen_by_the_end_of_the_media(aws: StrictAws, transcribe: Client) -> None:
    """Silence, hostile words with their times, a file that is no JSON, and a failure."""
    hostile = [["-->", 0.0, 0.5], ["<script>\0", 0.5, 1.0], ["x" * 100_000, 1.0, 2.0]]
    aws.script.said = {".flac": [], "evil.flac": hostile, "broken.flac": "{", "fails.flac": {"failure": "No sound."}}
    for name in ("silent", "evil", "broken", "fails"):
        media = {"MediaFileUri": f"s3://bucket/{name}.flac"}
        transcribe.start_transcription_job(**{**START, "TranscriptionJobName": name, "Media": media})
        aws.finish(name)
    said = {name: job.transcript for name, job in aws.jobs.items()}
    assert ("{", None) == (said["broken"], said["fails"])
    assert {"transcripts": [{"transcript": ""}], "items": []} == json.loads(said["silent"] or "")["results"]
    items = json.loads(said["evil"] or "")["results"]["items"]
    assert [word[0] for word in hostile] == [item["alternatives"][0]["content"] for item in items]


def test_files_and_events_go_where_a_worker_finds_them(
    resources: Resources, strict_client: Callable[..., Client], client_of: Callable[[str], Client]
) -> None:
    """With an endpoint: sound is looked for, the transcript is an object, the event a message; wrong sound fails."""
    s3, sqs = client_of("s3"), client_of("sqs")
    bucket, queue = resources.published, resources.outcomes.url
    with StrictAws(endpoint=resources.endpoint, queue=queue) as aws:
        transcribe = strict_client("transcribe", aws.url)
        aws.script.gets = 1
        for name, sound in (("good", b"fLaC..."), ("bad", b"ID3....")):
            media = {"MediaFileUri": f"s3://{bucket}/{name}.flac"}
            request = {**START, "TranscriptionJobName": name, "Media": media}
            request |= {"OutputBucketName": bucket, "OutputKey": f"work/{name}"}
            assert "BadRequestException" == refusal(transcribe.start_transcription_job, **request)
            s3.put_object(Bucket=bucket, Key=f"{name}.flac", Body=sound)
            transcribe.start_transcription_job(**request)
            transcribe.get_transcription_job(TranscriptionJobName=name)
        assert 2 == len(aws.events)
        assert ("COMPLETED", "FAILED", []) == (aws.jobs["good"].status, aws.jobs["bad"].status, aws.rejected)
    body = s3.get_object(Bucket=bucket, Key="work/good/good.json")["Body"].read()
    assert aws.jobs["good"].transcript == body.decode()
    told = sqs.receive_message(QueueUrl=queue, MaxNumberOfMessages=10, WaitTimeSeconds=1)["Messages"]
    assert {"good", "bad"} >= {json.loads(message["Body"])["detail"]["TranscriptionJobName"] for message in told}


def test_a_job_may_end_by_itself(aws: StrictAws, transcribe: Client) -> None:
    """After its seconds, though nobody looks."""
    aws.script.seconds = 0.05
    transcribe.start_transcription_job(**START)
    timer = aws.jobs["a-1"].timer
    assert timer is not None
    timer.join(5)
    assert ("COMPLETED", 1) == (aws.jobs["a-1"].status, len(aws.events))


def test_calls_above_the_quota_are_throttled(aws: StrictAws, rekognition: Client) -> None:
    """At 5 a second a burst of 15 gets 5 answers, and those that the time it took has earned."""
    aws.script.quotas = {"DetectModerationLabels": 5}
    begin, codes = time.monotonic(), []
    for _ in range(15):
        try:
            rekognition.detect_moderation_labels(Image={"Bytes": picture()})
        except ClientError as error:
            codes.append(error.response["Error"]["Code"])
    answered = 15 - len(codes)
    assert {"ThrottlingException"} == set(codes)
    earned = 5 * (time.monotonic() - begin)
    assert 5 <= answered <= 5 + earned
    assert (15 - answered, answered) == (aws.throttles, aws.tally.answered["DetectModerationLabels"])
    assert 15 == sum(aws.tally.per_second["DetectModerationLabels"].values())
    aws.script.quotas = {}
    rekognition.detect_moderation_labels(Image={"Bytes": picture()})


def test_calls_go_as_scripted_one_by_one_and_then_by_the_mode(aws: StrictAws, rekognition: Client) -> None:
    """Errors come with the codes and statuses of the service; a bad request is seen even then."""
    codes = ["ProvisionedThroughputExceededException", "InternalServerError", "AccessDeniedException"]
    aws.script.calls = {"DetectModerationLabels": codes[:2]}
    aws.script.modes = {"DetectModerationLabels": codes[2]}
    call = rekognition.detect_moderation_labels
    assert [*codes, codes[2]] == [refusal(call, Image={"Bytes": picture()}) for _ in range(4)]
    assert [] == aws.rejected
    assert "InvalidParameterException" == refusal(call, Image={"Bytes": picture(79, 79)})
    assert (1, 1, 0) == (aws.throttles, len(aws.rejected), len(aws.tally.looks))


async def test_an_answer_may_break_off_though_the_work_is_done(aws: StrictAws) -> None:
    """The client cannot know that the job runs; its next try, aiobotocore's own, meets it."""
    aws.script.calls = {"StartTranscriptionJob": ["cut"]}
    keys: Any = {"aws_access_key_id": "test", "aws_secret_access_key": "test", "region_name": "eu-central-1"}
    config = AioConfig(retries={"mode": "standard", "total_max_attempts": 2})
    async with get_session().create_client("transcribe", endpoint_url=aws.url, config=config, **keys) as client:
        with pytest.raises(ClientError, match="ConflictException"):
            await client.start_transcription_job(**START)
    assert (2, 1) == (aws.calls["StartTranscriptionJob"], aws.starts)


def test_boto3_takes_a_broken_answer_for_an_empty_one(aws: StrictAws, rekognition: Client) -> None:
    """Unlike aiobotocore, it does not compare the length (botocore/httpsession.py): no labels are not "clean"."""
    aws.script.modes = {"DetectModerationLabels": "cut"}
    answer = rekognition.detect_moderation_labels(Image={"Bytes": picture()})
    assert {"ResponseMetadata"} == answer.keys()


def test_a_stalled_call_is_never_answered(aws: StrictAws, strict_client: Callable[..., Client]) -> None:
    """The client gives up; closing the fake doesn't wait for it."""
    aws.script.modes = {"StartTranscriptionJob": "stall"}
    with pytest.raises(BotoCoreError):
        strict_client("transcribe", aws.url, 0.2).start_transcription_job(**START)
    assert (1, 0) == (aws.calls["StartTranscriptionJob"], aws.starts)


def test_a_status_of_the_future_can_be_answered(aws: StrictAws, transcribe: Client) -> None:
    """Clients keep it as data."""
    aws.script.status = "PAUSED"
    transcribe.start_transcription_job(**START)
    seen = transcribe.get_transcription_job(TranscriptionJobName="a-1")["TranscriptionJob"]
    assert "PAUSED" == seen["TranscriptionJobStatus"]


def test_one_start_wins_when_many_ask_at_once(aws: StrictAws, transcribe: Client) -> None:
    """Two workers with the same job: one start, and conflicts for the others."""
    codes: list[str] = []

    def start() -> None:
        try:
            transcribe.start_transcription_job(**START)
        except ClientError as error:
            codes.append(error.response["Error"]["Code"])

    threads = [threading.Thread(target=start) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (["ConflictException"] * 7, 1) == (codes, aws.starts)


def test_as_a_child_process_it_is_scripted_and_read_over_http(strict_client: Callable[..., Client]) -> None:
    """What several workers share."""
    options = ["--script", json.dumps({"labels": {"red": [LABEL]}, "gets": None})]
    child = subprocess.Popen([sys.executable, "-m", "tests.strict", *options], cwd=ROOT, stdout=subprocess.PIPE)
    with child:
        assert child.stdout is not None
        url = child.stdout.readline().decode().strip()
        try:
            answer = strict_client("rekognition", url).detect_moderation_labels(Image={"Bytes": picture(colour="red")})
            strict_client("transcribe", url).start_transcription_job(**START)
            post(url, {"finish": {"a-1": None}})
            with pytest.raises(urllib.request.HTTPError, match="400") as caught:
                post(url, {"qoutas": {}})
            caught.value.close()
            with urllib.request.urlopen(f"{url}/_strict/state") as response:
                state = json.load(response)
        finally:
            child.terminate()
    assert (["Weapons"], 0) == ([label["Name"] for label in answer["ModerationLabels"]], child.returncode)
    assert ({"DetectModerationLabels": 1, "StartTranscriptionJob": 1}, []) == (state["calls"], state["rejected"])
    assert "COMPLETED" == state["jobs"]["a-1"]["TranscriptionJobStatus"]
    assert "lazy dog" in state["jobs"]["a-1"]["Transcript"]


def post(url: str, changes: dict[str, Any]) -> None:
    """Change the script of a fake that runs elsewhere."""
    with urllib.request.urlopen(f"{url}/_strict/script", json.dumps(changes).encode()):
        pass
