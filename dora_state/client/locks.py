"""Locks over HTTP: one is held for as long as an answer goes on, and is renewed meanwhile."""

import asyncio
import json
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass
from typing import Any

import httpx

from dora_state.client.transport import PAUSE, ServerError, ServerUnavailable, Transport

HOLD_SECONDS = 30.0
"""After which it ends where we are not heard of."""
RENEW_SECONDS = 5.0
CONNECT_SECONDS = 5.0
SILENT_SECONDS = 15.0
"""How long a server may say nothing where it should: it tells every five seconds that a lock is held."""


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
    """`holds`: the tokens of what is held already. A server that is away or busy is asked again within `timeout`.

    Raises LockTimeout, LockDeadlock, ServerUnavailable, ServerError.
    """
    asked = {"name": name, "hold": HOLD_SECONDS, "holds": holds} | ({} if holder is None else {"holder": holder})
    async with AsyncExitStack() as answer:
        lock, lines = await _take(transport, asked, timeout, answer)
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


async def _take(
    transport: Transport, asked: dict[str, Any], timeout: float, answer: AsyncExitStack
) -> tuple[HeldLock, AsyncIterator[str]]:
    """What breaks off before it tells a token leaves no lock: the server lets go of what nobody hears of."""
    until = time.monotonic() + timeout
    while True:
        try:
            async with AsyncExitStack() as trying:
                taken = await _ask(transport, {**asked, "timeout": max(until - time.monotonic(), 0.0)}, trying)
                answer.push_async_callback(trying.pop_all().aclose)
                return taken
        except (ServerUnavailable, ServerError) as error:
            pause = error.again_after if isinstance(error, ServerError) else PAUSE
            left = until - time.monotonic()
            if pause is None or left <= 0:
                raise
        await asyncio.sleep(min(pause, left))


async def _ask(
    transport: Transport, asked: dict[str, Any], answer: AsyncExitStack
) -> tuple[HeldLock, AsyncIterator[str]]:
    body, headers = json.dumps(asked), {"Content-Type": "application/json"}
    patience = httpx.Timeout(asked["timeout"] + SILENT_SECONDS, connect=CONNECT_SECONDS)
    asking = transport.stream("POST", "/v1/locks", content=body, headers=headers, timeout=patience)
    lines = (await answer.enter_async_context(asking)).aiter_lines()
    first = await anext(lines, None)
    if first is None:
        raise ServerUnavailable("The server ended its answer before it told of the lock; take it again.")
    told = json.loads(first)
    return HeldLock(asked["name"], told["stream_id"], told["token"]), lines


async def _listen(lock: HeldLock, lines: AsyncIterator[str]) -> None:
    """The answer goes on while the lock is held: its end is the lock's."""
    with suppress(httpx.TransportError):
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
