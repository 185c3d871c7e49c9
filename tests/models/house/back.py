"""Rollbacks of the model: a moment of the past is looked up, and what differs is put back."""

from dataclasses import replace
from datetime import datetime
from typing import Any

from tests.models.house.floor import Moment
from tests.models.house.rooms import BUSY, Refused, Task, refuse
from tests.models.house.staff import Staff


class Back(Staff):
    def roll_back_workflow(self, told: Any) -> None:
        workflow_id, workflow = told.workflow_id, self.workflow(told.workflow_id)
        then = self.moment(told)
        before = then.rooms.workflows[workflow_id]
        changed = [
            task_id
            for task_id, task in self.tasks_of(workflow_id).items()
            if then.rooms.tasks.get(task_id, replace(task, state="cancelled")) != task
        ]
        current = self.version(f"workflow-{workflow_id}")
        same = then.versions[f"workflow-{workflow_id}"] == current and workflow_id not in self.moved
        refuse(rollback_to_now=same and (told.to_version is not None or not changed))
        refuse(rollback_needs_tasks=told.workflow_only and bool(changed))
        for task_id in changed:
            if not self.never_stopped(task_id, then):
                self.give_back(task_id)
        for task_id in changed:
            self.put_back(task_id, then.rooms.tasks.get(task_id), then)
        self.rooms.workflows[workflow_id] = replace(
            before,
            tasks=workflow.tasks,
            rollbacks=workflow.rollbacks + 1,
            active_from=self.now if before.started_at is not None else None,
        )

    def moment(self, told: Any) -> Moment:
        """The last one that had come by then, if the workflow was there."""
        stream_id, number, at = f"workflow-{told.workflow_id}", told.to_version, told.to_time
        if number is not None:
            current = self.version(stream_id)
            refuse(rollback_before_beginning=number < 1, rollback_beyond_end=number > current)
            held = [one for one in self.moments if one.versions.get(stream_id, 0) >= number]
            refuse(rollback_divides_command=held[0].versions[stream_id] != number)
            return held[0]
        refuse(rollback_to_future=at is not None and at > self.now)
        if told.to_position is not None:
            refuse(rollback_beyond_end=told.to_position > self.moments[-1].position)
        come = [one for one in self.moments if (one.at <= at if at else one.position <= told.to_position)]
        if not come or told.workflow_id not in come[-1].rooms.workflows:
            raise Refused("rollback_before_beginning")
        return come[-1]

    def version(self, stream_id: str) -> int:
        return self.moments[-1].versions.get(stream_id, 0) if self.moments else 0

    def never_stopped(self, task_id: str, then: Moment) -> bool:
        now, before = self.task(task_id), then.rooms.tasks.get(task_id)
        if before is None or before.state not in BUSY:
            return False
        held = [(one.state, one.agent_id, one.reservation_id, one.started_at) for one in (now, before)]
        return held[0] == held[1]

    def give_back(self, task_id: str) -> None:
        if self.task(task_id).state in BUSY:
            self.let_go(task_id, "rolled_back")

    def put_back(self, task_id: str, before: Task | None, then: Moment) -> None:
        now = self.task(task_id)
        if before is None:
            self.change_task(task_id, state="cancelled", ended_at=now.ended_at or self.now)
        elif before.state not in BUSY:
            self.rooms.tasks[task_id] = before
        elif self.never_stopped(task_id, then):
            self.rooms.tasks[task_id] = replace(before, deadline=now.deadline, estimate=now.estimate)
        else:
            self.take_again(task_id, before, then)

    def take_again(self, task_id: str, before: Task, then: Moment) -> None:
        assert before.agent_id is not None
        reservation_id = self.take(task_id, before.agent_id, before.pool_id, self.fresh_expiry(before, then))
        self.rooms.tasks[task_id] = replace(before, reservation_id=reservation_id)
        if before.state == "running":
            self.change_task(task_id, deadline=self.fresh_deadline(task_id))
            self.change_slot(task_id, started_at=before.started_at, estimate=before.estimate)

    def fresh_expiry(self, before: Task, then: Moment) -> datetime | None:
        """As long from now as it lasted from its making."""
        if before.pool_id is None or before.reservation_id is None:
            return None
        held = then.rooms.pools[before.pool_id].reservations[before.reservation_id]
        return None if held.expires_at is None else self.now + (held.expires_at - held.created_at)
