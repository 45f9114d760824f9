"""What the commands say and do where decoders can't be cut off."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest
from PIL import Image

from service import config
from service.core.outcome import Misconfigured
from tests.test_cli import ROOT, Ended, run
from tests.test_cli_doctor import SETTINGS

REMEDY = "install libseccomp2"


def run_bare(*arguments: str, **settings: str) -> Ended:
    """`media-worker` on a machine without libseccomp and Landlock."""
    argv = [sys.executable, "-m", "tests.acceptance.bare_worker", *arguments]
    variables = {"PATH": os.environ["PATH"], "COLUMNS": "200", **settings}
    done = subprocess.run(argv, cwd=ROOT, env=variables, capture_output=True, text=True, timeout=60, check=False)
    return Ended(code=done.returncode, out=done.stdout, err=done.stderr)


def sandbox_of(ended: Ended) -> tuple[bool, str]:
    """What `doctor --json` says of it."""
    (found,) = [one for one in json.loads(ended.out) if one["check"] == "sandbox"]
    return found["well"], found["detail"]


def test_the_service_does_not_start(tmp_path: Path) -> None:
    """Exit code 2, and one line that names what to do and which setting says otherwise."""
    ended = run_bare("run", **SETTINGS, MEDIA_SCRATCH=str(tmp_path))
    assert 2 == ended.code
    assert 1 == len(ended.err.splitlines())
    assert REMEDY in ended.err
    assert "MEDIA_SANDBOX=optional" in ended.err


def test_files_of_ones_own_are_worked_on_all_the_same(tmp_path: Path) -> None:
    """With one line of warning on stderr; nothing of it on stdout."""
    Image.new("RGB", (64, 48), "teal").save(tmp_path / "picture.png")
    told = ["--out", str(tmp_path / "out"), "--json"]
    ended = run_bare("process", str(tmp_path / "picture.png"), *told)
    assert (0, ["ready"]) == (ended.code, [one["status"] for one in json.loads(ended.out)])
    (line,) = ended.err.splitlines()
    assert line.startswith("media-worker: decoders are not cut off (no seccomp: libseccomp-is-not-here.so")
    assert 2 == run_bare("process", str(tmp_path / "picture.png"), *told, MEDIA_SANDBOX="required").code


def test_doctor_says_how_decoders_are_held() -> None:
    """What holds them, or what they could do and how to mend it; as the setting says it is well or wrong."""
    well, detail = sandbox_of(run("doctor", "--json"))
    assert well
    assert detail.startswith("seccomp ")
    assert detail.endswith("worker not dumpable")
    well, detail = sandbox_of(run_bare("doctor", "--json", MEDIA_SANDBOX="required"))
    assert not well
    assert "they could open a socket, start a process, signal the worker: install libseccomp2" in detail
    assert sandbox_of(run_bare("doctor", "--json", MEDIA_SANDBOX="optional"))[0]


@pytest.mark.parametrize(
    ("said", "mode"), [(None, "optional"), ("", "optional"), ("required", "required"), ("off", "off")]
)
def test_local_commands_take_the_setting_too(said: str | None, mode: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their default is another one."""
    monkeypatch.delenv("MEDIA_SANDBOX", raising=False)
    if said is not None:
        monkeypatch.setenv("MEDIA_SANDBOX", said)
    assert mode == config.sandbox_here()


def test_a_setting_that_is_none_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    """A typing error opens nothing."""
    monkeypatch.setenv("MEDIA_SANDBOX", "of")
    with pytest.raises(Misconfigured, match="MEDIA_SANDBOX"):
        config.sandbox_here()
