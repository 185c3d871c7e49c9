"""SPEC's own lines, as the table of docs/python.md has them, are run one by one."""

import ast
import re
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from dora_state import DoraStateError, OptimisticLockException, TaskState, WorkflowState
from dora_state.settings import load_settings
from dora_state.state_manager import StateManager, open_state_manager

PAGE = Path(__file__).parents[2] / "docs" / "python.md"
ROW = re.compile(r"^\| `(?P<line>.+?)` \| (?P<happens>.+) \|$", re.MULTILINE)
REFUSED = re.compile(r'refused[^:]*: "(?P<said>[^"]+)"')
LINES = [(found["line"], found["happens"]) for found in ROW.finditer(PAGE.read_text())]


@pytest.fixture
async def state_manager(database_url: str, redis_url: str, tenant: str) -> AsyncIterator[StateManager]:
    settings = load_settings(database_url=database_url, redis_url=redis_url, tenant=tenant)
    async with open_state_manager(settings, default_actor="test") as manager:
        await give(manager, "RegisterAgent", agent_id="a", agent_type="t", max_concurrent_tasks=9, state="healthy")
        await give(manager, "CreateWorkflow", workflow_id="wf", definition_id="d")
        for number in range(1, 9):
            await give(manager, "AddTask", workflow_id="wf", task_id=f"t{number}", definition_id="d")
        await give(manager, "StartWorkflow", workflow_id="wf")
        await run(manager, "t1")
        await manager.catch_up()
        yield manager


async def give(manager: StateManager, type: str, **data: object) -> None:
    answer = await manager.submit({"type": type, "data": data})
    assert answer.outcome == "accepted", answer.problem


async def run(manager: StateManager, task_id: str) -> None:
    await give(manager, "ScheduleTask", task_id=task_id)
    await give(manager, "AssignTask", task_id=task_id, agent_id="a", reason="test")
    await give(manager, "StartTask", task_id=task_id)


async def execute(line: str, names: dict[str, Any]) -> Any:
    """A line of an asynchronous program, or its value."""
    code = compile(line, str(PAGE), "exec", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    tree = ast.parse(line)
    if isinstance(tree.body[-1], ast.Expr):
        code = compile(line, str(PAGE), "eval", flags=ast.PyCF_ALLOW_TOP_LEVEL_AWAIT)
    found = eval(code, names)
    return await found if found is not None and hasattr(found, "__await__") else found


async def surroundings(manager: StateManager) -> dict[str, Any]:
    workflow, version = await manager.get_workflow_with_version("wf")
    return {
        "state_manager": manager,
        "workflow_id": "wf",
        "task_id": "t1",
        "workflow": workflow,
        "version": version,
        "datetime": datetime,
        "TaskState": TaskState,
        "WorkflowState": WorkflowState,
    }


def test_the_page_has_a_table() -> None:
    assert len(LINES) > 20


@pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")  # the line is SPEC's
@pytest.mark.parametrize(("line", "happens"), LINES, ids=[line for line, _ in LINES])
async def test_a_line_does_what_the_page_says(state_manager: StateManager, line: str, happens: str) -> None:
    names = await surroundings(state_manager)
    refused = REFUSED.search(happens)
    changes = re.match(r"workflow\.\w+ ", line) is not None
    if not happens.startswith("works") or (changes and refused):
        assert refused is not None
        assert refused["said"] in await refusal(state_manager, line, names, handed_back=changes)
        return
    if "txn" in line and "transaction()" not in line:
        async with state_manager.transaction() as txn:
            names |= {"txn": txn, "workflow": await txn.get_workflow("wf")}
            await execute(line, names)
        return
    found = await execute(line, names)
    if changes:
        await state_manager.update_workflow(names["workflow"])
    if hasattr(found, "outcome"):
        assert found.outcome == "accepted", found.problem


async def refusal(manager: StateManager, line: str, names: dict[str, Any], *, handed_back: bool) -> str:
    """Why a line is refused, by an exception or as an answer."""
    try:
        answer = await execute(line, names)
        if handed_back:
            answer = await manager.update_workflow(names["workflow"])
    except DoraStateError as error:
        return error.message
    return answer.problem.message if answer is not None and answer.problem is not None else "it is not refused"


async def update_workflow_with_task_completion(
    state_manager: StateManager, workflow_id: str, task_id: str, outputs: dict[str, Any]
) -> None:
    """SPEC's function, word for word but for its arguments."""
    async with state_manager.transaction() as txn:
        # Update task state
        await txn.update_task_state(task_id, TaskState.COMPLETED)
        await txn.set_task_outputs(task_id, outputs)

        # Update workflow progress
        workflow = await txn.get_workflow(workflow_id)
        workflow.completed_tasks += 1
        workflow.progress = workflow.completed_tasks / workflow.total_tasks

        # Check if workflow is complete
        if workflow.progress >= 1.0:
            workflow.state = WorkflowState.COMPLETED
            workflow.completed_at = datetime.utcnow()

        await txn.update_workflow(workflow)

        # Commit transaction
        await txn.commit()


@pytest.mark.filterwarnings("ignore:datetime.datetime.utcnow:DeprecationWarning")  # the line is SPEC's
async def test_specs_transaction_completes_task_after_task_and_with_the_last_one_the_workflow(
    state_manager: StateManager,
) -> None:
    for number in range(1, 9):
        if number > 1:
            await run(state_manager, f"t{number}")
        await update_workflow_with_task_completion(state_manager, "wf", f"t{number}", {"score": number})
        workflow = await state_manager.get_workflow("wf")
        assert workflow.completed_tasks == number
    assert workflow.state == "completed"
    assert workflow.tasks["t8"]["outputs"] == {"score": 8}
    history = await state_manager.get_workflow_history("wf")
    assert history[-1].command == "Transaction"


async def test_who_comes_second_is_told_and_may_read_again(state_manager: StateManager) -> None:
    workflow, version = await state_manager.get_workflow_with_version("wf")
    await give(state_manager, "AmendWorkflow", workflow_id="wf", context={"by": "another"})
    workflow.context["by"] = "me"
    with pytest.raises(OptimisticLockException) as caught:
        await state_manager.update_workflow(workflow, expected_version=version)
    assert caught.value.facts == {"stream_id": "workflow-wf", "expected": version, "actual": version + 1}
    again = await state_manager.get_workflow("wf")
    again.context["by"] = "me"
    answer = await state_manager.update_workflow(again)
    assert answer is not None
    assert answer.versions == {"workflow-wf": version + 2}
