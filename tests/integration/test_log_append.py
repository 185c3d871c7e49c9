"""What one append does: positions, versions, times, outcomes for each command, and what it refuses."""

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from domain.log import AlreadyRecorded, Appended, CommandAppend, Conflicted, LockedOut, NewEvent
from infrastructure import sql
from infrastructure.database import Role
from infrastructure.event_store import PostgresEventLog
from infrastructure.event_store.group import Group
from tests.support.log import appended, command, event
from tests.support.postgres import Connection, connected, rows


async def test_what_is_appended_is_read_byte_for_byte(log: PostgresEventLog) -> None:
    data = b'{"a": [1,2 ],"\xc3\xa9":"\\u0000"}\n'
    written = NewEvent(uuid4(), "workflow-wf-1", "workflow_created", 3, data, b' {"actor":"x"}')

    (outcome,) = await log.append([CommandAppend(uuid4(), {"workflow-wf-1": 0}, (written,), b"ok")])

    (read,) = await log.read_log(after_position=0, limit=10)
    assert (read.event_id, read.stream_id, read.type) == (written.event_id, "workflow-wf-1", "workflow_created")
    assert (read.data, read.metadata, read.schema_version) == (data, b' {"actor":"x"}', 3)
    assert (read.position, read.version, read.following) == (1, 1, 0)
    assert read.recorded_at == appended(outcome).recorded_at
    assert abs((read.recorded_at - datetime.now(UTC)).total_seconds()) < 30


async def test_a_command_over_several_streams_is_contiguous_and_tells_what_follows(log: PostgresEventLog) -> None:
    events = tuple(event(stream_id) for stream_id in ("task-1", "workflow-1", "task-1", "agent-1"))
    (outcome,) = await log.append([CommandAppend(uuid4(), {"agent-1": 0, "task-1": 0, "workflow-1": 0}, events, b"")])

    read = await log.read_log(after_position=0, limit=10)
    assert [(e.stream_id, e.version) for e in read] == [
        ("task-1", 1),
        ("workflow-1", 1),
        ("task-1", 2),
        ("agent-1", 1),
    ]
    assert [e.position for e in read] == [1, 2, 3, 4]
    assert [e.following for e in read] == [3, 2, 1, 0]
    assert {e.recorded_at for e in read} == {appended(outcome).recorded_at}
    assert (appended(outcome).first_position, appended(outcome).last_position) == (1, 4)


async def test_expected_versions_in_a_group_count_the_commands_before(log: PostgresEventLog) -> None:
    outcomes = await log.append([command({"task-1": 0}, {"task-1": 2}), command({"task-1": 2}), command({"task-1": 3})])

    assert all(isinstance(outcome, Appended) for outcome in outcomes)
    assert await log.stream_version("task-1") == 4
    times = [appended(outcome).recorded_at for outcome in outcomes]
    assert times == sorted(set(times))


async def _rows(connection: Connection, *commands: CommandAppend) -> list[tuple[Any, ...]]:
    """What append says: by command, its outcome, positions, stream, and versions; without times and answers."""
    group = Group()
    for one in commands:
        group.add(one)
    cursor = await connection.execute(sql.load("append"), group.arguments(None), binary=True)
    return [(row[0], row[1], *row[3:5], *row[6:]) for row in await cursor.fetchall()]


async def test_what_append_says_in_rows_is_of_all_that_were_appended_and_of_each_that_was_not(
    log: PostgresEventLog, database_url: str, tenant: str
) -> None:
    """Our own adapter counts positions itself; whoever else calls it reads them here."""
    nothing, stale = (None, None, None), command({"task-9": 5})
    conflict = ("conflict", None, None, "task-9", 5, 0)
    async with connected(database_url, tenant, Role.WRITER) as connection:
        for first in (1, 6):  # of a log without events, and of an open month
            known = command({f"agent-{first}": 0})
            assert await _rows(connection, known) == [(None, "appended", first, first, *nothing)]
            two = command({f"task-{first}": 0}, {f"task-{first}": 2})
            assert await _rows(connection, stale, two, known) == [
                (3, "already recorded", first, first, *nothing),
                (1, *conflict),
                (None, "appended", first + 1, first + 2, *nothing),
            ]
            assert await _rows(connection, stale, command({})) == [
                (1, *conflict),
                (None, "appended", None, None, *nothing),
            ]
            assert await _rows(connection, stale) == [(1, *conflict)]
            assert await _rows(connection, command({}), command({})) == [(None, "appended", None, None, *nothing)]
            pair = [command({f"pool-{first}-{n}": 0}) for n in range(2)]
            assert await _rows(connection, *pair) == [(None, "appended", first + 3, first + 4, *nothing)]
    assert (await log.head()).position == 10


