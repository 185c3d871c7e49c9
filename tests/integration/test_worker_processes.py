"""Workers as processes: side by side, killed, stopped and woken, told to leave, and without what they need."""

import asyncio
import random
import signal
import socket
from collections.abc import AsyncIterator, Mapping
from pathlib import Path
from uuid import uuid4

import pytest

from domain.log import CommandAppend, NewEvent
from dora_state.settings import load_settings
from dora_state.state_manager import StateManager, open_state_manager
from infrastructure.database import Role
from infrastructure.halts import note_halt
from projections.projection import STATES
from tests.support.postgres import Connection, connected, rows, value
from tests.support.working import Workers, is_stopped

pytestmark = pytest.mark.timeout(240)

SOON = 60.0
AGENT = {"agent_id": "a", "agent_type": "t", "max_concurrent_tasks": 100, "state": "healthy"}


@pytest.fixture
def workers(tmp_path: Path, database_url: str, redis_url: str, tenant: str) -> Workers:
    return Workers(tmp_path / "home", database_url, redis_url, tenant)


@pytest.fixture
async def manager(database_url: str, redis_url: str, tenant: str) -> AsyncIterator[StateManager]:
    """Gives commands, and never projects."""
    settings = load_settings(database_url=database_url, redis_url=redis_url, tenant=tenant)
    async with open_state_manager(settings, default_actor="test") as manager:
        yield manager


@pytest.fixture
async def admin(database_url: str, tenant: str) -> AsyncIterator[Connection]:
    async with connected(database_url, tenant, Role.MIGRATOR) as connection:
        yield connection


async def give(manager: StateManager, *commands: tuple[str, Mapping[str, object]]) -> None:
    for name, data in commands:
        answer = await manager.submit({"type": name, "data": data})
        assert answer.outcome == "accepted", answer.problem


async def begin(manager: StateManager) -> None:
    await give(manager, ("RegisterAgent", AGENT))


async def due(manager: StateManager, *task_ids: str) -> None:
    """Running tasks of which the time limit is over at once, each of a workflow of its own."""
    for task_id in task_ids:
        workflow = {"workflow_id": f"w-{task_id}"}
        task = workflow | {"task_id": task_id, "definition_id": "d", "timeout": 0.05}
        await give(
            manager,
            ("CreateWorkflow", workflow | {"definition_id": "d"}),
            ("StartWorkflow", workflow),
            ("AddTask", task),
            ("ScheduleTask", {"task_id": task_id}),
            ("AssignTask", {"task_id": task_id, "agent_id": "a", "reason": "test"}),
            ("StartTask", {"task_id": task_id}),
        )


async def until_timed_out(manager: StateManager, *task_ids: str) -> None:
    async with asyncio.timeout(SOON):
        for task_id in task_ids:
            while (await manager.state("task", task_id, live=True))["state"] != "timed_out":  # noqa: ASYNC110
                await asyncio.sleep(0.05)


async def times_timed_out(manager: StateManager, task_id: str) -> int:
    return sum([event.type == "TaskTimedOut" async for event in manager.platform.log.read_stream(f"task-{task_id}")])


async def until_projected(manager: StateManager) -> None:
    head = (await manager.platform.log.head()).position
    async with asyncio.timeout(SOON):
        while (await manager.platform.read_models.checkpoint()).position < head:  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def test_two_workers_share_what_is_due_and_each_slot_is_claimed_once(
    workers: Workers, manager: StateManager, admin: Connection
) -> None:
    tasks = [f"t{number}" for number in range(8)]
    await begin(manager)
    began = await value(admin, "SELECT clock_timestamp()")
    with workers() as one, workers() as other:
        for task_id in tasks:
            await due(manager, task_id)
        await until_timed_out(manager, *tasks)
        await until_projected(manager)
        for worker in (one, other):
            assert worker.end().code == 0
    assert [await times_timed_out(manager, task_id) for task_id in tasks] == [1] * len(tasks)
    # However many ask, no more slots than there were intervals.
    assert await value(admin, "SELECT bool_and((slot - 1) * every <= claimed_at - %s) FROM schedules", began)
    told = [line for worker in (one, other) for line in worker.said]
    assert sum("was timed out" in line for line in told) == len(tasks)
    assert workers.line("replay", "--check").code == 0


