"""The documents under `records/`: they read back, and readers of older versions understand newer ones."""

from datetime import UTC, datetime

import pytest
from pydantic import ValidationError

from service.core.record import Document, Entry, Failure, File, Hint, Outcome, Record, Role, Spent, StepRecord
from service.core.tracks import AudioTrack, VideoTrack

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


@pytest.mark.parametrize("document", [RECORD, OUTCOME], ids=lambda one: type(one).__name__)
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
