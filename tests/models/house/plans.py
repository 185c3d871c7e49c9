"""How workflows of the model are made and planned."""

from typing import Any

from tests.models.house.lives import Lives
from tests.models.house.rooms import OPEN_WORKFLOW, Workflow, refuse


class Plans(Lives):
    def create_workflow(self, told: Any) -> None:
        refuse(workflow_exists=told.workflow_id in self.rooms.workflows)
        self.rooms.workflows[told.workflow_id] = Workflow(
            dependencies=told.dependencies,
            context=told.context | ({"priority": told.priority} if told.priority else {}),
            completion=told.completion,
            on_task_failure=told.on_task_failure,
            max_retries=3 if told.max_retries is None else told.max_retries,
            planned=told.scheduled_completion,
        )

    def schedule_workflow(self, told: Any) -> None:
        workflow = self.workflow(told.workflow_id)
        start_at = told.start_at or workflow.start_at
        planned = told.scheduled_completion or workflow.planned
        refuse(
            workflow_state=workflow.state not in ("created", "scheduled"),
            schedule_times=start_at is not None and planned is not None and planned < start_at,
        )
        self.change_workflow(told.workflow_id, state="scheduled", start_at=start_at, planned=planned)

    def amend_workflow(self, told: Any) -> None:
        workflow = self.workflow(told.workflow_id)
        planned = told.scheduled_completion or workflow.planned
        begins = workflow.start_at if workflow.started_at is None else None
        refuse(
            workflow_state=workflow.state not in OPEN_WORKFLOW,
            schedule_times=begins is not None and planned is not None and planned < begins,
        )
        merged = workflow.context | told.context | ({"priority": told.priority} if told.priority else {})
        context = {key: value for key, value in merged.items() if key not in told.context or value is not None}
        self.change_workflow(told.workflow_id, context=context, planned=planned)
