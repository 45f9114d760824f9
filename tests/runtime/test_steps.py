"""What decoders leave in the scratch directory is not trusted, and what was joined is looked at again."""

import os
from hashlib import sha256
from pathlib import Path

import pytest

from service.core import verify
from service.core.outcome import Reason, Rejected, Unavailable
from service.core.step import Progressive
from service.core.verify import Found
from service.runtime import made

JOINED = Progressive(video="v", audio="a", width=640, height=360)


def test_a_file_is_measured(tmp_path: Path):
    """Bytes and SHA-256."""
    (tmp_path / "a").write_bytes(b"abc")
    assert (3, sha256(b"abc").hexdigest()) == made.measured(tmp_path / "a")


@pytest.mark.parametrize("kind", ["link", "hard link", "pipe", "directory", "nothing"])
def test_what_is_no_file_is_never_published(tmp_path: Path, kind: str):
    """A decoder that was taken over could publish any file that the worker can read."""
    secret, left = tmp_path / "secret", tmp_path / "720p.mp4"
    secret.write_text("secret")
    match kind:
        case "link":
            left.symlink_to(secret)
        case "hard link":
            left.hardlink_to(secret)
        case "pipe":
            os.mkfifo(left)
        case "directory":
            left.mkdir()
    with pytest.raises(Rejected) as refused:
        made.measured(left)
    assert Reason.DAMAGED == refused.value.reason


def test_a_playlist_is_not_written_through_a_link(tmp_path: Path):
    """The link goes, what it points to stays."""
    secret, playlist = tmp_path / "secret", tmp_path / "720p.m3u8"
    secret.write_text("secret")
    playlist.symlink_to(secret)
    made.write(playlist, "#EXTM3U\n")
    assert ("secret", "#EXTM3U\n", False) == (secret.read_text(), playlist.read_text(), playlist.is_symlink())


def test_a_joined_file_that_is_whole():
    """Both tracks, and about as long."""
    verify.check_progressive(JOINED, Found(kinds=("audio", "video"), duration=10.9), seconds=10.0)


@pytest.mark.parametrize(
    "found",
    [
        Found(kinds=("video",), duration=10.0),
        Found(kinds=("audio", "video"), duration=8.9),
        Found(kinds=("audio", "video"), duration=None),
    ],
)
def test_a_joined_file_that_lacks_something(found: Found):
    """The upload is not at fault: its tracks were well."""
    with pytest.raises(Unavailable):
        verify.check_progressive(JOINED, found, seconds=10.0)
