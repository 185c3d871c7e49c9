"""Transactions and locks over HTTP: what is wrong with a request is said with its field."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.support.http import Asked, asked_directly

WORKFLOW = {"kind": "workflow", "id": "w", "version": 2}
COMPLETE = {"type": "CompleteTask", "data": {"task_id": "t"}}


@pytest.fixture
async def asked(database_url: str, redis_url: str, tenant: str) -> AsyncIterator[Asked]:
    async with asked_directly(database_url, redis_url, tenant, by_role=True) as asked:
        asked.client.headers["Authorization"] = "Bearer orchestrator"
        for name, data in (
            ("CreateWorkflow", {"workflow_id": "w", "definition_id": "d"}),
            ("AddTask", {"workflow_id": "w", "task_id": "t", "definition_id": "d"}),
        ):
            assert (await asked.give(name, data)).status_code == 200
        yield asked


async def test_commands_and_a_changed_state_are_recorded_as_one_with_who_sent_them(asked: Asked) -> None:
    version = (await asked.get("/v1/workflows/w", params={"consistency": "live"})).json()["stream_version"]
    changed = {"kind": "workflow", "id": "w", "version": version, "changes": {"context": {"bank": "b"}}}
    steps = [{"type": "ScheduleTask", "data": {"task_id": "t"}}, {"state": changed}]
    body = {"steps": steps, "expected": {"workflow:w": version}, "actor": "scheduler"}
    key = {"Idempotency-Key": "0190d8a4-7c3e-7b1f-9a52-3f1de6a1c001"}
    answer = await asked.client.post("/v1/transactions", json=body, headers=key)
    assert answer.status_code == 200, answer.text
    assert answer.json()["type"] == "Transaction"
    again = await asked.client.post("/v1/transactions", json=body, headers=key)
    assert (again.status_code, again.headers["Idempotent-Replayed"]) == (200, "true")
    events = [event async for event in asked.manager.events("workflow", "w")]
    assert events[-1].data["context"] == {"bank": "b"}
    assert (events[-1].actor, events[-1].metadata["authenticated"]) == ("scheduler", "the orchestrator")


@pytest.mark.parametrize(
    ("body", "status", "said"),
    [
        ({}, 422, "steps: must be given"),
        ({"steps": []}, 422, "steps: must not be empty"),
        ({"steps": [{}]}, 422, "steps.0: a step is a command"),
        ({"steps": [{**COMPLETE, "task_state": {"task_id": "t", "state": "x"}}]}, 422, "steps.0: a step is a command"),
        ({"steps": [{"type": "CompleteTask"}]}, 422, "steps.0: a step is a command"),
        ({"steps": [{"type": "CompleteTsk", "data": {}}]}, 422, "there is no command"),
        ({"steps": [{"type": "CompleteTask", "data": {"task": "t"}}]}, 422, "data.commands.0.data.task"),
        ({"steps": [{"task_state": {"task_id": "t", "state": "gone"}}]}, 422, "No command brings a task to 'gone'"),
        ({"steps": [{"state": {"kind": "wf", "id": "w", "version": 1, "changes": {}}}]}, 422, "There is no kind wf"),
        ({"steps": [{"state": {**WORKFLOW, "changes": {"status": "x"}}}]}, 422, "the key is state"),
        ({"steps": [{"state": {**WORKFLOW, "changes": {"metrics": 5}}}]}, 422, "metrics of a workflow"),
        ({"steps": [{"state": {**WORKFLOW, "changes": {"tasks": {"x": {}}}}}]}, 422, "AddTask adds a task"),
        ({"steps": [{"state": {**WORKFLOW, "changes": {"context": None}}}]}, 422, "context of a workflow"),
        (
            {"steps": [{"state": {"kind": "workflow", "version": 1, "changes": {}}}]},
            422,
            "steps.0.state: id must be given",
        ),
        ({"steps": [{"type": "CompleteTask", "data": {"type": 1, "self": 2}}]}, 422, "data.commands.0.data.type"),
        (
            {"steps": [COMPLETE], "expected": {"workflow:\0": 1}},
            422,
            "expected.workflow:\\x00: must not contain control",
        ),
        (
            {"steps": [COMPLETE], "expected": {f"task:{n}": 0 for n in range(1001)}},
            422,
            "expected: must have at most 1000",
        ),
        ({"steps": [COMPLETE] * 1001}, 422, "steps: must have at most 1000"),
        ({"steps": [{"state": {**WORKFLOW, "version": 99, "changes": {}}}]}, 412, "at version 2, not at 99"),
        ({"steps": [{"state": {"kind": "workflow", "id": "x", "version": 1, "changes": {}}}]}, 404, "x"),
        ({"steps": [COMPLETE], "expected": {"w": 1}}, 422, "write a kind"),
        ({"steps": [COMPLETE], "expected": {"workflow:w": -1}}, 422, "expected.workflow:w: must be at least 0"),
        ({"steps": [COMPLETE], "expect": {}}, 422, "expect: is no field of it"),
        ({"steps": [COMPLETE]}, 409, "can't be completed"),
        ({"steps": [COMPLETE], "expected": {"workflow:w": 1}}, 412, "workflow-w is at version 2"),
        ([], 422, "The transaction"),
    ],
)
async def test_what_can_not_be_a_transaction_is_refused(asked: Asked, body: Any, status: int, said: str) -> None:
    answer = await asked.client.post("/v1/transactions", json=body)
    assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
    assert said in answer.json()["detail"]


@pytest.mark.parametrize(
    ("body", "said"),
    [
        ({}, "name: must be given"),
        ({"name": "w"}, "name: there is no lock 'w'"),
        ({"name": "wf:w"}, "write a kind"),
        ({"name": "workflow:w", "timeout": -1}, "timeout: must be at least 0"),
        ({"name": "workflow:w", "timeout": 10_000}, "timeout: must be at most 300"),
        ({"name": "workflow:w", "holder": ""}, "holder: must not be empty"),
    ],
)
async def test_what_can_not_be_a_lock_is_refused(asked: Asked, body: dict[str, Any], said: str) -> None:
    answer = await asked.client.post("/v1/locks", json=body)
    assert answer.status_code == 422
    assert said in answer.json()["detail"]


@pytest.mark.parametrize("token", ["x", "1 2", "1,,2", ",".join("1" * 21), "9" * 19, "-1"])
async def test_a_token_that_is_none_is_refused_with_the_name_of_its_header(asked: Asked, token: str) -> None:
    answer = await asked.give("ScheduleTask", {"task_id": "t"}, headers={"Lock-Token": token})
    assert answer.status_code == 422
    assert answer.json()["detail"].startswith("Lock-Token: ")


async def test_a_token_of_nothing_is_a_lost_lock(asked: Asked) -> None:
    answer = await asked.give("ScheduleTask", {"task_id": "t"}, headers={"Lock-Token": "999999"})
    assert (answer.status_code, answer.json()["code"]) == (409, "lock_lost")


async def test_readers_take_no_locks_and_commit_nothing(asked: Asked) -> None:
    reader = {"Authorization": "Bearer reader"}
    for method, path in (
        ("POST", "/v1/locks"),
        ("DELETE", "/v1/locks/1"),
        ("POST", "/v1/transactions"),
        ("GET", "/v1/locks"),
    ):
        answer = await asked.client.request(method, path, headers=reader)
        assert answer.status_code == 403, path
    orchestrator = await asked.get("/v1/locks")
    assert orchestrator.status_code == 403, "who holds what is for operators"
