"""Work beside a watch: neither outlives the call, whichever of them ends it."""

import asyncio
from dataclasses import dataclass, field

import pytest

from service.runtime.beside import beside, both
from tests.runtime.instant import instantly, now


@dataclass(kw_only=True)
class Player:
    """Plays for so many seconds, then ends or fails; a cancellation takes `tidying` seconds to have its effect."""

    seconds: float
    error: Exception | None = None
    tidying: float = 0
    cancelled_at: list[float] = field(default_factory=list)
    ended_at: float | None = None

    async def work(self) -> str:
        """Work that gives something."""
        await self.watch()
        return "done"

    async def watch(self) -> None:
        """The same, and gives nothing."""
        try:
            await asyncio.sleep(self.seconds)
            if self.error:
                raise self.error
        except asyncio.CancelledError:
            self.cancelled_at.append(now())
            await asyncio.sleep(self.tidying)
            raise
        finally:
            self.ended_at = now()


@instantly
async def test_work_that_ends_first_ends_the_watch() -> None:
    """Its result comes back once the watch has tidied up."""
    work, watch = Player(seconds=3), Player(seconds=100, tidying=2)
    assert "done" == await beside(work.work(), watch.watch())
    assert ([3], 5) == (watch.cancelled_at, now())


@instantly
async def test_work_that_fails_ends_the_watch() -> None:
    """Its error is raised."""
    work, watch = Player(seconds=3, error=ValueError("work")), Player(seconds=100)
    with pytest.raises(ValueError, match="work"):
        await beside(work.work(), watch.watch())
    assert [3] == watch.cancelled_at


@instantly
async def test_a_watch_that_fails_ends_the_work() -> None:
    """The work is cancelled and has tidied up before the watch's error is raised."""
    work, watch = Player(seconds=100, tidying=2), Player(seconds=3, error=ValueError("watch"))
    with pytest.raises(ValueError, match="watch"):
        await beside(work.work(), watch.watch())
    assert ([3], 5) == (work.cancelled_at, now())


@instantly
async def test_a_watch_that_is_content_leaves_the_work_alone() -> None:
    """It may end without a word."""
    assert "done" == await beside(Player(seconds=9).work(), Player(seconds=1).watch())
    assert 9 == now()


@instantly
async def test_work_that_is_done_as_the_watch_fails_counts() -> None:
    """Both end in the same turn of the loop: what is done is done, and the other error is no orphan."""
    work, watch = Player(seconds=3), Player(seconds=3, error=ValueError("watch"))
    assert "done" == await beside(work.work(), watch.watch())


@pytest.mark.parametrize("again_at", [None, 3.5])
@instantly
async def test_a_cancelled_call_leaves_nobody_behind(again_at: float | None) -> None:
    """Cancelled at 3 s, and perhaps once more: both have ended when the call has."""
    work, watch = Player(seconds=100, tidying=2), Player(seconds=100)
    playing = asyncio.ensure_future(beside(work.work(), watch.watch()))
    for moment in (3, again_at):
        if moment:
            asyncio.get_running_loop().call_at(moment, playing.cancel)
    await asyncio.wait([playing])
    assert playing.cancelled()
    assert (again_at or 5, 3) == (work.ended_at, watch.ended_at)
    assert now() == work.ended_at


@instantly
async def test_both_are_done_at_the_same_time() -> None:
    """It lasts as long as the longer one, and gives what each gave."""
    assert ("done", None) == await both(Player(seconds=3).work(), Player(seconds=5).watch())
    assert 5 == now()


@pytest.mark.parametrize("failing", [0, 1])
@instantly
async def test_one_of_both_that_fails_ends_the_other(failing: int) -> None:
    """That has tidied up before the error itself is raised."""
    players = [Player(seconds=100, tidying=2), Player(seconds=100, tidying=2)]
    players[failing] = Player(seconds=3, error=ValueError("one"))
    with pytest.raises(ValueError, match="one"):
        await both(players[0].work(), players[1].work())
    assert ([3], 5) == (players[1 - failing].cancelled_at, now())


@instantly
async def test_a_cancelled_call_leaves_neither_of_both_behind() -> None:
    """Both have ended when the call has."""
    players = [Player(seconds=100, tidying=2), Player(seconds=100, tidying=1)]
    playing = asyncio.ensure_future(both(players[0].work(), players[1].work()))
    asyncio.get_running_loop().call_at(3, playing.cancel)
    await asyncio.wait([playing])
    assert playing.cancelled()
    assert [5, 4] == [player.ended_at for player in players]
