"""What every adapter of the port EventLog promises: the log in PostgreSQL, and the log in memory.

The tests of the command side drive the one in memory; what they show holds on the real one because of this.
"""

from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import uuid4

import orjson
import pytest

from domain.errors import AppendRejected, InvalidInput
from domain.log import (
    NOW,
    AlreadyRecorded,
    Appended,
    CommandAppend,
    Conflicted,
    Cut,
    EventLog,
    FoldRequest,
    Head,
    LogFilter,
    Moved,
    NewEvent,
    Stretch,
    place_of,
)
from tests.support.log import appended, command, event
from tests.support.memory_log import MemoryEventLog


@pytest.fixture(params=["memory", "postgres"])
async def any_log(request: pytest.FixtureRequest) -> AsyncIterator[EventLog]:
    if request.param == "memory":
        yield MemoryEventLog()
        return
    # The fixture `log` is asynchronous, and can't be asked for from within a running loop: it is made here.
    from infrastructure.database import Role
    from infrastructure.event_store import PostgresEventLog
    from infrastructure.pools import open_pool
    from tests.support.tenants import lent

    database_url: str = request.getfixturevalue("database_url")
    async with (
        lent(database_url) as tenant,
        await open_pool(database_url, tenant, Role.WRITER, min_size=1, max_size=4) as pool,
    ):
        yield PostgresEventLog(pool)


async def places(log: EventLog, cut: Cut = NOW, stream_id: str = "task-1", **how: bool | int) -> list[int]:
    return [one.version async for one in log.read_stream(stream_id, cut=cut, **how)]  # type: ignore[arg-type]  # a test's short cut


async def test_an_empty_log_has_nothing(any_log: EventLog) -> None:
    assert await any_log.head() == Head(0, None)
    assert await any_log.position_at(datetime.now(UTC)) == 0
    assert await any_log.stream_version("task-1") == 0
    assert await places(any_log) == []
    assert await any_log.read_streams(["task-1", "task-2"]) == {"task-1": [], "task-2": []}
    assert await any_log.read_log(after_position=0, limit=10) == []
    assert await any_log.find_command(uuid4()) is None
    assert await any_log.append([]) == []


async def test_positions_versions_and_what_follows_count_through_a_command(any_log: EventLog) -> None:
    events = tuple(event(stream_id) for stream_id in ("task-1", "workflow-1", "task-1"))
    (outcome,) = await any_log.append([CommandAppend(uuid4(), {"task-1": 0, "workflow-1": 0}, events, b"")])

    read = await any_log.read_log(after_position=0, limit=1)
    assert [(e.position, e.stream_id, e.version, e.following) for e in read] == [
        (1, "task-1", 1, 2),
        (2, "workflow-1", 1, 1),
        (3, "task-1", 2, 0),
    ]
    assert [(e.event_id, e.type, e.schema_version, e.data, e.metadata) for e in read] == [
        (e.event_id, e.type, e.schema_version, e.data, e.metadata) for e in events
    ]
    assert {e.recorded_at for e in read} == {appended(outcome).recorded_at}
    assert await any_log.head() == Head(3, appended(outcome).recorded_at)


async def test_time_rises_from_command_to_command(any_log: EventLog) -> None:
    first = await any_log.append([command({"task-1": n}) for n in range(5)])
    second = await any_log.append([command({"task-1": n}) for n in range(5, 8)])

    times = [appended(outcome).recorded_at for outcome in first + second]
    assert times == sorted(set(times))
    assert all(time.tzinfo is not None for time in times)


async def test_a_stream_that_has_moved_is_a_conflict_and_nothing_is_recorded(any_log: EventLog) -> None:
    await any_log.append([command({"task-1": 0}, {"task-1": 3})])
    stale = command({"task-2": 0, "task-1": 2}, {"task-2": 1})
    too_far = command({"task-2": 1})

    assert await any_log.append([stale, too_far]) == [Conflicted("task-1", 2, 3), Conflicted("task-2", 1, 0)]
    assert await any_log.find_command(stale.command_id) is None
    assert (await any_log.head()).position == 3