async def test_when_a_worker_is_killed_the_other_one_does_it_all(
    workers: Workers, manager: StateManager, admin: Connection
) -> None:
    await begin(manager)
    with workers() as one, workers() as other:
        await due(manager, "t1")
        await until_timed_out(manager, "t1")
        claimed_by = str(await value(admin, "SELECT claimed_by FROM schedules WHERE job = 'time-limits'"))
        victim, heir = (one, other) if claimed_by.endswith(f":{one.pid}") else (other, one)
        await due(manager, "t2")
        victim.end(signal.SIGKILL)
        await due(manager, "t3")
        await until_timed_out(manager, "t2", "t3")
        await until_projected(manager)
        assert heir.end().code == 0
    assert [await times_timed_out(manager, task_id) for task_id in ("t1", "t2", "t3")] == [1, 1, 1]
    assert workers.line("replay", "--check").code == 0


@pytest.mark.long
async def test_workers_that_are_killed_at_any_moment_leave_nothing_undone_and_nothing_done_twice(
    workers: Workers, manager: StateManager
) -> None:
    chance, tasks = random.Random(8), [f"t{number}" for number in range(12)]
    await begin(manager)
    for number in range(0, len(tasks), 3):
        with workers() as victim:
            giving = asyncio.create_task(due(manager, *tasks[number : number + 3]))
            await asyncio.sleep(chance.uniform(0, 0.8))
            victim.end(signal.SIGKILL)
            await giving
    with workers() as heir:
        await until_timed_out(manager, *tasks)
        await until_projected(manager)
        assert heir.end().code == 0
    assert [await times_timed_out(manager, task_id) for task_id in tasks] == [1] * len(tasks)
    assert workers.line("replay", "--check").code == 0


async def test_a_worker_that_was_stopped_and_wakes_up_does_no_harm(workers: Workers, manager: StateManager) -> None:
    await begin(manager)
    with workers("projector") as projecting, workers("chores") as sleeper, workers("chores") as awake:
        await due(manager, "t1")
        await until_timed_out(manager, "t1")
        sleeper.send(signal.SIGSTOP)
        while not is_stopped(sleeper.pid):  # noqa: ASYNC110  # nothing tells
            await asyncio.sleep(0.01)
        await due(manager, "t2")
        await until_timed_out(manager, "t2")
        sleeper.send(signal.SIGCONT)
        await due(manager, "t3")
        await until_timed_out(manager, "t3")
        await until_projected(manager)
        assert [worker.end().code for worker in (projecting, sleeper, awake)] == [0, 0, 0]
    assert [await times_timed_out(manager, task_id) for task_id in ("t1", "t2", "t3")] == [1, 1, 1]
    assert workers.line("replay", "--check").code == 0


async def test_who_runs_the_projections_and_is_stopped_loses_them_and_wakes_up_harmless(
    workers: Workers, manager: StateManager
) -> None:
    await begin(manager)
    with workers("projector") as sleeper:
        await until_projected(manager)
        with workers("projector") as heir:
            sleeper.send(signal.SIGSTOP)
            while not is_stopped(sleeper.pid):  # noqa: ASYNC110  # nothing tells
                await asyncio.sleep(0.01)
            await due(manager, "t1")
            await until_projected(manager)
            sleeper.send(signal.SIGCONT)
            await due(manager, "t2")
            await until_projected(manager)
            assert heir.end().code == 0
            await due(manager, "t3")
            await until_projected(manager)
            assert sleeper.end().code == 0
    assert workers.line("replay", "--check").code == 0


STOPPED_IN_ITS_MIDST = """
import asyncio, os, signal
from infrastructure import leading
from dora_state.settings import load_settings
from dora_state.worker import run_worker

expect = leading.Lead.expect

async def expect_and_stop(lead, *arguments):
    await expect(lead, *arguments)
    print("stops", flush=True)
    os.kill(os.getpid(), signal.SIGSTOP)

leading.Lead.expect = expect_and_stop
asyncio.run(run_worker(load_settings(), asyncio.Event()))
"""


