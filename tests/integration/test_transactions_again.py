"""A transaction that is sent again gets its first answer, and what is handed back must be current."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from domain.errors import CutOutOfRange, NotFound
from dora_state import OptimisticLockException
from dora_state.transactions import Transaction
from tests.support.http import Asked, asked_directly

KEY = "0190d8a4-7c3e-7b1f-9a52-3f1de6a1c0"
Body = dict[str, Any]


@pytest.fixture
async def asked(database_url: str, redis_url: str, tenant: str) -> AsyncIterator[Asked]:
    """A running workflow `w` with an assigned task `t` and a new one `u`."""
    async with asked_directly(database_url, redis_url, tenant) as asked:
        async with asked.manager.transaction() as txn:
            await txn.submit("RegisterAgent", agent_id="a", agent_type="t", max_concurrent_tasks=9, state="healthy")
            await txn.submit("CreateWorkflow", workflow_id="w", definition_id="d", completion="explicit")
            for task_id in ("t", "u"):
                await txn.submit("AddTask", workflow_id="w", task_id=task_id, definition_id="d", max_attempts=2)
            await txn.submit("StartWorkflow", workflow_id="w")
            await txn.submit("ScheduleTask", task_id="t")
            await txn.submit("AssignTask", task_id="t", agent_id="a", reason="free")
            await txn.submit("StartTask", task_id="t")
        yield asked


async def commit(asked: Asked, body: Body, number: int) -> tuple[int, Body]:
    answer = await asked.client.post("/v1/transactions", json=body, headers={"Idempotency-Key": f"{KEY}{number:02}"})
    return answer.status_code, answer.json()


async def test_what_followed_from_a_transaction_is_not_asked_of_it_again(asked: Asked) -> None:
    version = await asked.manager.version("workflow", "w")
    changes = {"metrics": {"completed_tasks": 1}}
    steps = [
        {"task_state": {"task_id": "t", "state": "completed"}},
        {"state": {"kind": "workflow", "id": "w", "version": version, "changes": changes}},
    ]
    status, first = await commit(asked, {"steps": steps}, 1)
    assert (status, first["outcome"], first["repeated"]) == (200, "accepted", False)
    await asked.give("AmendWorkflow", {"workflow_id": "w", "context": {"later": True}})
    assert await commit(asked, {"steps": steps}, 1) == (200, first | {"repeated": True})


async def test_a_task_that_is_brought_to_a_state_is_read_as_it_was_read_first(asked: Asked) -> None:
    await asked.give("FailTask", {"task_id": "t", "error": "broken"})
    body = {"steps": [{"task_state": {"task_id": "t", "state": "scheduled"}}]}
    status, first = await commit(asked, body, 1)
    assert (status, first["outcome"]) == (200, "accepted")
    await asked.give("AssignTask", {"task_id": "t", "agent_id": "a", "reason": "free"})
    assert await commit(asked, body, 1) == (200, first | {"repeated": True})


async def test_a_refusal_stays_one_after_what_it_was_refused_for_has_gone(asked: Asked) -> None:
    body = {
        "steps": [
            {"task_state": {"task_id": "u", "state": "scheduled"}},
            {"type": "StartTask", "data": {"task_id": "u"}},
        ]
    }
    status, first = await commit(asked, body, 1)
    assert (status, first["answer"]["outcome"]) == (409, "refused")
    await asked.give("ScheduleTask", {"task_id": "u"})
    again = await commit(asked, body, 1)
    assert (again[0], again[1]["code"], again[1]["answer"]["repeated"]) == (409, first["code"], True)


async def test_an_id_of_something_else_is_told_so(asked: Asked) -> None:
    assert (await commit(asked, {"steps": [{"type": "ScheduleTask", "data": {"task_id": "u"}}]}, 1))[0] == 200
    version = await asked.manager.version("workflow", "w")
    changes = {"metrics": {"completed_tasks": 7}, "context": {"a": 1}}
    state: Body = {"kind": "workflow", "id": "w", "version": version, "changes": changes}
    status, told = await commit(asked, {"steps": [{"state": state}]}, 1)
    assert (status, told["code"]) == (422, "command_id_reused")
    await asked.give("AddTask", {"workflow_id": "w", "task_id": "later", "definition_id": "d"})
    of_later = {"steps": [{"task_state": {"task_id": "later", "state": "scheduled"}}]}
    status, told = await commit(asked, of_later, 1)
    assert (status, told["code"]) == (422, "command_id_reused")
    status, told = await commit(asked, {"steps": [{"state": {**state, "version": version + 1}}]}, 2)
    assert (status, told["facts"]["field"]) == (422, "metrics.completed_tasks")


async def test_a_state_in_which_nothing_was_changed_must_be_current_all_the_same(asked: Asked) -> None:
    manager = asked.manager
    workflow, version = await manager.get_workflow_with_version("w")
    assert await manager.update_workflow(workflow, expected_version=version) is None
    body = {"steps": [{"state": {"kind": "workflow", "id": "w", "version": version, "changes": {}}}]}
    status, told = await commit(asked, body, 1)
    assert (status, told["outcome"], told["recorded_at"]) == (200, "unchanged", None)
    with pytest.raises(OptimisticLockException):
        await manager.update_workflow(workflow, expected_version=version - 1)
    await asked.give("AmendWorkflow", {"workflow_id": "w", "context": {"a": 1}})
    with pytest.raises(OptimisticLockException) as caught:
        await manager.update_workflow(workflow)
    assert caught.value.facts == {"stream_id": "workflow-w", "expected": version, "actual": version + 1}
    assert (await commit(asked, body, 1))[0] == 412
    workflow.completed_tasks += 1
    with pytest.raises(OptimisticLockException):
        await manager.update_workflow(workflow)


async def test_what_was_not_there_must_not_have_come_meanwhile(asked: Asked) -> None:
    for wanted, created_before_it_is_read in (("one", False), ("two", True)):
        with pytest.raises(OptimisticLockException) as caught:
            await creates(asked, wanted, created_before_it_is_read)
        assert caught.value.facts["stream_id"] == f"workflow-{wanted}"
    assert (await asked.manager.get_task("u"))["state"] == "created"


async def creates(asked: Asked, id: str, before: bool) -> None:
    created = {"workflow_id": id, "definition_id": "d"}
    async with asked.manager.transaction() as txn:
        if before:
            await asked.give("CreateWorkflow", created)
        with pytest.raises((NotFound, CutOutOfRange)):
            await txn.get_workflow(id)
        if not before:
            await asked.give("CreateWorkflow", created)
        await txn.submit("ScheduleTask", task_id="u")


async def test_what_was_not_there_may_be_made_in_the_same_transaction(asked: Asked) -> None:
    async with asked.manager.transaction() as txn:
        with pytest.raises(NotFound):
            await txn.get_workflow("new")
        await txn.submit("CreateWorkflow", workflow_id="new", definition_id="d")
    assert is_accepted(txn)


def is_accepted(txn: Transaction) -> bool:
    return txn.answer is not None and txn.answer.outcome == "accepted"
