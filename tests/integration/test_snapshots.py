"""Snapshots are an optimisation: with all of them, with none, with spoiled ones, every cut has the same answer."""

import asyncio
import logging
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

import pytest

from commands.decider import Decider
from commands.envelope import Envelope
from commands.messages.pool import ResizePool
from domain import agent as agents
from domain import pool as pools
from domain.aggregate import Event
from domain.all_events import AGGREGATES, CATALOGUE
from domain.folding import FOLDER
from domain.log import NOW, Appended, CommandAppend, Cut, NewEvent, RecordedEvent
from domain.snapshots import SPACING
from dora_state.settings import load_settings
from dora_state.state_manager import open_state_manager
from dora_state.worker import run_worker
from infrastructure.database import Connection, Role
from infrastructure.event_store import PostgresEventLog
from infrastructure.pools import open_pool
from infrastructure.snapshots import PostgresSnapshots
from projections.snapshotter import Snapshotter
from tests.support.postgres import connected

AT = datetime(2024, 1, 17, 10, tzinfo=UTC)
EACH = 7
STREAMS = ("pool-p", "agent-a")


def lent(number: int) -> list[tuple[str, Event]]:
    """One command's events: of the pool two, of the agent one or two."""
    task_id, reservation_id = f"t{number}", f"r{number}"
    reserved = pools.ResourcesReserved(at=AT, reservation_id=reservation_id, resources={"cpu": "500m"}, task_id=task_id)
    pair: list[tuple[str, Event]] = [
        ("pool-p", reserved),
        ("agent-a", agents.AgentSlotTaken(at=AT, task_id=task_id, workflow_id="w")),
    ]
    if number % 3:
        pair += [
            ("agent-a", agents.AgentSlotFreed(at=AT, task_id=task_id, outcome="completed", execution_time=1.5)),
            ("pool-p", pools.ReservationReleased(at=AT, reservation_id=reservation_id, reason="done")),
        ]
    return pair


async def tell(log: PostgresEventLog, told: list[list[tuple[str, Event]]]) -> None:
    """Each list is one command."""
    versions: dict[str, int] = {}
    commands = []
    for events in told:
        expected = {stream_id: versions.get(stream_id, 0) for stream_id, _ in events}
        new = tuple(
            NewEvent(uuid4(), stream_id, event.type, event.schema_version, CATALOGUE.encode(event), b"{}")
            for stream_id, event in events
        )
        for stream_id, _ in events:
            versions[stream_id] = versions.get(stream_id, 0) + 1
        commands.append(CommandAppend(uuid4(), expected, new, b"done"))
    assert all(isinstance(outcome, Appended) for outcome in await log.append(commands))


def begun() -> list[list[tuple[str, Event]]]:
    return [
        [("pool-p", pools.PoolCreated(at=AT, pool_id="p", total={"cpu": "1000000"}))],
        [
            (
                "agent-a",
                agents.AgentRegistered(
                    at=AT, agent_id="a", agent_type="t", max_concurrent_tasks=10**6, state="healthy"
                ),
            )
        ],
    ]


@pytest.fixture
async def told(log: PostgresEventLog) -> PostgresEventLog:
    await tell(log, begun() + [lent(number) for number in range(30)])
    return log


@pytest.fixture
async def snapshotter(database_url: str, tenant: str, log: PostgresEventLog) -> AsyncIterator[Snapshotter]:
    async with await open_pool(database_url, tenant, Role.PROJECTOR) as pool:
        yield Snapshotter(log, PostgresSnapshots(pool), spacing=EACH)


@pytest.fixture
async def admin(database_url: str, tenant: str) -> AsyncIterator[Connection]:
    async with connected(database_url, tenant) as admin:
        yield admin


async def by_hand(log: PostgresEventLog, stream_id: str, cut: Cut) -> tuple[int, Any]:
    """The fold from the first event, apart from what is tried here."""
    records = [one async for one in log.read_stream(stream_id, cut=cut)]
    state = None
    for one in records:
        state = AGGREGATES[stream_id.partition("-")[0]].evolve(
            state, CATALOGUE.decode(one.type, one.schema_version, one.data)
        )
    return (records[-1].version if records else 0), state


