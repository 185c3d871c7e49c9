"""Examples of the OpenAPI document: a short story of one workflow."""

from typing import Any

CREATE = {
    "type": "CreateWorkflow",
    "data": {"workflow_id": "wf-1", "definition_id": "dora-assessment", "context": {"scope": "payments"}},
    "actor": "scheduler",
}
ADD = {
    "type": "AddTask",
    "data": {"workflow_id": "wf-1", "task_id": "t-1", "definition_id": "collect-evidence"},
    "actor": "scheduler",
}
SUBMISSIONS: dict[str, Any] = {"one": CREATE, "several": [CREATE, ADD]}
ROLLBACK: dict[str, Any] = {
    "preview": {"to_version": 3, "dry_run": True},
    "rollback": {"to_version": 3, "reason": "evidence was of the wrong year", "operator": "a.jansen"},
}
TRANSACTION: dict[str, Any] = {
    "complete": {
        "steps": [
            {"task_state": {"task_id": "wf-1-review", "state": "completed"}},
            {"type": "RecordOutputs", "data": {"task_id": "wf-1-review", "outputs": {"compliance_score": 0.78}}},
        ],
        "expected": {"workflow:wf-1": 7},
        "actor": "scheduler",
    }
}
HELD_LOCK = '{"stream_id":"workflow-wf-1","token":7,"hold":60.0}\n{"held":true}\n'
LOCK: dict[str, Any] = {"workflow": {"name": "workflow:wf-1", "timeout": 30, "hold": 60, "holder": "reviewer"}}
ANSWER: dict[str, Any] = {
    "status": 200,
    "command_id": "0190d8a4-7c3e-7b1f-9a52-3f1de6a1c001",
    "type": "CreateWorkflow",
    "outcome": "accepted",
    "versions": {"workflow-wf-1": 1},
    "position": 17,
    "recorded_at": "2026-01-17T10:00:00.000123Z",
    "repeated": False,
    "problem": None,
}
ACCEPTED: dict[str, Any] = {
    "status": 202,
    "command_id": "0190d8a4-7c3e-7b1f-9a52-3f1de6a1c001",
    "type": "CreateWorkflow",
    "location": "/v1/commands/0190d8a4-7c3e-7b1f-9a52-3f1de6a1c001",
}
PROBLEM: dict[str, Any] = {
    "type": "/problems/conflict",
    "title": "The version is not the current one",
    "status": 412,
    "detail": "workflow-wf-1 is at version 9, not at 7; read it again and decide again.",
    "code": "conflict",
    "facts": {"stream_id": "workflow-wf-1", "expected": 7, "actual": 9},
}
EVENT = (
    "id: 17\ndata: "
    '{"position":17,"recorded_at":"2026-01-17T10:00:00.000123Z","stream_id":"workflow-wf-1","version":1,'
    '"type":"WorkflowCreated","schema_version":1,"event_id":"0190d8a4-7c3e-7b1f-9a52-3f1de6a1c002","following":0,'
    '"data":{"workflow_id":"wf-1"},"metadata":{"actor":"scheduler",'
    '"authenticated":"orchestrator","credential":"key abcdefgh2345"}}\n\n'
)
HISTORY: dict[str, Any] = {
    "items": [
        {
            "version": 1,
            "position": 17,
            "recorded_at": "2026-01-17T10:00:00.000123Z",
            "occurred_at": None,
            "type": "WorkflowCreated",
            "actor": "scheduler",
            "authenticated": "orchestrator",
            "credential": "key abcdefgh2345",
            "command": "CreateWorkflow",
            "command_id": "0190d8a4-7c3e-7b1f-9a52-3f1de6a1c001",
            "correlation_id": "0190d8a4-7c3e-7b1f-9a52-3f1de6a1c001",
            "causation_id": None,
            "reason": None,
            "data": {"workflow_id": "wf-1"},
            "patch": [{"op": "add", "path": "/workflow_id", "value": "wf-1"}],
            "lines": ["workflow_id: wf-1"],
        }
    ],
    "next": 1,
}
_PLACE = {"stream_version": 1, "position": 17, "recorded_at": "2026-01-17T10:00:00.000123Z"}
DOCUMENTS: dict[str, Any] = {
    "workflow": {"workflow_id": "wf-1", "definition_id": "dora-assessment", "state": "created", "tasks": {}, **_PLACE},
    "task": {
        "task_id": "t-1",
        "workflow_id": "wf-1",
        "definition_id": "collect-evidence",
        "state": "created",
        **_PLACE,
    },
    "agent": {"agent_id": "a-1", "agent_type": "collector", "state": "healthy", "capabilities": ["pdf"], **_PLACE},
    "pool": {"resource_pool_id": "pool-1", "total_capacity": {"cpu_cores": 8}, "reservations": [], **_PLACE},
    "system": {"system_id": "system", "overall_health": "healthy", "active_workflows": 1, **_PLACE},
}
