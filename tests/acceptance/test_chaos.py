"""The short forms of scripts/chaos: killed workers, a lying network, stops at any moment; nothing is lost or double."""

import pytest

from tests.acceptance.chaos import chaos


@pytest.mark.timeout(400)
def test_a_storm_loses_nothing() -> None:
    """Sixteen jobs, two workers that are killed all the time, and one call of fifty that fails."""
    found = chaos("--jobs", "16", "--seed", "4", "--faults", "50")
    assert {} == found["wrong"]
    assert found["figures"]["jobs"] == 16
    assert found["figures"]["kill -9"] + found["figures"]["SIGTERM"] > 0


@pytest.mark.timeout(400)
def test_a_stopped_worker_gives_everything_back() -> None:
    """SIGTERM at four moments: it leaves in time and alone, and every message is done or to be seen again."""
    found = chaos("--sigterm", "4", "--seed", "5")
    assert {} == found["wrong"]
    assert found["figures"]["SIGTERM"] == 4
