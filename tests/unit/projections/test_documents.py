"""The documents: SPEC's keys and types, and what the values mean."""

from decimal import Decimal

import pytest

from domain.agent import AgentRegistered, AgentSlotFreed, AgentSlotTaken
from domain.all_events import AGGREGATES, CATALOGUE
from domain.pool import PoolCreated, PoolResized, ResourcesReserved
from domain.system import System
from domain.task import TaskCompleted
from domain.workflow import WorkflowCreated, WorkflowTaskAdded, WorkflowTaskChanged
from projections.documents import RENDERINGS, agent, audit, system, task
from projections.documents.agent import Presence
from projections.documents.system import Figures, Rates
from projections.documents.values import Document, decode, encode
from tests.support import spec_shapes as shapes
from tests.support.stories import Told, at, full_agent, full_pool, full_system, full_task, full_workflow
from tests.support.told_log import START, ToldLog

FIGURES = Figures(
    position=7,
    applied_at=at(9000),
    counts={
        ("workflow", "running"): 3,
        ("workflow", "paused"): 2,
        ("workflow", "failed"): 9,
        ("task", "created"): 1,
        ("task", "scheduled"): 2,
        ("task", "assigned"): 4,
        ("task", "running"): 5,
        ("agent", "healthy"): 6,
        ("agent", "degraded"): 1,
        ("agent", "offline"): 8,
    },
    rates=Rates(
        completed_today=11,
        ended=200,
        failed=3,
        average_response_time=2.3,
        tasks_per_minute=15.7,
        workflows_per_hour=12.3,
    ),
    utilization={"cpu": (Decimal(685), Decimal(1000)), "memory": (1, 3), "storage": (0, 0)},
)


def rendered(told: Told) -> Document:
    kind, _, _ = told[0][0].partition("-")
    state = AGGREGATES[kind].fold(event for _, event in told)
    return decode(RENDERINGS[kind].render(state, len(told), 10 * len(told), at(1000)))


def test_a_workflow_has_every_key_of_the_specification_with_its_type() -> None:
    assert shapes.misfits(rendered(full_workflow()), shapes.WORKFLOW) == []


def test_a_task_has_every_key_of_the_specification_with_its_type() -> None:
    log = ToldLog()
    for pair in full_task():
        log.tell(pair)
    document = task.as_of(rendered(full_task()), at(100))
    document["audit_trail"] = decode(encode({"trail": audit.trail(log.events, CATALOGUE)}))["trail"]
    assert shapes.misfits(document, shapes.TASK) == []


def test_an_agent_has_every_key_of_the_specification_with_its_type() -> None:
    usage = {
        "cpu_percent": 65.2,
        "memory_percent": 78.1,
        "disk_percent": 45.0,
        "network_io": {"rx": 1024000, "tx": 512000},
        "gpu_utilization": 0.0,
    }
    presence = Presence("policy-analyzer-001", at(60), usage, 1)
    document = agent.as_of(rendered(full_agent()), presence, 2.3)
    assert shapes.misfits(document, shapes.AGENT) == []
    assert document["last_heartbeat"] == "2024-01-17T10:01:00Z"
    assert document["resource_usage"]["cpu_percent"] == 65.2
    assert (document["capacity"]["queue_size"], document["capacity"]["processing_rate"]) == (1, 2.3)


def test_a_pool_has_every_key_of_the_specification_with_its_type() -> None:
    assert shapes.misfits(rendered(full_pool()), shapes.POOL) == []


def test_the_system_has_every_key_of_the_specification_with_its_type() -> None:
    assert shapes.misfits(system.as_of(rendered(full_system()), FIGURES), shapes.SYSTEM) == []


@pytest.mark.parametrize("told", [full_workflow(), full_task(), full_agent(), full_pool(), full_system()])
def test_every_document_says_which_version_of_its_stream_it_shows(told: Told) -> None:
    document = rendered(told)
    assert document["stream_version"] == len(told)
    assert document["position"] == 10 * len(told)
    assert document["recorded_at"] == "2024-01-17T10:16:40Z"


