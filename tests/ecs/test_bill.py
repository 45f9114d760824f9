"""What an idle month costs is counted in the templates, and is what ecs/README.md says."""

import pytest

from tests.ecs.bill import DASHBOARD, idle_month
from tests.ecs.templates import FOLDER, FULL, stacks

_FREE_METRICS = 1.0  # dollars: ten a month


def test_a_small_site_sleeps_for_less_than_five_dollars():
    """Without any free tier; and with it, even when Rekognition and Transcribe are watched as well."""
    assert sum(dollars for *_, dollars in idle_month("small")) < 5
    assert sum(dollars for *_, dollars in idle_month("small", **FULL)) - _FREE_METRICS < 5


@pytest.mark.parametrize("profile", ["small", "private"])
def test_the_readme_says_what_the_templates_cost(profile):
    """The sum of each profile stands in its table."""
    total = sum(dollars for *_, dollars in idle_month(profile))
    assert f"**{total:.2f}**" in (FOLDER / "README.md").read_text()


def test_there_is_one_dashboard():
    """Three of an account are free; each further one costs."""
    made = [name for stack in stacks("small") for name, _ in stack.of("AWS::CloudWatch::Dashboard")]
    assert len(made) * DASHBOARD == DASHBOARD
