"""The same numbers, read out of ecs/scaling.yaml and ecs/lane.yaml as CloudFormation would resolve them."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import yaml

from scripts.simulation.policy import LanePolicy, Policy, Size, Step, Stepping, Tracking

ECS = Path(__file__).resolve().parents[2] / "ecs"


class _Loader(yaml.SafeLoader):
    """YAML with CloudFormation's short forms: `!Ref x` is {"Ref": x}, `!If […]` is {"Fn::If": […]}."""


def _short_form(loader: _Loader, name: str, node: yaml.Node) -> dict[str, Any]:
    value: Any
    if isinstance(node, yaml.SequenceNode):
        value = loader.construct_sequence(node, deep=True)
    elif isinstance(node, yaml.MappingNode):
        value = loader.construct_mapping(node, deep=True)
    else:
        value = node.value
    return {name if name in {"Ref", "Condition"} else f"Fn::{name}": value}


_Loader.add_multi_constructor("!", _short_form)


class Template:
    """A template with the parameters of one lane and profile; the others have their defaults."""

    def __init__(self, path: Path, parameters: Mapping[str, Any]) -> None:
        self._document = yaml.load(path.read_text(), _Loader)  # a SafeLoader
        given = {name: one.get("Default") for name, one in self._document["Parameters"].items()}
        self._parameters = given | dict(parameters)

    def all(self, kind: str) -> dict[str, Any]:
        """The properties of every resource of a type, by logical id."""
        found = self._document["Resources"].items()
        return {name: self.resolve(one["Properties"]) for name, one in found if one["Type"] == kind}

    def mapped(self, *keys: str) -> Any:
        """An entry of the mappings."""
        entry = self._document["Mappings"]
        for key in keys:
            entry = entry[key]
        return entry

    def resolve(self, node: Any) -> Any:
        """A value with its intrinsic functions carried out, as far as numbers depend on them."""
        if isinstance(node, list):
            return [self.resolve(one) for one in node]
        if not isinstance(node, dict):
            return node
        [name, value] = next(iter(node.items())) if len(node) == 1 else ("", None)
        carry_out = self._functions().get(name)
        return carry_out(value) if carry_out else {key: self.resolve(one) for key, one in node.items()}

    def _functions(self) -> dict[str, Callable[[Any], Any]]:
        return {
            "Ref": lambda name: self._parameters.get(name, name),
            "Condition": lambda name: self.resolve(self._document["Conditions"][name]),
            "Fn::If": lambda parts: self.resolve(parts[1 if self.resolve({"Condition": parts[0]}) else 2]),
            "Fn::FindInMap": lambda keys: self.mapped(*self.resolve(keys)),
            "Fn::Equals": lambda two: str(self.resolve(two[0])) == str(self.resolve(two[1])),
            "Fn::Not": lambda one: not self.resolve(one[0]),
            "Fn::And": lambda many: all(self.resolve(one) for one in many),
            "Fn::Or": lambda many: any(self.resolve(one) for one in many),
        }


def _tracking(policies: Mapping[str, Any]) -> Tracking:
    [found] = [one for one in policies.values() if one["PolicyType"] == "TargetTrackingScaling"]
    numbers = found["TargetTrackingScalingPolicyConfiguration"]
    return Tracking(
        metric="backlog",
        target=float(numbers["TargetValue"]),
        out_cooldown=float(numbers["ScaleOutCooldown"]),
        in_cooldown=float(numbers["ScaleInCooldown"]),
        scales_in=not numbers.get("DisableScaleIn", False),
    )


def _stepping(policies: Mapping[str, Any], alarms: Mapping[str, Any], *, out: bool) -> Stepping:
    """The step policy that scales out, or in, with the alarm that invokes it."""
    for name, one in policies.items():
        numbers = one.get("StepScalingPolicyConfiguration")
        if numbers and (numbers["StepAdjustments"][0]["ScalingAdjustment"] > 0) == out:
            [alarm] = [each for each in alarms.values() if name in each.get("AlarmActions", [])]
            return Stepping(
                threshold=float(alarm["Threshold"]),
                periods=int(alarm["EvaluationPeriods"]),
                cooldown=float(numbers["Cooldown"]),
                steps=_steps(
                    numbers["StepAdjustments"], "MetricIntervalLowerBound" if out else "MetricIntervalUpperBound"
                ),
            )
    raise LookupError(f"no step policy that scales {'out' if out else 'in'}")


def _steps(adjustments: Sequence[Mapping[str, Any]], bound: str) -> tuple[Step, ...]:
    return tuple(Step(beyond=abs(float(one[bound])), change=int(one["ScalingAdjustment"])) for one in adjustments)


def lane(name: str, profile: str, folder: Path = ECS) -> LanePolicy:
    """One lane as the templates deploy it."""
    parameters = {"Lane": name, "Profile": profile}
    scaling, tasks = Template(folder / "scaling.yaml", parameters), Template(folder / "lane.yaml", parameters)
    policies = scaling.all("AWS::ApplicationAutoScaling::ScalingPolicy")
    alarms = scaling.all("AWS::CloudWatch::Alarm")
    [target] = scaling.all("AWS::ApplicationAutoScaling::ScalableTarget").values()
    size = tasks.mapped("Sizes", name)
    return LanePolicy(
        size=Size(vcpu=size["Cpu"] / 1024, memory=size["Memory"] / 1024, slots=size["Slots"]),
        maximum=int(target["MaxCapacity"]),
        minimum=int(target["MinCapacity"]),
        woken=scaling.resolve({"Condition": "Wakes"}),
        tracking=_tracking(policies),
        out=_stepping(policies, alarms, out=True),
        back=_stepping(policies, alarms, out=False),
        spot=_spot(tasks),
        on_demand=int(tasks.mapped("OnDemandBase", name, profile)),
    )


def _spot(tasks: Template) -> float:
    """The share of the tasks above the base that run on Spot."""
    [service] = tasks.all("AWS::ECS::Service").values()
    weights = {
        one["CapacityProvider"]: int(one.get("Weight", 0))
        for one in service["CapacityProviderStrategy"]
        if isinstance(one, dict) and "CapacityProvider" in one
    }
    return weights.get("FARGATE_SPOT", 0) / (sum(weights.values()) or 1)


def policy(profile: str, folder: Path = ECS) -> Policy:
    """Both lanes as the templates deploy them."""
    return Policy(name="ours", light=lane("light", profile, folder), heavy=lane("heavy", profile, folder))
