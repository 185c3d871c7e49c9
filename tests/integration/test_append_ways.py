"""Which way an append goes: a command alone in one statement, an ordinary group in two, and all else the long way.

What comes out is the same, so that nothing else tells when the short ways are not taken any more.
"""

import random
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import LiteralString

import pytest

from domain.log import AppendOutcome, CommandAppend, Conflicted
from tests.support.locking import put_lock, put_place
from tests.support.log import appended, command
from tests.support.postgres import Connection, append_in, connected, rows, set_clock, tell_plans

ALONE, TOGETHER, CLOSELY = "WITH clear", "SELECT g.ready", "SELECT * FROM append_closely"
"""How the statement of each way begins."""
STREAMS = [f"task-{number}" for number in range(17)]


class Watched:
    """A tenant's log, with a connection that tells which ways its appends have gone."""

    def __init__(self, connection: Connection, told: list[str]) -> None:
        self.connection = connection
        self._told = told
        self.outcomes: Sequence[AppendOutcome] = ()
        """Of the last append."""

    async def ways(self, *commands: CommandAppend) -> list[str]:
        """Those that are tried, in order: the last one is that which it goes."""
        self._told.clear()
        self.outcomes = await append_in(self.connection, *commands)
        begun = [re.sub(r"\s+", " ", plan.partition("Query Text: ")[2]) for plan in self._told]
        return [way for text in begun for way in (ALONE, TOGETHER, CLOSELY) if text.startswith(way)]


@pytest.fixture
async def watched(database_url: str, tenant: str) -> AsyncIterator[Watched]:
    await set_clock(database_url, tenant, "timestamptz '2031-05-05 12:00:00+00'")  # no month ends meanwhile
    async with connected(database_url, tenant) as connection:
        yield Watched(connection, await tell_plans(connection))


@pytest.fixture
async def begun(watched: Watched) -> Watched:
    """With an event in each stream."""
    assert await watched.ways(command(dict.fromkeys(STREAMS, 0))) == [CLOSELY], "it opens the month"
    return watched


@pytest.mark.parametrize(
    ("one", "ways"),
    [
        (command({"task-1": 1}), [ALONE]),
        (command({"task-1": 1, "task-2": 1}), [ALONE]),
        (command({"task-1": 1, "task-2": 1}, {"task-1": 1}), [ALONE]),
        (command(dict.fromkeys(STREAMS[:16], 1)), [ALONE]),
        (command(dict.fromkeys(STREAMS, 1)), [TOGETHER]),
        (command({"task-1": 1}, {}), [TOGETHER]),
        (command({}), [TOGETHER]),
        (command({"task-1": 1}, {"task-1": 2}), [TOGETHER]),
        (command({"task-1": 1, "task-2": 1}, {"task-1": 1, "task-2": 2}), [TOGETHER]),
        (command({"agent-1": 0}), [TOGETHER]),
        (command({"agent-1": -1}), [TOGETHER]),
        (command({"task-1": 1, "agent-1": 0}), [TOGETHER]),
        (command({"task-1": 2}), [ALONE, TOGETHER, CLOSELY]),
        (command({"task-1": 0}), [TOGETHER, CLOSELY]),
        (replace(command({"task-1": 1}), tokens=(7,)), [ALONE, TOGETHER, CLOSELY]),
    ],
)
async def test_a_command_that_comes_alone(begun: Watched, one: CommandAppend, ways: list[str]) -> None:
    assert await begun.ways(one) == ways


@pytest.mark.parametrize(
    ("group", "ways"),
    [
        ([command({"task-1": 1}), command({"task-2": 1})], [TOGETHER]),
        ([command({"task-1": 1}, {"task-1": 2}), command({"task-1": 3})], [TOGETHER]),
        ([command({"task-1": 1}), command({})], [TOGETHER]),
        ([command({"agent-1": 0}, {"agent-1": 2}), command({"agent-1": 2}), command({"task-1": 1})], [TOGETHER]),
        ([command({"task-1": 1}), command({"task-2": 2})], [TOGETHER, CLOSELY]),
        ([command({"task-1": 1}), command({"task-1": 1})], [TOGETHER, CLOSELY]),
    ],
)
async def test_a_group(begun: Watched, group: list[CommandAppend], ways: list[str]) -> None:
    assert await begun.ways(*group) == ways


async def test_the_second_event_of_a_log(watched: Watched) -> None:
    assert await watched.ways(command({"task-1": 0})) == [CLOSELY]
    assert await watched.ways(command({"task-1": 1})) == [ALONE]