async def test_who_is_stopped_in_the_midst_of_a_batch_holds_up_nobody(workers: Workers, manager: StateManager) -> None:
    await begin(manager)
    workers.line.program = ["-c", STOPPED_IN_ITS_MIDST]
    sleeper = workers.line.start()
    try:
        assert sleeper.stdout is not None
        assert await asyncio.to_thread(sleeper.stdout.readline) == b"stops\n"
        workers.line.program = ["-m", "dora_state"]
        with workers("projector") as heir:
            await due(manager, "t1")
            await until_projected(manager)
            sleeper.send_signal(signal.SIGCONT)
            await due(manager, "t2")
            await until_projected(manager)
            assert heir.end().code == 0
    finally:
        sleeper.kill()
        await asyncio.to_thread(sleeper.communicate)
    assert workers.line("replay", "--check").code == 0


async def test_a_projection_of_an_earlier_version_is_built_anew_where_that_is_wanted(
    tmp_path: Path, database_url: str, redis_url: str, tenant: str, manager: StateManager, admin: Connection
) -> None:
    await begin(manager)
    await due(manager, "t1")
    for runner in manager.platform.runners:
        await runner.catch_up((await manager.platform.log.head()).position, 30)
        await runner.release()
    await admin.execute("UPDATE checkpoints SET version = 0 WHERE name IN ('states', 'actions')")
    await admin.execute("UPDATE tasks SET document = '{}'")
    asking = Workers(tmp_path / "home", database_url, redis_url, tenant)
    with asking("projector", "rebuild") as worker:
        told = worker.wait_for("The projection states has halted")
        assert "of version 0 and this release has version 1: build it anew with `dora-state rebuild states`" in told
        assert worker.end().code == 0
    by_itself = Workers(tmp_path / "home", database_url, redis_url, tenant, REBUILD="auto")
    with by_itself("projector", "rebuild") as worker:
        worker.wait_for("The projection states was built anew")
        worker.wait_for("The projection actions was built anew")
        assert worker.end().code == 0
    assert by_itself.line("replay", "--check").code == 0


async def until_a_batch_waits(database_url: str, tenant: str) -> None:
    waiting = "SELECT FROM pg_stat_activity WHERE application_name = %s AND wait_event = 'relation'"
    async with connected(database_url, tenant) as connection, asyncio.timeout(SOON):
        while not await rows(connection, waiting, f"dora-state projector {tenant}"):  # noqa: ASYNC110
            await asyncio.sleep(0.02)


async def test_who_is_told_to_leave_finishes_the_batch_in_hand(
    workers: Workers, manager: StateManager, database_url: str, tenant: str
) -> None:
    with workers() as worker:
        async with connected(database_url, tenant) as other, other.transaction():
            await other.execute("LOCK TABLE counts IN ACCESS EXCLUSIVE MODE")
            await begin(manager)
            await until_a_batch_waits(database_url, tenant)
            worker.send(signal.SIGTERM)
            await asyncio.sleep(0.5)
            assert not worker.has_ended()
        ended = worker.end(None)
        assert (ended.code, len(worker.said)) == (0, 1), worker.said
    assert (await manager.platform.read_models.checkpoint()).position > 0


async def test_who_is_told_twice_leaves_at_once(
    workers: Workers, manager: StateManager, database_url: str, tenant: str
) -> None:
    with workers() as worker:
        async with connected(database_url, tenant) as other, other.transaction():
            await other.execute("LOCK TABLE counts IN ACCESS EXCLUSIVE MODE")
            await begin(manager)
            await until_a_batch_waits(database_url, tenant)
            worker.send(signal.SIGTERM)
            await asyncio.sleep(0.2)
            assert worker.end(signal.SIGTERM).code == 128 + signal.SIGTERM
    assert (await manager.platform.read_models.checkpoint()).position == 0


