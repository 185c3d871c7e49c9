"""Who has the lead of a projection, for how long, and what it may write meanwhile."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from datetime import UTC, datetime
from typing import Any

import psycopg
import pytest

from infrastructure import leading
from infrastructure.database import Connection, Role
from infrastructure.leading import LEASE_SECONDS, Lead, find_checkpoint, lead
from infrastructure.pools import Pool, open_pool
from projections.errors import CheckpointMoved, ReadModelsUnavailable
from projections.ports import Checkpoint
from projections.projection import STATES, Projection
from tests.support.postgres import connected, rows, value

MOMENT = datetime(2024, 1, 17, 10, 0, tzinfo=UTC)


@pytest.fixture
async def pool(database_url: str, tenant: str) -> AsyncIterator[Pool]:
    async with await open_pool(database_url, tenant, Role.PROJECTOR, min_size=1, max_size=8) as pool:
        yield pool


@pytest.fixture
async def admin(database_url: str, tenant: str) -> AsyncIterator[Connection]:
    async with connected(database_url, tenant, None) as connection:
        yield connection


async def lead_row(admin: Connection) -> tuple[Any, ...]:
    """Its term, whether it has the lock, how long it is held in seconds, and by whom."""
    (row,) = await rows(
        admin,
        # Before PostgreSQL 17, nothing is subtracted from infinity but as a number.
        "SELECT term, locked, extract(epoch FROM held_until)::float8 - extract(epoch FROM clock_timestamp())::float8,"
        " backend_pid FROM leads WHERE name = 'states'",
    )
    return row


async def is_there(admin: Connection, pid: object) -> bool:
    return await rows(admin, "SELECT FROM pg_stat_activity WHERE pid = %s", pid) != []


def pid_of(held: Lead) -> int:
    return held.connection.info.backend_pid


async def fall_silent(admin: Connection) -> None:
    """Whoever has the lead was not heard of for so long."""
    await admin.execute("UPDATE leads SET held_until = clock_timestamp() WHERE name = 'states'")


async def test_one_has_it_until_it_lets_go(pool: Pool, admin: Connection) -> None:
    (before, *_) = await lead_row(admin)
    async with lead(pool, STATES) as held:
        assert held is not None
        term, locked, seconds, pid = await lead_row(admin)
        assert (term, locked, pid) == (before + 1, True, pid_of(held))
        assert LEASE_SECONDS / 2 < seconds <= LEASE_SECONDS
        start = await value(admin, "SELECT backend_start FROM leads WHERE name = 'states'")
        assert start == await value(admin, "SELECT backend_start FROM pg_stat_activity WHERE pid = %s", pid)
        assert (await held.checkpoint()).term == term
        async with lead(pool, STATES) as other:
            assert other is None
        assert (await lead_row(admin))[0] == term, "who did not get it changed nothing"
        async with lead(pool, Projection("actions", 1)) as another:
            assert another is not None, "each projection has its own"
            assert (await another.checkpoint()).term == term, "of the same number, as it happens"
        assert (await lead_row(admin))[2] > 0, "the end of one is not that of another"
    assert (await lead_row(admin))[2] == float("-inf")
    async with lead(pool, STATES) as other:
        assert other is not None
        assert (await lead_row(admin))[:2] == (before + 2, True)


async def test_what_it_sets_of_its_session_it_sets_back(database_url: str, tenant: str) -> None:
    async def settings(connection: Connection) -> list[object]:
        names = ("synchronous_commit", "idle_in_transaction_session_timeout")
        return [await value(connection, "SELECT current_setting(%s)", name) for name in names]

    async with await open_pool(database_url, tenant, Role.PROJECTOR, min_size=1, max_size=1) as only:
        async with only.connection() as connection:
            before, pid = await settings(connection), connection.info.backend_pid
        async with lead(only, STATES) as held:
            assert held is not None
            assert pid_of(held) == pid
            assert await settings(held.connection) == ["off", "10s"] != before
        async with only.connection() as connection:
            assert (await settings(connection), connection.info.backend_pid) == (before, pid)
            assert await rows(connection, "SELECT FROM pg_locks WHERE locktype = 'advisory' AND pid = %s", pid) == []


async def test_where_its_session_is_lost_another_has_it_at_once(pool: Pool, admin: Connection) -> None:
    async with lead(pool, STATES) as held:
        assert held is not None
        pid = pid_of(held)
        await value(admin, "SELECT pg_terminate_backend(%s, 5000)", pid)
        async with lead(pool, STATES) as heir:
            assert heir is not None
            term, locked, _, its = await lead_row(admin)
            assert (locked, its) == (True, pid_of(heir))
            with pytest.raises(psycopg.OperationalError):
                await held.checkpoint()
            async with lead(pool, STATES) as third:
                assert third is None
            assert await heir.checkpoint() == Checkpoint(0, None, 0, 0, term)
    assert held.connection.closed


async def test_a_silent_one_loses_it_and_its_session(
    pool: Pool, admin: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    async with lead(pool, STATES) as silent:
        assert silent is not None
        pid = pid_of(silent)
        await fall_silent(admin)
        async with lead(pool, STATES) as heir:
            assert heir is not None
            _, locked, seconds, its = await lead_row(admin)
            assert (locked, its) == (False, pid_of(heir)), "the silent one had the lock still"
            assert seconds > LEASE_SECONDS / 2
            async with asyncio.timeout(10):
                while await is_there(admin, pid):  # noqa: ASYNC110  another process ends it
                    await asyncio.sleep(0.01)
            assert [(record.levelno, record.message) for record in caplog.records] == [
                (logging.WARNING, f"Whoever ran a projection was not heard of; its session {pid} was ended.")
            ]
            async with lead(pool, STATES) as third:
                assert third is None, "there is a lock now, and no right to it"
    assert silent.connection.closed


async def test_the_end_of_a_silent_one_is_not_that_of_its_heir(pool: Pool, admin: Connection) -> None:
    held = lead(pool, STATES)
    assert await held.__aenter__() is not None
    await fall_silent(admin)
    async with lead(pool, STATES) as heir:
        assert heir is not None
        await held.__aexit__(None, None, None)
        assert (await lead_row(admin))[2] > 0
        async with lead(pool, STATES) as third:
            assert third is None


async def test_one_that_let_go_and_is_there_still_keeps_its_session(pool: Pool, admin: Connection) -> None:
    async with lead(pool, STATES) as first:
        assert first is not None
        pid = pid_of(first)
    async with AsyncExitStack() as others:
        held = {0}
        while pid not in held:  # so that the next one is led by another session
            held.add((await others.enter_async_context(pool.connection())).info.backend_pid)
        async with lead(pool, STATES) as second:
            assert second is not None
            assert pid_of(second) != pid
            assert await is_there(admin, pid)


async def test_one_that_was_not_heard_of_may_lead_again_in_the_same_session(database_url: str, tenant: str) -> None:
    async with (
        connected(database_url, tenant, None) as admin,
        await open_pool(database_url, tenant, Role.PROJECTOR, min_size=1, max_size=1) as only,
    ):
        async with lead(only, STATES) as first:
            assert first is not None
            pid = pid_of(first)
        await admin.execute("UPDATE leads SET held_until = clock_timestamp() - interval '1 s' WHERE name = 'states'")
        async with lead(only, STATES) as again:
            assert again is not None
            assert pid_of(again) == pid
            assert (await again.checkpoint()).position == 0


async def test_where_the_clock_was_set_back_nobody_waits_for_it(pool: Pool, admin: Connection) -> None:
    async with lead(pool, STATES) as held:
        assert held is not None
        for seconds, is_free in ((3 * LEASE_SECONDS - 1, False), (3 * LEASE_SECONDS + 1, True)):
            await admin.execute(
                "UPDATE leads SET held_until = clock_timestamp() + make_interval(secs => %s) WHERE name = 'states'",
                (seconds,),
            )
            async with lead(pool, STATES) as other:
                assert (other is not None) is is_free


async def beaten(admin: Connection, than: float) -> float:
    """The lease's seconds once they are more than that."""
    async with asyncio.timeout(10):
        while (seconds := float((await lead_row(admin))[2])) <= than:  # noqa: ASYNC110  another session writes
            await asyncio.sleep(0.01)
    return seconds


