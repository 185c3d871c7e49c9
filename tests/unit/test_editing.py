"""States that were changed, as the commands that say so."""

import copy
import pickle
from datetime import UTC, datetime
from typing import Any

import pytest

from domain.errors import InvalidInput
from dora_state.editing import plan
from dora_state.editing.said import Said, check_said
from tests.support.command_world import World
from tests.support.edited import Change, both, full_world, setting, state, within


@pytest.fixture(scope="module")
def world() -> World:
    return full_world()


WORKFLOW: list[tuple[Change, list[tuple[str, dict[str, Any]]]]] = [
    (lambda _: None, []),
    (within("context", "bank", "c"), [("AmendWorkflow", {"context": {"bank": "c"}})]),
    (lambda state: state.context.pop("bank"), [("AmendWorkflow", {"context": {"bank": None}})]),
    (
        setting("scheduled_completion", datetime(2024, 1, 18, 10, 0)),
        [("AmendWorkflow", {"scheduled_completion": "2024-01-18T10:00:00Z"})],
    ),
    (within("context", "new", {"a": None}), [("AmendWorkflow", {"context": {"new": {"a": None}}})]),
    (setting("priority", "low"), [("AmendWorkflow", {"priority": "low"})]),
    (
        setting("dependencies", {"satisfied": ["data", "approval"], "pending": []}),
        [("SatisfyDependency", {"dependency": "approval"})],
    ),
    (setting("state", "paused"), [("PauseWorkflow", {"reason": "no reason was given"})]),
    (setting("state", "completed"), [("CompleteWorkflow", {})]),
    (setting("state", "failed"), [("FailWorkflow", {"error": "no reason was given"})]),
    (setting("state", "cancelled"), [("CancelWorkflow", {"reason": "no reason was given"})]),
    (
        both(within("context", "a", 1), setting("state", "paused")),
        [("AmendWorkflow", {"context": {"a": 1}}), ("PauseWorkflow", {"reason": "no reason was given"})],
    ),
]
TASK: list[tuple[Change, list[tuple[str, dict[str, Any]]]]] = [
    (setting("percentage", 50.0), [("ReportProgress", {"percentage": 50.0})]),
    (
        both(setting("current_phase", "two"), within("execution_metrics", "cpu_average", 1.5)),
        [("ReportProgress", {"phase": "two", "cpu_average": 1.5})],
    ),
    (within("progress", "phases_completed", ["one"]), [("CompletePhase", {"phase": "one"})]),
    (setting("outputs", {"score": 1}), [("RecordOutputs", {"outputs": {"score": 1}})]),
    (
        both(setting("outputs", {"score": 1}), setting("state", "completed")),
        [("CompleteTask", {}), ("RecordOutputs", {"outputs": {"score": 1}})],
    ),
    (
        both(setting("last_error", "broken"), setting("state", "failed")),
        [("FailTask", {"error": "broken"})],
    ),
    (setting("state", "timed_out"), [("TimeOutTask", {})]),
    (setting("state", "cancelled"), [("CancelTask", {"reason": "no reason was given"})]),
]
AGENT: list[tuple[Change, list[tuple[str, dict[str, Any]]]]] = [
    (setting("max_concurrent_tasks", 9), [("ChangeCapacity", {"max_concurrent_tasks": 9})]),
    (within("configuration", "version", "2"), [("UpdateConfiguration", {"version": "2"})]),
    (setting("state", "degraded"), [("ReportHealth", {"state": "degraded", "checks": {}})]),
    (
        within("health_status", "checks", {"cpu": "warning"}),
        [("ReportHealth", {"state": "healthy", "checks": {"cpu": "warning"}})],
    ),
    (setting("state", "offline"), [("MarkOffline", {"reason": "no reason was given"})]),
    (setting("state", "deregistered"), [("DeregisterAgent", {"reason": "no reason was given"})]),
]
POOL: list[tuple[Change, list[tuple[str, dict[str, Any]]]]] = [
    (within("total_capacity", "memory_gb", 4.5), [("ResizePool", {"total": {"cpu": "10", "memory": "4.5G"}})]),
    (
        within("allocation_policies", "cpu_overcommit_ratio", 1.5),
        [("ChangePolicies", {"overcommit": {"cpu": 1.5}})],
    ),
    (
        within("allocation_policies", "priority_weights", {"high": 9}),
        [("ChangePolicies", {"priority_weights": {"high": 9}})],
    ),
]
SYSTEM: list[tuple[Change, list[tuple[str, dict[str, Any]]]]] = [
    (setting("version", "2"), [("ConfigureSystem", {"version": "2"})]),
    (within("configuration", "retry_attempts", 3), [("ConfigureSystem", {"retry_attempts": 3})]),
    (
        within("component_health", "cache", "warning"),
        [("ReportComponentHealth", {"component": "cache", "health": "warning"})],
    ),
    (
        setting(
            "maintenance_windows",
            [{"window_id": "m", "start": datetime(2024, 1, 18, 2), "end": "2024-01-18T04:00:00Z", "description": "d"}],
        ),
        [
            (
                "ScheduleMaintenance",
                {
                    "window_id": "m",
                    "start": "2024-01-18T02:00:00Z",
                    "end": "2024-01-18T04:00:00Z",
                    "kind": "scheduled",
                    "description": "d",
                    "blocks_starts": False,
                },
            )
        ],
    ),
]
CASES = [
    (kind, id, change, steps)
    for kind, id, cases in (
        ("workflow", "wf", WORKFLOW),
        ("task", "t1", TASK),
        ("agent", "agent", AGENT),
        ("pool", "pool", POOL),
        ("system", "", SYSTEM),
    )
    for change, steps in cases
]


