"""The connection that appends go through: who goes away harms nobody, and a lost one is made anew."""

import asyncio
import gc
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import pytest
import uvloop

from domain.errors import LogUnavailable
from infrastructure import sql
from infrastructure.database import Connection
from infrastructure.event_store.direct import DirectConnection, Results
from tests.support.postgres import connected, rows
from tests.support.postgres_proxy import Proxy

NAME = "dora-state direct"
QUERIES = {"slow": b"SELECT pg_sleep(0.2)", "fast": b"SELECT $1::text", "wrong": b"SELECT 1 / $1::int"}

MUCH = b"x" * 20_000_000
"""More than a socket takes at once."""


async def _nothing(_: Connection) -> None: ...


def _text(results: Results) -> str:
    return (results[0].get_value(0, 0) or b"").decode()


@pytest.fixture
def short_queries(monkeypatch: pytest.MonkeyPatch) -> None:
    load = sql.load
    monkeypatch.setattr(sql, "load", lambda name: QUERIES.get(name) or load(name))


@pytest.fixture
async def direct(database_url: str, short_queries: None) -> AsyncIterator[DirectConnection]:
    connection = DirectConnection(database_url, NAME, _nothing)
    yield connection
    await connection.close()


async def test_who_goes_away_while_a_statement_is_prepared_harms_nobody(direct: DirectConnection) -> None:
    for steps in range(1, 400, 7):
        gone = direct.execute("fast", (b"gone",), _text)
        for _ in range(steps):
            await asyncio.sleep(0)
        gone.cancel()
        assert await direct.execute("fast", (b"stays",), _text) == "stays"
        await direct.close()


async def test_who_waits_no_more_when_it_is_closed_leaves_no_error_that_nobody_hears(direct: DirectConnection) -> None:
    told: list[dict[str, Any]] = []
    asyncio.get_running_loop().set_exception_handler(lambda _, context: told.append(context))
    assert await direct.execute("fast", (b"1",), _text) == "1"
    assert await direct.execute("slow", (), len) == 1  # it is prepared
    gone = [direct.execute("slow", (), len)]
    await direct.close()
    assert gone.pop().done()
    gc.collect()
    assert told == []


async def test_each_answer_tells_that_it_is_not_silent(direct: DirectConnection) -> None:
    assert await direct.execute("fast", (b"1",), _text) == "1"
    connection = direct._connection
    assert connection is not None
    before = time.monotonic()
    assert connection.heard_at < before
    assert await direct.execute("fast", (b"2",), _text) == "2"
    assert connection.heard_at > before


async def test_who_goes_away_in_a_call_gets_no_others_answer(direct: DirectConnection) -> None:
    assert await direct.execute("fast", (b"1",), _text) == "1"
    gone = direct.execute("slow", (), len)
    await asyncio.sleep(0.05)
    gone.cancel()
    answers = await asyncio.gather(*(direct.execute("fast", (str(n).encode(),), _text) for n in range(20)))
    assert answers == [str(n) for n in range(20)]


async def test_a_call_that_can_not_be_sent_or_is_refused_leaves_the_connection_good(direct: DirectConnection) -> None:
    assert await direct.execute("fast", (b"1",), _text) == "1"
    with pytest.raises(TypeError, match="str"):
        await direct.execute("fast", ("no bytes",), _text)  # type: ignore[arg-type]  # that is the point
    with pytest.raises(Exception, match="division by zero"):
        await direct.execute("wrong", ((0).to_bytes(4),), len)
    assert await direct.execute("fast", (b"2",), _text) == "2"
    assert direct.generation == 1


async def test_a_lost_connection_fails_its_call_and_the_next_one_makes_another(
    direct: DirectConnection, database_url: str, tenant: str
) -> None:
    kill = "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = %s"
    async with connected(database_url, tenant) as admin:
        assert await direct.execute("fast", (b"1",), _text) == "1"
        lost = direct.execute("slow", (), len)
        await asyncio.sleep(0.05)
        await rows(admin, kill, NAME)
        with pytest.raises(LogUnavailable):
            await lost
        assert await direct.execute("fast", (b"2",), _text) == "2"
        assert direct.generation == 2


