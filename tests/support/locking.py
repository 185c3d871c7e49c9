"""Two processes that want the same locks, as far as one process can tell."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import pytest

from commands.envelope import Answer
from dora_state.settings import load_settings
from dora_state.state_manager import StateManager, open_state_manager
from infrastructure.locks.place import Place
from tests.support.postgres import Connection, connected, rows, value

Two = tuple[StateManager, StateManager]
"""Two managers, as of two processes."""
WORKFLOW = "workflow:w"


@asynccontextmanager
async def two_managers(database_url: str, redis_url: str, tenant: str) -> AsyncIterator[Two]:
    """With two workflows, `w` and `v`."""
    settings = load_settings(database_url=database_url, redis_url=redis_url, tenant=tenant)
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(open_state_manager(settings, default_actor="one"))
        another = await stack.enter_async_context(open_state_manager(settings, default_actor="another"))
        for id in ("w", "v"):
            answer = await one.submit({"type": "CreateWorkflow", "data": {"workflow_id": id, "definition_id": "d"}})
            assert answer.outcome == "accepted"
        yield one, another


async def amend(manager: StateManager, value: object, id: str = "w") -> Answer:
    return await manager.submit({"type": "AmendWorkflow", "data": {"workflow_id": id, "context": {"a": value}}})


async def wait_for(manager: StateManager, timeout: float = 30.0) -> None:
    async with manager.exclusive_lock(WORKFLOW, holder="another who waits", timeout=timeout):
        pass


async def put_place(connection: Connection, place: int, seen_until: str = "infinity") -> None:
    """A process's place, without the process: it is there only if somebody has the place's advisory lock."""
    await connection.execute("INSERT INTO lock_places VALUES (%s, 'a process', 0, %s)", (place, seen_until))


async def put_lock(
    connection: Connection, place: int, stream_id: str, token: int, held_until: str = "infinity"
) -> None:
    await connection.execute(
        "INSERT INTO locks (id, place, stream_id, token, holder, taken_at, held_until)"
        " VALUES (gen_random_uuid(), %s, %s, %s, 'a holder', now(), %s)",
        (place, stream_id, token, held_until),
    )


def stop_beats(manager: StateManager, monkeypatch: pytest.MonkeyPatch) -> None:
    """As if the process of one were stopped."""
    beat, pool = Place._beat, manager.platform.writer_pool

    async def unless_stopped(self: Place) -> None:
        await (asyncio.Event().wait() if self._pool is pool else beat(self))

    monkeypatch.setattr(Place, "_beat", unless_stopped)


async def end_session(manager: StateManager) -> None:
    async with admin(manager) as connection:
        pid = await value(connection, "SELECT p.pid FROM lock_places p JOIN locks l ON l.place = p.place")
        await rows(connection, "SELECT pg_terminate_backend(%s)", pid)

        async def is_gone() -> bool:
            return not await rows(connection, "SELECT FROM pg_stat_activity WHERE pid = %s", pid)

        await until_true(is_gone)


def problem_of(answer: Answer) -> str | None:
    return answer.problem.code if answer.problem is not None else None


async def count_waiters(manager: StateManager, count: int) -> bool:
    return len((await manager.locks())[0].waiters) == count


async def accepted(manager: StateManager) -> bool:
    return (await amend(manager, 1)).outcome == "accepted"


async def is_waited_for(manager: StateManager) -> bool:
    return bool((await manager.locks())[0].waiters)


async def until(found: Callable[[], bool]) -> None:
    async def ask() -> bool:
        return found()

    await until_true(ask)


async def until_true(ask: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await ask():  # noqa: ASYNC110  # the server tells nobody
            await asyncio.sleep(0.02)


@asynccontextmanager
async def admin(manager: StateManager) -> AsyncIterator[Any]:
    platform = manager.platform
    async with connected(platform.servers.database_url, platform.settings.tenant) as connection:
        yield connection