@pytest.mark.parametrize(("kind", "id", "change", "steps"), CASES)
def test_what_was_changed_becomes_commands(
    world: World, kind: str, id: str, change: Change, steps: list[tuple[str, dict[str, Any]]]
) -> None:
    changed = state(world, kind, id)
    change(changed)
    planned = plan(changed)
    names = {"workflow": "workflow_id", "task": "task_id", "agent": "agent_id", "pool": "pool_id"}
    named = {names[kind]: id} if kind in names else {}
    assert [(step.type, dict(step.data)) for step in planned.steps] == [(type, named | data) for type, data in steps]


def test_a_reservation_that_is_taken_out_is_released(world: World) -> None:
    changed = state(world, "pool", "pool")
    (released,) = [one for one in changed.reservations if one["task_id"] is None]
    changed.reservations.remove(released)
    (step,) = plan(changed).steps
    assert (step.type, step.data["reservation_id"]) == ("Release", released["reservation_id"])


def test_all_that_was_said_is_set_aside_to_be_checked(world: World) -> None:
    changed = state(world, "workflow", "wf")
    changed.completed_tasks += 1
    changed.progress = 0.5
    changed.completed_at = datetime(2024, 1, 17, 10, 0)
    planned = plan(changed)
    assert planned.steps == ()
    assert set(planned.said) == {
        Said(("metrics", "completed_tasks"), 1),
        Said(("metrics", "progress_percentage"), 50.0),
        Said(("ended_at",), datetime(2024, 1, 17, 10, 0)),
    }


@pytest.mark.parametrize(
    ("said", "found", "agrees"),
    [
        (1, 1, True),
        (1, 2, False),
        (100 * 1 / 3, 33.333333, True),
        (33.3, 33.333333, False),
        (True, 1, False),
        (datetime(2024, 1, 17, 10, 0, 30), "2024-01-17T10:00:00Z", True),
        (datetime(2024, 1, 17, 12, 0, tzinfo=UTC), "2024-01-17T10:00:00Z", False),
        (datetime(2024, 1, 17, 10, 0), None, False),
        (None, None, True),
        (["a"], ["a"], True),
        ("a", ["a"], False),
    ],
)
def test_what_is_said_agrees_with_what_follows_or_it_is_told(said: object, found: object, agrees: bool) -> None:
    if agrees:
        check_said("workflow", (Said(("a", "b"), said),), {"a": {"b": found}})
        return
    with pytest.raises(InvalidInput, match=r"a\.b of the workflow follows from what happens, and will be "):
        check_said("workflow", (Said(("a", "b"), said),), {"a": {"b": found}})


def test_a_state_is_a_dictionary_with_attributes(world: World) -> None:
    found = state(world, "workflow", "wf")
    assert found.total_tasks == found["metrics"]["total_tasks"] == 3
    assert found.progress == 0
    assert found.id == "wf"
    with pytest.raises(AttributeError, match="The workflow's state has no colour; there are workflow_id"):
        _ = found.colour
    with pytest.raises(AttributeError, match="says what was read"):
        found.kind = "task"


def test_changes_are_told_as_a_patch_and_carried_out_elsewhere(world: World) -> None:
    changed = state(world, "workflow", "wf")
    changed.context["new"] = {"a": 1}
    del changed.context["bank"]
    changed.scheduled_completion = None
    changed.dependencies["pending"] = []
    assert changed.changes == {
        "context": {"new": {"a": 1}, "bank": None},
        "dependencies": {"pending": []},
    }
    changed.context["new"]["b"] = None
    assert changed.changes["context"]["new"] == {"a": 1, "b": None}, "a new object is told as it is"
    del changed.context["new"]["b"]
    another = state(world, "workflow", "wf")
    another.change(changed.changes | {"started_at": None})
    assert another == changed | {"started_at": None}


def test_nothing_in_an_object_of_the_callers_is_no_patch(world: World) -> None:
    changed = state(world, "workflow", "wf")
    changed.context["bank"] = None
    with pytest.raises(InvalidInput, match=r"context\.bank is set to nothing, which a patch can't say: delete the key"):
        _ = changed.changes


def test_a_state_can_be_copied_and_pickled(world: World) -> None:
    found = state(world, "workflow", "wf")
    found.context["bank"] = "c"
    for twin in (copy.copy(found), copy.deepcopy(found), pickle.loads(pickle.dumps(found))):
        assert (twin, twin.kind, twin.original) == (found, "workflow", found.original)
        assert twin.changes == {"context": {"bank": "c"}}


def test_what_runs_makes_progress_and_what_ends_made_it_before(world: World) -> None:
    changed = state(world, "task", "t1")
    changed.percentage = 10
    changed.state = "running"
    assert [step.type for step in plan(changed).steps][-1] == "ReportProgress"
