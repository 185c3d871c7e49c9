"""The StateManager of those who have no event loop."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from itertools import islice

import pytest

from dora_state import CommandRefused, LockTimeout, TaskState
from dora_state.settings import load_settings
from dora_state.sync import SyncStateManager, open_state_manager


@pytest.fixture
def state_manager(database_url: str, redis_url: str, tenant: str) -> Iterator[SyncStateManager]:
    settings = load_settings(database_url=database_url, redis_url=redis_url, tenant=tenant)
    with open_state_manager(settings, default_actor="test") as manager:
        answer = manager.submit({"type": "CreateWorkflow", "data": {"workflow_id": "w", "definition_id": "d"}})
        assert answer.outcome == "accepted"
        yield manager


def test_states_are_read_changed_and_handed_back(state_manager: SyncStateManager) -> None:
    workflow, version = state_manager.get_workflow_with_version("w")
    workflow.context["a"] = 1
    answer = state_manager.update_workflow(workflow, expected_version=version)
    assert answer.versions == {"workflow-w": 2}
    assert [entry.version for entry in state_manager.history("workflow", "w")] == [1, 2]
    assert [event.position for event in islice(state_manager.follow(), 2)] == [1, 2]
    state_manager.catch_up()
    assert [one["workflow_id"] for one in state_manager.lists.workflows().items] == ["w"]


def test_a_transaction_is_committed_at_the_end_of_its_block_or_not_at_all(state_manager: SyncStateManager) -> None:
    with state_manager.transaction() as txn:
        txn.submit("AddTask", workflow_id="w", task_id="t", definition_id="d")
        workflow = txn.get_workflow("w")
        workflow.context["a"] = 1
        txn.update_workflow(workflow)
    assert state_manager.get_workflow("w").total_tasks == 1
    with suppress(ZeroDivisionError), state_manager.transaction() as txn:
        txn.submit("StartWorkflow", workflow_id="w")
        raise ZeroDivisionError
    assert state_manager.get_workflow("w").state == "created"
    with pytest.raises(CommandRefused), state_manager.transaction() as txn:
        txn.update_task_state("t", TaskState.COMPLETED)


def test_a_lock_is_of_the_thread_that_took_it(state_manager: SyncStateManager) -> None:
    def amend(value: int) -> str:
        answer = state_manager.submit({"type": "AmendWorkflow", "data": {"workflow_id": "w", "context": {"a": value}}})
        return str(answer.problem.code if answer.problem else answer.outcome)

    def lock() -> None:
        with state_manager.exclusive_lock("workflow:w", timeout=0.05):
            raise AssertionError

    with ThreadPoolExecutor(1) as another, state_manager.exclusive_lock("workflow:w"):
        assert amend(1) == "accepted"
        assert another.submit(amend, 2).result() == "locked"
        with pytest.raises(LockTimeout):
            another.submit(lock).result()
    assert state_manager.locks() == []
