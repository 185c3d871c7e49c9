"""What can't be said by handing back a state is refused, with the command that comes nearest to it."""

import pytest

from domain.errors import InvalidInput
from dora_state.editing import EditableState, plan
from projections.documents.system import unheard_of
from projections.documents.values import decode, encode
from tests.support.command_world import BEGINNING, World
from tests.support.edited import Change, full_world, setting, state, within


@pytest.fixture(scope="module")
def world() -> World:
    return full_world()


@pytest.mark.parametrize(
    ("kind", "id", "change", "said"),
    [
        ("workflow", "wf", setting("status", "updated"), "the key is state, and ScheduleWorkflow, StartWorkflow"),
        ("workflow", "wf", setting("critical_field", 1), "critical_field of a workflow .*: it has no such field"),
        ("workflow", "wf", setting("state", "created"), "an earlier one comes back by RollBackWorkflow"),
        ("workflow", "wf", setting("max_retries", 9), "CreateWorkflow says it, once and for all"),
        ("workflow", "wf", setting("created_at", "2024-01-01T00:00:00Z"), "it says what was recorded"),
        ("workflow", "wf", setting("tasks", {}), "AddTask adds a task"),
        ("workflow", "wf", setting("dependencies", {"satisfied": [], "pending": ["data"]}), "SatisfyDependency moves"),
        ("workflow", "wf", setting("stream_version", 1), "it says what was recorded"),
        ("task", "t1", setting("inputs", {"a": 1}), "AddTask says it"),
        ("task", "t1", setting("agent_id", "b"), "AssignTask gives a task to an agent"),
        ("workflow", "wf", lambda state: state.pop("tasks"), "tasks of a workflow .*: a state is handed back whole"),
        ("workflow", "wf", setting("context", 5), "context of a workflow .*: it is an object"),
        ("workflow", "wf", setting("metrics", []), "metrics of a workflow .*: it is an object"),
        (
            "workflow",
            "wf",
            within("dependencies", "pending", "data"),
            "dependencies.pending of a workflow .*: it is a list",
        ),
        ("workflow", "wf", within("dependencies", "pending", [1]), "is of another kind"),
        ("task", "t1", within("progress", "phases_completed", {}), "it is a list"),
        ("pool", "pool", setting("reservations", ["r"]), "is of another kind"),
        ("system", "", setting("maintenance_windows", [5]), "is of another kind"),
        ("task", "t1", setting("outputs", None), "outputs of a task .*: it is an object"),
        ("task", "t1", setting("estimated_completion", None), None),
        ("task", "t1", setting("retry_info", None), "retry_info of a task .*: it is an object"),
        ("task", "t1", within("progress", "phases_completed", None), "it is a list"),
        ("task", "t1", setting("assigned_agent", 5), "it is an object"),
        ("task", "t1", setting("started_at", 10**400), "started_at of a task .*: it must not contain whole numbers"),
        ("workflow", "wf", setting("dependencies", None), "dependencies of a workflow .*: it is an object"),
        ("workflow", "wf", within("dependencies", "pending", None), "it is a list"),
        ("workflow", "wf", within("dependencies", "other", ["a"]), "dependencies.other of a workflow"),
        ("workflow", "wf", setting("context", None), "context of a workflow .*: it is an object"),
        ("workflow", "wf", within("context", "bank", None), "context.bank of a workflow .*: delete the key"),
        ("workflow", "wf", within("context", "new", None), "context.new of a workflow .*: delete the key"),
        ("workflow", "wf", within("context", "new", "\0"), "context of a workflow .*: it must not contain control"),
        ("workflow", "wf", setting("priority", None), "AmendWorkflow sets it and can't take it away"),
        ("workflow", "wf", setting("state", ["paused"]), "state of a workflow .*: it is a text"),
        ("pool", "pool", within("total_capacity", "cpu_cores", None), "total_capacity.cpu_cores .*: it is a number"),
        ("pool", "pool", within("total_capacity", "tea", 1), "ResizePool knows no such kind"),
        ("system", "", setting("maintenance_windows", [{"window_id": [1]}]), "a window_id, which is a text"),
        ("agent", "agent", within("capacity", "queue_size", 3), "Heartbeat tells it"),
        ("agent", "agent", setting("last_heartbeat", "2024-01-01T00:00:00Z"), "which is telemetry and no event"),
        ("agent", "agent", setting("capabilities", []), "RegisterAgent says it"),
        ("pool", "pool", setting("reservations", [{"reservation_id": "r"}]), "Reserve makes one"),
        ("system", "", setting("pending_tasks", 3), "it is counted"),
    ],
)
def test_what_no_command_can_say_is_refused_with_the_nearest_one(
    world: World, kind: str, id: str, change: Change, said: str | None
) -> None:
    changed = state(world, kind, id)
    change(changed)
    if said is None:
        assert plan(changed).steps == ()
        return
    with pytest.raises(InvalidInput, match=said):
        plan(changed)


def test_what_the_system_was_told_is_not_taken_away() -> None:
    told = EditableState("system", decode(encode(unheard_of(BEGINNING))) | {"version": "2"})
    told.version = None
    with pytest.raises(InvalidInput, match="ConfigureSystem sets it and can't take it away"):
        plan(told)
