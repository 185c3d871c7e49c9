"""Which fields of events can hold personal data, pinned: an unmarked one could never be erased."""

from typing import Any, Literal, get_args, get_origin, get_type_hints

from domain.all_events import CATALOGUE
from domain.values import Personal

MARKED = {
    "AgentDeregistered.reason",
    "AgentWentOffline.reason",
    "LogImportBegun.file_name",
    "MaintenanceScheduled.description",
    "ReservationReleased.reason",
    "TaskAssigned.reason",
    "TaskCancelled.reason",
    "TaskCompleted.outputs",
    "TaskCreated.inputs",
    "TaskFailed.error",
    "TaskOutputsRecorded.outputs",
    "TaskProgressed.note",
    "TaskRolledBack.operator",
    "TaskRolledBack.reason",
    "TaskRolledBack.restored",
    "TaskUnassigned.reason",
    "WorkflowAmended.context",
    "WorkflowCancelled.reason",
    "WorkflowCreated.context",
    "WorkflowFailed.error",
    "WorkflowPaused.reason",
    "WorkflowRolledBack.operator",
    "WorkflowRolledBack.reason",
    "WorkflowRolledBack.restored",
    "WorkflowTaskAdded.inputs",
    "WorkflowTaskChanged.error",
    "WorkflowTaskChanged.outputs",
}

UNMARKED = {
    "LogImportEnded.counts": "numbers that the import itself counts, under names of its own",
    "TaskTimedOut.reason": "one of two sentences that the domain itself writes",
}
"""Free text and free JSON that need no mark, and why."""

IDS = {"agent_id", "assigned_agent", "deployment_id", "instance_id", "node_id", "pool_id", "reservation_id"}
IDS |= {"system_id", "task_id", "window_id", "workflow_id", "definition_id", "requires", "requirement"}
NAMES = {"agent_type", "awaits", "capabilities", "checks", "component", "config_hash", "configuration_version"}
NAMES |= {"definition_version", "dependencies", "dependency", "environment", "kind", "phase", "phases", "sha256"}
NAMES |= {"unset", "version"}
QUANTITIES = {"allocated", "memory_peak", "resource_requirements", "resources", "total"}
"""Text that is no free text: the edge takes only ids, names of things and quantities for these."""


def can_hold_text(hint: Any) -> bool:
    """Text or JSON, optional or inside of a container or not."""
    if hint in (str, Any):
        return True
    return get_origin(hint) is not Literal and any(can_hold_text(part) for part in get_args(hint))


def fields_with_text() -> dict[str, bool]:
    """Each field that can hold text, as Type.field, and whether it is marked."""
    return {
        f"{event.type}.{name}": any(isinstance(part, Personal) for part in event.model_fields[name].metadata)
        for event in CATALOGUE.types.values()
        for name, hint in get_type_hints(event, include_extras=True).items()
        if name in event.model_fields and can_hold_text(hint)
    }


def test_the_marked_fields_are_those_that_can_hold_personal_data() -> None:
    marked = {
        f"{event.type}.{name}"
        for event in CATALOGUE.types.values()
        for name, field in event.model_fields.items()
        if any(isinstance(part, Personal) for part in field.metadata)
    }
    assert marked == MARKED


def test_free_text_and_free_json_are_marked_or_say_why_not() -> None:
    plain = IDS | NAMES | QUANTITIES
    unmarked = {
        name for name, marked in fields_with_text().items() if not marked and name.partition(".")[2] not in plain
    }
    assert unmarked == set(UNMARKED)


def test_the_search_for_text_finds_it_wherever_it_stands() -> None:
    hints = [str, str | None, dict[str, Any], dict[str, int], tuple[str, ...], Any, list[tuple[int, str]]]
    assert all(can_hold_text(hint) for hint in hints)
    assert not any(can_hold_text(hint) for hint in (int, float | None, Literal["text"], tuple[int, ...]))
