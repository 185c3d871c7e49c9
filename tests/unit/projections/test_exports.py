"""Exports: what is told exactly, what of cuts and ranges, and what no spreadsheet or XML reader must stumble over."""

import base64
import csv
import io
import json
from collections import Counter
from datetime import timedelta
from pathlib import Path
from typing import Any
from xml.etree import ElementTree

import pytest

from commands.messages import agent as agent_messages
from commands.messages import system as system_messages
from commands.messages import task as task_messages
from commands.messages import workflow as workflow_messages
from domain import task as t
from domain import workflow as w
from domain.catalogue import UnknownEvent
from domain.errors import CorruptLog, CutOutOfRange, NotFound
from domain.interchange import RECORDED
from domain.log import Cut
from domain.pool import PoolCreated, ResourcesReserved
from infrastructure.xes.reader import XesEvent, read_xes
from infrastructure.xes.source import XesSource
from projections.exports import attributes, cases, exporter, ocel, selection, xes
from tests.support.command_world import World, add_task, create_workflow, running_world, start
from tests.support.exported import check_exports, check_ocel, check_round_trip, exported, last_values
from tests.support.stories import at, full_stories
from tests.support.told_log import START, ToldLog

MICROSECOND = timedelta(microseconds=1)


def two_workflows() -> World:
    """`wf` with a task that failed and was retried, one that is running; `other` shares the agent."""
    world = running_world("t1", "t2")
    world.given(create_workflow("other"), add_task("o1", "other"), workflow_messages.StartWorkflow(workflow_id="other"))
    world.given(task_messages.ScheduleTask(task_id="o1"))
    start(world, "t1", "t2")
    start(world, "o1", pool_id=None)
    world.given(task_messages.RecordOutputs(task_id="t2", outputs={"score": 0.5}))
    world.given(task_messages.CompleteTask(task_id="t1", outputs={"score": 1, "note": "fine"}))
    return world


def told_log() -> ToldLog:
    log = ToldLog()
    for pair in full_stories():
        log.tell(pair)
    return log


def lines(text: bytes) -> list[dict[str, Any]]:
    return [json.loads(line) for line in text.splitlines()]


def objects(text: bytes) -> dict[str, dict[str, Any]]:
    return {one["id"]: one for one in json.loads(text)["objects"]}


async def test_every_format_tells_all_of_a_log_with_everything_in_it() -> None:
    world = two_workflows()
    world.given(system_messages.ConfigureSystem(environment="production", default_timeout=60.0))
    world.given(system_messages.ReportComponentHealth(component="broker", health="warning"))
    await check_exports(world.log)
    told = objects(await exported(world.log, "ocel"))["system-platform"]
    assert last_values(told)["components.broker"] == "warning"


# --- JSON lines ---------------------------------------------------------------------------------------------


async def test_json_lines_hold_the_bytes_that_were_recorded() -> None:
    log = ToldLog()
    spaced = b'{ "at": "2024-01-17T10:00:00Z",  "x": 1.10, "x": 2 }'
    log.put("thing-1", "SomethingNew", spaced, b'{"actor":"\xc3\xa9"}', schema_version=7)
    (line,) = (await exported(log, "jsonl")).splitlines()
    assert b'"data":' + spaced + b',"metadata":{"actor":"\xc3\xa9"}}' in line
    assert json.loads(line)["schema_version"] == 7


@pytest.mark.parametrize("stored", [b"\x00\xff", b"", b'{"a":\n1}', b'{"a":1', b"NaN"])
async def test_what_is_no_json_of_one_line_comes_as_base64(stored: bytes) -> None:
    log = ToldLog()
    log.put("thing-1", "Broken", stored, stored)
    (line,) = lines(await exported(log, "jsonl"))
    assert "data" not in line
    assert base64.b64decode(line["data_base64"]) == base64.b64decode(line["metadata_base64"]) == stored