async def test_a_conflict_harms_no_neighbour_but_those_that_build_on_it(any_log: EventLog) -> None:
    outcomes = await any_log.append(
        [
            command({"task-1": 0}),
            command({"task-2": 5, "agent-1": 0}),
            command({"agent-1": 1}),
            command({"task-1": 1}),
            command({"agent-1": 0}),
        ]
    )

    assert [type(outcome) for outcome in outcomes] == [Appended, Conflicted, Conflicted, Appended, Appended]
    assert outcomes[1:3] == [Conflicted("task-2", 5, 0), Conflicted("agent-1", 1, 0)]
    assert (await any_log.stream_version("task-1"), await any_log.stream_version("agent-1")) == (2, 1)


async def test_each_command_of_a_group_is_known_with_its_own_positions(any_log: EventLog) -> None:
    for first in (1, 7):
        group = [
            command({f"task-{first}": 0}, {f"task-{first}": 2}),
            command({f"pool-{first}": 0}, {f"pool-{first}": 3}),
            command({}),
            command({f"agent-{first}": 0}),
        ]
        outcomes = [appended(one) for one in await any_log.append(group)]
        places = [(first, first + 1), (first + 2, first + 4), (None, None), (first + 5, first + 5)]
        assert [(one.first_position, one.last_position) for one in outcomes] == places
        known = [await any_log.find_command(one.command_id) for one in group]
        assert known == [
            AlreadyRecorded(b"done", outcome.recorded_at, *place)
            for outcome, place in zip(outcomes, places, strict=True)
        ]


async def test_the_only_command_that_there_is_gets_its_answer_again(any_log: EventLog) -> None:
    nothing = command({})
    (first,) = await any_log.append([nothing])
    assert await any_log.append([nothing]) == [AlreadyRecorded(b"done", appended(first).recorded_at, None, None)]


async def test_what_names_no_stream_is_recorded_without_events_though_a_neighbour_conflicts(any_log: EventLog) -> None:
    (alone,) = await any_log.append([command({})])
    assert (appended(alone).first_position, appended(alone).last_position) == (None, None)
    nothing = command({}, answer=b"nothing")
    outcomes = await any_log.append([nothing, command({"task-2": 5}), command({"task-1": 0}), command({})])
    assert [type(outcome) for outcome in outcomes] == [Appended, Conflicted, Appended, Appended]
    assert [appended(outcomes[place]).first_position for place in (0, 2, 3)] == [None, 1, None]
    assert [appended(outcomes[place]).last_position for place in (0, 2, 3)] == [None, 1, None]
    known = await any_log.find_command(nothing.command_id)
    assert known == AlreadyRecorded(b"nothing", appended(outcomes[0]).recorded_at, None, None)


async def test_what_was_decided_on_a_conflicted_command_conflicts_though_another_reached_the_same_version(
    any_log: EventLog,
) -> None:
    await any_log.append([command({"workflow-1": 0})])
    await any_log.append([command({"workflow-1": 1})])  # another process
    started, added = command({"workflow-1": 1}), command({"workflow-1": 2, "task-1": 0})

    outcomes = await any_log.append([started, added, command({"task-1": 1}), command({"task-1": 0})])
    assert outcomes[:3] == [Conflicted("workflow-1", 1, 2), Conflicted("workflow-1", 2, 2), Conflicted("task-1", 1, 0)]
    assert isinstance(outcomes[3], Appended)


async def test_what_was_decided_on_a_command_that_was_recorded_before_conflicts_too(any_log: EventLog) -> None:
    before = command({"workflow-1": 0})
    await any_log.append([before])
    await any_log.append([command({"workflow-1": 1})])  # another process
    # Its id comes again, is decided as if it were new, and the next one is decided on what that would leave.
    again = replace(before, expected={"workflow-1": 1})

    outcomes = await any_log.append([again, command({"workflow-1": 2})])

    assert isinstance(outcomes[0], AlreadyRecorded)
    assert outcomes[1] == Conflicted("workflow-1", 2, 2)


async def test_a_command_without_events_is_recorded_and_its_versions_are_checked(any_log: EventLog) -> None:
    await any_log.append([command({"task-1": 0})])
    refusal, stale = command({"task-1": 1}, {}, answer=b"no"), command({"task-1": 0}, {})

    outcomes = await any_log.append([refusal, stale])

    recorded = appended(outcomes[0])
    assert (recorded.first_position, recorded.last_position) == (None, None)
    assert outcomes[1] == Conflicted("task-1", 0, 1)
    assert await any_log.find_command(refusal.command_id) == AlreadyRecorded(b"no", recorded.recorded_at, None, None)


