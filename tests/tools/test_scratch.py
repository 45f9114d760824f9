"""Scratch directories: private, gone with their job, and swept when a worker was killed."""

import signal
import subprocess
import sys
from pathlib import Path

import pytest

from service.tools.scratch import Scratch

ROOT = Path(__file__).parents[2]

_WORKER = """
import sys, time
from pathlib import Path
from service.tools.scratch import Scratch
with Scratch(Path(sys.argv[1])) as scratch, scratch.job() as folder:
    (folder / "in").write_bytes(b"a film")
    print(folder, flush=True)
    time.sleep(60)
"""


def test_each_job_has_a_folder_of_its_own(tmp_path: Path) -> None:
    """Nobody else can read it, and it is gone with the job; nothing is left of the worker's."""
    with Scratch(tmp_path / "deep" / "scratch") as scratch:
        with scratch.job() as one, scratch.job() as two:
            assert one != two
            assert [0o700, 0o700] == [folder.stat().st_mode & 0o777 for folder in (one, two)]
            (one / "in").write_bytes(b"a film")
            (one / "deep").mkdir()
        assert [False, False] == [folder.exists() for folder in (one, two)]
    assert [] == list((tmp_path / "deep" / "scratch").iterdir())


def test_a_job_that_fails_leaves_nothing(tmp_path: Path) -> None:
    """Its error is raised."""
    folders = []

    def fail(scratch: Scratch) -> None:
        with scratch.job() as folder:
            folders.append(folder)
            (folder / "in").write_bytes(b"a film")
            raise ValueError("the job failed")

    with Scratch(tmp_path) as scratch, pytest.raises(ValueError, match="the job failed"):
        fail(scratch)
    assert [False] == [folder.exists() for folder in folders]


def test_workers_leave_one_another_alone(tmp_path: Path) -> None:
    """A second one on the same disk removes nothing of the first, who is alive."""
    with Scratch(tmp_path) as one, one.job() as folder, Scratch(tmp_path) as two, two.job():
        assert folder.exists()


def test_what_a_killed_worker_left_is_removed_by_the_next(tmp_path: Path) -> None:
    """Its lock went with it; what is no worker's is left alone."""
    (tmp_path / "somebody's").mkdir()
    worker = subprocess.Popen([sys.executable, "-c", _WORKER, tmp_path], stdout=subprocess.PIPE, cwd=ROOT, text=True)
    assert worker.stdout
    with worker:
        folder = Path(worker.stdout.readline().strip())
        assert (folder / "in").exists()
        with Scratch(tmp_path):
            assert (folder / "in").exists()
        worker.kill()
        assert -signal.SIGKILL == worker.wait(30)
    with Scratch(tmp_path):
        assert not folder.parent.exists()
    assert ["somebody's"] == [path.name for path in tmp_path.iterdir()]
