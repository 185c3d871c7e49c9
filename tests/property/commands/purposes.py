"""Rules that go straight for what random steps seldom come to: the ends of workflows, the moment when time is up."""

from collections.abc import Iterator
from datetime import datetime, timedelta

from hypothesis import strategies as st
from hypothesis.stateful import precondition, rule

from commands.messages import pool, task, workflow
from dora_state.testing.commands import TASKS, workflow_ids
from tests.property.commands.again import Again
from tests.support.command_world import assign

MICROSECOND = timedelta(microseconds=1)
which = st.integers(0, 7)


class Purposes(Again):
    def running(self) -> list[str]:
        return [task_id for task_id, one in self.world.house.rooms.tasks.items() if one.state == "running"]

    @rule(
        workflow_id=workflow_ids, agent_id=st.sampled_from(["a1", "a2"]), failing=st.sampled_from([False, False, True])
    )
    def all_tasks_end(self, workflow_id: str, agent_id: str, failing: bool) -> None:
        """As far as they can; the last of them may fail."""
        for task_id in TASKS[workflow_id]:
            self.do(task.ScheduleTask(task_id=task_id))
            self.do(assign(task_id, agent_id, pool_id="p1"))
            self.do(task.StartTask(task_id=task_id))
            if not failing or task_id != TASKS[workflow_id][-2]:
                self.do(task.CompleteTask(task_id=task_id))
            else:
                self.do(task.FailTask(task_id=task_id, error="broken"))

    def ends(self) -> Iterator[datetime]:
        """When time is up for something."""
        rooms = self.world.house.rooms
        yield from (one.deadline for one in rooms.tasks.values() if one.deadline)
        yield from (
            held.expires_at for one in rooms.pools.values() for held in one.reservations.values() if held.expires_at
        )
        windows = rooms.system.windows.values() if rooms.system else ()
        yield from (at for one in windows for at in (one.start, one.end))

    @rule(which=which, off=st.sampled_from([-MICROSECOND, timedelta(0)]))
    def time_is_up(self, which: int, off: timedelta) -> None:
        coming = sorted(at for at in self.ends() if at + off > self.world.clock())
        if coming:
            self.world.clock.now = coming[which % len(coming)] + off
            for task_id in self.running():
                self.do(task.TimeOutTask(task_id=task_id))
            self.do(pool.ExpireReservations(pool_id="p1"))
            self.do(workflow.StartWorkflow(workflow_id="w1"))

    @precondition(lambda self: bool(self.running()))
    @rule(which=which, seconds=st.integers(1, 100))
    def what_a_running_task_told_is_rolled_back(self, which: int, seconds: int) -> None:
        running = self.running()
        task_id, end = running[which % len(running)], len(self.world.log.events)
        estimate = self.world.clock.pass_(seconds) + timedelta(seconds=seconds)
        self.do(task.ReportProgress(task_id=task_id, percentage=100.0, estimated_completion=estimate))
        workflow_id = self.world.house.task(task_id).workflow_id
        self.do(workflow.RollBackWorkflow(workflow_id=workflow_id, to_position=end, reason="why", operator="admin"))

    @rule(workflow_id=workflow_ids, back=st.integers(1, 6))
    def a_version_is_rolled_back_to(self, workflow_id: str, back: int) -> None:
        version = self.world.house.version(f"workflow-{workflow_id}") - back
        self.do(workflow.RollBackWorkflow(workflow_id=workflow_id, to_version=version, reason="why", operator="admin"))