async def test_a_known_command_id_gets_its_first_answer_whatever_the_versions(any_log: EventLog) -> None:
    first = command({"task-1": 0}, {"task-1": 2}, answer=b"first")
    (outcome,) = await any_log.append([first])
    again = command({"task-1": 77}, command_id=first.command_id, answer=b"other")

    outcomes = await any_log.append([again, command({"task-1": 2}), again])

    assert outcomes[0] == outcomes[2] == AlreadyRecorded(b"first", appended(outcome).recorded_at, 1, 2)
    assert isinstance(outcomes[1], Appended)
    assert await any_log.stream_version("task-1") == 3


async def test_a_command_id_twice_in_one_group_is_recorded_once(any_log: EventLog) -> None:
    first = command({"task-1": 0}, answer=b"first")
    again = command({"task-1": 1}, command_id=first.command_id, answer=b"second")
    lost = command({"task-1": 9})

    outcomes = await any_log.append([first, again, lost, lost])

    recorded = appended(outcomes[0])
    assert outcomes[1] == AlreadyRecorded(b"first", recorded.recorded_at, 1, 1)
    assert outcomes[2:] == [Conflicted("task-1", 9, 1)] * 2
    assert (await any_log.head()).position == 1


async def test_what_comes_again_in_a_group_harms_nobody_by_what_it_would_have_written(any_log: EventLog) -> None:
    lost = command({"task-1": 9})
    otherwise = command({"task-2": 0}, command_id=lost.command_id)

    outcomes = await any_log.append([command({"task-2": 0}), lost, otherwise, command({"task-2": 1})])

    assert outcomes[1:3] == [Conflicted("task-1", 9, 0)] * 2
    assert isinstance(outcomes[3], Appended)


@pytest.mark.parametrize("stream_id", ["", "task", "task-", "-1", "task-\n"])
async def test_a_stream_id_that_is_none_takes_the_whole_call_down(any_log: EventLog, stream_id: str) -> None:
    good = command({"task-1": 0})

    with pytest.raises(AppendRejected):
        await any_log.append([good, command({stream_id: 0})])
    assert await any_log.find_command(good.command_id) is None


async def test_what_is_written_must_be_expected_and_only_an_import_says_times(any_log: EventLog) -> None:
    with pytest.raises(AppendRejected):
        await any_log.append([command({"task-1": 0}, {"task-2": 1})])
    with pytest.raises(AppendRejected):
        await any_log.append([command({"task-1": 0}, at=datetime(2011, 10, 1, tzinfo=UTC))])
    assert (await any_log.head()).position == 0


async def test_cuts_by_time_and_position_never_divide_a_command(any_log: EventLog) -> None:
    outcomes = await any_log.append(
        [
            command({"task-1": 0}, {"task-1": 2}),  # positions 1, 2
            command({"task-1": 2, "agent-1": 0}, {"task-1": 1, "agent-1": 1}),  # 3, 4
            command({"task-1": 3}),  # 5
        ]
    )
    times = [appended(outcome).recorded_at for outcome in outcomes]
    before = timedelta(microseconds=1)

    assert [await places(any_log, Cut(position=p)) for p in range(7)] == [
        [],
        [],
        [1, 2],
        [1, 2],
        [1, 2, 3],
        [1, 2, 3, 4],
        [1, 2, 3, 4],
    ]
    assert [await places(any_log, Cut(at=at)) for at in times] == [[1, 2], [1, 2, 3], [1, 2, 3, 4]]
    assert [await places(any_log, Cut(at=at - before)) for at in times[:1]] == [[]]
    assert [await places(any_log, Cut(version=v)) for v in range(1, 6)] == [
        [1],
        [1, 2],
        [1, 2, 3],
        [1, 2, 3, 4],
        [1, 2, 3, 4],
    ]
    assert [await any_log.position_at(at) for at in (times[0] - before, *times)] == [0, 2, 4, 5]
    streams = await any_log.read_streams(["task-1", "agent-1", "pool-1"], up_to_position=3)
    assert {name: [e.version for e in events] for name, events in streams.items()} == {
        "task-1": [1, 2],
        "agent-1": [],
        "pool-1": [],
    }


