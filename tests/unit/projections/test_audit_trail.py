"""The audit trail of a task: one entry an event, in SPEC's words."""

from domain.all_events import CATALOGUE
from domain.task import TASK, TaskAssigned, TaskCancelled, TaskCreated, TaskStarted
from projections.documents import audit
from tests.support.told_log import START, ToldLog


def test_every_event_of_a_task_has_a_name_in_the_audit_trail() -> None:
    names = [audit.event_name(event.type) for event in TASK.events]
    assert len(set(names)) == len(names)
    assert names[:4] == ["task_created", "requirement_met", "task_scheduled", "agent_assigned"]
    assert all(name == name.lower() for name in names)


def test_the_audit_trail_says_who_did_what_with_which_details() -> None:
    log = ToldLog()
    created = TaskCreated(at=START, task_id="t", workflow_id="wf-uuid-67890", definition_id="d")
    log.tell(("task-t", created), metadata={"actor": "workflow_engine"})
    assigned = TaskAssigned(at=START, agent_id="pa", reason="r", reservation_id="alloc-uuid-123", pool_id="p")
    log.tell(("task-t", assigned), metadata={"actor": "scheduler", "command_type": "AssignTask"})
    log.tell(("task-t", TaskStarted(at=START)), metadata={"actor": "pa"})
    log.tell(("task-t", TaskCancelled(at=START, reason="enough")), metadata={"actor": None})
    first, second, third, fourth = audit.trail(log.events, CATALOGUE)
    assert (first["event"], first["actor"]) == ("task_created", "workflow_engine")
    assert first["details"]["workflow_id"] == "wf-uuid-67890"
    assert (second["event"], second["details"]["agent_id"]) == ("agent_assigned", "pa")
    assert second["command_type"] == "AssignTask"
    assert (third["event"], third["details"]) == ("execution_started", {"resource_allocation": "alloc-uuid-123"})
    assert (fourth["event"], fourth["actor"]) == ("task_cancelled", "unknown")
    assert [entry["version"] for entry in (first, second, third, fourth)] == [1, 2, 3, 4]