async def test_a_command_that_is_known(begun: Watched) -> None:
    first = command({"task-1": 1})
    assert await begun.ways(first) == [ALONE]
    again = command({"task-1": 2}, command_id=first.command_id)
    assert await begun.ways(again) == [ALONE, TOGETHER, CLOSELY]


async def test_while_others_hold_locks(begun: Watched) -> None:
    """Of locks, only those on its own streams send a command the long way; there it is found that this one's holder is
    gone."""
    gone = random.SystemRandom().getrandbits(62)
    await put_place(begun.connection, gone)
    await put_lock(begun.connection, gone, "task-1", 7)
    assert await begun.ways(command({"task-2": 1})) == [ALONE]
    assert await begun.ways(command({"task-2": 2}), command({"task-3": 1})) == [TOGETHER]
    assert await begun.ways(command({"task-1": 1})) == [ALONE, TOGETHER, CLOSELY]
    assert await begun.ways(command({"task-1": 2}), command({"task-3": 2})) == [TOGETHER, CLOSELY]
    appended(begun.outcomes[0])


async def test_a_clock_that_is_behind(watched: Watched, database_url: str, tenant: str) -> None:
    await set_clock(database_url, tenant, "timestamptz '2026-03-04 05:06:07+00'")
    await watched.ways(command({"task-1": 0}))
    await set_clock(database_url, tenant, "timestamptz '2026-03-04 05:06:07+00' - interval '60 seconds'")
    assert await watched.ways(command({"task-1": 1})) == [ALONE]
    await set_clock(database_url, tenant, "timestamptz '2026-03-04 05:06:07.000001+00' - interval '60 seconds'")
    assert await watched.ways(command({"task-1": 2}), command({})) == [TOGETHER]


LAST: LiteralString = "timestamptz '2031-12-31 23:59:59.999999+00'"


@pytest.mark.parametrize(
    ("clock", "group", "ways", "partitions"),
    [
        (f"{LAST} - interval '1 us'", 1, [ALONE], [12, 12]),
        (LAST, 1, [ALONE, TOGETHER, CLOSELY], [12, 1]),
        (f"{LAST} - interval '2 us'", 2, [TOGETHER], [12, 12, 12]),
        (f"{LAST} - interval '1 us'", 2, [TOGETHER, CLOSELY], [12, 12, 1]),
    ],
)
async def test_at_the_end_of_a_month(
    watched: Watched,
    database_url: str,
    tenant: str,
    clock: LiteralString,
    group: int,
    ways: list[str],
    partitions: list[int],
) -> None:
    """The clock stands still: each command is recorded a microsecond after the one before."""
    await set_clock(database_url, tenant, clock)
    await watched.ways(command({"task-1": 0}))
    assert await watched.ways(*(command({"task-1": 1 + number}) for number in range(group))) == ways
    months = "SELECT extract(month FROM recorded_at AT TIME ZONE 'UTC')::int FROM events ORDER BY position"
    found = await rows(watched.connection, months)
    assert [month for (month,) in found] == partitions
    await set_clock(database_url, tenant, f"{LAST} + interval '40 days'")
    await watched.ways(command({"task-1": 1 + group}))
    assert appended(watched.outcomes[0]).first_position == 2 + group


async def test_a_stream_whose_events_are_of_another_month(begun: Watched, database_url: str, tenant: str) -> None:
    await set_clock(database_url, tenant, "timestamptz '2031-06-20 12:00:00+00'")
    assert await begun.ways(command({"task-1": 1})) == [ALONE, TOGETHER, CLOSELY]
    assert await begun.ways(command({"task-1": 2})) == [ALONE]
    assert await begun.ways(command({"task-2": 1})) == [ALONE, TOGETHER, CLOSELY]
    assert await begun.ways(command({"task-3": 1}), command({"task-3": 2})) == [TOGETHER, CLOSELY]
    conflict = await begun.ways(command({"task-4": 2}))
    assert (conflict, begun.outcomes) == ([ALONE, TOGETHER, CLOSELY], [Conflicted("task-4", 2, 1)])


async def test_the_long_way_within_a_month_makes_no_function_anew(begun: Watched) -> None:
    made = "SELECT xmin FROM pg_proc WHERE pronamespace = current_schema()::regnamespace AND proname = 'append'"
    before = await rows(begun.connection, made)
    assert await begun.ways(command({"task-1": 1}), command({"task-2": 9})) == [TOGETHER, CLOSELY]
    assert await rows(begun.connection, made) == before
