"""Which stacks make a stage, in which order, and which value each parameter has. Nothing here asks AWS.

A value comes from, first one first: the stack's place in the order (`Lane`), the command line, the outputs of stacks
before it, what the stack has now, what its neighbours have under the same name, what was said when the stage was begun
(tags of the storage stack, for what is not there yet), the template's default. So `scripts/deploy prod` alone keeps
everything as it was chosen, and goes on where a first deployment broke off. (A default that a later template changes
reaches new stages alone: nobody can tell the old one from a choice.)
"""

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from scripts.deployment import templates
from scripts.deployment.errors import WrongUse
from service.core import places

TAG = "media-worker:"
EVENTBRIDGE = f"{TAG}eventbridge"
_TAGGABLE = re.compile(r"[A-Za-z0-9 _.:/+@-]")  # of what a tag's value may have, all but the = that escapes
_TAG_LENGTH = 256
_UNTAGGED = {"Image", "AlarmMail"}

#: The option that gives a parameter.
OPTIONS = {
    "Profile": "--profile",
    "AlarmMail": "--mail",
    "ExistingInputBucket": "--input-bucket",
    "InputPrefix": "--input-prefix",
    "ExistingOutputBucket": "--output-bucket",
    "PublicUrl": "--public-url",
    "VpcId": "--vpc",
    "SubnetIds": "--subnets",
    "KeyArn": "--key",
    "Recipe": "--recipe",
    "ModerationProvider": "--moderation",
    "CaptionProvider": "--captions",
    "MaxTasks": "--max-tasks",
    "DollarsADay": "--dollars-a-day",
    "Architecture": "--architecture",
    "Image": "--image",
}

#: What one stack tells the next, or its place in the order does: nobody chooses it.
_HANDED = frozenset(
    "Stage Lane QueueUrl ServiceName Cluster LogGroup ExecutionRoleArn TaskRoleArn SecurityGroup InputBucket "
    "OutputBucket IntakeUrl HeavyUrl BackfillUrl OutcomesTopicArn AlarmsTopicArn RepositoryArn S3PrefixList".split()
)


@dataclass(frozen=True, order=True)
class Part:
    """One stack of a stage."""

    template: str
    lane: str = ""

    def stack(self, stage: str) -> str:
        """Its name."""
        return "-".join(word for word in ("media", stage, self.template, self.lane) if word)


KEY, STORAGE, NETWORK, EDGE = Part("key"), Part("storage"), Part("network"), Part("edge")
LIGHT, HEAVY = Part("lane", "light"), Part("lane", "heavy")
PARTS = (
    *(KEY, STORAGE, NETWORK, EDGE, Part("service"), LIGHT, HEAVY),
    *(Part("scaling", "light"), Part("scaling", "heavy"), Part("watch")),
)
_QUEUES = {"light": "IntakeUrl", "heavy": "HeavyUrl"}


@dataclass(frozen=True, kw_only=True)
class Deployed:
    """A stack as it stands."""

    name: str
    status: str
    parameters: Mapping[str, str] = field(default_factory=dict)
    outputs: Mapping[str, str] = field(default_factory=dict)
    tags: Mapping[str, str] = field(default_factory=dict)

    @property
    def works(self) -> bool:
        """Whether it has ever come to something: its parameters and outputs are true."""
        return self.status in {"CREATE_COMPLETE", *_UPDATED} or self.status.startswith("UPDATE_")


_UPDATED = {"UPDATE_COMPLETE", "UPDATE_ROLLBACK_COMPLETE", "IMPORT_COMPLETE", "IMPORT_ROLLBACK_COMPLETE"}
Standing = Mapping[Part, Deployed]
Given = Mapping[str, str]  #: parameter, or `lane.parameter`, and its value


# ---- what is wanted ------------------------------------------------------------------------------------------------


def chosen(name: str, given: Given, standing: Standing) -> str:
    """What a parameter has been given: now, or by a stack that has it, or when the stage was begun; else empty."""
    if name in given:
        return given[name]
    held = [one.parameters[name] for one in standing.values() if one.works and name in one.parameters]
    return next(filter(None, held), "") or begun(standing).get(name, "")


