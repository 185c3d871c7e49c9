"""Logs that claim to be our own exports: whole ones come back equal, of forged ones no state comes that can't be."""

import json
import re
from collections.abc import Callable
from typing import Any
from xml.sax.saxutils import escape, unescape

import pytest

from commands.messages import task as tasks
from commands.messages import workflow as workflows
from domain.interchange import RECORDED
from tests.support.command_world import World, add_task, create_workflow, running_world, start
from tests.support.exported import check_round_trip, exported, import_into
from tests.support.invariants import check_world

Events = list[list[Any]]
_ENTITIES = {'"': "&quot;", "\n": "&#10;", "\t": "&#9;", "\r": "&#13;"}
UNREADABLE = "event of dora-state that can't be read"
_RECORDED = re.compile(f'(key="{RECORDED}" value=")([^"]*)"')


def done_world() -> World:
    """`wf`: t1 is completed, t2 runs and requires it."""
    world = running_world("t1")
    world.given(add_task("t2", requires=("t1",)), tasks.ScheduleTask(task_id="t2"))
    start(world, "t1")
    world.given(tasks.CompleteTask(task_id="t1", outputs={"score": 1}))
    start(world, "t2", pool_id=None)
    return world


def forge(text: bytes, change: Callable[[Events], object]) -> bytes:
    """The same log, in which what was recorded of each command was changed."""

    def changed(found: re.Match[str]) -> str:
        events: Events = json.loads(unescape(found[2], {v: k for k, v in _ENTITIES.items()}))
        change(events)
        return f'{found[1]}{escape(json.dumps(events), _ENTITIES)}"'

    forged = _RECORDED.sub(changed, text.decode()).encode()
    assert forged != text
    return forged


def data_of(events: Events, type: str) -> dict[str, Any]:
    """The data of the event of that type; of none, something that nobody looks at."""
    return next((data for _, name, _, data in events if name == type), {})


async def refused(text: bytes) -> tuple[World, set[str]]:
    """The world after an import of which something was refused or could not be read, and why."""
    world = World()
    translation, answers, _ = await import_into(world, text)
    codes = {answer.problem.code for answer in answers if answer.problem is not None}
    check_world(world)
    return world, codes | translation.skipped.keys()


async def test_rollbacks_retries_and_pauses_come_back() -> None:
    world = running_world("t1", "t2", on_task_failure="continue", dependencies=("approval",))
    start(world, "t1", "t2")
    version = len(world.stream("workflow-wf"))
    world.given(
        workflows.PauseWorkflow(workflow_id="wf", reason="lunch"),
        workflows.ResumeWorkflow(workflow_id="wf"),
        workflows.AmendWorkflow(workflow_id="wf", context={"note": "again"}),
        tasks.CompletePhase(task_id="t1", phase="reading"),
        tasks.FailTask(task_id="t2", error="out of memory"),
        tasks.CompleteTask(task_id="t1"),
        add_task("t3"),
        workflows.RollBackWorkflow(workflow_id="wf", to_version=version, reason="wrong", operator="me"),
        workflows.SatisfyDependency(workflow_id="wf", dependency="approval"),
        tasks.FailTask(task_id="t1", error="again"),
        workflows.FailWorkflow(workflow_id="wf", error="enough"),
        workflows.RetryWorkflow(workflow_id="wf"),
        workflows.CancelWorkflow(workflow_id="wf", reason="enough"),
    )
    await check_round_trip(world.log)


async def test_who_asked_for_it_and_when_as_they_said_comes_back_too() -> None:
    world = done_world()
    back = World()
    await import_into(back, await exported(world.log, "xes"))
    told = [json.loads(event.metadata) for event in back.stream("task-t1")]
    assert {one["actor"] for one in told} == {"tester"}
    assert {one["command_type"] for one in told} == {"ImportRecorded"}


def _set(type: str, **values: Any) -> Callable[[Events], object]:
    return lambda events: data_of(events, type).update(values)


def _retype(type: str, other: str) -> Callable[[Events], object]:
    def change(events: Events) -> None:
        for event in events:
            if event[1] == type:
                event[1] = other

    return change


def _drop(type: str) -> Callable[[Events], object]:
    def change(events: Events) -> None:
        events[:] = [event for event in events if event[1] != type]

    return change


def _reverse(events: Events) -> None:
    events.reverse()


