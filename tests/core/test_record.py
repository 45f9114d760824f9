"""The documents under `records/`: they read back, and readers of older versions understand newer ones."""

import json
from dataclasses import replace
from datetime import UTC, datetime
from fractions import Fraction

import pytest
from hypothesis import given
from pydantic import ValidationError

from service.core import plan
from service.core.media import Clip, Media
from service.core.record import (
    Because,
    Capacity,
    Captioned,
    Cost,
    Decision,
    Document,
    Entry,
    Failure,
    File,
    Hint,
    Label,
    Line,
    Look,
    Moderated,
    Outcome,
    Pause,
    Paused,
    Record,
    Role,
    Screening,
    Spent,
    StepRecord,
    Ticket,
    Unready,
)
from service.core.tracks import AudioTrack, CaptionTrack, VideoTrack
from tests.core.samples import ANIMATION, PHONE, PHOTO, RULES, SONG
from tests.core.test_plan import _MEDIA

NOON = datetime(2026, 11, 23, 12, 0, tzinfo=UTC)
SPENT = Spent(wall_seconds=1.5, cpu_seconds=2.25, peak_memory_bytes=1 << 30)
VIDEO = VideoTrack(
    file="720p.mp4",
    playlist="720p.m3u8",
    i_frames="720p-iframes.m3u8",
    codec="avc1.64001f",
    duration=10.0,
    peak=2_800_000,
    average=1_400_000,
    i_frame_peak=200_000,
    i_frame_average=100_000,
    init_bytes=700,
    sidx_offset=700,
    sidx_bytes=200,
    width=1280,
    height=720,
    frame_rate="30000/1001",
)
AUDIO = AudioTrack(
    file="audio.mp4",
    playlist="audio.m3u8",
    codec="mp4a.40.2",
    duration=10.0,
    peak=130_000,
    average=128_000,
    init_bytes=700,
    sidx_offset=700,
    sidx_bytes=200,
    channels=2,
    sample_rate=48_000,
)
RECORD = Record(
    version="v",
    digest="d" * 40,
    folder="media/a.mp4/~dddddddddddddddd-m.1/",
    made_at=NOON,
    made_by={"ffmpeg": "5.1.9"},
    spent=SPENT,
    steps=(
        StepRecord(
            digest="1" * 40,
            kind="Rendition",
            files=(File(name="720p.mp4", content_type="video/mp4", bytes=1, sha256="0" * 64),),
            video=VIDEO,
        ),
        StepRecord(digest="2" * 40, kind="Sound", audio=AUDIO),
        StepRecord(
            digest="3" * 40,
            kind="Poster",
            files=(
                File(
                    name="poster.jpg",
                    content_type="image/jpeg",
                    bytes=2,
                    sha256="1" * 64,
                    product=Entry(role=Role.POSTER, alias="poster.jpg", width=1, height=1),
                ),
            ),
            placeholder=Hint(thumbhash="3OcRJYB4d3h/iIeHeEh3eIhw+j2w", color="#102030"),
        ),
    ),
)
OUTCOME = Outcome(
    version="v",
    bucket="in",
    key="Größe\u2028.mp4",
    etag="e",
    version_id=None,
    size=1,
    status="retrying",
    cause="ObjectCreated:Put",
    started_at=NOON,
    worker="w",
    recipe="r",
    media={"container": "mov"},
    failures=(Failure(at=NOON, error="Unavailable('reset')"),),
)