async def test_who_can_send_nothing_any_more_is_told_why_and_the_next_call_makes_another(
    direct: DirectConnection,
) -> None:
    assert await direct.execute("fast", (b"1",), _text) == "1"
    assert direct._connection is not None
    direct._connection.pgconn.finish()
    with pytest.raises(LogUnavailable, match="connection is closed"):
        await direct.execute("fast", (b"2",), _text)
    assert direct.generation == 0
    assert await direct.execute("fast", (b"3",), _text) == "3"


async def test_who_can_not_send_the_rest_is_told_why(direct: DirectConnection) -> None:
    assert await direct.execute("fast", (b"1",), _text) == "1"
    answer = direct.execute("fast", (MUCH,), _text)
    assert direct._connection is not None
    direct._connection.pgconn.finish()
    direct._flush()
    with pytest.raises(LogUnavailable, match="connection is closed"):
        await answer
    assert direct.generation == 0


async def test_closing_fails_what_is_under_way(direct: DirectConnection) -> None:
    assert await direct.execute("fast", (b"1",), _text) == "1"
    under_way = direct.execute("slow", (), len)
    waits = direct.execute("fast", (b"2",), _text)
    await asyncio.sleep(0.05)
    await direct.close()
    with pytest.raises(LogUnavailable, match=r"\bthe connection was closed\b"):
        await under_way
    assert await waits == "2"


async def test_it_watches_for_room_to_send_only_as_long_as_something_is_left(direct: DirectConnection) -> None:
    for much in (b"1", b"2", MUCH):
        assert len(await direct.execute("fast", (much,), _text)) == len(much)
        assert not asyncio.get_running_loop().remove_writer(direct._socket)


async def test_what_moves_is_heard_of_before_its_answer_is_whole(direct: DirectConnection) -> None:
    assert await direct.execute("fast", (b"1",), _text) == "1"
    answer = direct.execute("fast", (MUCH,), _text)
    assert direct._call is not None
    wait = direct._call._wait
    assert wait is not None
    begun = wait.since
    direct._flush()
    sent = wait.since
    assert sent > begun
    assert len(await answer) == len(MUCH)
    assert wait.since > sent


@pytest.mark.parametrize("loop", [asyncio.new_event_loop, uvloop.new_event_loop])
def test_one_that_is_broken_off_while_it_sends_is_made_anew(
    loop: Callable[[], asyncio.AbstractEventLoop],
    database_url: str,
    tmp_path: Path,
    short_queries: None,
) -> None:
    async def break_off() -> None:
        async with Proxy(database_url, tmp_path).serving() as proxy:
            direct = DirectConnection(proxy.url, NAME, _nothing)
            assert await direct.execute("fast", (b"1",), _text) == "1"
            proxy.delay = 0.01
            lost = direct.execute("fast", (MUCH,), _text)
            await asyncio.sleep(0.1)
            await proxy.cut_all()
            with pytest.raises(LogUnavailable):
                await lost
            assert await direct.execute("fast", (b"2",), _text) == "2"
            assert direct.generation == 2
            await direct.close()

    with asyncio.Runner(loop_factory=loop) as runner:
        runner.run(break_off())


async def test_closing_leaves_no_connection_that_was_just_being_made(
    direct: DirectConnection, database_url: str, tenant: str
) -> None:
    await direct.close()  # the first time; each counts
    asked = direct.execute("fast", (b"1",), _text)
    await asyncio.sleep(0)
    await direct.close()
    with pytest.raises(LogUnavailable, match=r"\bit was closed while it was made\b"):
        await asked
    assert direct.generation == 0
    async with connected(database_url, tenant) as admin:
        for _ in range(1000):  # a backend takes a moment to leave
            left = await rows(admin, "SELECT pid FROM pg_stat_activity WHERE application_name = %s", NAME)
            if not left:
                break
            await asyncio.sleep(0.01)
    assert left == []
