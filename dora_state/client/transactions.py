"""Transactions over HTTP: gathered here, decided there."""

import copy
from collections.abc import Mapping
from typing import Protocol

from domain.errors import ConflictError, NotFound
from dora_state.client.answers import Answer
from dora_state.client.wire import plain
from dora_state.handing_back import TakingBack, require_same
from dora_state.refusals import TransactionEnded
from dora_state.states import Document, EditableState, require_editable


class Committing(Protocol):
    async def get(self, kind: str, aggregate_id: str) -> EditableState: ...

    async def commit(self, transaction: Mapping[str, object]) -> Answer: ...


class Transaction(TakingBack):
    """Made by `Client.transaction()`. What was read is checked at the commit, so that all of it was true at once."""

    def __init__(self, client: Committing, about: Mapping[str, object]) -> None:
        self._client = client
        self._about = about
        self._steps: list[Mapping[str, object]] = []
        self._expected: dict[str, int] = {}
        self._handed: dict[tuple[str, str], tuple[EditableState, Document]] = {}
        """What was handed back, and as what."""
        self.is_open = True
        self.answer: Answer | None = None

    async def get(self, kind: str, aggregate_id: str) -> EditableState:
        self._require_open()
        try:
            state = await self._client.get(kind, aggregate_id)
        except NotFound:
            self._expect(kind, aggregate_id, 0)
            raise
        self._expect(kind, aggregate_id, state["stream_version"])
        return state

    async def get_workflow(self, workflow_id: str) -> EditableState:
        return await self.get("workflow", workflow_id)

    async def get_task(self, task_id: str) -> EditableState:
        return await self.get("task", task_id)

    async def get_agent(self, agent_id: str) -> EditableState:
        return await self.get("agent", agent_id)

    async def get_pool(self, pool_id: str) -> EditableState:
        return await self.get("pool", pool_id)

    async def get_system(self) -> EditableState:
        return await self.get("system", "")

    def expect(self, stream_id: str, version: int) -> None:
        """A stream must be at this version at the commit; 0: it must not be there."""
        self._require_open()
        kind, _, aggregate_id = stream_id.partition("-")
        self._expect(kind, aggregate_id, version)

    async def submit(self, type: str, /, **data: object) -> None:
        """Add a command by its name."""
        self._require_open()
        self._steps.append({"type": type, "data": plain(data)})

    async def update_task_state(
        self, task_id: str, state: str, *, reason: str | None = None, agent_id: str | None = None
    ) -> None:
        """Bring a task to a state by the command that does so. `agent_id` is for `assigned`."""
        self._require_open()
        told = {"task_id": task_id, "state": str(state), "reason": reason, "agent_id": agent_id}
        self._steps.append({"task_state": {name: value for name, value in told.items() if value is not None}})

    async def set_task_outputs(self, task_id: str, outputs: Mapping[str, object]) -> None:
        await self.submit("RecordOutputs", task_id=task_id, outputs=dict(outputs))

    async def update(self, state: EditableState, expected_version: int | None = None) -> None:
        """Hand back a state, as often as it is changed; also where nothing was, it must be current at the commit."""
        self._require_open()
        require_editable(state)
        handed, before = self._handed.get((state.kind, state.id), (state, state.original))
        require_same(handed, state)
        version = state.original["stream_version"] if expected_version is None else expected_version
        self._expect(state.kind, state.id, version)
        told = {"kind": state.kind, "id": state.id, "version": version, "changes": plain(state.changes_since(before))}
        self._steps.append({"state": told})
        self._handed[state.kind, state.id] = state, copy.deepcopy(dict(state))

    async def commit(self) -> Answer | None:
        """None where there was nothing to do. Raises OptimisticLockException, CommandRefused, InvalidInput."""
        self._require_open()
        self.is_open = False
        if self._steps or self._expected:
            told = {**self._about, "steps": self._steps, "expected": self._expected}
            answer = await self._client.commit(told)
            self.answer = None if answer.recorded_at is None else answer
        return self.answer

    def _require_open(self) -> None:
        if not self.is_open:
            raise TransactionEnded()

    def _expect(self, kind: str, aggregate_id: str, version: int) -> None:
        key = kind if kind == "system" else f"{kind}:{aggregate_id}"
        if self._expected.setdefault(key, version) != version:
            raise ConflictError(
                f"{key} was at version {self._expected[key]} when this transaction read it, and not at {version}.",
                expected=version,
                actual=self._expected[key],
            )