async def test_what_can_not_be_understood_is_named_with_the_format_that_copies_it() -> None:
    log = told_log()
    bad = log.put("task-task-1", "TaskTeleported", b'{"at":"2024-01-17T10:00:00Z"}')
    for format in ("csv", "ocel"):
        with pytest.raises(UnknownEvent, match=rf"task-task-1, version {bad.version}: .*jsonl"):
            await exported(log, format)
    assert len(lines(await exported(log, "jsonl"))) == len(log.events)

    log = told_log()
    log.put("task-task-1", "TaskCompleted", b'{"outputs":3}')
    with pytest.raises(CorruptLog, match="does not have the shape of its type"):
        await exported(log, "csv")


async def test_an_event_that_does_not_fit_what_came_before_is_named() -> None:
    log = ToldLog()
    log.tell(("task-t", t.TaskStarted(at=at(0))))
    with pytest.raises(CorruptLog, match="can't be the first event"):
        await exported(log, "csv")


# --- what is selected ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("page", [1, 3, 1000])
@pytest.mark.parametrize("format", exporter.FORMATS)
async def test_the_size_of_pages_makes_no_difference(page: int, format: str, monkeypatch: pytest.MonkeyPatch) -> None:
    log = two_workflows().log
    whole = await exported(log, format)
    of_one = await exported(log, format, "wf")
    monkeypatch.setattr(selection, "PAGE", page)
    monkeypatch.setattr(selection, "POSITIONS", page)
    monkeypatch.setattr(ocel, "EVENTS", page)
    monkeypatch.setattr(ocel, "STREAMS", page)
    monkeypatch.setattr(cases, "WORKFLOWS", page)
    monkeypatch.setattr(cases, "TOGETHER", page)
    assert await exported(log, format) == whole
    assert await exported(log, format, "wf") == of_one


async def test_a_cut_divides_no_command_and_a_time_on_an_event_includes_it() -> None:
    log = two_workflows().log
    ends = [event.position for event in log.events if event.following == 0]
    for event in log.events:
        told = [line["position"] for line in lines(await exported(log, "jsonl", cut=Cut(position=event.position)))]
        assert told == list(range(1, max(end for end in ends if end <= event.position) + 1)) if told else True
        at_time = lines(await exported(log, "jsonl", cut=Cut(at=event.recorded_at)))
        assert at_time[-1]["position"] == event.position + event.following
        check_ocel(
            await exported(log, "ocel", cut=Cut(at=event.recorded_at)), log.events[: event.position + event.following]
        )


async def test_a_range_tells_what_was_recorded_from_a_time_on() -> None:
    log = two_workflows().log
    for event in log.events:
        first = next(one.position for one in log.events if one.recorded_at == event.recorded_at)
        told = lines(await exported(log, "jsonl", since=event.recorded_at))
        assert [line["position"] for line in told] == list(range(first, len(log.events) + 1))
        check_ocel(await exported(log, "ocel", since=event.recorded_at), log.events[first - 1 :])
    whole = lines(await exported(log, "jsonl", since=log.events[0].recorded_at))
    assert len(whole) == len(log.events)


async def test_a_workflow_is_told_with_whole_commands_and_without_what_others_did() -> None:
    log = two_workflows().log
    told = lines(await exported(log, "jsonl", "wf"))
    streams = Counter(line["stream_id"].partition("-")[0] for line in told)
    assert streams["agent"] == 5  # the slots of t1 and t2, taken, begun and given back; not that of o1
    assert streams["pool"] == 3
    assert not any("o1" in json.dumps(line) or "other" in line["stream_id"] for line in told)
    rows = list(csv.DictReader(io.StringIO((await exported(log, "csv", "wf")).decode())))
    assert {row["workflow_id"] for row in rows} == {"wf"}
    taken = next(row for row in rows if row["event"] == "ReservationReleased")
    assert (taken["task_id"], taken["pool_id"], taken["activity"]) == ("t1", "pool", "analysis")
    # Who had it, and from where, stands also with what ended that.
    ended = next(row for row in rows if row["event"] == "TaskCompleted")
    assert (ended["agent_id"], ended["pool_id"]) == ("agent", "pool")


