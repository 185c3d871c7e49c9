"""Locks over HTTP: one is held for as long as an answer goes on, and is renewed meanwhile."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from dora_state.client.transport import ServerUnavailable, Transport

HOLD_SECONDS = 30.0
"""After which it ends where we are not heard of."""
RENEW_SECONDS = 5.0


@dataclass(slots=True)
class HeldLock:
    """What one holds; commands are submitted under its token."""

    name: str
    stream_id: str
    token: int
    is_lost: bool = False


@asynccontextmanager
async def hold(
    transport: Transport, name: str, timeout: float, holder: str | None, holds: tuple[int, ...]
) -> AsyncIterator[HeldLock]:
    """`holds`: the tokens of what is held already. Raises LockTimeout, LockDeadlock, ServerUnavailable."""
    asked = {"name": name, "timeout": timeout, "hold": HOLD_SECONDS, "holds": holds}
    body = json.dumps(asked if holder is None else {**asked, "holder": holder})
    headers = {"Content-Type": "application/json"}
    async with transport.stream("POST", "/v1/locks", content=body, headers=headers, timeout=None) as response:
        lines = response.aiter_lines()
        told = json.loads(await anext(lines))
        lock = HeldLock(name, told["stream_id"], told["token"])
        keeping = [asyncio.create_task(one) for one in (_listen(lock, lines), _renew(transport, lock))]
        try:
            yield lock
        finally:
            for task in keeping:
                task.cancel()
            await asyncio.gather(*keeping, return_exceptions=True)
            if not lock.is_lost:
                with suppress(ServerUnavailable):  # the end of the answer lets go too
                    await transport.ask("DELETE", f"/v1/locks/{lock.token}")


async def _listen(lock: HeldLock, lines: AsyncIterator[str]) -> None:
    """The answer goes on while the lock is held: its end is the lock's."""
    with suppress(ServerUnavailable):
        async for _ in lines:
            pass
    lock.is_lost = True


async def _renew(transport: Transport, lock: HeldLock) -> None:
    """Say that we are there, until the server says that it is lost, or could not be told for too long."""
    renewed_at = time.monotonic()
    while time.monotonic() - renewed_at < HOLD_SECONDS and not lock.is_lost:
        await asyncio.sleep(RENEW_SECONDS)
        asked_at = time.monotonic()
        with suppress(ServerUnavailable):
            response = await transport.ask("PUT", f"/v1/locks/{lock.token}")
            if response.status_code < 400:
                renewed_at = asked_at
            elif response.status_code < 500:
                break
    lock.is_lost = True
