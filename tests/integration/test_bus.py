"""The command bus on the real log: durable answers, idempotency, and two processes on the same streams."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from uuid import uuid4

from commands.bus import CommandBus
from commands.committer import Committer
from commands.decider import Decider
from commands.messages import agent as agents
from commands.messages import pool as pools
from commands.messages import task as tasks
from commands.messages import workflow as workflows
from commands.preparing import Preparer
from commands.work import Telemetry
from domain.pool import POOL
from domain.workflow import WORKFLOW
from infrastructure.event_store import PostgresEventLog
from tests.support.command_world import add_task, assign, create_pool, create_workflow, envelope, register_agent
from tests.support.log import decode


class Process:
    """A process's decider and committer, with ports that this test can look into."""

    def __init__(self, log: PostgresEventLog) -> None:
        self.heard: list[Telemetry] = []
        self.committer = Committer(log, Decider(log, self), self, Preparer(tenant="bank", new_id=uuid4))
        self.bus = CommandBus(self.committer)

    async def record(self, heartbeats: Sequence[Telemetry]) -> None:
        self.heard.extend(heartbeats)

    async def active_workflows(self) -> int:
        return 0


async def test_a_command_is_done_once_whichever_process_it_is_sent_to_and_how_often(log: PostgresEventLog) -> None:
    accepted, refused = envelope(create_workflow()), envelope(add_task("t", requires=("x",)))
    async with Process(log).bus as bus:
        first = [await bus.submit(one) for one in (accepted, refused)]
        again = await asyncio.gather(*(bus.submit(accepted) for _ in range(3)))
    assert [answer.outcome for answer in first] == ["accepted", "refused"]
    assert again == [replace(first[0], repeated=True)] * 3

    async with Process(log).bus as another:
        assert [await another.submit(one) for one in (accepted, refused)] == [
            replace(answer, repeated=True) for answer in first
        ]
    assert (await log.head()).position == 1


async def test_a_stale_expected_version_is_a_conflict_and_a_fresh_one_is_not(log: PostgresEventLog) -> None:
    start = workflows.StartWorkflow(workflow_id="wf")
    async with Process(log).bus as one, Process(log).bus as other:
        await one.submit(envelope(create_workflow()))
        await other.submit(envelope(start))

        answer = await one.submit(envelope(workflows.PauseWorkflow(workflow_id="wf"), expected=1))
        assert answer.problem is not None
        assert (answer.outcome, answer.problem.facts["actual"]) == ("conflict", 2)
        fresh = await one.submit(envelope(workflows.PauseWorkflow(workflow_id="wf"), expected=2))
        assert (fresh.outcome, fresh.versions) == ("accepted", {"workflow-wf": 3})


async def test_heartbeats_leave_no_trace_in_the_log(log: PostgresEventLog) -> None:
    process = Process(log)
    async with process.bus as bus:
        await bus.submit(envelope(register_agent()))
        beats = [envelope(agents.Heartbeat(agent_id="agent", queue_size=n)) for n in range(50)]
        answers = await asyncio.gather(*map(bus.submit, beats))
    assert {answer.outcome for answer in answers} == {"accepted"}
    assert len(process.heard) == 50
    assert (await log.head()).position == 1
    assert await log.find_command(beats[0].command_id) is None


async def test_two_processes_on_one_workflow_one_agent_and_one_pool_lose_nothing(log: PostgresEventLog) -> None:
    count = 12
    async with Process(log).bus as one, Process(log).bus as other:
        for command in (create_workflow(), register_agent(slots=count), create_pool(cpu=str(count))):
            await one.submit(envelope(command))
        await one.submit(envelope(workflows.StartWorkflow(workflow_id="wf")))

        async def run(bus: CommandBus, number: int) -> list[str]:
            task_id = f"t{number}"
            steps = [
                add_task(task_id, resource_requirements={"cpu": "1"}),
                tasks.ScheduleTask(task_id=task_id),
                assign(task_id, pool_id="pool"),
                tasks.StartTask(task_id=task_id),
                tasks.ReportProgress(task_id=task_id, percentage=50.0),
            ]
            return [(await bus.submit(envelope(step))).outcome for step in steps]

        outcomes = await asyncio.gather(*(run((one, other)[n % 2], n) for n in range(count)))
        assert outcomes == [["accepted"] * 5] * count
        refused = await one.submit(envelope(pools.Reserve(pool_id="pool", resources={"cpu": "1"})))
        assert refused.problem is not None
        assert refused.problem.code == "pool_exhausted"
        ends = [tasks.CompleteTask(task_id=f"t{n}") for n in range(count)]
        answers = await asyncio.gather(*((one, other)[n % 2].submit(envelope(end)) for n, end in enumerate(ends)))
        assert [answer.outcome for answer in answers] == ["accepted"] * count

    streams = await log.read_streams(["workflow-wf", "pool-pool"])
    workflow = WORKFLOW.fold(decode(event) for event in streams["workflow-wf"])
    pool = POOL.fold(decode(event) for event in streams["pool-pool"])
    assert workflow is not None
    assert pool is not None
    assert (workflow.state, workflow.count("completed"), pool.reservations) == ("completed", count, {})


async def test_a_rollback_reads_its_past_from_the_log(log: PostgresEventLog) -> None:
    async with Process(log).bus as bus:
        for command in (create_workflow(), register_agent(), create_pool(), add_task("t1")):
            await bus.submit(envelope(command))
        await bus.submit(envelope(tasks.ScheduleTask(task_id="t1")))
        started = await bus.submit(envelope(workflows.StartWorkflow(workflow_id="wf")))
        for command in (assign("t1"), tasks.StartTask(task_id="t1"), tasks.CompleteTask(task_id="t1")):
            assert (await bus.submit(envelope(command))).outcome == "accepted"

        for cut in (
            {"to_version": started.versions["workflow-wf"]},
            {"to_time": started.recorded_at},
            {"to_position": started.position},
        ):
            roll_back = workflows.RollBackWorkflow(workflow_id="wf", reason="r", operator="o", **cut)
            answer = await bus.submit(envelope(roll_back))
            assert answer.outcome == "accepted", answer.problem
            again = await bus.submit(envelope(assign("t1")))
            assert again.outcome == "accepted", again.problem