async def test_a_stream_is_read_from_a_version_backwards_and_in_parts(any_log: EventLog) -> None:
    await any_log.append([command({"task-1": n}) for n in range(5)])

    assert await places(any_log, after_version=2) == [3, 4, 5]
    assert await places(any_log, limit=2) == [1, 2]
    assert await places(any_log, backwards=True) == [5, 4, 3, 2, 1]
    assert await places(any_log, Cut(version=4), backwards=True, limit=2) == [4, 3]
    assert await places(any_log, Cut(version=4), after_version=2, backwards=True) == [4, 3]


async def test_a_batch_of_the_log_ends_with_a_whole_command(any_log: EventLog) -> None:
    await any_log.append([command({f"task-{n}": 0, "pool-1": n}) for n in range(3)])

    async def batch(after: int, limit: int, only: LogFilter | None = None) -> list[int]:
        return [e.position for e in await any_log.read_log(after_position=after, limit=limit, only=only)]

    assert [await batch(0, 1), await batch(0, 2), await batch(0, 3), await batch(2, 1)] == [
        [1, 2],
        [1, 2],
        [1, 2, 3, 4],
        [3, 4],
    ]
    assert await batch(6, 10) == []
    assert await batch(0, 10, LogFilter(categories=frozenset({"pool"}))) == [2, 4, 6]
    assert await batch(0, 1, LogFilter(categories=frozenset({"task"}))) == [1]
    assert await batch(0, 10, LogFilter(types=frozenset({"nothing_of_the_kind"}))) == []
    with pytest.raises(InvalidInput):
        await batch(0, 0)


@pytest.mark.parametrize("limit", [1, 2, 3, 10])
async def test_streams_that_moved_come_by_pages_in_the_order_of_their_ids(any_log: EventLog, limit: int) -> None:
    ids = ["task-b", "task-B", "agent-1", "task-ü", "task-b-2", "pool-z"]
    await any_log.append([command({stream_id: 0}) for stream_id in ids])
    await any_log.append([command({"task-b": 1}, {"task-b": 2}), command({"pool-z": 1})])
    for after, until in ((0, 9), (0, 6), (3, 7), (6, 9), (9, 9)):
        found: list[Moved] = []
        while page := await any_log.moved_between(after, until, found[-1].stream_id if found else "", limit):
            assert len(page) <= limit
            found += page
        moved = {
            event.stream_id for event in await any_log.read_log(after_position=after, limit=10, until_position=until)
        }
        assert [one.stream_id for one in found] == sorted(moved, key=str.encode)
        assert [one for one in found if one.stream_id == "task-b"] == {
            (0, 9): [Moved("task-b", 1, 3)],
            (0, 6): [Moved("task-b", 1, 1)],
            (3, 7): [Moved("task-b", 2, 2)],
            (6, 9): [Moved("task-b", 2, 3)],
            (9, 9): [],
        }[after, until]


async def test_a_batch_of_the_log_goes_no_further_than_is_asked(any_log: EventLog) -> None:
    await any_log.append([command({f"task-{n}": 0, "pool-1": n}) for n in range(3)])
    for after in range(7):
        for until in range(9):
            read = await any_log.read_log(after_position=after, limit=10, until_position=until)
            assert [e.position for e in read] == [*range(after + 1, min(until, 6) + 1)]


@pytest.mark.parametrize("correlation_id", ["conversation", 'with "quotes" and \\', "übung", "a"])
async def test_what_belongs_to_one_conversation_is_found(any_log: EventLog, correlation_id: str) -> None:
    for number, said in enumerate((correlation_id, "another", f"{correlation_id} and more", correlation_id)):
        metadata = orjson.dumps({"correlation_id": said, "causation_id": correlation_id})
        one = NewEvent(uuid4(), f"task-{number}", "t", 1, b"{}", metadata)
        await any_log.append([CommandAppend(uuid4(), {one.stream_id: 0}, (one,), b"")])
    only = LogFilter(correlation_id=correlation_id)
    assert [e.position for e in await any_log.read_log(after_position=0, limit=10, only=only)] == [1, 4]


