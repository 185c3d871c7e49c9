"""Reading ahead: the next piece is on its way while the one before is written."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from typing import TypeVar

T = TypeVar("T")


async def one_ahead(pieces: AsyncIterator[T]) -> AsyncGenerator[T]:
    """The same pieces in the same order; close it (`aclosing`) where it is not read to its end."""
    coming = asyncio.ensure_future(_next(pieces))
    try:
        while found := await coming:
            coming = asyncio.ensure_future(_next(pieces))
            await asyncio.sleep(0)  # so that it begins
            yield found[0]
    finally:
        if not coming.done():
            coming.cancel()
            await asyncio.wait({coming})


async def _next(pieces: AsyncIterator[T]) -> tuple[T] | None:
    try:
        return (await anext(pieces),)
    except StopAsyncIteration:
        return None