async def test_a_stream_that_is_not_there_is_at_no_version_that_could_be_meant(log: PostgresEventLog) -> None:
    for _ in range(2):  # in a log without events, and in an open month
        for expected in (1, -2):
            assert await log.append([command({"task-9": expected})]) == [Conflicted("task-9", expected, 0)]
            two = await log.append([command({"task-9": expected}), command({"task-8": expected})])
            assert two == [Conflicted("task-9", expected, 0), Conflicted("task-8", expected, 0)]
        await log.append([command({"task-1": 0})])
    assert (await log.head()).position == 1


async def test_a_stream_that_begins_in_a_group_begins_once(log: PostgresEventLog) -> None:
    for stream_id in ("task-1", "task-2"):  # in a log without events, and in an open month
        outcomes = await log.append([command({stream_id: 0}), command({stream_id: -1})])
        assert isinstance(outcomes[0], Appended)
        assert outcomes[1] == Conflicted(stream_id, -1, 1)


async def test_a_token_that_counts_no_more_forbids_a_command_though_nobody_holds_a_lock(log: PostgresEventLog) -> None:
    for first in (1, 2):  # in a log without events, and in an open month
        stale = replace(command({f"task-{first}": 0}), tokens=(7,))
        outcomes = await log.append([stale, command({f"agent-{first}": 0})])
        assert outcomes[0] == LockedOut(None)
        assert appended(outcomes[1]).first_position == first
        assert await log.append([stale]) == [LockedOut(None)]


async def test_a_conflict_names_the_stream_and_both_versions(log: PostgresEventLog) -> None:
    await log.append([command({"task-1": 0}, {"task-1": 3})])

    assert await log.append([command({"task-1": 2})]) == [Conflicted("task-1", 2, 3)]
    assert await log.append([command({"task-2": 7})]) == [Conflicted("task-2", 7, 0)]
    assert await log.append([command({"task-1": 0})]) == [Conflicted("task-1", 0, 3)]


async def test_a_conflict_harms_no_neighbour_but_those_decided_on_what_it_would_have_left(
    log: PostgresEventLog,
) -> None:
    await log.append([command({"task-1": 0}), command({"task-2": 0})])

    outcomes = await log.append(
        [
            command({"task-1": 1}),
            command({"task-2": 5, "agent-9": 0}),  # in conflict
            command({"agent-9": 1}),  # decided on what the one before would have left
            command({"task-3": 0, "agent-9": 1}, {"task-3": 1}),  # read what it would have left
            command({"task-3": 1}),  # and so on
            command({"task-1": 2}, {"task-1": 2}),
            command({"agent-9": 0}),
        ]
    )

    assert [type(outcome) for outcome in outcomes] == [
        Appended,
        Conflicted,
        Conflicted,
        Conflicted,
        Conflicted,
        Appended,
        Appended,
    ]
    assert outcomes[1:5] == [
        Conflicted("task-2", 5, 1),
        Conflicted("agent-9", 1, 0),
        Conflicted("agent-9", 1, 0),
        Conflicted("task-3", 1, 0),
    ]
    read = await log.read_log(after_position=2, limit=100)
    assert [(e.position, e.stream_id, e.version, e.following) for e in read] == [
        (3, "task-1", 2, 0),
        (4, "task-1", 3, 1),
        (5, "task-1", 4, 0),
        (6, "agent-9", 1, 0),
    ]
    assert await log.stream_version("task-3") == 0


async def test_a_command_that_only_read_a_stream_conflicts_when_it_has_moved(log: PostgresEventLog) -> None:
    await log.append([command({"pool-1": 0})])
    reader = command({"pool-1": 1, "task-1": 0}, {"task-1": 1})
    await log.append([command({"pool-1": 1})])

    assert await log.append([reader]) == [Conflicted("pool-1", 1, 2)]
    assert await log.find_command(reader.command_id) is None
    assert await log.stream_version("task-1") == 0