def plan(given: Given, standing: Standing) -> tuple[Part, ...]:
    """The stacks of this stage, in their order.

    :raises WrongUse: without a profile, or with another one than the stage has.
    """
    profile = _profile(given, standing)
    left_out = set()
    if not _own_key(profile, given, standing):
        left_out.add(KEY)
    if not _own_edge(given, standing):
        left_out.add(EDGE)
    return tuple(part for part in PARTS if part not in left_out)


def _profile(given: Given, standing: Standing) -> str:
    before = chosen("Profile", {}, standing)
    wanted = given.get("Profile") or before
    if not wanted:
        raise WrongUse("This stage is not there yet.", "Say which it is to be, --profile small or private.")
    if before and wanted != before:
        raise WrongUse(
            f"This stage has profile {before}, and a repository's key can't be changed afterwards.",
            f"Deploy {wanted} as another stage beside it, and delete this one when it is idle.",
        )
    return wanted


def _own_key(profile: str, given: Given, standing: Standing) -> bool:
    if given.get("KeyArn") or profile != "private":
        return False
    if KEY in standing or STORAGE not in standing:
        return KEY in standing or not begun(standing).get("KeyArn")
    return not chosen("KeyArn", {}, standing)


def _own_edge(given: Given, standing: Standing) -> bool:
    if "PublicUrl" in given:
        return not given["PublicUrl"]
    lanes = any(part in standing and standing[part].works for part in (LIGHT, HEAVY))
    return EDGE in standing or not (lanes or begun(standing).get("PublicUrl"))


# ---- parameters ----------------------------------------------------------------------------------------------------


def parameters(part: Part, given: Given, handed: Given, standing: Standing) -> dict[str, str]:
    """Of one stack; those that keep the template's default are left out, and so are those that nobody knows.

    :param handed: `Stage`, and what the stacks before gave.
    """
    placed = {"Lane": part.lane, "QueueUrl": handed.get(_QUEUES[part.lane], "")} if part.lane else {}
    working = {other: one.parameters for other, one in standing.items() if one.works and other.lane in {"", part.lane}}
    near = {name: value for other in reversed(PARTS) for name, value in working.get(other, {}).items()}
    from_before = _for_lane(handed, part.lane)
    asked = {name: value for name, value in _for_lane(given, part.lane).items() if value or name not in from_before}
    said = (asked, from_before)
    sources = (placed, *said, working.get(part, {}), near, _for_lane(begun(standing), part.lane))
    found = {}
    for name, told in templates.declared(part.template).items():
        value = next((source[name] for source in sources if name in source), None)
        if value is not None and value != str(told.get("Default", "\0")):
            found[name] = value
    return found


def missing(part: Part, known: Given) -> list[str]:
    """Parameters that have neither a value nor a default."""
    told = templates.declared(part.template)
    return [name for name, one in told.items() if "Default" not in one and not known.get(name)]


def _for_lane(given: Given, lane: str) -> dict[str, str]:
    plain = {name: value for name, value in given.items() if "." not in name}
    own = {name.partition(".")[2]: value for name, value in given.items() if lane and name.startswith(f"{lane}.")}
    return plain | own


def check(given: Given) -> None:
    """Refuses what no template takes.

    :raises WrongUse: naming the option, and what it may be.
    """
    told = _all_parameters()
    for key, value in given.items():
        lane, _, name = key.rpartition(".")
        if name not in told or name in _HANDED or lane not in {"", "light", "heavy"}:
            raise WrongUse(f"--set {key}: no template of ecs/ takes that.", f"They take {', '.join(_settable())}.")
        for one in told[name]:
            _check_one(OPTIONS.get(name, f"--set {key}"), value, one)
    if not (given.get("PublicUrl") or "https://").startswith(("https://", "http://")):
        raise WrongUse(f"--public-url {given['PublicUrl']}: it has to begin with https://.")


def check_stage(stage: str) -> None:
    """Refuses a name that resources can't have.

    :raises WrongUse: saying how it may look.
    """
    _check_one("STAGE", stage, templates.declared(STORAGE.template)["Stage"])


