"""Events in the shape of SPEC's `StateChangeEvent`. It imports nothing of ours, so that a client can be light."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any


@dataclass(frozen=True, slots=True)
class StateChangeEvent:
    """One event. `version` is its place in its stream and `position` that in the log; `timestamp` when it was recorded.

    `following` counts the events of the same command that come after it: 0 ends the command.
    """

    event_id: str
    entity_type: str
    entity_id: str
    event_type: str
    timestamp: datetime
    version: int
    data: dict[str, Any]
    metadata: dict[str, Any]
    actor: str
    position: int = 0
    following: int = 0

    def to_dict(self) -> dict[str, Any]:
        return {
            "event_id": self.event_id,
            "entity_type": self.entity_type,
            "entity_id": self.entity_id,
            "event_type": self.event_type,
            "timestamp": self.timestamp.isoformat(),
            "version": self.version,
            "data": self.data,
            "metadata": self.metadata,
            "actor": self.actor,
        }
