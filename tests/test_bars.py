"""What people see while files are being worked on."""

from io import StringIO

from rich.console import Console

from service.tables.bars import Bars
from tests.fakes import Clock


def test_a_bar_tells_how_long_it_takes() -> None:
    """Percent, the time that has passed and the time that is left."""
    clock, out = Clock(), StringIO()
    console = Console(file=out, width=120, force_terminal=True, color_system=None, get_time=clock)
    with Bars(total=2, quiet=False, console=console) as bars:
        for percent in (1, 11, 21):
            bars.at("a.mp4", percent)
            clock.now += 10
    assert "a.mp4" in out.getvalue()
    assert " 21% 0:00:30 left: 0:01:19" in out.getvalue()


def test_a_quiet_bar_says_nothing() -> None:
    """Machines read the output."""
    out = StringIO()
    with Bars(total=1, quiet=True, console=Console(file=out)) as bars:
        bars.at("a.mp4", 50)
        bars.ended("a.mp4", "failed")
    assert "" == out.getvalue()