async def test_what_one_command_gave_back_of_several_workflows_is_told_with_its_own() -> None:
    world = two_workflows()
    world.given(add_task("o2", "other", resource_requirements={"cpu": "1"}), task_messages.ScheduleTask(task_id="o2"))
    start(world, "o2")
    world.given(agent_messages.DeregisterAgent(agent_id="agent", reason="gone"))
    freed = [event for event in world.stream("pool-pool") if event.type == "ReservationReleased"]
    assert len(freed) == 3
    since = freed[-1].recorded_at
    for workflow_id, count in (("wf", 2), ("other", 1)):
        for begin, expected in (None, count), (since, 1):
            told = lines(await exported(world.log, "jsonl", workflow_id, since=begin))
            released = [line for line in told if line["type"] == "ReservationReleased"]
            assert len(released) == expected, (workflow_id, begin)
        rows = list(csv.DictReader(io.StringIO((await exported(world.log, "csv", workflow_id)).decode())))
        assert {row["workflow_id"] for row in rows if row["event"] == "ReservationReleased"} == {workflow_id}


async def test_a_version_stands_for_the_command_that_made_it() -> None:
    world = two_workflows()
    for event in world.stream("workflow-wf"):
        told = lines(await exported(world.log, "jsonl", "wf", cut=Cut(version=event.version)))
        assert told[-1]["position"] == event.position + event.following


async def test_what_is_not_there_is_told_with_the_range_that_is() -> None:
    log = two_workflows().log
    first, last = log.events[0].recorded_at, log.events[-1].recorded_at
    with pytest.raises(NotFound, match="no workflow nothing"):
        await exported(log, "jsonl", "nothing")
    with pytest.raises(CutOutOfRange, match="log begins at 2024-01-17"):
        await exported(log, "jsonl", cut=Cut(at=first - MICROSECOND))
    with pytest.raises(CutOutOfRange, match="Nothing was recorded from"):
        await exported(log, "jsonl", since=last + MICROSECOND)
    with pytest.raises(CutOutOfRange, match="Nothing of workflow other was recorded from"):
        await exported(log, "jsonl", "other", since=last)
    with pytest.raises(CutOutOfRange, match="versions 1 to"):
        await exported(log, "xes", "wf", cut=Cut(version=99))
    with pytest.raises(CutOutOfRange, match=f"ends at position {len(log.events)}"):
        await exported(log, "csv", cut=Cut(position=len(log.events) + 1))
    with pytest.raises(CutOutOfRange, match="The log is empty"):
        await exported(ToldLog(), "jsonl")
    created = next(one for one in log.events if one.stream_id == "workflow-other")
    with pytest.raises(CutOutOfRange, match="workflow other began at"):
        await exported(log, "jsonl", "other", cut=Cut(at=created.recorded_at - MICROSECOND))


# --- CSV ----------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("start", ["=", "+", "-", "@"])
async def test_no_cell_is_a_formula(start: str) -> None:
    log = ToldLog()
    created = t.TaskCreated(at=at(0), task_id="t", workflow_id="w", definition_id=f'{start}HYPERLINK("http://x")')
    log.tell(("task-t", created), metadata={"actor": f"{start}1+1"})
    (row,) = csv.DictReader(io.StringIO((await exported(log, "csv")).decode()))
    assert row["activity"] == f'\'{start}HYPERLINK("http://x")'
    assert row["actor"] == f"'{start}1+1"


# --- OCEL ---------------------------------------------------------------------------------------------------


async def test_objects_carry_what_changed_when_and_what_they_relate_to() -> None:
    world = two_workflows()
    told = objects(await exported(world.log, "ocel"))
    task = told["task-t1"]
    states = [(one["value"], one["time"]) for one in task["attributes"] if one["name"] == "state"]
    assert [state for state, _ in states] == ["created", "scheduled", "assigned", "running", "completed"]
    assert states[0][1] == world.stream("task-t1")[0].recorded_at.isoformat().replace("+00:00", "Z")
    assert {(one["objectId"], one["qualifier"]) for one in task["relationships"]} == {
        ("workflow-wf", "part of"),
        ("agent-agent", "assigned to"),
        ("pool-pool", "takes from"),
    }
    assert last_values(task) == last_values(task) | {
        "outputs.score": "1",
        "outputs.note": "fine",
        "percentage": "100.0",
    }
    assert "pool_id" not in last_values(task)  # it has given back what it took
    pool = [one["value"] for one in told["pool-pool"]["attributes"] if one["name"] == "allocated.cpu"]
    assert pool == ["0", "2", "4", "2"]
    assert {one["objectId"] for one in told["workflow-wf"]["relationships"]} == {"task-t1", "task-t2"}


