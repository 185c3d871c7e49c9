"""Commands of one group are decided on what the ones before them leave, rollbacks too."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import timedelta

import pytest

from commands.envelope import Answer
from dora_state.platform import now
from dora_state.settings import load_settings
from dora_state.state_manager import StateManager, open_state_manager


@pytest.fixture
async def manager(database_url: str, redis_url: str, tenant: str) -> AsyncIterator[StateManager]:
    settings = load_settings(database_url=database_url, redis_url=redis_url, tenant=tenant)
    async with open_state_manager(settings, default_actor="test") as manager:
        yield manager


async def together(manager: StateManager, *commands: tuple[str, Mapping[str, object]]) -> list[Answer]:
    """Submitted at once, so that the bus takes all of them as one group."""
    return await asyncio.gather(*(manager.submit({"type": name, "data": data}) for name, data in commands))


async def test_a_rollback_goes_back_over_the_commands_before_it_in_its_group(manager: StateManager) -> None:
    created, started = {"workflow_id": "w", "definition_id": "d"}, {"workflow_id": "w"}
    back = {"workflow_id": "w", "to_version": 1, "reason": "r", "operator": "o"}
    answers = await together(
        manager,
        ("CreateWorkflow", created),
        ("StartWorkflow", started),
        ("RollBackWorkflow", back),
        ("AmendWorkflow", {"workflow_id": "w", "context": {"after": "the rollback"}}),
    )
    assert [answer.outcome for answer in answers] == ["accepted"] * 4
    document = await manager.state("workflow", "w", live=True)
    assert (document["state"], document["context"]) == ("created", {"after": "the rollback"})
    types = [entry.type for entry in await manager.get_workflow_history("w")]
    assert types == ["WorkflowCreated", "WorkflowStarted", "WorkflowRolledBack", "WorkflowAmended"]


async def test_a_rollback_to_now_behind_other_commands_undoes_none_of_them(manager: StateManager) -> None:
    await together(manager, ("CreateWorkflow", {"workflow_id": "w", "definition_id": "d"}))
    until = (now() + timedelta(seconds=30)).isoformat()
    answers = await together(
        manager,
        ("AmendWorkflow", {"workflow_id": "w", "context": {"k": 1}}),
        ("RollBackWorkflow", {"workflow_id": "w", "to_position": 10**6, "reason": "r", "operator": "o"}),
        ("RollBackWorkflow", {"workflow_id": "w", "to_time": until, "reason": "r", "operator": "o"}),
    )
    assert [answer.problem.code if answer.problem else None for answer in answers] == [
        None,
        "rollback_beyond_end",
        "rollback_to_future",
    ]
    assert answers[1].problem is not None
    assert answers[1].problem.facts["last_position"] == 2, "the command before it was not looked at"
    assert (await manager.state("workflow", "w", live=True))["context"] == {"k": 1}


async def test_a_number_that_could_not_be_kept_is_refused_with_its_field(manager: StateManager) -> None:
    for text in ("123456789012345678901234567890", "NaN", "1e999"):
        raw = f'{{"type":"RecordOutputs","actor":"a","data":{{"task_id":"t","outputs":{{"n":{text}}}}}}}'
        answer = await manager.submit(raw)
        assert (answer.outcome, answer.type) == ("invalid", "RecordOutputs")
        assert answer.problem is not None
        assert answer.problem.message.startswith("RecordOutputs is not valid: data.outputs: must not contain")


async def test_an_invalid_answer_can_be_matched_with_what_was_asked(manager: StateManager) -> None:
    command_id = "0190d8a4-7c3e-7b1f-9a52-3f1de6a1c001"
    answer = await manager.submit({"type": "CompleteTask", "command_id": command_id, "data": {"task_id": ""}})
    assert (answer.outcome, answer.type, str(answer.command_id)) == ("invalid", "CompleteTask", command_id)


async def test_the_history_of_a_large_workflow_tells_only_what_each_event_changed(manager: StateManager) -> None:
    await together(manager, ("CreateWorkflow", {"workflow_id": "w", "definition_id": "d"}))
    added = [("AddTask", {"workflow_id": "w", "task_id": f"t{number}", "definition_id": "d"}) for number in range(300)]
    await together(manager, *added)
    await together(manager, ("ScheduleTask", {"task_id": "t7"}))
    entries = await manager.get_workflow_history("w")
    assert len(entries) == 302
    assert entries[-1].lines == ("tasks.t7.state: created -> scheduled",)
    assert entries[-1].patch == [{"op": "replace", "path": "/tasks/t7/state", "value": "scheduled"}]
    assert entries[300].lines[-2:] == ("metrics.total_tasks: 299 -> 300", "metrics.pending_tasks: 299 -> 300")