@pytest.mark.parametrize(
    "change",
    [
        _set("WorkflowTaskChanged", state="completed"),
        _set("WorkflowTaskChanged", outputs={"score": 2}),
        _set("WorkflowTaskChanged", task_id="t9"),
        _set("TaskCreated", workflow_id="another"),
        _set("TaskCreated", task_id="t9"),
        _set("TaskCreated", requires=["nothing"]),
        _set("TaskRequirementMet", requirement="nothing"),
        _set("TaskAssigned", agent_id="somebody"),
        _set("TaskAssigned", agent_id=""),
        _set("TaskCreated", resource_requirements={"cpu": "-1"}),
        _set("TaskStarted", at="9999-01-01T00:00:00Z"),
        lambda events: events.append(next((e for e in events if e[1] == "WorkflowCreated"), events[0])),
        _drop("TaskScheduled"),
        _drop("TaskAssigned"),
        _drop("TaskStarted"),
        _drop("WorkflowTaskChanged"),
        _drop("WorkflowTaskAdded"),
        _drop("WorkflowStarted"),
        _retype("TaskStarted", "TaskScheduled"),
        _reverse,
    ],
    ids=lambda change: getattr(change, "__qualname__", "").partition(".")[0],
)
async def test_what_can_not_have_been_recorded_is_refused(change: Callable[[Events], object]) -> None:
    forged = forge(await exported(done_world().log, "xes"), change)
    _, codes = await refused(forged)
    assert codes


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("counts", {"completed": 7}),
        ("unsettled", -3),
        ("workflow_id", "another"),
        ("tasks", {}),
        ("state", "sleeping"),
        ("created_at", "never"),
    ],
)
async def test_a_forged_rollback_is_refused(key: str, value: object) -> None:
    world = done_world()
    world.given(workflows.RollBackWorkflow(workflow_id="wf", to_version=3, reason="wrong", operator="me"))

    def change(events: Events) -> None:
        data_of(events, "WorkflowRolledBack").get("restored", {})[key] = value

    _, codes = await refused(forge(await exported(world.log, "xes"), change))
    assert codes == {"recorded_otherwise"}

    def change_task(events: Events) -> None:
        if key in ("workflow_id", "state", "created_at"):
            data_of(events, "TaskRolledBack").get("restored", {})[key] = value

    if key in ("workflow_id", "state", "created_at"):
        _, codes = await refused(forge(await exported(world.log, "xes"), change_task))
        assert codes & {"recorded_otherwise", UNREADABLE}


@pytest.mark.parametrize(
    "recorded",
    [
        "",
        "{}",
        "[",
        "[[]]",
        '[["task-t1","TaskScheduled",1,{"at":"2024-01-17T10:00:00Z"},0]]',
        '[["task-t1","TaskScheduled",0,{"at":"2024-01-17T10:00:00Z"}]]',
        '[["task-t1","TaskScheduled",9,{"at":"2024-01-17T10:00:00Z"}]]',
        '[["task-t1","TaskTeleported",1,{"at":"2024-01-17T10:00:00Z"}]]',
        '[["task-t1","TaskScheduled",1,{"at":"2024-01-17T10:00:00Z","more":1}]]',
        '[["task-t1","TaskScheduled",1,{}]]',
        '[["task- ","TaskScheduled",1,{"at":"2024-01-17T10:00:00Z"}]]',
        '[["task-t1","WorkflowStarted",1,{"at":"2024-01-17T10:00:00Z"}]]',
        '[["workflow-another","WorkflowStarted",1,{"at":"2024-01-17T10:00:00Z"}]]',
        '[["agent-a","AgentDeregistered",1,{"at":"2024-01-17T10:00:00Z"}]]',
        '[["task-t1","TaskOutputsRecorded",1,{"at":"2024-01-17T10:00:00Z","outputs":{"x":"\\u0007"}}]]',
        '[["task-t1","TaskOutputsRecorded",1,{"at":"2024-01-17T10:00:00Z","outputs":'
        + '{"x":' * 40
        + "1"
        + "}" * 42
        + "]]",
    ],
)
async def test_what_can_not_be_read_ends_the_trace_and_is_counted(recorded: str) -> None:
    text = (await exported(done_world().log, "xes")).decode()
    place = [found.start() for found in _RECORDED.finditer(text)][2]
    broken = text[:place] + _RECORDED.sub(
        lambda found: found[1] + escape(recorded, _ENTITIES) + '"', text[place:], count=1
    )
    world = World()
    translation, answers, read = await import_into(world, broken.encode())
    assert {answer.outcome for answer in answers} == {"accepted"}
    assert translation.skipped[UNREADABLE] == 1
    assert translation.skipped["event after one of dora-state that can't be read"] == read - 3
    assert translation.used + translation.skipped.total() == read
    check_world(world)


async def test_a_log_that_only_claims_to_be_ours_is_read_as_any_other() -> None:
    text = (await exported(done_world().log, "xes")).decode()
    (first, *_) = _RECORDED.finditer(text)
    broken = text[: first.start()] + f'key="{RECORDED}" value="[]"' + text[first.end() :]
    world = World()
    translation, answers, read = await import_into(world, broken.encode())
    assert {answer.outcome for answer in answers} <= {"accepted", "unchanged"}
    assert sorted(world.workflow().tasks) == ["wf/analysis#1", "wf/analysis#2"]
    assert translation.used + translation.skipped.total() + translation.mapping.transitions.total() == read


