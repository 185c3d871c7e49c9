"""Locks by the client when the server is away, full or leaving: whoever waits, waits within the time that was named."""

import asyncio
from collections.abc import AsyncIterator

import httpx
import pytest

from dora_state.client import Client, ServerUnavailable, open_client
from dora_state.client.transport import ServerError
from dora_state.http import lock_room
from dora_state.http.serving import address, listening
from dora_state.settings import load_settings
from dora_state.state_manager import StateManager, open_state_manager
from tests.support.locking import until_true
from tests.support.serving import served

NAME = "workflow:w"


@pytest.fixture
async def manager(database_url: str, redis_url: str, tenant: str) -> AsyncIterator[StateManager]:
    settings = load_settings(database_url=database_url, redis_url=redis_url, tenant=tenant)
    async with open_state_manager(settings, default_actor="test") as manager:
        yield manager


@pytest.fixture
def url() -> str:
    """Where nobody listens yet."""
    with listening("127.0.0.1", 0) as listener:
        return address(listener)


def port_of(url: str) -> int:
    return int(url.rpartition(":")[2])


async def take(client: Client, timeout: float = 20.0) -> int:
    async with client.exclusive_lock(NAME, timeout=timeout) as lock:
        return lock.token


async def waits(manager: StateManager) -> bool:
    return any(held.waiters for held in await manager.locks())


async def test_a_server_that_is_away_is_asked_again_within_the_time(manager: StateManager, url: str) -> None:
    async with open_client(url) as client:
        taking = asyncio.create_task(take(client))
        await asyncio.sleep(0.3)
        async with served(manager, port_of(url)):
            assert await taking > 0
    assert await manager.locks() == []


async def test_without_patience_a_server_that_is_away_is_told_at_once(url: str) -> None:
    async with open_client(url) as client:
        with pytest.raises(ServerUnavailable, match="can't be reached"):
            await take(client, timeout=0)


async def test_where_there_is_no_room_it_waits_for_some(manager: StateManager, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock_room, "MOST_LOCKS", 1)
    async with served(manager) as url, open_client(url) as client:
        async with client.exclusive_lock("workflow:v"):
            with pytest.raises(ServerError) as refused:
                await take(client, timeout=0)
            assert refused.value.reason == "too_many_locks"
        monkeypatch.setattr(lock_room, "MOST_LOCKS", 0)
        taking = asyncio.create_task(take(client))
        await asyncio.sleep(0.2)
        assert not taking.done()
        monkeypatch.setattr(lock_room, "MOST_LOCKS", 1)
        assert await taking > 0


async def test_whoever_waits_when_the_server_leaves_waits_on_at_the_next(manager: StateManager, url: str) -> None:
    async with manager.exclusive_lock(NAME), open_client(url) as client:
        async with served(manager, port_of(url)):
            taking = asyncio.create_task(take(client))
            await until_true(lambda: waits(manager))
        assert not taking.done()
        async with served(manager, port_of(url)):
            await until_true(lambda: waits(manager))
            taking.cancel()
            await asyncio.wait({taking})
    assert await manager.locks() == []


async def test_what_is_wrong_with_what_was_asked_is_told_at_once(manager: StateManager) -> None:
    async with served(manager) as url, open_client(url) as client:
        with pytest.raises(ServerError) as refused:
            async with open_client(url, key="ds_none_none") as stranger:
                await take(stranger)
        assert refused.value.reason == "unauthenticated"
        with pytest.raises(httpx.ReadError, match="of the block itself"):
            await fail_within(client)
    assert await manager.locks() == []


async def fail_within(client: Client) -> None:
    async with client.exclusive_lock(NAME):
        raise httpx.ReadError("of the block itself")


async def test_a_lock_whose_answer_breaks_off_is_known_to_be_lost(manager: StateManager, url: str) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        told = b'{"stream_id":"workflow-w","token":7,"hold":30}\n'
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n" % (len(told), told))
        await writer.drain()
        await go_on.wait()
        writer.transport.abort()

    async def is_lost() -> bool:
        return lock.is_lost

    go_on = asyncio.Event()
    async with await asyncio.start_server(answer, "127.0.0.1", port_of(url)), open_client(url, patience=0) as client:
        taking = client.exclusive_lock(NAME)
        lock = await taking.__aenter__()
        assert not lock.is_lost
        go_on.set()
        await until_true(is_lost)
        with pytest.raises(Exception, match="lost"):
            await taking.__aexit__(None, None, None)