BECAUSE = Because(label="Explicit", confidence=93.4, at=1.5, rule="Explicit")
SCREENING = Screening(
    provider="rekognition",
    model="7.0",
    planned=3,
    alike=1,
    gap=2.5,
    complete=False,
    looks=(
        Look(at=1.5, labels=(Label(name="Explicit", confidence=93.4, level=1),), file="frame-1500.jpg"),
        Look(at=2.5, labels=(Label(name="New of 2027 ☃", parent="Explicit", confidence=61.0),)),
    ),
)
OTHERS = [
    RECORD.model_copy(
        update={
            "media": PHONE,
            "steps": (
                StepRecord(digest="4" * 40, kind="Screen", screening=SCREENING),
                StepRecord(
                    digest="5" * 40,
                    kind="Transcript",
                    captions=CaptionTrack(file="captions.en.vtt", playlist="captions.en.m3u8", language="en"),
                    captioned=Captioned(language="en", model="small", cues=3),
                ),
            ),
            "spent": SPENT.model_copy(update={"units": {"rekognition_image": 2.0, "transcribe_minute": 0.25}}),
        }
    ),
    OUTCOME.model_copy(
        update={
            "moderation": Moderated(says="review", by="rekognition", policy="p", because=(BECAUSE,), model="7.0"),
            "captions": Captioned(none="no_speech"),
            "cost": Cost(
                lines=(Line(unit="rekognition_image", count=2, dollars=0.002),),
                cpu_seconds=1.5,
                bytes_in=1,
                bytes_out=2,
                dollars=0.0021,
            ),
        }
    ),
    Decision(says="allow", revision=3, at=NOON, by="Ann"),
    Ticket(bucket="in", key="a", version="v", since=NOON, because=(BECAUSE,), frames=("quarantine/a/~1/f.jpg",)),
    Unready(at=NOON, bucket="in", key="a", version="v", status="failed", reason="internal", message="☃"),
    Pause(queues={"heavy": Paused(since=NOON, by="Ann")}, lanes={"service/c/s": Capacity(fewest=0, most=4)}),
]


@pytest.mark.parametrize("document", [RECORD, OUTCOME, *OTHERS], ids=lambda one: type(one).__name__)
def test_reads_back(document: Document):
    """What is written is read back the same, tracks and all."""
    assert document == type(document).model_validate_json(document.to_json())


def test_newer_record():
    """What a newer version added is passed over: a deployment is never in one step."""
    newer = RECORD.to_json().replace(b'"version"', b'"invented_later": {"a": 1}, "version"', 1)
    assert RECORD == Record.model_validate_json(newer)


def test_written_for_people():
    """One entry a line, in UTF-8: somebody reads this at night."""
    lines = OUTCOME.to_json().decode().splitlines()
    assert ' "bucket": "in",' in lines
    assert any("Größe" in line for line in lines)


def test_frozen():
    """A document never changes once it was made."""
    with pytest.raises(ValidationError, match="frozen"):
        RECORD.version = "w"


@pytest.mark.parametrize("media", [PHONE, SONG, PHOTO, ANIMATION, replace(PHONE, timeline=None)])
def test_media_reads_back(media: Media):
    """What examining gave is the same value after JSON, so that plans and digests are: no decode is done again."""
    found = Record.model_validate_json(RECORD.model_copy(update={"media": media}).to_json()).media
    assert media == found
    assert type(media) is type(found)
    plans = [plan.make(one, RULES, version="v", done={}) for one in (media, found)]
    assert plans[0] == plans[1]


@given(_MEDIA)
def test_any_media_reads_back(media: Media):
    """Whatever was probed, fractions of frame rates and all."""
    assert media == Record.model_validate_json(RECORD.model_copy(update={"media": media}).to_json()).media


def test_fractions_are_kept_as_such():
    """29.97 is no frame rate: the exact one names the steps."""
    body = RECORD.model_copy(update={"media": PHONE}).to_json()
    found = Record.model_validate_json(body).media
    assert isinstance(found, Clip)
    assert found.video
    assert Fraction(30_000, 1001) == found.video.frame_rate
    assert "30000/1001" == json.loads(body)["media"]["video"]["frame_rate"]


def test_a_record_of_an_older_version_has_no_media():
    """Then the upload is fetched and examined, as at first."""
    document = json.loads(RECORD.to_json())
    del document["media"]
    for one in document["steps"]:
        del one["screening"], one["captions"], one["captioned"]
    del document["spent"]["units"]
    found = Record.model_validate(document)
    assert (None, RECORD) == (found.media, found)


def test_labels_are_data():
    """What a model of next year says is kept in its own words."""
    label = Label(name="🦖" * 100, parent="never heard of", confidence=150.0, level=9)
    look = Look(at=0.0, labels=(label,))
    assert look == Look.model_validate_json(look.to_json())


@pytest.mark.parametrize("says", ["review", "", "ALLOW", None])
def test_a_decision_is_one_of_two(says: str | None):
    """Nobody decides that somebody has to decide."""
    with pytest.raises(ValidationError):
        Decision(says=says, revision=1, at=NOON, by="Ann")
