"""Locks over HTTP: one is held for as long as an answer goes on."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from dora_state.client.transport import ServerUnavailable, Transport


@dataclass(slots=True)
class HeldLock:
    """What one holds; commands are submitted under its token."""

    name: str
    stream_id: str
    token: int
    is_lost: bool = False


@asynccontextmanager
async def hold(transport: Transport, name: str, timeout: float, holder: str | None) -> AsyncIterator[HeldLock]:
    """Raises LockTimeout, LockDeadlock, ServerUnavailable."""
    asked = {"name": name, "timeout": timeout, "holder": holder}
    body = json.dumps({key: value for key, value in asked.items() if value is not None})
    headers = {"Content-Type": "application/json"}
    async with transport.stream("POST", "/v1/locks", content=body, headers=headers, timeout=None) as response:
        lines = response.aiter_lines()
        told = json.loads(await anext(lines))
        lock = HeldLock(name, told["stream_id"], told["token"])
        listening = asyncio.create_task(_listen(lock, lines))
        try:
            yield lock
        finally:
            if not lock.is_lost:
                with suppress(ServerUnavailable):  # the end of the answer lets go too
                    await transport.ask("DELETE", f"/v1/locks/{lock.token}")
            listening.cancel()
            await asyncio.gather(listening, return_exceptions=True)


async def _listen(lock: HeldLock, lines: AsyncIterator[str]) -> None:
    """The answer goes on while the lock is held: its end is the lock's."""
    try:
        async for _ in lines:
            pass
    except ServerUnavailable:
        pass
    lock.is_lost = True
