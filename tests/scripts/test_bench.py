"""The bench of the queue loop: run small, so that it goes on working, and says what it measured."""

import json
import shutil
import subprocess

import pytest

from tests.ecs.templates import ROOT

MESSAGES = 40


@pytest.mark.skipif(shutil.which("node") is None, reason="node is not installed")
@pytest.mark.timeout(120)
def test_the_bench_of_the_queue_measures_every_contender(localstack: str) -> None:
    """Each empties its queue to the last message; the ratios are to the same contender, the first."""
    argv = ["scripts/bench", "queue", "--messages", str(MESSAGES), "--runs", "1", "--endpoint", localstack, "--json"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode in {0, 1}, done.stderr  # so few messages say nothing of how fast it is
    found = json.loads(done.stdout)
    contenders = found["contenders"]
    assert (MESSAGES, 1, "sqs-consumer") == (found["messages"], found["runs"], found["baseline"])
    assert [("sqs-consumer", 1.0)] == [(one["name"], one["ratio"]) for one in contenders if one["ratio"] == 1.0]
    assert ["media-worker, 10 slots", "media-worker, 64 slots"] == [one["name"] for one in contenders if one["ours"]]
    assert all(one["rate"] > 0 and one["cpu_ms"] > 0 for one in contenders)


def test_an_endpoint_that_does_not_answer_is_told_in_one_line(tmp_path) -> None:
    """Without a traceback."""
    argv = ["scripts/bench", "queue", "--messages", "1", "--runs", "1", "--endpoint", "http://127.0.0.1:9"]
    done = subprocess.run(argv, cwd=ROOT, capture_output=True, text=True, check=False)
    assert (2, 1) == (done.returncode, len(done.stderr.strip().splitlines())), done.stderr
