"""Running things at the same time: one while another watches over it, or several of a kind."""

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, NoReturn, TypeVar

T = TypeVar("T")
U = TypeVar("U")


async def beside(work: Coroutine[Any, Any, T], watch: Coroutine[Any, Any, None]) -> T:
    """Run `work`; should `watch` fail first, cancel it and raise the watch's error. Neither outlives the call."""
    working, watching = asyncio.ensure_future(work), asyncio.ensure_future(watch)
    try:
        await asyncio.wait({working, watching}, return_when=asyncio.FIRST_COMPLETED)
        if not working.done():
            watching.result()  # raises, unless the watch is over and content
        return await working
    finally:
        for task in (working, watching):
            task.cancel()
        await asyncio.gather(working, watching, return_exceptions=True)


async def forever() -> NoReturn:
    """A watch that sees nothing."""
    await asyncio.Event().wait()
    raise AssertionError("nobody sets it")


async def both(first: Coroutine[Any, Any, T], second: Coroutine[Any, Any, U]) -> tuple[T, U]:
    """Run two; should one fail, cancel the other and raise its error itself."""
    try:
        async with asyncio.TaskGroup() as group:
            one, other = group.create_task(first), group.create_task(second)
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from errors
    return one.result(), other.result()


async def together(works: Iterable[Coroutine[Any, Any, None]]) -> None:
    """Run all; should one fail, cancel the others and raise its error itself, so that a verdict can be made of it."""
    try:
        async with asyncio.TaskGroup() as group:
            for work in works:
                group.create_task(work)
    except BaseExceptionGroup as errors:
        raise errors.exceptions[0] from errors