async def test_a_range_tells_of_earlier_changes_only_the_last() -> None:
    world = two_workflows()
    since = world.stream("task-t1")[-1].recorded_at
    told = objects(await exported(world.log, "ocel", since=since))
    states = [one["value"] for one in told["task-t1"]["attributes"] if one["name"] == "state"]
    assert states == ["running", "completed"]
    assert "task-o1" not in told


async def test_types_of_attributes_are_as_wide_as_their_values() -> None:
    log = ToldLog()
    contexts: list[dict[str, Any]] = [
        {"n": 1, "b": True, "s": "x", "list": [1, {"a": 2}], "gone": 1, "mixed": 1},
        {"n": 1.5, "mixed": "one", "gone": None},
        {"b": False, "s": None},
    ]
    created = w.WorkflowCreated(
        at=at(0), workflow_id="w", definition_id="d", definition_version="1", context=contexts[0]
    )
    log.tell(("workflow-w", created))
    for context in contexts[1:]:
        log.tell(("workflow-w", w.WorkflowAmended(at=at(1), context=context)))
    text = await exported(log, "ocel")
    check_ocel(text, log.events)
    (kind,) = (one for one in json.loads(text)["objectTypes"] if one["name"] == "workflow")
    types = {one["name"].removeprefix("context."): one["type"] for one in kind["attributes"]}
    assert [types[name] for name in ("n", "b", "s", "list", "mixed", "gone")] == [
        "float",
        "boolean",
        "string",
        "string",
        "string",
        "string",
    ]
    told = [
        (one["name"], one["value"]) for one in objects(text)["workflow-w"]["attributes"] if "context" in one["name"]
    ]
    assert told == [
        ("context.n", "1"),
        ("context.b", "true"),
        ("context.s", "x"),
        ("context.list", '[1,{"a":2}]'),
        ("context.gone", "1"),
        ("context.mixed", "1"),
        ("context.gone", ""),
        ("context.n", "1.5"),
        ("context.mixed", "one"),
        ("context.s", ""),
        ("context.b", "false"),
    ]


async def test_names_that_callers_give_are_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(attributes, "MAX_NAMES", 2)
    log = ToldLog()
    created = t.TaskCreated(
        at=at(0), task_id="t", workflow_id="w", definition_id="d", inputs={"a": 1, "b": 2, "c": 3, "d": 4}
    )
    log.tell(("task-t", created))
    told = last_values(objects(await exported(log, "ocel"))["task-t"])
    assert (told["inputs.a"], told["inputs.b"], told["inputs"]) == ("1", "2", '{"c":3,"d":4}')
    assert "inputs.c" not in told


async def test_a_reservation_for_what_is_not_there_relates_to_nothing_that_is_not() -> None:
    log = ToldLog()
    log.tell(("pool-p", PoolCreated(at=at(0), pool_id="p", total={"cpu": "4"})))
    reserved = ResourcesReserved(
        at=at(1), reservation_id="r", resources={"cpu": "1"}, task_id="none", agent_id="nobody"
    )
    log.tell(("pool-p", reserved))
    text = await exported(log, "ocel")
    check_ocel(text, log.events)
    assert objects(text).keys() == {"pool-p"}


# --- XES ----------------------------------------------------------------------------------------------------


def elements(text: bytes) -> ElementTree.Element:
    return ElementTree.fromstring(text)


def attributes_of(event: ElementTree.Element) -> dict[str, str]:
    return {one.attrib["key"]: one.attrib["value"] for one in event if "key" in one.attrib}


def events_of(text: bytes) -> list[dict[str, str]]:
    return [attributes_of(event) for event in elements(text).iter("{http://www.xes-standard.org/}event")]


