"""One fault in one call: a sample of what `scripts/chaos --every-fault` tries."""

import pytest

from tests.acceptance.chaos import chaos


@pytest.mark.timeout(400)
def test_one_fault_in_any_call_changes_nothing() -> None:
    """Whatever befalls which call: the version ends as it should, once, and nothing is left over."""
    found = chaos("--every-fault", "24", "--seed", "6")
    assert {} == found["wrong"]
    assert found["figures"]["tried"] == 24
    assert found["figures"]["calls times faults"] > 500