async def test_it_says_that_it_is_there_until_another_has_taken_over(
    pool: Pool, admin: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(leading, "BEAT_SECONDS", 0.01)
    async with lead(pool, STATES) as held:
        assert held is not None
        (beating,) = [task for task in asyncio.all_tasks() if task.get_name() == "lead of states"]
        for _ in range(2):
            await admin.execute("UPDATE leads SET held_until = clock_timestamp() + '1 s' WHERE name = 'states'")
            assert LEASE_SECONDS / 2 < await beaten(admin, 1.0) <= LEASE_SECONDS
        await admin.execute("UPDATE leads SET term = term + 1 WHERE name = 'states'")
        async with asyncio.timeout(10):
            await beating
        with pytest.raises(CheckpointMoved):
            await held.require_same()
    async with lead(pool, STATES) as held:
        (beating,) = [task for task in asyncio.all_tasks() if task.get_name() == "lead of states"]
    assert beating.cancelled(), "it says nothing more once it has let go"


async def test_what_could_not_be_said_once_is_said_again(
    pool: Pool, admin: Connection, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(leading, "BEAT_SECONDS", 0.01)
    with caplog.at_level(logging.DEBUG, "infrastructure.leading"):
        async with lead(pool, STATES) as held:
            assert held is not None
            await admin.execute("ALTER TABLE leads RENAME TO hidden")
            try:
                async with asyncio.timeout(10):
                    while not caplog.messages:  # noqa: ASYNC110  nothing tells
                        await asyncio.sleep(0.01)
            finally:
                await admin.execute("ALTER TABLE hidden RENAME TO leads")
            assert caplog.messages[0].startswith("It could not be said who runs a projection: ")
            await admin.execute("UPDATE leads SET held_until = clock_timestamp() + '1 s' WHERE name = 'states'")
            await beaten(admin, 1.0)


async def test_within_a_transaction_it_finds_out_whether_it_may_write(pool: Pool, admin: Connection) -> None:
    async with lead(pool, STATES) as held:
        assert held is not None
        term = (await held.checkpoint()).term
        async with held.connection.transaction():
            await held.expect(0)
            await held.move(7, MOMENT)
        assert await find_checkpoint(admin, STATES) == Checkpoint(7, MOMENT, STATES.version, 0, term)
        await held.expect(7)
        await held.expect()
        with pytest.raises(CheckpointMoved) as caught:
            await held.expect(6)
        assert caught.value.message == (
            f"The projection states is at position 7, generation 0, term {term}, and not at 6, 0, {term} any more;"
            " nothing was written."
        )
        assert caught.value.facts == {"expected": 6, "actual": 7}


@pytest.mark.parametrize(
    ("moved", "others"),
    [
        ("UPDATE checkpoints SET generation = 3 WHERE name = 'states'", (3, 0)),
        ("UPDATE leads SET term = term + 1 WHERE name = 'states'", (0, 1)),
    ],
)
async def test_of_other_tables_or_in_another_term_it_may_write_nothing(
    pool: Pool, admin: Connection, moved: Any, others: tuple[int, int]
) -> None:
    async with lead(pool, STATES) as held:
        assert held is not None
        term = (await held.checkpoint()).term
        await held.require_same()
        await admin.execute(moved)
        generation, later = others
        for ask in (held.expect, held.require_same, lambda: held.expect(0)):
            with pytest.raises(CheckpointMoved) as caught:
                await ask()
            assert caught.value.message == (
                f"The projection states is at position 0, generation {generation}, term {term + later}, and not at 0,"
                f" 0, {term} any more; nothing was written."
            )
            assert caught.value.facts == {"expected": 0, "actual": 0}
        if generation:
            assert (await held.checkpoint()).generation == generation
            await held.expect(0)


async def test_who_expects_a_checkpoint_keeps_it_there(pool: Pool, admin: Connection) -> None:
    async with lead(pool, STATES) as held:
        assert held is not None
        await held.checkpoint()
        async with held.connection.transaction():
            await held.expect(0)
            assert await rows(admin, "SELECT FROM checkpoints WHERE name = 'states' FOR UPDATE SKIP LOCKED") == []
        assert await rows(admin, "SELECT FROM checkpoints WHERE name = 'states' FOR UPDATE SKIP LOCKED") == [()]


async def test_where_there_is_no_checkpoint_it_says_what_to_do(admin: Connection) -> None:
    with pytest.raises(ReadModelsUnavailable) as caught:
        await find_checkpoint(admin, Projection("none", 1))
    assert caught.value.message == "The projection none has no checkpoint; run `dora-state init`."
    assert caught.value.facts == {"projection": "none"}