def test_the_version_of_a_workflow_is_that_of_its_definition() -> None:
    assert rendered(full_workflow())["version"] == "1.2.0"


def test_the_counts_of_a_workflow_add_up_and_what_was_cancelled_is_no_progress() -> None:
    metrics = rendered(full_workflow())["metrics"]
    assert metrics == {
        "total_tasks": 8,
        "completed_tasks": 1,
        "running_tasks": 1,
        "pending_tasks": 4,
        "progress_percentage": 14.29,
        "failed_tasks": 1,
        "cancelled_tasks": 1,
    }


def test_a_workflow_without_tasks_has_made_no_progress() -> None:
    created = WorkflowCreated(at=START, workflow_id="w", definition_id="d", definition_version="1")
    assert rendered([("workflow-w", created)])["metrics"]["progress_percentage"] == 0


def test_a_workflow_of_cancelled_tasks_only_has_made_no_progress() -> None:
    told: Told = [
        (
            "workflow-w",
            WorkflowCreated(at=START, workflow_id="w", definition_id="d", definition_version="1"),
        ),
        ("workflow-w", WorkflowTaskAdded(at=START, task_id="t", definition_id="d")),
        ("workflow-w", WorkflowTaskChanged(at=START, task_id="t", state="cancelled")),
    ]
    assert rendered(told)["metrics"]["progress_percentage"] == 0


def test_a_failed_workflow_says_what_failed_and_when() -> None:
    assert rendered(full_workflow())["error_info"] == {
        "message": "task task-3 failed",
        "task_id": "task-3",
        "failed_at": "2024-01-17T10:05:50Z",
    }


def test_the_tasks_of_a_workflow_stay_in_the_order_in_which_they_were_added() -> None:
    assert list(rendered(full_workflow())["tasks"]) == [f"task-{n}" for n in range(1, 9)]


def test_a_running_task_shows_its_time_so_far() -> None:
    document = rendered(full_task())
    assert document["execution_metrics"]["execution_time"] is None
    assert task.as_of(document, at(98.5))["execution_metrics"]["execution_time"] == pytest.approx(85.3)


def test_a_clock_behind_the_start_gives_no_time_below_zero() -> None:
    assert task.as_of(rendered(full_task()), at(0))["execution_metrics"]["execution_time"] == 0


def test_an_ended_task_keeps_the_time_that_it_took() -> None:
    document = rendered([*full_task(), ("task-task-1", TaskCompleted(at=at(113.2)))])
    assert task.as_of(document, at(5000))["execution_metrics"]["execution_time"] == 100


def test_a_task_waited_from_its_scheduling_to_its_start() -> None:
    assert rendered(full_task())["execution_metrics"]["start_delay"] == pytest.approx(5.2)


def test_a_task_shows_what_it_requires_and_what_blocks_it() -> None:
    assert rendered(full_task())["dependencies"] == {
        "required": ["task-0", "manual-approval"],
        "satisfied": ["task-0"],
        "blocked_by": ["manual-approval"],
        "awaits": ["manual-approval"],
    }


def test_a_task_that_holds_nothing_shows_no_agent_and_no_allocation() -> None:
    document = rendered(full_task()[:3])
    assert document["assigned_agent"] is None
    assert document["resource_allocation"] is None


def test_a_task_of_all_phases_names_those_that_remain_in_order() -> None:
    progress = rendered(full_task())["progress"]
    assert progress["phases_completed"] == ["preparation"]
    assert progress["phases_remaining"] == ["parsing", "analysis", "reporting"]


def test_the_success_rate_counts_what_was_completed_among_what_ended() -> None:
    assert rendered(full_agent())["performance_metrics"] == {
        "tasks_completed": 1,
        "average_execution_time": 45.2,
        "success_rate": 0.5,
        "error_count": 1,
    }


