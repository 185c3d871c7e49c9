"""The documents of the five kinds: how a state is rendered, and what it is found by."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from projections.documents import agent, pool, system, task, workflow
from projections.documents.values import Document, encode


@dataclass(frozen=True, slots=True)
class Rendering:
    """How documents of one kind are made. `columns` are the names of what `values` gives."""

    kind: str
    stored: Callable[[Any], Document]
    columns: tuple[str, ...]
    values: Callable[[Any], tuple[Any, ...]]

    def render(self, state: Any, version: int, position: int, recorded_at: datetime) -> bytes:
        """A state as its document, with the stream's version, and the position and time of its last event."""
        document = self.stored(state)
        document["stream_version"] = version
        document["position"] = position
        document["recorded_at"] = recorded_at
        return encode(document)


RENDERINGS: dict[str, Rendering] = {
    "workflow": Rendering("workflow", workflow.stored, workflow.COLUMNS, workflow.columns),
    "task": Rendering("task", task.stored, task.COLUMNS, task.columns),
    "agent": Rendering("agent", agent.stored, agent.COLUMNS, agent.columns),
    "pool": Rendering("pool", pool.stored, pool.COLUMNS, pool.columns),
    "system": Rendering("system", system.stored, system.COLUMNS, system.columns),
}


def status(state: Any) -> str:
    """The state's name by which documents are counted; pools and the system have only one."""
    return getattr(state, "state", "active")
