"""The templates keep the project's own rules, and each property that they rest on is seen when it is gone."""

import copy
import json
import re
from typing import Any

import pytest

from tests.ecs.looking import at
from tests.ecs.mutations import MUTATIONS, changed_to, mutants, places
from tests.ecs.rules import findings
from tests.ecs.templates import FOLDER, FULL, NAMES, ROOT, load, resolve, stacks

PROFILES = ("small", "private")


@pytest.mark.parametrize("profile", PROFILES)
def test_no_rule_is_broken(profile):
    """Both profiles are clean, with everything on and with everything off."""
    assert [found for stack in stacks(profile, **FULL) for found in findings(stack)] == []
    off = stacks(profile, ModerationProvider="off", CaptionProvider="off")
    assert [found for stack in off for found in findings(stack)] == []


@pytest.mark.parametrize("profile", PROFILES)
def test_providers_that_are_off_have_no_rights(profile):
    """Neither action nor endpoint nor rule of Rekognition or Transcribe is there when the recipe does not ask them."""
    for stack in stacks(profile, ModerationProvider="local", CaptionProvider="whisper"):
        made = {name: one for name, one in stack.resources.items() if one["Type"] != "AWS::CloudWatch::Dashboard"}
        asked = ("rekognition:", "transcribe:", ".rekognition'", ".transcribe'", "aws.transcribe")
        assert [name for name, one in made.items() if any(word in str(one) for word in asked)] == [], stack.name


@pytest.mark.parametrize("profile", PROFILES)
def test_every_mutation_is_caught(profile):
    """Each hardening property, at each place where it stands, is missed when it is gone or turned round."""
    survivors, tried = [], 0
    for stack in stacks(profile, **FULL):
        for what, mutant in mutants(stack):
            tried += 1
            if not findings(mutant):
                survivors.append(f"{stack.name}: {what}")
    assert survivors == []
    assert tried > 300


def test_every_mutation_is_tried():
    """A property that no template has any more is no longer in the table."""
    tried = {what.split(" ")[0] for profile in PROFILES for s in stacks(profile, **FULL) for what, _ in mutants(s)}
    assert {name.removesuffix("+") for name in MUTATIONS} == tried


@pytest.mark.parametrize("profile", PROFILES)
def test_each_statement_is_missed(profile):
    """A policy without one of its statements lacks a right, or lets somebody in."""
    survivors = []
    for stack in stacks(profile, **FULL):
        for path, statements in places(stack.resources, "Statement"):
            for number, one in enumerate(statements if _grants(path) else []):
                changed = copy.deepcopy(stack.resources)
                del at(changed, *path)[number]
                if not findings(changed_to(stack, changed)):
                    survivors.append(f"{stack.name} {path[0]} {one.get('Sid')}")
    assert survivors == [f"service {profile} TaskRole ReadRecipe"]  # GetObject of the recipe is GetObject


def _grants(path: tuple[Any, ...]) -> bool:
    """Not who may take a role: without it nothing would start at all."""
    return "AssumeRolePolicyDocument" not in path


def test_one_bucket_for_both_needs_a_prefix():
    """The template refuses what would make products start jobs."""
    stack = resolve(
        "storage", "small", {"Stage": "prod", "ExistingInputBucket": "mine", "ExistingOutputBucket": "mine"}
    )
    assert "Uploads" not in stack.resources
    assert stack.outputs["InputBucket"] == stack.outputs["OutputBucket"] == "mine"


@pytest.mark.parametrize("name", NAMES)
def test_templates_explain_themselves(name):
    """Each parameter and output says what it is, a stage is in every name, and CloudFormation takes it inline."""
    template = load(name)
    assert "Stage" in template["Parameters"]
    told = [*template["Parameters"].values(), *template.get("Outputs", {}).values()]
    assert all(one.get("Description") for one in told)
    assert (FOLDER / f"{name}.yaml").stat().st_size < 51_200


@pytest.mark.parametrize("name", NAMES)
def test_outputs_do_not_come_back(name):
    """No output is called like a parameter of its own template: handed on by name, it would change it."""
    template = load(name)
    assert set(template["Parameters"]) & set(template.get("Outputs", {})) == set()


def test_the_health_check_is_that_of_the_image():
    """ECS ignores the one of the image, and asks the same."""
    image = json.loads(re.search(r"HEALTHCHECK.*\\\n\s+CMD (\[.*\])", (ROOT / "Dockerfile").read_text())[1])
    container = load("lane")["Resources"]["Task"]["Properties"]["ContainerDefinitions"][0]
    assert container["HealthCheck"]["Command"] == ["CMD", *image]