async def test_a_refusal_is_recorded_without_events_but_not_on_a_stale_state(log: PostgresEventLog) -> None:
    await log.append([command({"task-1": 0})])
    refusal = command({"task-1": 1}, {}, answer=b"refused")
    stale = command({"task-1": 0}, {}, answer=b"stale")

    outcomes = await log.append([refusal, stale])

    assert (appended(outcomes[0]).first_position, appended(outcomes[0]).last_position) == (None, None)
    assert outcomes[1] == Conflicted("task-1", 0, 1)
    assert (await log.head()).position == 1
    assert await log.find_command(refusal.command_id) == AlreadyRecorded(
        b"refused", appended(outcomes[0]).recorded_at, None, None
    )
    assert await log.find_command(stale.command_id) is None


async def test_a_known_command_id_gets_its_first_answer_even_when_its_versions_conflict(
    log: PostgresEventLog,
) -> None:
    first = command({"task-1": 0}, {"task-1": 2}, answer=b"the first answer")
    (outcome,) = await log.append([first])
    await log.append([command({"task-1": 2})])
    again = command({"task-1": 99}, command_id=first.command_id, answer=b"another answer")

    outcomes = await log.append([command({"task-1": 3}), again, command({"task-1": 4})])

    assert outcomes[1] == AlreadyRecorded(b"the first answer", appended(outcome).recorded_at, 1, 2)
    assert [type(outcomes[0]), type(outcomes[2])] == [Appended, Appended]
    assert await log.stream_version("task-1") == 5
    assert await log.append([again]) == [outcomes[1]]
    for fits in (5, 0):
        assert await log.append([command({"task-1": fits}, command_id=first.command_id)]) == [outcomes[1]]


async def test_a_command_id_twice_in_one_group_is_appended_once(log: PostgresEventLog) -> None:
    first = command({"task-1": 0}, answer=b"first")
    again = command({"task-1": 1}, command_id=first.command_id, answer=b"second")

    outcomes = await log.append([first, again])

    recorded = appended(outcomes[0])
    assert outcomes[1] == AlreadyRecorded(b"first", recorded.recorded_at, 1, 1)
    assert (await log.head()).position == 1
    conflicted = command({"task-1": 9})
    assert await log.append([conflicted, conflicted]) == [Conflicted("task-1", 9, 1)] * 2


async def test_commands_without_events_may_come_before_others_and_name_no_stream(log: PostgresEventLog) -> None:
    outcomes = await log.append(
        [command({"task-9": 0}, {}), command({}), command({"pool-1": 4}), command({"task-1": 0}, {"task-1": 2})]
    )

    assert [type(outcome) for outcome in outcomes] == [Appended, Appended, Conflicted, Appended]
    assert (appended(outcomes[3]).first_position, appended(outcomes[3]).last_position) == (1, 2)
    assert isinstance((await log.append([command({})]))[0], Appended)
    nothing = command({})
    assert isinstance((await log.append([command({"pool-1": 4}), nothing]))[1], Appended)
    (known,) = await log.append([nothing])
    assert isinstance(known, AlreadyRecorded)
    assert (known.first_position, known.last_position) == (None, None)


async def test_an_empty_group_is_harmless(log: PostgresEventLog) -> None:
    assert await log.append([]) == []


async def test_ten_thousand_events_go_into_one_append(log: PostgresEventLog) -> None:
    group = [command({f"task-{n}": 0, "pool-1": n}, {f"task-{n}": 9, "pool-1": 1}) for n in range(1000)]

    outcomes = await log.append(group)

    assert [appended(outcome).last_position for outcome in outcomes] == list(range(10, 10_001, 10))
    assert [e.position for e in await log.read_log(after_position=0, limit=10_000)] == list(range(1, 10_001))
    assert [e.version async for e in log.read_stream("pool-1")] == list(range(1, 1001))


async def test_people_with_sql_see_json_and_bytes_that_are_none(
    log: PostgresEventLog, database_url: str, tenant: str
) -> None:
    for version, data in enumerate((b'{"a": 1}', b'"\\u0000"', b"\xff no json")):
        await log.append([CommandAppend(uuid4(), {"task-1": version}, (event("task-1", data=data),), b"")])
    async with connected(database_url, tenant, Role.PROJECTOR) as connection:
        seen = await rows(connection, "SELECT data FROM events_readable ORDER BY position")
    assert seen == [({"a": 1},), ('"\\\\u0000"',), ("\\377 no json",)]
