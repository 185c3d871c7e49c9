"""Commands of the model that name a task."""

from datetime import timedelta
from typing import Any

from tests.models.house.plans import Plans
from tests.models.house.rooms import FAILED, OPEN_WORKFLOW, refuse


class Working(Plans):
    def schedule_task(self, told: Any) -> None:
        task = self.task(told.task_id)
        if task.state == "scheduled":
            return
        ended = self.workflow(task.workflow_id).state not in OPEN_WORKFLOW
        refuse(task_state=task.state != "created", workflow_state=ended)
        self.change_task(told.task_id, state="scheduled", scheduled_at=self.now)

    def assign_task(self, told: Any) -> None:
        task = self.task(told.task_id)
        if task.state == "assigned" and task.agent_id == told.agent_id:
            return
        running = self.workflow(task.workflow_id).state == "running"
        refuse(task_state=task.state != "scheduled", workflow_state=not running)
        reservation_id = self.take(told.task_id, told.agent_id, told.pool_id, told.reservation_expires_at)
        self.change_task(
            told.task_id,
            state="assigned",
            agent_id=told.agent_id,
            assigned_at=self.now,
            reason=told.reason,
            pool_id=told.pool_id if reservation_id else None,
            reservation_id=reservation_id,
        )

    def start_task(self, told: Any) -> None:
        task = self.task(told.task_id)
        if task.state == "running":
            return
        refuse(
            task_state=task.state != "assigned",
            workflow_state=self.workflow(task.workflow_id).state != "running",
            task_blocked=task.blocked,
            agent_unable=task.state == "assigned"
            and self.agent(task.agent_id or "").state not in ("healthy", "degraded"),
            maintenance=self.system.blocks_starts(self.now),
        )
        self.change_task(
            told.task_id,
            state="running",
            started_at=self.now,
            phase=task.phases[0] if task.phases else None,
            estimate=told.estimated_completion,
            deadline=self.fresh_deadline(told.task_id),
        )
        self.change_slot(told.task_id, started_at=self.now, estimate=told.estimated_completion)

    def fresh_deadline(self, task_id: str) -> Any:
        limit = self.task(task_id).limit or self.system.settings.get("default_timeout")
        return None if limit is None else self.now + timedelta(seconds=limit)

    def change_slot(self, task_id: str, **fields: Any) -> None:
        agent_id = self.task(task_id).agent_id or ""
        slots = self.agent(agent_id).slots
        self.change_agent(agent_id, slots={**slots, task_id: type(slots[task_id])(**(vars(slots[task_id]) | fields))})

    def report_progress(self, told: Any) -> None:
        task = self.task(told.task_id)
        refuse(
            task_state=task.state != "running",
            progress_falls=told.percentage is not None and told.percentage < task.percentage,
            phase_unknown=told.phase is not None and bool(task.phases) and told.phase not in task.phases,
            phase_completed=told.phase in task.phases_done,
        )
        named = {
            "percentage": told.percentage,
            "phase": told.phase,
            "memory_peak": told.memory_peak,
            "cpu_average": told.cpu_average,
            "estimate": told.estimated_completion,
            "note": told.note,
        }
        self.change_task(told.task_id, **{name: value for name, value in named.items() if value is not None})
        if told.estimated_completion is not None:
            self.change_slot(told.task_id, estimate=told.estimated_completion)

    def complete_phase(self, told: Any) -> None:
        task = self.task(told.task_id)
        if told.phase in task.phases_done:
            return
        unknown = bool(task.phases) and told.phase not in task.phases
        refuse(task_state=task.state != "running", phase_unknown=unknown)
        done = (*task.phases_done, told.phase)
        left = [phase for phase in task.phases if phase not in done]
        self.change_task(told.task_id, phases_done=done, phase=left[0] if left else None)

    def record_outputs(self, told: Any) -> None:
        task = self.task(told.task_id)
        refuse(task_state=task.state not in ("running", "completed"))
        self.change_task(told.task_id, outputs=task.outputs | told.outputs)

    def complete_task(self, told: Any) -> None:
        task = self.task(told.task_id)
        if task.state == "completed" and not (told.outputs and task.outputs | told.outputs != task.outputs):
            return
        refuse(task_state=task.state != "running")
        assert task.started_at is not None
        self.let_go(told.task_id, "completed", (self.now - task.started_at).total_seconds())
        self.change_task(
            told.task_id,
            state="completed",
            ended_at=self.now,
            percentage=100.0,
            phase=None,
            phases_done=(*task.phases_done, *(one for one in task.phases if one not in task.phases_done)),
            outputs=task.outputs | (told.outputs or {}),
        )
        self.meet(task.workflow_id, told.task_id)
        self.look_whether_complete(task.workflow_id)

    def fail_task(self, told: Any) -> None:
        task = self.task(told.task_id)
        if (task.state, task.last_error) == ("failed", told.error):
            return
        refuse(task_state=task.state != "running")
        self.end_task(told.task_id, "failed", told.error)

    def time_out_task(self, told: Any) -> None:
        task = self.task(told.task_id)
        if task.state == "timed_out":
            return
        refuse(task_state=task.state != "running")
        refuse(
            task_without_limit=task.deadline is None, task_within_limit=bool(task.deadline and self.now < task.deadline)
        )
        self.end_task(told.task_id, "timed_out", "time limit exceeded")

    def retry_task(self, told: Any) -> None:
        task = self.task(told.task_id)
        refuse(
            task_state=task.state not in FAILED,
            attempts_used_up=not task.attempts_left,
            workflow_state=self.workflow(task.workflow_id).state not in OPEN_WORKFLOW,
        )
        self.schedule_again(told.task_id, task.attempt + 1)

    def cancel_task(self, told: Any) -> None:
        task = self.task(told.task_id)
        if task.state == "cancelled":
            return
        ended = self.workflow(task.workflow_id).state not in OPEN_WORKFLOW
        refuse(task_state=task.state == "completed", workflow_state=ended)
        self.drop_for_good(told.task_id)
        self.look_whether_complete(task.workflow_id)

    def expire_reservations(self, told: Any) -> None:
        """What was due first expires first; a workflow that fails with one of them frees others before they expire."""
        held = self.pool(told.pool_id).reservations
        due = sorted((one.expires_at, id) for id, one in held.items() if one.expires_at and one.expires_at <= self.now)
        for _, reservation_id in due:
            left = {**self.pool(told.pool_id).reservations}
            if reservation_id in left:
                task_id = left.pop(reservation_id).task_id
                self.change_pool(told.pool_id, reservations=left)
                if task_id is not None:
                    self.end_task(task_id, "timed_out", "reservation expired")