async def test_a_projection_that_halts_keeps_nothing_else_and_health_says_why(
    workers: Workers, manager: StateManager
) -> None:
    await begin(manager)
    await due(manager, "t1")
    unknown = NewEvent(uuid4(), "task-x", "TaskTeleported", 1, b"{}", b"{}")
    await manager.platform.log.append([CommandAppend(uuid4(), {"task-x": 0}, (unknown,), b"")])
    with workers() as worker:
        told = worker.wait_for("The projection states has halted; all else goes on.")
        await until_timed_out(manager, "t1")
        assert not worker.has_ended()
        found = workers.line("health", "--json")
        projection = found.json["checks"]["projection"]
        assert (found.code, projection["status"]) == (4, "unhealthy")
        assert "The projection states has halted" in projection["message"]
        assert "is a TaskTeleported of schema version 1" in projection["message"]
        assert "is a TaskTeleported of schema version 1" in told
        assert worker.end().code == 0


async def test_a_halt_is_over_when_the_read_models_have_come_past_it(workers: Workers, manager: StateManager) -> None:
    """By whichever process: nobody need know that it was noted."""
    await begin(manager)
    await note_halt(manager.platform.projector_pool, STATES, "Event 1 is of a later release.")
    halted = workers.line("health", "--json").json["checks"]["projection"]
    assert (halted["status"], "Event 1 is of a later release." in halted["message"]) == ("unhealthy", True)
    for runner in manager.platform.runners:
        await runner.catch_up(1)
    after = workers.line("health", "--json").json["checks"]["projection"]
    assert (after["status"], after["figures"]["lag_positions"]) == ("healthy", 0)
    assert [one["halted_since"] for one in after["figures"]["projections"]] == [None, None]
    # Who comes late with such a note finds that it is over.
    await note_halt(manager.platform.projector_pool, STATES, "Event 1 is of a later release.", 1)
    late = workers.line("health", "--json").json["checks"]["projection"]
    assert [one["halted_since"] for one in late["figures"]["projections"]] == [None, None]


async def test_one_connection_for_each_role_is_enough_for_a_worker(
    tmp_path: Path, database_url: str, redis_url: str, tenant: str, manager: StateManager
) -> None:
    await begin(manager)
    await due(manager, "t1")
    with Workers(tmp_path, database_url, redis_url, tenant, POOL_SIZE="1")() as worker:
        await until_timed_out(manager, "t1")
        ended = worker.end()
    assert (ended.code, [line for line in worker.said if "t1" not in line and "is running" not in line]) == (0, [])


@pytest.mark.parametrize("broker", ["refuses", "is silent", "is none"])
async def test_what_is_due_is_done_without_a_broker(
    tmp_path: Path, database_url: str, redis_url: str, tenant: str, manager: StateManager, broker: str
) -> None:
    await begin(manager)
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        if broker == "is silent":
            nobody.listen()
        settings = {} if broker == "is none" else {"BROKER_URL": f"redis://:secret@127.0.0.1:{nobody.getsockname()[1]}"}
        redis = None if broker == "is none" else redis_url
        with Workers(tmp_path, database_url, redis, tenant, **settings)() as worker:
            for task_id in ("t1", "t2"):
                await due(manager, task_id)
                await until_timed_out(manager, task_id)
            assert worker.end().code == 0
    outages = [line for line in worker.said if "each worker does by itself what it finds due" in line]
    assert len(outages) == (0 if broker == "is none" else 1)
    assert not [line for line in worker.said if "secret" in line]
    assert [await times_timed_out(manager, task_id) for task_id in ("t1", "t2")] == [1, 1]


async def test_a_worker_does_only_what_it_was_asked_for(
    workers: Workers, manager: StateManager, admin: Connection
) -> None:
    await begin(manager)
    with workers("months", "projector") as worker:
        assert "(projector, months)" in worker.said[0]
        await until_projected(manager)
        async with asyncio.timeout(SOON):
            while not await rows(admin, "SELECT FROM schedules WHERE begun_slot > 0"):  # noqa: ASYNC110
                await asyncio.sleep(0.05)
        assert worker.end().code == 0
    assert await rows(admin, "SELECT job FROM schedules") == [("months",)]


def test_a_role_that_there_is_not_is_told_with_those_that_there_are(workers: Workers) -> None:
    ended = workers.line("worker", "--role", "projectr")
    assert ended.code == 2
    assert ended.one_sentence() == (
        "Error: There is no role 'projectr': use one of projector, snapshots, months, rebuild, chores, queue."
    )
