"""The templates of ecs/ as CloudFormation would see them: parameters, conditions, maps and substitutions put in."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "ecs"

ACCOUNT, REGION = "111122223333", "eu-central-1"  # what stands for the account's own
_PSEUDO = {
    "AWS::AccountId": ACCOUNT,
    "AWS::Region": REGION,
    "AWS::Partition": "aws",
    "AWS::URLSuffix": "amazonaws.com",
    "AWS::StackName": "stack",
}
_ABSENT = object()


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short tags."""


def _tag(loader: _Loader, suffix: str, node: yaml.Node) -> Any:
    if isinstance(node, yaml.ScalarNode):
        value: Any = loader.construct_scalar(node)
        value = value.split(".", 1) if suffix == "GetAtt" else value
    elif isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    else:
        assert isinstance(node, yaml.MappingNode)
        value = loader.construct_mapping(node, deep=True)
    return {suffix if suffix in {"Ref", "Condition"} else f"Fn::{suffix}": value}


_Loader.add_multi_constructor("!", _tag)


def load(name: str) -> dict[str, Any]:
    """One template with its functions as `Fn::…`."""
    return dict(yaml.load(text(name), _Loader))


def text(name: str) -> str:
    """One template as it is sent."""
    return (FOLDER / f"{name}.yaml").read_text()


@dataclass(frozen=True, kw_only=True)
class Stack:
    """One template with everything put in. A reference to a resource reads `ref:Name`, an attribute `att:Name.Attr`."""

    template: str
    name: str
    profile: str
    resources: dict[str, Any]
    outputs: dict[str, Any]
    parameters: dict[str, Any]

    def of(self, *types: str) -> Iterator[tuple[str, dict[str, Any]]]:
        """Name and properties of each resource of these types."""
        for name, resource in self.resources.items():
            if resource["Type"] in types:
                yield name, resource.get("Properties", {})


def resolve(template: str, profile: str, given: Mapping[str, Any]) -> Stack:
    """What CloudFormation would make of a template with these parameters; the others have their defaults."""
    raw = _raw(template)
    parameters = {
        name: given.get(name, told.get("Default", _sample(name, told))) for name, told in raw["Parameters"].items()
    }
    for name, told in raw["Parameters"].items():
        if told["Type"] in {"CommaDelimitedList", "List<AWS::EC2::Subnet::Id>"} and isinstance(parameters[name], str):
            parameters[name] = parameters[name].split(",")
    view = _View(raw=raw, parameters=parameters)
    resources = {
        name: {key: view.put_in(value) for key, value in one.items() if key != "Condition"}
        for name, one in raw["Resources"].items()
        if "Condition" not in one or view.holds(one["Condition"])
    }
    outputs = {
        name: view.put_in(one["Value"])
        for name, one in raw.get("Outputs", {}).items()
        if "Condition" not in one or view.holds(one["Condition"])
    }
    return Stack(
        template=template,
        name=f"{template} {profile} {parameters.get('Lane', '')}".strip(),
        profile=profile,
        resources=resources,
        outputs=outputs,
        parameters=parameters,
    )


@cache
def _raw(name: str) -> dict[str, Any]:
    return load(name)


def declared(template: str) -> dict[str, Any]:
    """The parameters that a template takes, as it describes them."""
    return dict(_raw(template)["Parameters"])


def _sample(name: str, told: Mapping[str, Any]) -> Any:
    return "subnet-1,subnet-2" if "Subnet" in told["Type"] else f"given-{name}"


@dataclass(frozen=True, kw_only=True)
class _View:
    """One template and its parameters."""

    raw: dict[str, Any]
    parameters: dict[str, Any]

    def holds(self, condition: str) -> bool:
        return bool(self.put_in(self.raw["Conditions"][condition]))

    def put_in(self, value: Any) -> Any:
        if isinstance(value, list):
            return [one for one in map(self.put_in, value) if one is not _ABSENT]
        if not isinstance(value, dict):
            return value
        if len(value) == 1:
            (function, argument), *_ = value.items()
            if function in {"Ref", "Condition"} or str(function).startswith("Fn::"):
                return self._call(function, argument)
        found = {key: self.put_in(one) for key, one in value.items()}
        return {key: one for key, one in found.items() if one is not _ABSENT}

    def _call(self, function: str, argument: Any) -> Any:
        match function, argument:
            case "Ref", "AWS::NoValue":
                return _ABSENT
            case "Ref", name:
                return self._named(name)
            case "Condition", name:
                return self.holds(name)
            case "Fn::If", [name, yes, no]:
                return self.put_in(yes if self.holds(name) else no)
            case "Fn::Sub", [text, extra]:
                return self._substituted(text, {key: self.put_in(one) for key, one in extra.items()})
            case "Fn::Sub", text:
                return self._substituted(text, {})
        return self._computed(function, self.put_in(argument))

    def _computed(self, function: str, given: Any) -> Any:  # noqa: C901, PLR0911 - one line a function
        match function:
            case "Fn::GetAtt":
                return "att:" + ".".join(given)
            case "Fn::FindInMap":
                return self.raw["Mappings"][given[0]][given[1]][given[2]]
            case "Fn::Equals":
                return str(given[0]) == str(given[1])
            case "Fn::Not":
                return not given[0]
            case "Fn::And":
                return all(given)
            case "Fn::Or":
                return any(given)
            case "Fn::Join":
                return str(given[0]).join(map(str, given[1]))
            case "Fn::Split":
                return str(given[1]).split(given[0])
            case "Fn::Select":
                return given[1][int(given[0])]
            case "Fn::GetAZs":
                return [f"{REGION}a", f"{REGION}b"]
        raise AssertionError(f"{function} is not known here")

    def _named(self, name: str) -> Any:
        known = _PSEUDO | self.parameters
        return known.get(name, f"ref:{name}")

    def _substituted(self, text: str, extra: Mapping[str, Any]) -> str:
        def one(found: re.Match[str]) -> str:
            name = found[1]
            if name in extra:
                return str(extra[name])
            return f"att:{name}" if "." in name else str(self._named(name))

        return re.sub(r"\$\{([^!}]+)\}", one, text)
