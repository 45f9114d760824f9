"""What an idle month costs in each profile, as `scripts/deploy` counts it."""

from scripts.deployment import bill
from scripts.deployment.bill import DASHBOARD, Item
from tests.ecs.templates import stacks

__all__ = ["DASHBOARD", "idle_month"]


def idle_month(profile: str, **given: str) -> list[Item]:
    """What is charged for without a single upload, free tiers left out."""
    return bill.idle_month(stacks(profile, **given))
