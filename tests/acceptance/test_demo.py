"""scripts/demo as a visitor runs it: what it says, what its page shows, and that nothing of it stays behind."""

import re
import signal
import subprocess
import time
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from scripts import children, samples

ROOT = Path(__file__).resolve().parent.parent.parent

pytestmark = [pytest.mark.timeout(300), pytest.mark.usefixtures("localstack")]  # the fixture has it installed


@contextmanager
def _demo(folder: Path, *arguments: str | Path) -> Iterator[subprocess.Popen[str]]:
    process = subprocess.Popen(
        [ROOT / "scripts" / "demo", "--folder", folder, "--port", "18090", *arguments],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    with process:
        try:
            yield process
        finally:
            process.terminate()


def _fetch(url: str, headers: dict[str, str] | None = None) -> tuple[int, str, bytes]:
    with urllib.request.urlopen(urllib.request.Request(url, headers=headers or {}), timeout=10) as answer:
        return answer.status, answer.headers["Content-Type"], answer.read()


def test_three_samples_are_ready_and_the_page_shows_them_until_ctrl_c(tmp_path: Path) -> None:
    """The clip has captions, if it can speak; Ctrl-C ends all within seconds, with exit code 0."""
    with _demo(tmp_path) as demo:
        assert demo.stdout
        said: list[str] = []
        while not said or "The page is at" not in said[-1]:
            line = demo.stdout.readline()
            assert line, "".join(said)
            said.append(line)
        assert sum(line.endswith(": ready\n") for line in said) == 3
        (address,) = re.findall(r"http://127\.0\.0\.1:\d+(?=;)", said[-1])
        page = _fetch(address)[2].decode()
        for tag in ("<picture>", "<video", "<audio"):
            assert tag in page
        told = [line for line in said if line.startswith("says")]
        assert samples.speaks() == ('<track default kind="captions"' in page) == bool(told)
        assert all("Good morning" in line and "written by whisper tiny.en" in line for line in told)
        (film,) = re.findall(r"(http://\S+/video\.mp4)", "".join(said))
        assert _fetch(film, {"Range": "bytes=4-7"}) == (206, "video/mp4", b"ftyp")

        started = children.left(demo.pid)
        assert len(started) >= 2, "LocalStack and the worker"
        asked = time.monotonic()
        demo.send_signal(signal.SIGINT)
        assert demo.wait(30) == 0
        assert time.monotonic() - asked < 15
        assert [pid for pid in started if Path(f"/proc/{pid}").exists()] == []
        assert list(tmp_path.glob("scratch-*")) == []


def test_a_file_that_is_not_ready_makes_once_end_with_1(tmp_path: Path) -> None:
    """And the table says why."""
    bad = tmp_path / "notes & <b>bold.mp4"
    bad.write_text("no video at all\n")
    with _demo(tmp_path / "demo", "--once", bad) as demo:
        said, _ = demo.communicate(timeout=120)
    assert demo.returncode == 1, said
    assert "uploads/notes & <b>bold.mp4: rejected" in said
    assert "unsupported_type" in said


def test_a_path_that_is_not_there_is_wrong_use(tmp_path: Path) -> None:
    """Nothing is started for it."""
    with _demo(tmp_path, tmp_path / "nowhere.jpg") as demo:
        said, _ = demo.communicate(timeout=60)
    assert demo.returncode == 2
    assert f"there is no {tmp_path / 'nowhere.jpg'}" in said
    assert list(tmp_path.iterdir()) == []
