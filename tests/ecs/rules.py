"""The project's own rules: what scanners do not look at, or cannot see behind a condition.

Each rule yields one sentence a finding. Sources: Control Tower CT.ECS.PR, Security Hub ECS.5 and ECS.20, and the SQS,
S3 and Fargate pages that `ecs/README.md` goes by.
"""

from collections.abc import Callable, Iterator

from tests.ecs.rules_access import policy_rules
from tests.ecs.rules_data import data_rules
from tests.ecs.rules_tasks import task_rules
from tests.ecs.rules_watch import watch_rules
from tests.ecs.templates import Stack

Rule = Callable[[Stack], Iterator[str]]

RULES: tuple[Rule, ...] = (*task_rules, *data_rules, *policy_rules, *watch_rules)


def findings(stack: Stack) -> list[str]:
    """Everything that is wrong with one stack."""
    return [f"{stack.name}: {found}" for rule in RULES for found in rule(stack)]
