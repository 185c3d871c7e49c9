"""A task's audit trail, in SPEC's shape, from the events of its stream."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

from domain.aggregate import Event
from domain.catalogue import EventCatalogue
from domain.errors import CorruptLog
from domain.log import RecordedEvent
from domain.task import TaskAssigned, TaskStarted
from projections.documents.values import Document
from projections.metadata import metadata_of

EVENT_NAMES = {
    "TaskAssigned": "agent_assigned",
    "TaskUnassigned": "agent_unassigned",
    "TaskStarted": "execution_started",
    "TaskProgressed": "progress_reported",
    "TaskPhaseCompleted": "phase_completed",
    "TaskOutputsRecorded": "outputs_recorded",
    "TaskRequirementMet": "requirement_met",
}
"""Names that are not simply the event's in snake case, as `task_created` is."""

UNKNOWN_ACTOR = "unknown"
_NOT_DETAILS = {"at", "task_id", "restored"}


def event_name(type_name: str) -> str:
    return EVENT_NAMES.get(type_name) or re.sub(r"(?<!^)(?=[A-Z])", "_", type_name).lower()


def trail(recorded: Iterable[RecordedEvent], catalogue: EventCatalogue) -> list[Document]:
    """One entry an event: when, what, who, and the details; beside them where it is in the log, and why."""
    entries: list[Document] = []
    reservation_id: str | None = None
    for record in recorded:
        metadata: Mapping[str, Any] = {}
        try:
            event = catalogue.decode(record.type, record.schema_version, record.data)
            metadata = metadata_of(record)
        except CorruptLog as error:  # the state is known all the same, if only from a snapshot after it
            at, details = record.recorded_at, {"problem": error.message}
        else:
            if isinstance(event, TaskAssigned):
                reservation_id = event.reservation_id
            at, details = event.at, _details(event, reservation_id)
        entries.append(
            {
                "timestamp": at,
                "event": event_name(record.type),
                "actor": metadata.get("actor") or UNKNOWN_ACTOR,
                "details": details,
                "version": record.version,
                "position": record.position,
                "recorded_at": record.recorded_at,
                "command_type": metadata.get("command_type"),
                "correlation_id": metadata.get("correlation_id"),
                "causation_id": metadata.get("causation_id"),
                "authenticated": metadata.get("authenticated"),
                "credential": metadata.get("credential"),
            }
        )
    return entries


def _details(event: Event, reservation_id: str | None) -> dict[str, Any]:
    details = event.model_dump(mode="json", exclude=_NOT_DETAILS, exclude_unset=True, exclude_none=True)
    if isinstance(event, TaskStarted) and reservation_id is not None:
        details["resource_allocation"] = reservation_id
    return details