async def test_tasks_go_through_the_lifecycle_of_the_standard() -> None:
    world = running_world("t1", "t2", "t3")
    start(world, "t1", "t2")
    world.given(task_messages.ReportProgress(task_id="t1", percentage=50.0))
    world.given(task_messages.CompleteTask(task_id="t1"))
    world.given(task_messages.CancelTask(task_id="t2", reason="no need"))
    world.given(task_messages.CancelTask(task_id="t3", reason="no need"))
    told = events_of(await exported(world.log, "xes"))

    def went(task_id: str) -> list[str]:
        return [one["lifecycle:transition"] for one in told if one.get("concept:instance") == task_id]

    assert went("t1") == ["unknown", "schedule", "assign", "start", "unknown", "complete"]
    assert went("t2") == ["unknown", "schedule", "assign", "start", "ate_abort"]
    assert went("t3") == ["unknown", "schedule", "withdraw"]
    started = next(one for one in told if one["lifecycle:transition"] == "start")
    assert (started["concept:name"], started["org:resource"]) == ("analysis", "agent")
    steps = [one["dora:event"] for one in told if one["concept:name"] == xes.WORKFLOW_ACTIVITY]
    assert steps == ["WorkflowCreated", "WorkflowStarted", "WorkflowCompleted"]


async def test_whatever_was_recorded_is_well_formed_xml_and_comes_back(tmp_path: Path) -> None:
    odd = "a\tb\nc\r\"<&>'\ufffe\ud7ff\U0001f600 ]]>"
    world = World()
    world.given(create_workflow(context={odd: odd, "amount": 3, "rate": 0.5, "ok": True, "deep": {"x": [odd]}}))
    text = await exported(world.log, "xes")
    (trace,) = elements(text).iter("{http://www.xes-standard.org/}trace")
    told = {
        one.attrib["key"]: (one.tag.rpartition("}")[2], one.attrib["value"]) for one in trace if "key" in one.attrib
    }
    shown = odd.replace("\ufffe", "\ufffd")
    assert told[shown] == ("string", shown)
    assert (told["amount"], told["rate"], told["ok"]) == (("int", "3"), ("float", "0.5"), ("boolean", "true"))
    assert "deep" not in told
    path = tmp_path / "log.xes"
    path.write_bytes(text)
    with XesSource(path) as source:
        (event,) = [one for one in read_xes(source) if isinstance(one, XesEvent)]
    assert json.loads(str(event.attributes[RECORDED]))[0][3] == json.loads(world.log.events[0].data)
    await check_round_trip(world.log)


async def test_a_context_can_not_pose_as_what_the_trace_is() -> None:
    world = World()
    world.given(create_workflow(context={"concept:name": "another", "dora:state": "completed"}))
    (trace,) = elements(await exported(world.log, "xes")).iter("{http://www.xes-standard.org/}trace")
    assert attributes_of(trace)["concept:name"] == "wf"
    assert attributes_of(trace)["dora:state"] == "created"


async def test_what_is_long_is_told_in_parts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(xes, "PART", 40)
    world = two_workflows()
    keys = {key for one in events_of(await exported(world.log, "xes")) for key in one}
    assert {RECORDED, f"{RECORDED}.2", f"{RECORDED}.3"} <= keys
    await check_round_trip(world.log)


async def test_a_trace_that_begins_after_its_workflow_says_nothing_to_an_import() -> None:
    world = two_workflows()
    created = world.stream("workflow-other")[0]
    text = await exported(world.log, "xes", since=created.recorded_at)
    told = {
        trace.find("{http://www.xes-standard.org/}string[@key='concept:name']"): trace
        for trace in elements(text).iter("{http://www.xes-standard.org/}trace")
    }
    whole = {
        name.attrib["value"]: any(
            RECORDED in attributes_of(event) for event in trace.iter("{http://www.xes-standard.org/}event")
        )
        for name, trace in told.items()
        if name is not None
    }
    assert whole == {"wf": False, "other": True}


async def test_only_workflows_that_had_begun_are_told() -> None:
    world = two_workflows()
    created = world.stream("workflow-other")[0]
    text = await exported(world.log, "xes", cut=Cut(position=created.position - 1))
    assert [
        attributes_of(one)["concept:name"] for one in elements(text).iter("{http://www.xes-standard.org/}trace")
    ] == ["wf"]
    assert f"as of {START.year}" in text.decode()