def _check_one(option: str, value: str, told: Mapping[str, Any]) -> None:
    what = told.get("Description", "")
    allowed = [str(one) for one in told.get("AllowedValues", [])]
    if allowed and value not in allowed:
        raise WrongUse(f"{option} {value}: it may be {', '.join(allowed)}.", what)
    if (pattern := told.get("AllowedPattern")) and not re.fullmatch(pattern, value):
        raise WrongUse(f"{option} {value}: it has to look like {pattern}.", what)
    if told["Type"] == "Number":
        least, most = float(told.get("MinValue", "-inf")), float(told.get("MaxValue", "inf"))
        if not re.fullmatch(r"\d+(\.\d+)?", value) or not least <= float(value) <= most:
            raise WrongUse(f"{option} {value}: it has to be a number from {least:g} to {most:g}.", what)


def _all_parameters() -> dict[str, list[Mapping[str, Any]]]:
    found: dict[str, list[Mapping[str, Any]]] = {}
    for template in dict.fromkeys(part.template for part in PARTS):
        for name, told in templates.declared(template).items():
            found.setdefault(name, []).append(told)
    return found


def _settable() -> list[str]:
    return sorted(set(_all_parameters()) - _HANDED - set(OPTIONS))


def contradictions(given: Given, standing: Standing) -> None:
    """Refuses what can't go together.

    :raises WrongUse: saying why.
    """
    has = {name: chosen(name, given, standing) for name in OPTIONS}
    if has["VpcId"] and not has["SubnetIds"]:
        raise WrongUse("--vpc needs --subnets.", "Name two of its subnets, in two zones: --subnets subnet-1,subnet-2")
    prefix, bucket = has["InputPrefix"], has["ExistingInputBucket"]
    if bucket and bucket == has["ExistingOutputBucket"] and not _apart(prefix):
        raise WrongUse(
            "One bucket for uploads and products, and products would start jobs.",
            f"Give uploads a prefix of their own, such as --input-prefix uploads/, outside {', '.join(places.AREAS)}.",
        )


def _apart(prefix: str) -> bool:
    return bool(prefix) and not any(prefix.startswith(area) or area.startswith(prefix) for area in places.AREAS)


# ---- what is remembered: tags of the storage stack -----------------------------------------------------------------


def begun(standing: Standing) -> dict[str, str]:
    """What was said when the stage was begun."""
    tags = standing[STORAGE].tags if STORAGE in standing else {}
    return {key.removeprefix(TAG): decoded(value) for key, value in tags.items() if key.startswith(TAG)}


def tags(given: Given, *, eventbridge: str = "") -> dict[str, str]:
    """The command line as tags of the storage stack; what is too long is left out, and has to be given again.

    So are the image, which is of one release, and the mail address, since tags are no place for persons.

    :param eventbridge: which buckets it was turned on for, so that it is turned off again for these alone.
    """
    said = {f"{TAG}{name}": encoded(value) for name, value in given.items() if name not in _UNTAGGED}
    said = {name: value for name, value in said.items() if len(value) <= _TAG_LENGTH}
    return said | ({EVENTBRIDGE: encoded(eventbridge)} if eventbridge else {})


def encoded(value: str) -> str:
    """A value with the characters that tags may have; others as = and the hexadecimal digits of their UTF-8 bytes."""
    return "".join(
        one if _TAGGABLE.fullmatch(one) else "".join(f"={byte:02X}" for byte in one.encode()) for one in value
    )


def decoded(value: str) -> str:
    """What `encoded` was given."""
    raw = re.sub(rb"=([0-9A-F]{2})", lambda found: bytes([int(found[1], 16)]), value.encode())
    return raw.decode()


# ---- what stands there, and what is to be done with it ------------------------------------------------------------


def resolved(parts: Iterable[Part], given: Given, handed: Given, standing: Standing) -> list[templates.Stack]:
    """What CloudFormation would make of the templates, with placeholders for what is not known yet."""
    profile = chosen("Profile", given, standing)
    return [
        templates.resolve(part.template, profile, parameters(part, given, handed, standing) | {"Profile": profile})
        for part in parts
    ]