def test_a_task_of_unknown_duration_is_left_out_of_the_average() -> None:
    told: Told = [
        *full_agent(),
        ("agent-x", AgentSlotTaken(at=at(60), task_id="t9", workflow_id="w")),
        ("agent-x", AgentSlotFreed(at=at(60), task_id="t9", outcome="completed")),
    ]
    metrics = rendered(told)["performance_metrics"]
    assert (metrics["tasks_completed"], metrics["average_execution_time"]) == (2, 45.2)


def test_an_agent_that_was_never_heard_of_has_the_same_keys_and_no_usage() -> None:
    told: Told = [("agent-a", AgentRegistered(at=START, agent_id="a", agent_type="t"))]
    document = agent.as_of(rendered(told), None, 0.0)
    assert document["last_heartbeat"] is None
    assert document["resource_usage"]["network_io"] == {"rx": None, "tx": None}
    assert document["performance_metrics"]["average_execution_time"] is None
    assert document["performance_metrics"]["success_rate"] == 1.0


def test_checks_that_were_never_reported_are_unknown() -> None:
    assert rendered(full_agent())["health_status"]["checks"] == {
        "memory": "ok",
        "cpu": "warning",
        "disk": "unknown",
        "network": "unknown",
        "external_deps": "unknown",
    }


def test_a_pool_counts_in_cores_and_in_billions_of_bytes() -> None:
    document = rendered(full_pool())
    assert document["total_capacity"] == {
        "cpu_cores": 1000,
        "memory_gb": 4000,
        "storage_gb": 50000,
        "gpu_units": 20,
    }
    assert document["allocated_resources"]["cpu_cores"] == 766.5
    assert document["allocated_resources"]["memory_gb"] == 3114.294967296
    assert document["available_capacity"]["memory_gb"] == 885.705032704
    assert document["utilization_metrics"]["cpu_utilization"] == 76.65
    assert document["allocation_policies"]["cpu_overcommit_ratio"] == 1.5


def test_an_overcommitted_pool_has_nothing_available_and_more_than_all_in_use() -> None:
    told: Told = [
        (
            "pool-p",
            PoolCreated.model_validate(
                {"at": START, "pool_id": "p", "total": {"cpu": "2"}, "overcommit": {"cpu": "2"}}
            ),
        ),
        ("pool-p", ResourcesReserved(at=START, reservation_id="r", resources={"cpu": "3"})),
    ]
    document = rendered(told)
    assert document["available_capacity"]["cpu_cores"] == 0
    assert document["utilization_metrics"]["cpu_utilization"] == 150


def test_a_pool_of_nothing_is_not_in_use() -> None:
    created = PoolCreated(at=START, pool_id="p", total={"cpu": "2"})
    told: Told = [("pool-p", created), ("pool-p", PoolResized(at=START, total={}))]
    assert rendered(told)["utilization_metrics"]["cpu_utilization"] == 0


def test_the_system_counts_what_is_active_pending_and_running() -> None:
    document = system.as_of(rendered(full_system()), FIGURES)
    assert document["active_workflows"] == 5
    assert document["active_agents"] == 7
    assert document["pending_tasks"] == 7
    assert document["running_tasks"] == 5
    assert document["error_rate"] == 0.015
    assert document["resource_summary"] == {
        "total_cpu_utilization": 68.5,
        "total_memory_utilization": 33.33,
        "total_storage_utilization": 0.0,
    }


def test_the_system_was_last_updated_with_the_last_event_applied() -> None:
    assert system.as_of(rendered(full_system()), FIGURES)["last_updated"] == "2024-01-17T12:30:00Z"


def test_whole_seconds_are_whole_numbers_in_the_systems_configuration() -> None:
    for written, told in ((3600.0, 3600), (0.5, 0.5), (None, None)):
        system = System(created_at=at(0), updated_at=at(0), max_workflow_duration=written, default_timeout=written)
        shown = decode(RENDERINGS["system"].render(system, 1, 1, at(0)))["configuration"]
        assert repr((shown["max_workflow_duration"], shown["default_timeout"])) == repr((told, told))
