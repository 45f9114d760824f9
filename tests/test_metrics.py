"""Gauges that are reckoned when somebody looks."""

import pytest

from service import metrics
from service.metrics import Encodes
from tests.fakes import Clock


def test_no_encode_is_neither_silent_nor_slow() -> None:
    """Zero says that all is well."""
    encodes = Encodes(Clock())
    with encodes.begun():
        pass
    assert (0.0, 0.0) == (encodes.silence(), encodes.slowness())


def test_the_one_that_hangs_is_told_of() -> None:
    """The longest silence of all that run, whatever the others do."""
    clock = Clock()
    encodes = Encodes(clock)
    with encodes.begun() as one, encodes.begun() as other:
        one.at(1.0)
        clock.now += 100
        other.at(50.0)
        clock.now += 5
        assert 105.0 == encodes.silence()
        one.at(1.1)
        assert 5.0 == encodes.silence()
    assert 0.0 == encodes.silence()


def test_the_slowest_is_told_of() -> None:
    """Seconds for a second of media; of the first ten seconds nothing is concluded, nor from less than one of media."""
    clock = Clock()
    encodes = Encodes(clock)
    with encodes.begun() as slow:
        clock.now += 9
        slow.at(0.5)
        assert 0.0 == encodes.slowness()
        clock.now += 11
        assert 20.0 == encodes.slowness()
        slow.at(5.0)
        with encodes.begun() as quick:
            quick.at(100.0)
            clock.now += 20
            assert 8.0 == encodes.slowness()


def test_an_encode_that_fails_is_forgotten() -> None:
    """Whatever ended it."""
    clock = Clock()
    encodes = Encodes(clock)
    with pytest.raises(LookupError), encodes.begun():
        raise LookupError
    clock.now += 100
    assert (0.0, 0.0) == (encodes.silence(), encodes.slowness())


def test_gauges_are_reckoned_when_somebody_looks() -> None:
    """Both are in the registry, for Prometheus and CloudWatch alike."""
    with metrics.encodes.begun() as pace:
        pace.began -= 100
        pace.moved -= 100
        told = {series.name: series.value for series in metrics.snapshot()}
    assert pytest.approx(100, abs=10) == told["media_encode_silence_seconds"]
    assert pytest.approx(100, abs=10) == told["media_encode_seconds_per_second"]
