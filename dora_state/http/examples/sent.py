"""What is sent in the story of the examples, and what the one who sends is answered."""

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
    "command_id": "0190d8a4-7c3e-7b1f-9a52-3f1de6a1c004",
    "type": "CreateWorkflow",
    "outcome": "accepted",
    "versions": {"workflow-wf-1": 1},
    "position": 4,
    "recorded_at": "2026-01-17T10:01:00Z",
    "repeated": False,
    "problem": None,
}
ACCEPTED: dict[str, Any] = {
    "status": 202,
    "command_id": "0190d8a4-7c3e-7b1f-9a52-3f1de6a1c004",
    "type": "CreateWorkflow",
    "location": "/v1/commands/0190d8a4-7c3e-7b1f-9a52-3f1de6a1c004",
}
