"""Rollbacks of a workflow: tried first, or done."""

from abc import ABC, abstractmethod
from dataclasses import dataclass
from datetime import datetime

from commands.envelope import Answer, Envelope, Problem
from commands.messages.workflow import RollBackWorkflow
from dora_state.editing.changes import NO_REASON
from dora_state.effects import Effect, effect_of
from dora_state.naming import Submission, utc
from dora_state.platform import Platform, now
from projections import changes
from projections.documents import RENDERINGS
from projections.documents.values import Document, decode

NOBODY = "unnamed"
"""The operator of a rollback for which none was named."""


@dataclass(frozen=True, slots=True)
class RollbackPreview:
    """What a rollback would do: the workflow's document before and after, and what else it touches.

    `effects` are what it does to tasks, agents and pools; `problem` says why it would be refused.
    """

    before: Document
    after: Document
    patch: changes.Patch
    lines: tuple[str, ...]
    effects: tuple[Effect, ...]
    problem: Problem | None


class RollingBack(ABC):
    """Part of a StateManager."""

    platform: Platform
    _default_actor: str | None

    @abstractmethod
    def parse(self, submission: Submission) -> Envelope: ...

    @abstractmethod
    async def submit(self, submission: Submission | Envelope) -> Answer: ...

    async def rollback_workflow(
        self,
        workflow_id: str,
        *,
        to_version: int | None = None,
        to_time: datetime | None = None,
        to_position: int | None = None,
        reason: str | None = None,
        operator: str | None = None,
        workflow_only: bool = False,
    ) -> Answer:
        """Restore an earlier state of a workflow and of its tasks, by an event that says why and by whom.

        Where that is not given, the event says so.
        """
        who = operator or self._default_actor or NOBODY
        data = _rollback_data(workflow_id, to_version, to_time, to_position, reason or NO_REASON, who, workflow_only)
        return await self.submit({"type": RollBackWorkflow.type, "actor": who, "data": data})

    async def preview_rollback(
        self,
        workflow_id: str,
        *,
        to_version: int | None = None,
        to_time: datetime | None = None,
        to_position: int | None = None,
        reason: str | None = None,
        operator: str | None = None,
        workflow_only: bool = False,
    ) -> RollbackPreview:
        """Decide a rollback without recording anything. Raises NotFound, InvalidInput."""
        # The command can't be without them; what nobody has given is not told either.
        why, who = reason or "preview", operator or "preview"
        data = _rollback_data(workflow_id, to_version, to_time, to_position, why, who, workflow_only)
        envelope = self.parse({"type": RollBackWorkflow.type, "actor": who, "data": data})
        before = await self.platform.queries.state_at("workflow", workflow_id)
        # A decider of its own: what is only tried must not be seen by the bus.
        decision = await self.platform.new_decider().decide(envelope, now())
        if decision.problem is not None:
            return RollbackPreview(before, before, [], (), (), decision.problem)
        left = decision.work.left[envelope.command.stream_id]
        rendered = RENDERINGS["workflow"].render(left.state, left.version, 0, now())
        after = decode(rendered)
        states = {task_id: view["state"] for task_id, view in before["tasks"].items()}
        effects = tuple(
            effect_of(
                key.aggregate.category,
                key.aggregate_id,
                event,
                reason_given=reason is not None,
                state=states.get(key.aggregate_id) if key.aggregate.category == "task" else None,
            )
            for key, event in decision.work.events
            if key.aggregate.category != "workflow"
        )
        return RollbackPreview(before, after, *changes.compare(before, after), effects, None)


def _rollback_data(
    workflow_id: str,
    to_version: int | None,
    to_time: datetime | None,
    to_position: int | None,
    reason: str,
    operator: str,
    workflow_only: bool,
) -> dict[str, object]:
    return {
        "workflow_id": workflow_id,
        "to_version": to_version,
        "to_time": utc(to_time),
        "to_position": to_position,
        "reason": reason,
        "operator": operator,
        "workflow_only": workflow_only,
    }
