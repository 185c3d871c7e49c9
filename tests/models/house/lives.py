"""Workflows and tasks of the model: states, what leads from one to the next, and what follows by itself."""

from datetime import timedelta
from typing import Any

from tests.models.house.holdings import Holdings
from tests.models.house.rooms import BUSY, FAILED, OPEN_TASK, OPEN_WORKFLOW, Task, refuse


class Lives(Holdings):
    # --- what follows by itself -----------------------------------------------------------------------------

    def look_whether_complete(self, workflow_id: str) -> None:
        workflow, tasks = self.workflow(workflow_id), self.tasks_of(workflow_id).values()
        failed = any(task.state in FAILED for task in tasks)
        if (
            workflow.state == "running"
            and workflow.completion == "automatic"
            and not any(task.unsettled for task in tasks)
            and set(workflow.dependencies) <= set(workflow.satisfied)
            and any(task.state == "completed" for task in tasks)
            and (workflow.on_task_failure == "continue" or not failed)
        ):
            self.change_workflow(workflow_id, state="completed", ended_at=self.now)

    def meet(self, workflow_id: str, requirement: str) -> None:
        for task_id, task in self.tasks_of(workflow_id).items():
            if requirement in (*task.requires, *task.awaits) and task.state not in ("completed", "cancelled"):
                self.change_task(task_id, met=task.met | {requirement})

    def end_task(self, task_id: str, state: str, error: str) -> None:
        """It fails or times out: what it held is free, and its workflow fails with it or goes on."""
        self.drop_task(task_id, state, error)
        task = self.task(task_id)
        workflow = self.workflow(task.workflow_id)
        if not task.attempts_left and workflow.on_task_failure == "fail" and workflow.state in OPEN_WORKFLOW:
            self.end_workflow(task.workflow_id, f"task {task_id} failed: {error}", task_id)
        else:
            self.look_whether_complete(task.workflow_id)

    def drop_task(self, task_id: str, state: str, error: str) -> None:
        self.let_go(task_id, "failed")
        self.change_task(task_id, state=state, last_error=error, ended_at=self.now)

    def end_workflow(self, workflow_id: str, error: str, task_id: str | None) -> None:
        for other, task in self.tasks_of(workflow_id).items():
            if task.state == "running":
                self.drop_task(other, "failed", "workflow failed")
            elif task.state == "assigned":
                self.unassign(other)
        told = (error, task_id, self.now)
        self.change_workflow(workflow_id, state="failed", ended_at=self.now, error=told)

    def schedule_again(self, task_id: str, attempt: int) -> None:
        """Anew: with no agent, progress, phases and outputs."""
        self.change_task(
            task_id,
            state="scheduled",
            attempt=attempt,
            retries=self.task(task_id).retries + 1,
            scheduled_at=self.now,
            **dict.fromkeys(("agent_id", "assigned_at", "reason", "started_at", "ended_at", "note", "memory_peak")),
            cpu_average=None,
            percentage=0.0,
            phase=None,
            phases_done=(),
            outputs={},
        )

    # --- commands that name a workflow ----------------------------------------------------------------------

    def require_room(self) -> bool:
        most = self.system.settings.get("max_concurrent_workflows")
        return most is not None and self.active_before >= most

    def add_task(self, told: Any) -> None:
        workflow = self.workflow(told.workflow_id)
        refuse(
            workflow_state=workflow.state not in OPEN_WORKFLOW,
            task_id_taken=told.task_id in (*workflow.tasks, *workflow.dependencies),
            task_exists=told.task_id in self.rooms.tasks and told.task_id not in workflow.tasks,
            required_task_unknown=not set(told.requires) <= set(workflow.tasks),
            dependency_unknown=not set(told.awaits) <= set(workflow.dependencies),
        )
        retries = self.system.settings.get("retry_attempts")
        done = {one for one in told.requires if self.task(one).state == "completed"}
        self.rooms.tasks[told.task_id] = Task(
            told.workflow_id,
            told.requires,
            told.awaits,
            told.inputs,
            {**told.resource_requirements},
            told.capabilities,
            told.phases,
            told.timeout,
            told.max_attempts or (1 if retries is None else retries + 1),
            told.priority or workflow.priority,
            met=frozenset(done | set(told.awaits) & set(workflow.satisfied)),
        )
        self.change_workflow(told.workflow_id, tasks=(*workflow.tasks, told.task_id))

    def start_workflow(self, told: Any) -> None:
        workflow = self.workflow(told.workflow_id)
        if workflow.state == "running":
            return
        refuse(
            workflow_state=workflow.state not in ("created", "scheduled"),
            maintenance=self.system.blocks_starts(self.now),
            too_many_workflows=self.require_room(),
        )
        self.change_workflow(told.workflow_id, state="running", started_at=self.now, active_from=self.now)

    def pause_workflow(self, told: Any) -> None:
        workflow = self.workflow(told.workflow_id)
        refuse(workflow_state=workflow.state not in ("running", "paused"))
        self.change_workflow(told.workflow_id, state="paused")

    def resume_workflow(self, told: Any) -> None:
        workflow = self.workflow(told.workflow_id)
        refuse(workflow_state=workflow.state not in ("running", "paused"))
        if workflow.state == "paused":
            self.change_workflow(told.workflow_id, state="running")
            self.look_whether_complete(told.workflow_id)

    def satisfy_dependency(self, told: Any) -> None:
        workflow = self.workflow(told.workflow_id)
        if told.dependency in workflow.satisfied:
            return
        refuse(
            workflow_state=workflow.state not in OPEN_WORKFLOW,
            dependency_unknown=told.dependency not in workflow.dependencies,
        )
        self.change_workflow(told.workflow_id, satisfied=(*workflow.satisfied, told.dependency))
        self.meet(told.workflow_id, told.dependency)
        self.look_whether_complete(told.workflow_id)

    def complete_workflow(self, told: Any) -> None:
        workflow, tasks = self.workflow(told.workflow_id), self.tasks_of(told.workflow_id).values()
        if workflow.state == "completed":
            return
        failed = any(task.state in FAILED for task in tasks)
        refuse(
            workflow_state=workflow.state != "running",
            tasks_open=any(task.state in OPEN_TASK for task in tasks),
            dependencies_pending=not set(workflow.dependencies) <= set(workflow.satisfied),
            tasks_failed=failed and workflow.on_task_failure == "fail",
        )
        self.change_workflow(told.workflow_id, state="completed", ended_at=self.now)

    def fail_workflow(self, told: Any) -> None:
        workflow = self.workflow(told.workflow_id)
        limit = told.longer_than and timedelta(seconds=told.longer_than)
        since = workflow.active_from if workflow.state in ("running", "paused") else None
        refuse(
            workflow_state=workflow.state in ("completed", "cancelled"),
            workflow_within_limit=limit is not None and (since is None or self.now < since + limit),
        )
        if workflow.state != "failed":
            self.end_workflow(told.workflow_id, told.error, None)

    def retry_workflow(self, told: Any) -> None:
        workflow = self.workflow(told.workflow_id)
        refuse(
            workflow_state=workflow.state != "failed",
            retries_used_up=workflow.retries >= workflow.max_retries,
            too_many_workflows=self.require_room(),
        )
        for task_id, task in self.tasks_of(told.workflow_id).items():
            if task.state in FAILED:
                self.schedule_again(task_id, 1)
        self.change_workflow(
            told.workflow_id,
            state="running",
            retries=workflow.retries + 1,
            started_at=workflow.started_at or self.now,
            active_from=self.now,
            ended_at=None,
            error=None,
        )
        self.look_whether_complete(told.workflow_id)

    def cancel_workflow(self, told: Any) -> None:
        workflow = self.workflow(told.workflow_id)
        if workflow.state == "cancelled":
            return
        refuse(workflow_state=workflow.state not in OPEN_WORKFLOW)
        for task_id, task in self.tasks_of(told.workflow_id).items():
            if task.unsettled:
                self.drop_for_good(task_id)
        self.change_workflow(told.workflow_id, state="cancelled", ended_at=self.now)

    def drop_for_good(self, task_id: str) -> None:
        if self.task(task_id).state in BUSY:
            self.let_go(task_id, "cancelled")
        self.change_task(task_id, state="cancelled", ended_at=self.now)
