"""States, as fresh as is asked for, or of a moment in the past."""

from datetime import datetime
from typing import Any

from dora_state.client.paths import path_of, told
from dora_state.client.transport import Transport
from dora_state.states import EditableState


class Asking:
    """Part of the client."""

    _transport: Transport

    async def state(
        self,
        kind: str,
        aggregate_id: str,
        *,
        version: int | None = None,
        at_time: datetime | None = None,
        position: int | None = None,
        consistency: str | None = None,
        min_position: int | None = None,
        patience: float | None = None,
    ) -> dict[str, Any]:
        """The document of one aggregate. Raises NotFound, CutOutOfRange, InvalidInput."""
        asked = {
            "version": version,
            "at": told(at_time),
            "position": position,
            "consistency": consistency,
            "min_position": min_position,
            "patience": patience,
        }
        return dict(await self._transport.get(path_of(kind, aggregate_id), asked))

    query = state

    async def get_workflow_state(self, workflow_id: str, **asked: Any) -> EditableState:
        return EditableState("workflow", await self.state("workflow", workflow_id, **asked))

    async def get_task_state(self, task_id: str, **asked: Any) -> EditableState:
        return EditableState("task", await self.state("task", task_id, **asked))

    async def get_agent_state(self, agent_id: str, **asked: Any) -> EditableState:
        return EditableState("agent", await self.state("agent", agent_id, **asked))

    async def get_pool_state(self, pool_id: str, **asked: Any) -> EditableState:
        return EditableState("pool", await self.state("pool", pool_id, **asked))

    async def get_system_state(self, **asked: Any) -> EditableState:
        return EditableState("system", await self.state("system", "", **asked))

    async def get(
        self, kind: str, aggregate_id: str, *, version: int | None = None, at_time: datetime | None = None
    ) -> EditableState:
        """The state itself, folded from the log, to be changed and handed back."""
        consistency = "live" if version is None and at_time is None else None
        found = await self.state(kind, aggregate_id, version=version, at_time=at_time, consistency=consistency)
        return EditableState(kind, found)

    async def get_workflow(self, workflow_id: str, **cut: Any) -> EditableState:
        return await self.get("workflow", workflow_id, **cut)

    async def get_task(self, task_id: str, **cut: Any) -> EditableState:
        return await self.get("task", task_id, **cut)

    async def get_agent(self, agent_id: str, **cut: Any) -> EditableState:
        return await self.get("agent", agent_id, **cut)

    async def get_pool(self, pool_id: str, **cut: Any) -> EditableState:
        return await self.get("pool", pool_id, **cut)

    async def get_system(self, **cut: Any) -> EditableState:
        return await self.get("system", "", **cut)

    async def get_workflow_with_version(self, workflow_id: str) -> tuple[EditableState, int]:
        return _with_version(await self.get_workflow(workflow_id))

    async def get_task_with_version(self, task_id: str) -> tuple[EditableState, int]:
        return _with_version(await self.get_task(task_id))

    async def get_agent_with_version(self, agent_id: str) -> tuple[EditableState, int]:
        return _with_version(await self.get_agent(agent_id))

    async def get_pool_with_version(self, pool_id: str) -> tuple[EditableState, int]:
        return _with_version(await self.get_pool(pool_id))

    async def get_system_with_version(self) -> tuple[EditableState, int]:
        return _with_version(await self.get_system())


def _with_version(state: EditableState) -> tuple[EditableState, int]:
    return state, state["stream_version"]
