"""What cfn-lint and checkov find, each finding either mended or waived with its reason."""

import json
import subprocess
import tomllib
from pathlib import Path

import pytest

from tests.ecs.templates import FOLDER, NAMES, ROOT

pytestmark = pytest.mark.timeout(600)  # the first test installs the tools, unless scripts/test did

_BIN = ROOT / ".venvs" / "ecs" / "bin"
_WAIVERS = tomllib.loads((Path(__file__).parent / "waivers.toml").read_text())["waiver"]


def test_no_template_is_left_out():
    """Every template of the folder is checked."""
    assert {path.stem for path in FOLDER.glob("*.yaml")} == set(NAMES)


@pytest.mark.usefixtures("ecs_tools")
def test_cfn_lint_finds_nothing_else():
    """Errors, warnings and remarks alike."""
    said = subprocess.run(
        [_BIN / "cfn-lint", "--include-checks", "I", "--format", "json", "--", *sorted(FOLDER.glob("*.yaml"))],
        capture_output=True,
        text=True,
        check=False,
    )
    found = [(one["Rule"]["Id"], Path(one["Filename"]).name, one["Message"]) for one in json.loads(said.stdout)]
    assert _unwaived("cfn-lint", found) == []


@pytest.mark.usefixtures("ecs_tools")
def test_checkov_finds_nothing_else():
    """All of its checks of CloudFormation; it is started once for all templates, and asks nobody."""
    said = subprocess.run(
        [_BIN / "checkov", "--directory", FOLDER, "--framework", "cloudformation", "--output", "json", "--quiet"],
        capture_output=True,
        text=True,
        check=False,
        env={"PATH": "/usr/bin:/bin", "HOME": "/nonexistent", "LOG_LEVEL": "ERROR"},
    )
    report = json.loads(said.stdout)
    assert report["summary"]["parsing_errors"] == 0
    assert report["summary"]["passed"] > 80
    failed = report["results"]["failed_checks"]
    found = [
        (one["check_id"], f"{Path(one['file_path']).name} {one['resource'].rpartition('.')[2]}", one["check_name"])
        for one in failed
    ]
    assert _unwaived("checkov", found) == []


def _unwaived(tool, found):
    """What no waiver names, and the waivers that name nothing."""
    waived = {(one["rule"], one["where"]) for one in _WAIVERS if one["tool"] == tool}
    left = [one for one in found if (one[0], one[1]) not in waived]
    idle = [one for one in sorted(waived) if one not in {(rule, where) for rule, where, _ in found}]
    return left + [f"{rule} of {where} waives nothing" for rule, where in idle]


def test_waivers_have_reasons():
    """A sentence each."""
    assert all(len(one["reason"]) > 40 for one in _WAIVERS)
