"""Which locks count, and which commands they keep out of the log."""

import random
from collections.abc import AsyncIterator
from dataclasses import replace

import psycopg
import pytest

from domain.log import Appended, Conflicted, LockedOut
from infrastructure.database import connect
from infrastructure.event_store import PostgresEventLog
from tests.support.locking import put_lock, put_place
from tests.support.log import command
from tests.support.postgres import Connection, connected, rows

OURS, THEIRS, NOBODYS = 11, 12, 13
"""Tokens."""


@pytest.fixture
def place() -> int:
    """A place is any number, of all who use the database. Both halves of this one are negative."""
    high, low = (-random.SystemRandom().randint(1, 1 << 31) for _ in range(2))
    return high << 32 | low & 0xFFFF_FFFF


@pytest.fixture
async def holding(database_url: str, tenant: str, place: int) -> AsyncIterator[Connection]:
    """The login's connection, in whose place somebody holds task-1 and somebody else task-2."""
    async with connected(database_url, tenant) as connection:
        await connection.execute("SELECT pg_advisory_lock(%s)", (place,))
        await put_place(connection, place)
        await put_lock(connection, place, "task-1", OURS)
        await put_lock(connection, place, "task-2", THEIRS)
        yield connection


async def test_what_is_held_is_written_under_its_own_token_only(log: PostgresEventLog, holding: Connection) -> None:
    outcomes = await log.append(
        [
            command({"task-1": 0}),
            replace(command({"task-1": 0}), tokens=(THEIRS,)),
            replace(command({"task-2": 0}), tokens=(OURS, THEIRS)),
            replace(command({"task-1": 0}), tokens=(OURS,)),
            command({"task-3": 0}),
        ]
    )
    assert [type(outcome) for outcome in outcomes] == [LockedOut, LockedOut, Appended, Appended, Appended]
    assert [outcome.stream_id for outcome in outcomes if isinstance(outcome, LockedOut)] == ["task-1", "task-1"]


async def test_what_was_decided_on_a_command_that_was_locked_out_is_not_appended(
    log: PostgresEventLog, holding: Connection
) -> None:
    """Not even where another brings the stream to the version that it would have left."""
    unlocked = [replace(command({"task-1": expected}), tokens=(OURS,)) for expected in (1, 0, 1)]
    outcomes = await log.append([command({"task-1": 0}), *unlocked])
    assert [type(outcome) for outcome in outcomes] == [LockedOut, Conflicted, Appended, Conflicted]


async def test_what_is_held_may_be_read(log: PostgresEventLog, holding: Connection) -> None:
    (outcome,) = await log.append([command({"task-1": 0, "task-3": 0}, {"task-3": 1})])
    assert isinstance(outcome, Appended)


async def test_a_command_that_locks_forbid_is_told_its_first_stream_of_these(
    log: PostgresEventLog, holding: Connection
) -> None:
    (outcome,) = await log.append([command({"task-3": 0, "task-2": 0, "task-1": 0})])
    assert isinstance(outcome, LockedOut)
    assert outcome.stream_id == "task-2"


@pytest.mark.parametrize("commands", [1, 8, 10, 30])
async def test_a_token_that_was_lost_is_told_before_who_holds_the_stream(
    log: PostgresEventLog, holding: Connection, place: int, commands: int
) -> None:
    """A lost lock is final, and whoever only waits for another may try again."""
    streams = [f"pool-{number}" for number in range(commands)]
    for number, stream_id in enumerate(streams):
        await put_lock(holding, place, stream_id, 100 + number)
    outcomes = await log.append([replace(command({stream_id: 0}), tokens=(NOBODYS,)) for stream_id in streams])
    assert outcomes == [LockedOut(None)] * commands


@pytest.mark.parametrize(
    "why",
    ["its time is over", "its process was not heard of", "its process is gone", "another lock", "another database"],
)
async def test_a_lock_that_counts_no_more(
    log: PostgresEventLog, holding: Connection, place: int, database_url: str, why: str
) -> None:
    """The session that has its place's advisory lock is what tells that a process is there."""
    assert isinstance((await log.append([command({"task-1": 0})]))[0], LockedOut)
    if why == "its time is over":
        await holding.execute("UPDATE locks SET held_until = clock_timestamp()")
    elif why == "its process was not heard of":
        await holding.execute("UPDATE lock_places SET seen_until = clock_timestamp()")
    else:
        await holding.execute("SELECT pg_advisory_unlock(%s)", (place,))
    if why == "another lock":  # of two numbers, which make up ours
        high, low = place >> 32, (place & 0xFFFF_FFFF) - (1 << 32)
        await holding.execute("SELECT pg_advisory_lock(%s::int, %s::int)", (high, low))
    other = psycopg.conninfo.make_conninfo(database_url, dbname="template1")
    async with await connect(other if why == "another database" else database_url, "dora-state tests") as elsewhere:
        if why == "another database":
            await elsewhere.execute("SELECT pg_advisory_lock(%s)", (place,))
        assert not await rows(holding, "SELECT FROM live_locks()")
        assert isinstance((await log.append([command({"task-1": 0})]))[0], Appended)