# --- for folds -------------------------------------------------------------------------------------------------


async def some_streams(log: EventLog) -> None:
    """Positions: task-1 has 1, 2, 4, 6; agent-1 has 3 and 5, in commands with task-1's second and third one."""
    for expected in ({"task-1": 0}, {"task-1": 1, "agent-1": 0}, {"task-1": 2, "agent-1": 1}, {"task-1": 3}):
        appended((await log.append([command(expected)]))[0])


async def test_a_stretch_is_what_a_stream_has_up_to_a_cut(any_log: EventLog) -> None:
    await some_streams(any_log)
    for stream_id in ("task-1", "agent-1"):
        recorded = [one async for one in any_log.read_stream(stream_id)]
        cuts = [NOW, *(Cut(version=one.version) for one in recorded), *(Cut(at=one.recorded_at) for one in recorded)]
        cuts += [Cut(position=position) for position in range(8)]
        for cut in cuts:
            until = [one async for one in any_log.read_stream(stream_id, cut=cut)]
            (stretch,) = [one async for one in any_log.read_stretches(stream_id, cut=cut)]
            assert stretch.events == [(one.type, one.schema_version, one.data) for one in until], cut
            assert stretch.last == (place_of(until[-1]) if until else None)
            assert stretch.snapshot is None
        (rest,) = [one async for one in any_log.read_stretches(stream_id, after_version=1)]
        assert len(rest.events) == len(recorded) - 1


async def test_a_long_stream_comes_in_stretches_that_each_say_where_they_end(any_log: EventLog) -> None:
    for version in range(0, 600, 150):
        appended((await any_log.append([command({"task-1": version}, {"task-1": 150})]))[0])
    recorded = [one async for one in any_log.read_stream("task-1")]
    come = 100
    async for stretch in any_log.read_stretches("task-1", after_version=100):
        come += len(stretch.events)
        assert stretch.last == place_of(recorded[come - 1])
    assert come == 600


async def test_folds_of_many_streams_come_in_the_order_of_the_requests(any_log: EventLog) -> None:
    await some_streams(any_log)
    requests = [FoldRequest("agent-1"), FoldRequest("pool-1"), FoldRequest("task-1", after_version=1, until_version=3)]
    agent, pool, task = await any_log.read_folds(requests)
    assert [len(one.events) for one in (agent, pool, task)] == [2, 0, 2]
    assert (agent.last and agent.last.position, task.last and task.last.version) == (5, 3)
    assert pool == Stretch(None, [], None)
    agent, _, task = await any_log.read_folds(requests, up_to_position=3)
    assert [len(one.events) for one in (agent, task)] == [1, 1]
    assert await any_log.read_folds([]) == []


async def test_some_streams_are_found_by_position_and_read_by_whole_commands(any_log: EventLog) -> None:
    await any_log.append(
        [
            command({"task-1": 0, "pool-1": 0}),  # positions 1, 2
            command({"task-2": 0, "pool-1": 1}),  # 3, 4
            command({"task-1": 1, "task-3": 0}, {"task-1": 2, "task-3": 1}),  # 5, 6, 7
            command({"task-1": 3}),  # 8
        ]
    )

    async def found(*stream_ids: str, after: int = 0, until: int = 8) -> list[int]:
        return list(await any_log.positions_of(stream_ids, after=after, until=until))

    task_1 = await found("task-1")
    assert len(task_1) == 4
    assert await found("task-1", "task-2", "task-1") == sorted([*task_1, *await found("task-2")])
    assert await found("task-1", after=2) == task_1[1:]
    assert await found("task-1", until=7) == task_1[:3]
    assert await found("task-1", until=6) == task_1[:1]  # the command is not whole by then
    assert await found("task-none") == await found() == []

    async def read(*positions: int) -> list[int]:
        return [event.position for event in await any_log.read_commands(positions)]

    assert await read(*task_1) == [1, 2, 5, 6, 7, 8]
    assert await read(4, 6) == [3, 4, 5, 6, 7]
    assert await read(2) == [1, 2]
    assert await read() == []
