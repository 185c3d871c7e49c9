"""Waiting for what is gathered for metrics."""

import asyncio

from dora_state.platform import Platform


async def until_gathered(platform: Platform) -> None:
    """Until health and sizes are there, after somebody has asked for metrics."""
    for _ in range(3000):
        if platform.gathered.health is not None and platform.gathered.storage is not None:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("nothing was gathered")
