"""Pauses of what runs until it is told to stop."""

import asyncio
from collections.abc import Coroutine
from typing import Any


async def rest(stop: asyncio.Event, seconds: float) -> None:
    """Until told to stop, or so many seconds at most."""
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return


async def unless(stop: asyncio.Event, work: Coroutine[Any, Any, None]) -> None:
    """Do what may be broken off at any point, and is when told to stop."""
    doing, stopped = asyncio.ensure_future(work), asyncio.ensure_future(stop.wait())
    try:
        await asyncio.wait({doing, stopped}, return_when=asyncio.FIRST_COMPLETED)
        if doing.done():
            doing.result()
    finally:
        for one in (doing, stopped):
            one.cancel()
        await asyncio.gather(doing, stopped, return_exceptions=True)
