"""What comes from outside: refused with the field and the reason, or an envelope."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest

from commands.edge import MAX_BYTES, Edge
from commands.messages import COMMANDS
from commands.messages import pool as pools
from commands.messages import workflow as workflows
from commands.tracing import TRACEPARENT
from domain.errors import InvalidInput

NOW = datetime(2024, 1, 17, 10, 0, tzinfo=UTC)
WORKFLOW = {"workflow_id": "wf", "definition_id": "d"}
TASK = {"workflow_id": "wf", "task_id": "t", "definition_id": "d"}


def edge() -> Edge:
    return Edge(tenant="bank", new_id=uuid4, clock=lambda: NOW)


def submission(type: str = "CreateWorkflow", data: object = None, **more: Any) -> dict[str, Any]:
    return {"type": type, "data": WORKFLOW if data is None else data, "actor": "me", **more}


def refused(raw: bytes | dict[str, Any]) -> InvalidInput:
    """It is refused, in one sentence that ends with what to do."""
    with pytest.raises(InvalidInput) as caught:
        edge().parse(raw if isinstance(raw, bytes) else json.dumps(raw).encode())
    assert caught.value.code == "invalid_input"
    assert caught.value.message.endswith((".", "?"))
    assert "\n" not in caught.value.message
    return caught.value


def test_a_submission_becomes_an_envelope() -> None:
    command_id = uuid4()
    given = edge().parse(
        json.dumps(
            submission(
                command_id=str(command_id),
                correlation_id="c",
                causation_id="b",
                occurred_at="2024-01-17T11:00:00+02:00",
                expected_version=3,
                tenant="bank",
            )
        ).encode()
    )
    assert (given.command_id, given.actor, given.correlation_id, given.causation_id) == (command_id, "me", "c", "b")
    assert (given.occurred_at, given.expected_version) == (datetime(2024, 1, 17, 9, 0, tzinfo=UTC), 3)
    assert given.command.type == "CreateWorkflow"


def test_ids_that_are_not_given_are_made() -> None:
    given = edge().check(submission())
    assert isinstance(given.command_id, UUID)
    assert given.correlation_id == str(given.command_id)


def test_an_edge_with_a_default_actor_needs_none() -> None:
    edge = Edge(tenant="bank", new_id=uuid4, clock=lambda: NOW, default_actor="cli")
    assert edge.check({"type": "CreateWorkflow", "data": WORKFLOW}).actor == "cli"
    assert edge.check(submission()).actor == "me"


def test_every_command_can_be_submitted_and_an_unknown_field_is_named() -> None:
    assert len(COMMANDS) == 41
    for name in COMMANDS:
        assert "data.no_such_field" in refused(submission(name, {"no_such_field": 1})).facts["fields"]  # type: ignore[operator]


@pytest.mark.parametrize("name", ["BeginImport", "ImportEvent", "EndImport", "createworkflow", "", "x" * 10_000])
def test_what_is_no_command_is_refused(name: str) -> None:
    error = refused(submission(name))
    assert error.facts["field"] == "type"
    assert len(error.message) < 300


def test_a_name_that_is_almost_right_gets_a_hint() -> None:
    alike = "did you mean CreateWorkflow or CompleteWorkflow or CancelWorkflow?"
    assert refused(submission("CreateWorkfow")).message == f'type: there is no command "CreateWorkfow"; {alike}'
    assert refused(submission("?")).message == 'type: there is no command "?"; docs/rules.md lists the commands.'


def test_a_refusal_tells_which_command_it_is_of() -> None:
    """So that an answer can be matched with what was asked."""
    command_id = str(uuid4())
    error = refused(submission("y" * 61, command_id=command_id))
    assert error.facts == {"field": "type", "type": "y" * 60, "command_id": command_id}
    assert f'"{"y" * 60}"' in error.message
    assert refused(submission("?")).facts["command_id"] is None
    assert refused(submission(data={}, command_id=command_id)).facts["command_id"] == command_id
    within = submission("Transaction", {"commands": [{"type": "Heartbeat", "data": {"agent_id": "a"}}]})
    assert refused(within).facts["field"] == "data.commands.0"
    elsewhere = refused(submission(tenant="other"))
    assert (elsewhere.facts["field"], elsewhere.facts["tenant"]) == ("tenant", "other")


def test_an_envelope_names_the_request_that_is_being_served() -> None:
    parent = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
    token = TRACEPARENT.set(parent)
    try:
        assert edge().check(submission()).traceparent == parent
    finally:
        TRACEPARENT.reset(token)
    assert edge().check(submission()).traceparent is None


@pytest.mark.parametrize("bad", ["", " ", "a\x00", "a\nb", "x" * 256, " a", 7, None, ["a"], "\u2028", "\x85"])
@pytest.mark.parametrize("field", ["data.workflow_id", "actor", "correlation_id", "data.dependencies.0"])
def test_ids_that_are_none_are_refused_with_their_field(field: str, bad: object) -> None:
    if field == "correlation_id" and bad is None:
        return
    match field:
        case "data.workflow_id":
            raw = submission(data={**WORKFLOW, "workflow_id": bad})
        case "data.dependencies.0":
            raw = submission(data={**WORKFLOW, "dependencies": [bad]})
        case _:
            raw = submission() | {field: bad}
    error = refused(raw)
    assert error.facts["field"] == field
    assert f"{field}: " in error.message


def test_the_longest_id_is_fine() -> None:
    assert edge().check(submission(data={**WORKFLOW, "workflow_id": "ü" * 255}))


@pytest.mark.parametrize(
    ("raw", "fields"),
    [
        (submission(extra=1), ["extra"]),
        ({"type": "CreateWorkflow", "data": WORKFLOW}, ["actor"]),
        (submission(data=[]), ["data"]),
        (submission(data="x"), ["data"]),
        (submission() | {"type": 7}, ["type"]),
        (submission(data={}), ["data.workflow_id", "data.definition_id"]),
        (submission(command_id="7"), ["command_id"]),
        (submission(command_id=7), ["command_id"]),
        (submission(expected_version=-1), ["expected_version"]),
        (submission(expected_version="1"), ["expected_version"]),
        (submission(expected_version=True), ["expected_version"]),
        (submission(expected_version=1.0), ["expected_version"]),
        (submission(occurred_at="2024-01-17T10:00:00"), ["occurred_at"]),
        (submission(occurred_at="yesterday"), ["occurred_at"]),
        (submission(occurred_at=1705485600), ["occurred_at"]),
        (submission(occurred_at="0001-01-01T00:00:00+14:00"), ["occurred_at"]),
        (submission(tenant="other"), ["tenant"]),
        (submission(data={**WORKFLOW, "max_retries": -1}), ["data.max_retries"]),
        (submission(data={**WORKFLOW, "max_retries": "3"}), ["data.max_retries"]),
        (submission(data={**WORKFLOW, "completion": "someday"}), ["data.completion"]),
        (submission(data={**WORKFLOW, "priority": "urgent"}), ["data.priority"]),
        (submission(data={**WORKFLOW, "scheduled_completion": "2024-01-17T10:00:00"}), ["data.scheduled_completion"]),
        (submission(data={**WORKFLOW, "context": []}), ["data.context"]),
        (submission("AddTask", {**TASK, "timeout": 0}), ["data.timeout"]),
        (submission("AddTask", {**TASK, "max_attempts": 0}), ["data.max_attempts"]),
        (
            submission("AddTask", {**TASK, "resource_requirements": {"memory": "4Gx"}}),
            ["data.resource_requirements.memory"],
        ),
        (
            submission("AddTask", {**TASK, "resource_requirements": {"memory": "-4Gi"}}),
            ["data.resource_requirements.memory"],
        ),
        (submission("AddTask", {**TASK, "resource_requirements": {"cpu": 2}}), ["data.resource_requirements.cpu"]),
        (submission("AddTask", {**TASK, "requires": "t1"}), ["data.requires"]),
        (submission("ReportProgress", {"task_id": "t", "percentage": 100.1}), ["data.percentage"]),
        (submission("ReportProgress", {"task_id": "t", "percentage": "50"}), ["data.percentage"]),
        (submission("ReportProgress", {"task_id": "t", "memory_peak": "4Gx"}), ["data.memory_peak"]),
        (
            submission("RegisterAgent", {"agent_id": "a", "agent_type": "t", "max_concurrent_tasks": 0}),
            ["data.max_concurrent_tasks"],
        ),
        (submission("Heartbeat", {"agent_id": "a", "queue_size": -1}), ["data.queue_size"]),
        (
            submission("Heartbeat", {"agent_id": "a", "usage": {"network_io": {"rx": -1, "tx": 0}}}),
            ["data.usage.network_io.rx"],
        ),
        (submission("CreatePool", {"pool_id": "p", "total": {}}), ["data.total"]),
        (submission("CreatePool", {"pool_id": "p", "total": {"tea": "1"}}), ["data.total.tea"]),
        (submission("ChangePolicies", {"pool_id": "p", "overcommit": {"cpu": 0.5}}), ["data.overcommit.cpu"]),
        (submission("ConfigureSystem", {"unset": ["environment"]}), ["data.unset.0"]),
    ],
)
def test_what_is_wrong_is_named(raw: dict[str, Any], fields: list[str]) -> None:
    error = refused(raw)
    assert error.facts.get("fields", [error.facts.get("field")]) == fields


@pytest.mark.parametrize(
    ("type", "data", "says"),
    [
        ("CreateWorkflow", {**WORKFLOW, "priority": "high", "context": {"priority": "low"}}, "differ"),
        ("CreateWorkflow", {**WORKFLOW, "context": {"priority": "urgent"}}, "context.priority"),
        ("CreateWorkflow", {**WORKFLOW, "dependencies": ["a", "a"]}, "twice"),
        ("AddTask", {**TASK, "phases": ["a", "a"]}, "twice"),
        (
            "AssignTask",
            {"task_id": "t", "agent_id": "a", "reason": "r", "reservation_expires_at": "2024-01-18T10:00:00Z"},
            "needs a pool_id",
        ),
        ("RollBackWorkflow", {"workflow_id": "wf", "reason": "r", "operator": "o"}, "exactly one"),
        (
            "RollBackWorkflow",
            {"workflow_id": "wf", "reason": "r", "operator": "o", "to_version": 1, "to_position": 1},
            "exactly one",
        ),
    ],
)
def test_what_does_not_go_together_is_refused(type: str, data: dict[str, Any], says: str) -> None:
    assert says in refused(submission(type, data)).message


@pytest.mark.parametrize("number", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_that_are_none_are_refused(number: str) -> None:
    raw = '{"type":"CreateWorkflow","actor":"me","data":{"workflow_id":"wf","definition_id":"d","context":{"n":%s}}}'
    refused((raw % number).encode())
    for value in (float("nan"), float("inf")):
        with pytest.raises(InvalidInput, match="context"):
            edge().check(submission(data={**WORKFLOW, "context": {"deep": [{"n": value}]}}))


def test_json_that_is_cut_off_anywhere_is_refused() -> None:
    whole = json.dumps(submission(context={"ü": [1, {"a": None}]})).encode()
    for length in range(len(whole)):
        refused(whole[:length])


@pytest.mark.parametrize("raw", [b"", b"null", b"7", b'"x"', b"[]", b"[{}]", b"\xff\xfe", b"{} {}", b"{'a': 1}"])
def test_what_is_no_json_object_is_refused(raw: bytes) -> None:
    refused(raw)


def test_what_is_json_and_no_object_is_told_what_a_command_is() -> None:
    says = 'A command is a JSON object with "type" and "data"; this is something else.'
    assert refused(b"[]").message == says


@pytest.mark.parametrize("depth", [33, 300, 1000, 100_000])
def test_nesting_without_end_is_refused(depth: int) -> None:
    head = b'{"type":"CreateWorkflow","actor":"me","data":{"workflow_id":"wf","definition_id":"d","context":{"a":'
    refused(head + b"[" * depth + b"]" * depth + b"}}}")
    refused(b"[" * depth)
    refused(b'{"a":' * depth)


def test_a_command_that_is_too_large_is_refused() -> None:
    error = refused(b" " * (MAX_BYTES + 1))
    assert error.facts == {"bytes": MAX_BYTES + 1, "limit": MAX_BYTES}
    assert edge().parse(json.dumps(submission()).encode().ljust(MAX_BYTES))


def test_the_future_is_refused_but_for_a_clock_that_is_a_little_ahead() -> None:
    def said(at: datetime) -> dict[str, Any]:
        return submission(occurred_at=at.isoformat())

    facts = refused(said(NOW + timedelta(minutes=1, microseconds=1))).facts
    assert (facts["field"], facts["occurred_at"]) == ("occurred_at", "2024-01-17T10:01:00.000001Z")
    assert edge().check(said(NOW + timedelta(minutes=1))).occurred_at == NOW + timedelta(minutes=1)


def test_numbers_of_policies_are_taken_as_they_are_written() -> None:
    given = edge().parse(
        json.dumps(submission("ChangePolicies", {"pool_id": "p", "overcommit": {"cpu": 1.1}})).encode()
    )
    assert isinstance(given.command, pools.ChangePolicies)
    assert str(given.command.overcommit["cpu"]) == "1.1"


@pytest.mark.parametrize(
    ("raw", "says"),
    [
        (submission(data={**WORKFLOW, "dependencies": "a"}), "data.dependencies: must be a list"),
        (submission(data={**WORKFLOW, "context": []}), "data.context: must be an object"),
        (submission(data={**WORKFLOW, "workflow_id": ""}), "data.workflow_id: must not be empty"),
        (submission(data={"workflow_id": "w"}), "data.definition_id: must be given"),
        (submission(data={**WORKFLOW, "priorty": "low"}), "data.priorty: is no field of it, the closest is priority"),
        (submission("StartWorkflow", {"workflow_id": "w", "x": 1}), "data.x: is no field of it, there are workflow_id"),
        (
            submission("Heartbeat", {"agent_id": "a", "usage": {"network_io": {"rx": 1, "tx": 0, "q": 2}}}),
            "data.usage.network_io.q: is no field of it, there are rx, tx",
        ),
        (submission(data={**WORKFLOW, "context": {"priority": "urgent"}}), 'data.context.priority: must be "high"'),
        (submission(data={**WORKFLOW, "dependencies": ["a", "a"]}), "data.dependencies: must not name one twice"),
        (
            submission("ConfigureSystem", {"retry_attempts": 5, "unset": ["retry_attempts"]}),
            "data.unset: must not name retry_attempts, which is set as well",
        ),
        (submission("ReportProgress", {"task_id": "t", "percentage": 101}), "data.percentage: must be at most 100"),
    ],
)
def test_what_is_wrong_is_said_in_the_words_of_json(raw: dict[str, Any], says: str) -> None:
    assert says in refused(raw).message


@pytest.mark.parametrize(
    ("raw", "key"),
    [
        (b'{"type":"StartWorkflow","actor":"me","actor":"you","data":{"workflow_id":"w"}}', "actor"),
        (b'{"type":"StartWorkflow","actor":"me","data":{"workflow_id":"w","workflow_id" \n: "v"}}', "workflow_id"),
        (b'{"type" : "StartWorkflow","actor":"me","data":{"workflow_id":"w","workflow_id":"v"}}', "workflow_id"),
        (b'{"a":[{"x":{"b":1,"\\u0062":2}}],"n":12345678901234567890123}', "b"),
        (b'{"a" :1,"a":"\\":"}', "a"),
    ],
)
def test_a_key_that_comes_twice_is_refused_by_its_name(raw: bytes, key: str) -> None:
    assert refused(raw).facts["key"] == key


def test_texts_that_look_like_keys_are_none() -> None:
    context = {"a": 'x":y":', "b": ':"', "c": [{"a": 1}, {"a": 2}], "d": {"a": '\\":'}}
    given = edge().parse(json.dumps(submission(data={**WORKFLOW, "context": context}), indent=1).encode())
    assert isinstance(given.command, workflows.CreateWorkflow)
    assert given.command.context == context