async def test_an_event_that_somebody_added_is_left_out() -> None:
    text = (await exported(done_world().log, "xes")).decode()
    added = (
        '<event><string key="concept:name" value="bribe"/><string key="lifecycle:transition" value="complete"/>'
        '<date key="time:timestamp" value="2024-01-17T10:00:03Z"/></event>'
    )
    text = text.replace("  </trace>", f"{added}  </trace>")
    world = World()
    translation, answers, _ = await import_into(world, text.encode())
    assert {answer.outcome for answer in answers} == {"accepted"}
    assert translation.skipped == {"event that dora-state did not record": 1}


async def test_two_traces_that_claim_one_task_do_not_share_it() -> None:
    world = done_world()
    world.given(create_workflow("other"), add_task("o1", "other"))
    text = await exported(world.log, "xes")

    def change(events: Events) -> None:
        for event in events:
            if event[0] == "task-o1":
                event[0] = "task-t1"
            if event[3].get("task_id") == "o1":
                event[3]["task_id"] = "t1"

    back, codes = await refused(forge(text, change))
    assert codes == {"task_exists"}
    assert back.task("t1").workflow_id == "wf"
    assert back.workflow("other").tasks == {}


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("agent_id", ""),
        ("agent_id", "x" * 300),
        ("state", []),
        ("state", {}),
        ("requires", ["ghost"]),
        ("requires", ["t1", "t1"]),
        ("awaits", ["nothing"]),
        ("satisfied", ["nothing"]),
        ("phases_completed", ["nophase"]),
        ("current_phase", "nophase"),
        ("retry_count", 7),
        ("attempt", 0),
        ("percentage", 101),
        ("state", "completed"),
        ("inputs", {"invented": True}),
        ("outputs", {"invented": True}),
        ("resource_requirements", {"cpu": "99"}),
    ],
)
async def test_a_task_goes_back_to_nothing_that_it_never_was(key: str, value: object) -> None:
    world = running_world("t0")
    world.given(add_task("t1", phases=("reading", "writing")), tasks.ScheduleTask(task_id="t1"))
    version = len(world.stream("workflow-wf"))
    start(world, "t1")
    world.given(workflows.RollBackWorkflow(workflow_id="wf", to_version=version, reason="wrong", operator="me"))

    def change(events: Events) -> None:
        data_of(events, "TaskRolledBack").get("restored", {})[key] = value
        views = data_of(events, "WorkflowRolledBack").get("restored", {}).get("tasks", {})
        if key in views.get("t1", {}):
            views["t1"][key] = value

    _, codes = await refused(forge(await exported(world.log, "xes"), change))
    assert codes & {"recorded_otherwise", UNREADABLE}


async def test_a_task_does_not_go_back_alone() -> None:
    world = done_world()
    world.given(workflows.RollBackWorkflow(workflow_id="wf", to_version=3, reason="wrong", operator="me"))
    _, codes = await refused(forge(await exported(world.log, "xes"), _drop("WorkflowRolledBack")))
    assert codes == {"recorded_otherwise"}


async def test_a_workflow_that_completes_by_itself_can_not_be_told_as_running_on() -> None:
    world = running_world("t1")
    start(world, "t1")
    world.given(tasks.CompleteTask(task_id="t1"))
    _, codes = await refused(forge(await exported(world.log, "xes"), _drop("WorkflowCompleted")))
    assert codes == {"recorded_otherwise"}


async def test_an_agent_is_there_for_others_whatever_was_refused() -> None:
    """The first command that takes it is refused: the next one registers it."""
    world = running_world("t1")
    world.given(create_workflow("other"), add_task("o1", "other"), workflows.StartWorkflow(workflow_id="other"))
    world.given(tasks.ScheduleTask(task_id="o1"))
    start(world, "t1", pool_id=None)
    start(world, "o1", pool_id=None)

    def change(events: Events) -> None:
        data_of(events, "WorkflowTaskChanged").update(
            {"error": "forged"} if any(e[0] == "task-t1" and e[1] == "TaskAssigned" for e in events) else {}
        )

    back = World()
    _, answers, _ = await import_into(back, forge(await exported(world.log, "xes"), change))
    problems = [answer.problem.code for answer in answers if answer.problem is not None]
    assert problems[0] == "recorded_otherwise"
    assert back.task("o1").state == "running"


async def test_a_trace_that_a_later_release_wrote_is_counted_and_not_guessed_at() -> None:
    text = (await exported(done_world().log, "xes")).decode()
    newer = text.replace("&quot;WorkflowCreated&quot;,1,", "&quot;WorkflowCreated&quot;,2,")
    assert newer != text
    world = World()
    translation, answers, read = await import_into(world, newer.encode())
    assert answers == []
    assert translation.skipped.total() == read
    assert translation.skipped[UNREADABLE] == 1


async def test_a_trace_without_its_beginning_ends_as_it_says() -> None:
    world = done_world()
    since = world.stream("task-t1")[1].recorded_at
    text = await exported(world.log, "xes", since=since)
    back = World()
    _, answers, _ = await import_into(back, text)
    assert {answer.outcome for answer in answers} <= {"accepted", "unchanged"}
    assert back.workflow().state == "running"