async def require_the_same_at_every_cut(log: PostgresEventLog) -> None:
    for stream_id in STREAMS:
        records: list[RecordedEvent] = [one async for one in log.read_stream(stream_id)]
        cuts = [NOW, *(Cut(version=one.version) for one in records), *(Cut(at=one.recorded_at) for one in records)]
        cuts += [Cut(position=position) for position in range((await log.head()).position + 1)]
        for cut in cuts:
            folded = await FOLDER.at(log, stream_id, cut)
            assert (folded.version, folded.state) == await by_hand(log, stream_id, cut), (stream_id, cut)


async def begins_at(log: PostgresEventLog, stream_id: str, cut: Cut = NOW) -> int:
    """The version of the snapshot from which a fold goes on."""
    stretches = [one async for one in log.read_stretches(stream_id, stamp=FOLDER.codec(stream_id).stamp, cut=cut)]
    return stretches[0].snapshot.place.version if stretches[0].snapshot else 0


async def test_they_are_evenly_spaced_and_change_no_answer_at_any_cut(
    told: PostgresEventLog, snapshotter: Snapshotter, admin: Connection
) -> None:
    versions = {stream_id: await told.stream_version(stream_id) for stream_id in STREAMS}
    assert await snapshotter.catch_up() == sum(version // EACH for version in versions.values())
    rows = await (await admin.execute("SELECT stream_id, version FROM snapshots ORDER BY 1, 2")).fetchall()
    assert rows == [(s, v) for s in sorted(STREAMS) for v in range(EACH, versions[s] + 1, EACH)]
    await require_the_same_at_every_cut(told)
    assert await begins_at(told, "pool-p") == versions["pool-p"] // EACH * EACH
    assert await begins_at(told, "pool-p", Cut(version=EACH + 1)) == EACH
    assert await begins_at(told, "pool-p", Cut(version=EACH - 1)) == 0


async def test_a_snapshot_in_the_middle_of_a_command_is_not_for_cuts_that_leave_the_command_out(
    told: PostgresEventLog, snapshotter: Snapshotter
) -> None:
    await snapshotter.catch_up()
    recorded = {one.version: one async for one in told.read_stream("pool-p")}
    divided = next(v for v in range(EACH, len(recorded), EACH) if recorded[v].following)
    position = recorded[divided].position
    assert await begins_at(told, "pool-p", Cut(version=divided)) == divided
    assert await begins_at(told, "pool-p", Cut(position=position)) == divided - EACH
    assert await begins_at(told, "pool-p", Cut(position=position + recorded[divided].following)) == divided
    assert await begins_at(told, "pool-p", Cut(at=recorded[divided].recorded_at)) == divided


async def test_deleted_ones_are_missed_by_nobody_and_taken_again_when_asked(
    told: PostgresEventLog, snapshotter: Snapshotter, admin: Connection
) -> None:
    taken = await snapshotter.catch_up()
    await admin.execute("DELETE FROM snapshots")
    await require_the_same_at_every_cut(told)
    assert await snapshotter.catch_up() == 0
    assert await snapshotter.catch_up(again=True) == taken
    assert await snapshotter.catch_up(again=True) == 0
    assert await begins_at(told, "pool-p") > 0


@pytest.mark.parametrize(
    "spoil",
    [
        "state = overlay(state PLACING 'x'::bytea FROM 20)",
        "state = convert_to(replace(convert_from(state, 'UTF8'), '500m', '900m'), 'UTF8')",
        "position = position + 1",
        "recorded_at = recorded_at + interval '1 microsecond'",
        "version = version + 1",
        "digest = '\\x00'",
    ],
)
async def test_a_spoiled_one_is_left_alone_and_said(
    told: PostgresEventLog,
    snapshotter: Snapshotter,
    admin: Connection,
    spoil: str,
    caplog: pytest.LogCaptureFixture,
) -> None:
    await snapshotter.catch_up()
    newest = await begins_at(told, "pool-p")
    await admin.execute(f"UPDATE snapshots SET {spoil} WHERE stream_id = 'pool-p' AND version = {newest}".encode())
    with caplog.at_level(logging.WARNING):
        assert await begins_at(told, "pool-p") == newest - EACH
    assert "snapshot of pool-p" in caplog.text
    await require_the_same_at_every_cut(told)
    loaded, agent = await told.read_folds([FOLDER.request(stream_id) for stream_id in STREAMS])
    assert FOLDER.go_on("pool-p", loaded).state == (await by_hand(told, "pool-p", NOW))[1]
    assert agent.snapshot is not None


async def test_ones_that_another_fold_or_another_shape_of_state_has_made_are_left_alone(
    told: PostgresEventLog, snapshotter: Snapshotter, admin: Connection
) -> None:
    taken = await snapshotter.catch_up()
    await admin.execute("UPDATE snapshots SET schema = 'older' WHERE stream_id = 'pool-p'")
    await admin.execute("UPDATE snapshots SET fold_version = 99 WHERE stream_id = 'agent-a'")
    assert await begins_at(told, "pool-p") == await begins_at(told, "agent-a") == 0
    await require_the_same_at_every_cut(told)
    assert await snapshotter.catch_up(again=True) == taken


async def test_the_write_side_loads_an_aggregate_from_its_newest_snapshot(
    told: PostgresEventLog, snapshotter: Snapshotter, admin: Connection
) -> None:
    await snapshotter.catch_up()

    class Nobody:
        async def active_workflows(self) -> int:
            return 0

    read = []

    class Watching(PostgresEventLog):
        async def read_folds(self, requests: Any, **options: Any) -> Any:
            read.extend(stretches := await super().read_folds(requests, **options))
            return stretches

    async with told._connections.connection():
        decider = Decider(Watching(told._connections), Nobody())
        command = ResizePool(pool_id="p", total={"cpu": "2000000"})
        decision = await decider.decide(Envelope(uuid4(), command, "a", "c"), AT)
    assert decision.problem is None
    assert [event.type for _, event in decision.work.events] == ["PoolResized"]
    version = await told.stream_version("pool-p")
    assert decision.work.reads["pool-p"] == version
    assert [one.snapshot is not None and len(one.events) for one in read if one.last] == [version % EACH]


async def test_of_two_who_take_snapshots_one_does_and_the_other_leaves_it(
    told: PostgresEventLog, snapshotter: Snapshotter
) -> None:
    taken = await asyncio.gather(*(snapshotter.catch_up() for _ in range(3)))
    assert sum(taken) == sum([await told.stream_version(stream_id) // EACH for stream_id in STREAMS])


async def test_a_stream_that_can_not_be_folded_has_no_snapshots_and_keeps_nobody_from_theirs(
    told: PostgresEventLog, snapshotter: Snapshotter, admin: Connection, caplog: pytest.LogCaptureFixture
) -> None:
    broken = tuple(NewEvent(uuid4(), "task-x", "TaskScheduled", 1, b"{}", b"{}") for _ in range(2 * EACH))
    assert isinstance((await told.append([CommandAppend(uuid4(), {"task-x": 0}, broken, b"")]))[0], Appended)
    with caplog.at_level(logging.WARNING):
        assert await snapshotter.catch_up() > 0
    assert "task-x, version 1: A stored event TaskScheduled" in caplog.text
    assert await begins_at(told, "pool-p") > 0


async def test_the_worker_takes_what_is_due(database_url: str, redis_url: str, tenant: str, admin: Connection) -> None:
    settings = load_settings(database_url=database_url, redis_url=redis_url, tenant=tenant, worker_interval=0.05)
    async with open_state_manager(settings) as manager:
        log = manager.platform.log
        await tell(log, begun() + [lent(number) for number in range(2 * SPACING // 3)])
        stop = asyncio.Event()
        working = asyncio.create_task(run_worker(settings, stop))
        async with asyncio.timeout(20):
            while not await begins_at(log, "pool-p"):  # noqa: ASYNC110  # it has no event for this
                await asyncio.sleep(0.05)
        stop.set()
        await working
        assert await begins_at(log, "pool-p") == SPACING
