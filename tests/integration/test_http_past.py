"""Who may read the past over HTTP: what readers and orchestrators reach, by every parameter, and what is kept of it."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio

from domain.errors import LogUnavailable
from dora_state.access.caller import Permission, Reading
from dora_state.access.refusals import Refusals
from dora_state.http.api import OPERATIONS
from dora_state.http.limits import Limits
from tests.support.http import Asked, ByRole, a_workflow, asked_by_port, fresh
from tests.support.tenants import lent

pytestmark = pytest.mark.asyncio(loop_scope="module")
EVERYTHING_IS_LONG_AGO, NOTHING_IS = Limits(resume_seconds=0.0), Limits()
READS, COMMANDS = Permission.READS, Permission.COMMANDS
AS_ORCHESTRATOR = {"Authorization": "Bearer orchestrator"}
AUDITOR = {"Authorization": "Bearer auditor"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def of_all(database_url: str, redis_url: str) -> AsyncIterator[Asked]:
    async with lent(database_url) as tenant, asked_by_port(database_url, redis_url, tenant) as asked:
        asked.server.authenticator = ByRole(tenant)
        yield asked


@pytest.fixture
def asked(of_all: Asked, monkeypatch: pytest.MonkeyPatch) -> Asked:
    """Asked by an orchestrator, where nothing of before may be seen."""
    of_all.readings.readings.clear()
    of_all.client.headers.update(AS_ORCHESTRATOR)
    monkeypatch.setattr(of_all.server, "limits", EVERYTHING_IS_LONG_AGO)
    return of_all


def kept(asked: Asked) -> list[tuple[Any, ...]]:
    return [(one.what, one.about, one.caller.role, one.cut) for one in asked.readings.readings]


async def head(asked: Asked) -> int:
    return (await asked.manager.platform.log.head()).position


async def told(asked: Asked, count: int, **request: Any) -> list[int]:
    """The positions of the first events of a stream."""
    positions: list[int] = []
    async with asked.client.stream("GET", "/v1/events", **request) as answer:
        assert answer.status_code == 200
        async for line in answer.aiter_lines():
            if line.startswith("data: "):
                positions.append(json.loads(line.removeprefix("data: "))["position"])
            if len(positions) == count:
                break
    return positions


async def test_what_readers_and_orchestrators_may_ask_for_is_known_by_name() -> None:
    """Whatever comes to it is to be looked at for ways to the past."""
    allowed = {one.id for one in OPERATIONS if one.method == "GET" and one.permission in (READS, COMMANDS)}
    assert allowed == {
        "getWorkflow", "getTask", "getAgent", "getPool", "getSystem",  # with a cut they take `history`
        "followEvents",  # from long ago on too
        "getCommand", "getRates",
        "listWorkflows", "listTasks", "listOverdue", "listStalled", "listPending", "listAgents", "listPools",
        "listReservations", "getBoard", "getHealth", "getMetrics",
    }  # fmt: skip


@pytest.mark.parametrize("role", ["reader", "orchestrator"])
@pytest.mark.parametrize("path", ["workflows/w", "tasks/t", "agents/a", "pools/p", "system"])
@pytest.mark.parametrize("cut", ["version=1", "at=2026-01-01T00:00:00Z", "position=1", "version=0", "position=0"])
async def test_no_state_of_before_is_for_who_may_not_look_at_the_past(
    asked: Asked, role: str, path: str, cut: str, caplog: pytest.LogCaptureFixture
) -> None:
    asked.server.refusals = Refusals(asked.manager.platform.settings.tenant)
    for more in ("", "&consistency=live", "&consistency=cached"):
        answer = await asked.get(f"/v1/{path}?{cut}{more}", headers={"Authorization": f"Bearer {role}"})
        assert problem(answer) == (403, "forbidden")
    assert kept(asked) == []
    assert [record.__dict__["refusal"]["permission"] for record in caplog.records] == ["history"] * 3


@pytest.mark.parametrize("role", ["reader", "orchestrator"])
@pytest.mark.parametrize("by", [{"params": {"after_position": 0}}, {"headers": {"Last-Event-ID": "0"}}])
async def test_events_of_long_ago_are_not_for_who_may_not_look_at_the_past(
    asked: Asked, role: str, by: dict[str, Any]
) -> None:
    await a_workflow(asked, fresh("wf"))
    headers = {"Authorization": f"Bearer {role}", **by.get("headers", {})}
    refused = await asked.get("/v1/events", params=by.get("params", {}), headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (403, "forbidden")
    assert "begin without a position" in refused.json()["detail"]
    assert kept(asked) == []


async def test_who_was_away_for_a_short_time_goes_on_where_it_was(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asked.server, "limits", NOTHING_IS)
    begin = await head(asked)
    await a_workflow(asked, fresh("wf"))
    assert await told(asked, 3, params={"after_position": begin}) == [begin + 1, begin + 2, begin + 3]
    assert kept(asked) == []


async def test_at_the_end_of_the_log_everybody_may_begin(asked: Asked) -> None:
    async with asked.client.stream("GET", "/v1/events", params={"after_position": await head(asked)}) as answer:
        assert answer.status_code == 200


async def test_a_stream_of_events_of_long_ago_is_kept_as_a_look_at_the_past(asked: Asked) -> None:
    wf, begin = fresh("wf"), await head(asked)
    await a_workflow(asked, wf)
    auditor = {"Authorization": "Bearer auditor"}
    params = {"after_position": begin, "kind": "workflow", "id": wf, "type": ["WorkflowCreated", "WorkflowStarted"]}
    end = await head(asked)
    await told(asked, 2, params=params, headers=auditor)
    assert kept(asked) == [("events", wf, "auditor", {"after_position": begin, "until_position": end})]
    assert asked.readings.readings[0].asked == {
        "kind": ["workflow"], "id": wf, "type": ["WorkflowCreated", "WorkflowStarted"],
    }  # fmt: skip
    await sooner_or_later_ended(asked.readings.readings)
    assert asked.readings.readings[0].rows == 2


NOTHING = {
    "/v1/workflows/{wf}?at=2020-01-01T00:00:00Z": ("state", "workflow {wf}"),
    "/v1/workflows/{wf}?version=99": ("state", "workflow {wf}"),
    "/v1/tasks/none?position=1": ("state", "task none"),
    "/v1/workflows/{wf}/diff?begin=v1&end=v99": ("diff", "workflow {wf}"),
    "/v1/diff?begin=start&end=p999999": ("diff", "everything"),
    "/v1/traces/nope": ("trace", "nope"),
    "/v1/agents/none/history": ("history", "agent none"),
    "/v1/agents/none/history?stream=true": ("history", "agent none"),
    "/v1/workflows/{wf}/timeline?version=99": ("timeline", "workflow {wf}"),
    "/v1/workflows/{wf}/events?up_to_version=99": ("events", "workflow {wf}"),
    "/v1/workflows/{wf}/reconstruction?up_to_version=99": ("reconstruction", "workflow {wf}"),
    "/v1/export?format=jsonl&position=999999": ("export jsonl", "everything"),
}


@pytest.mark.parametrize("path", NOTHING)
async def test_a_look_that_finds_nothing_is_kept_before_it_is_told_so(
    asked: Asked, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    wf = fresh("wf")
    await a_workflow(asked, wf)
    answer = await asked.get(path.format(wf=wf), headers=AUDITOR)
    assert answer.status_code == 404, answer.text
    what, about = NOTHING[path]
    assert [(one.what, one.about, one.rows) for one in asked.readings.readings] == [(what, about.format(wf=wf), 0)]

    async def refuse(reading: Reading) -> None:
        raise LogUnavailable("It can't be kept.")

    monkeypatch.setattr(asked.readings, "record", refuse)
    assert (await asked.get(path.format(wf=wf), headers=AUDITOR)).status_code == 503


@pytest.mark.parametrize(
    "path",
    [
        "/v1/workflows/{wf}/history?stream=true",
        "/v1/diff?begin=start",
        "/v1/export?format=csv",
        "/v1/workflows/{wf}/events",
        "/v1/events?after_position=0",
    ],
)
async def test_of_what_only_the_head_was_asked_for_nothing_was_shown(asked: Asked, path: str) -> None:
    wf = fresh("wf")
    await a_workflow(asked, wf)
    answer = await asked.client.head(path.format(wf=wf), headers=AUDITOR)
    assert (answer.status_code, answer.content) == (200, b"")
    assert [one.rows for one in asked.readings.readings] == [0]


async def sooner_or_later_ended(readings: list[Reading]) -> None:
    async with asyncio.timeout(10):
        while readings[0].rows is None:  # noqa: ASYNC110  # nobody tells
            await asyncio.sleep(0.01)


async def test_a_dry_run_of_a_rollback_is_kept_as_a_look_at_the_past(asked: Asked) -> None:
    wf = fresh("wf")
    await a_workflow(asked, wf)
    answer = await asked.client.post(f"/v1/workflows/{wf}/rollback", json={"to_version": 1, "dry_run": True})
    assert answer.status_code == 200
    assert kept(asked) == [("rollback", f"workflow {wf}", "orchestrator", {"version": 1})]
    assert asked.readings.readings[0].asked == {"workflow_only": False, "dry_run": True}


def going_back(wf: str) -> dict[str, Any]:
    return {"type": "RollBackWorkflow", "data": {"workflow_id": wf, "to_version": 1, "reason": "r", "operator": "ann"}}


async def test_a_refusal_that_tells_of_an_earlier_state_is_kept_too(asked: Asked) -> None:
    """A transaction that goes back and is refused then tells of the state that it went back to."""
    wf = fresh("wf")
    await a_workflow(asked, wf, tasks=1)
    complete = {"type": "CompleteTask", "data": {"task_id": f"{wf}-0"}}
    steps = [going_back(wf), complete]
    transaction = {"type": "Transaction", "data": {"commands": steps}}
    for path, body in (
        ("/v1/commands", transaction),
        ("/v1/commands", [transaction]),
        ("/v1/transactions", {"steps": steps}),
    ):
        asked.readings.readings.clear()
        answer = await asked.client.post(path, json=body)
        assert answer.status_code in (207, 409), answer.text
        assert kept(asked) == [("rollback", f"workflow {wf}", "orchestrator", {"version": 1})], path


async def test_what_can_not_be_kept_is_not_tried_out(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(reading: object) -> None:
        raise LogUnavailable()

    wf = fresh("wf")
    await a_workflow(asked, wf)
    monkeypatch.setattr(asked.readings, "record", refuse)
    answers = [
        await asked.client.post(f"/v1/workflows/{wf}/rollback", json={"to_version": 1, "dry_run": True}),
        await asked.client.post("/v1/commands", json=going_back(wf)),
        await asked.client.post("/v1/commands", json=[going_back(wf)]),
    ]
    assert [one.status_code for one in answers] == [503, 503, 503]
    assert (await asked.get(f"/v1/workflows/{wf}", params={"consistency": "live"})).json()["stream_version"] == 3


# --- states that are handed back ------------------------------------------------------------------------------


async def hand_back(asked: Asked, wf: str, version: int, changes: dict[str, Any], key: str | None = None) -> Any:
    step = {"state": {"kind": "workflow", "id": wf, "version": version, "changes": changes}}
    headers = {} if key is None else {"Idempotency-Key": key}
    return await asked.client.post("/v1/transactions", json={"steps": [step]}, headers=headers)


def problem(answer: httpx.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["code"]


@pytest.mark.parametrize("changes", [{}, {"state": "gone"}, {"metrics": {"completed_tasks": 7}}, {"context": {"a": 1}}])
@pytest.mark.parametrize("version", [1, 2, 0, 99])
async def test_a_state_of_another_version_is_a_conflict_whatever_was_changed_in_it(
    asked: Asked, changes: dict[str, Any], version: int
) -> None:
    wf = fresh("wf")
    await a_workflow(asked, wf)
    answer = await hand_back(asked, wf, version, changes)
    assert problem(answer) == (412, "conflict")
    assert answer.json()["facts"] == {"stream_id": f"workflow-{wf}", "expected": version, "actual": 3}


async def test_a_transaction_that_comes_again_is_answered_as_before_although_its_state_is_of_the_past(
    asked: Asked,
) -> None:
    wf, key = fresh("wf"), str(uuid4())
    await a_workflow(asked, wf)
    first = await hand_back(asked, wf, 3, {"context": {"a": 1}}, key)
    again = await hand_back(asked, wf, 3, {"context": {"a": 1}}, key)
    assert (first.status_code, again.status_code) == (200, 200)
    assert again.json() == first.json() | {"repeated": True}


@pytest.mark.parametrize(
    ("version", "changes", "told"),
    [
        (3, {"context": {"a": 2}}, (422, "command_id_reused")),
        (3, {"metrics": {"x": 7}}, (412, "conflict")),
        (1, {"state": "x"}, (422, "command_id_reused")),
        (99, {}, (422, "command_id_reused")),
    ],
)
async def test_a_command_id_opens_no_way_to_the_past(
    asked: Asked, version: int, changes: dict[str, Any], told: tuple[int, str]
) -> None:
    wf, key = fresh("wf"), str(uuid4())
    await a_workflow(asked, wf)
    assert (await hand_back(asked, wf, 3, {"context": {"a": 1}}, key)).status_code == 200
    answer = await hand_back(asked, wf, version, changes, key)
    assert problem(answer) == told
    assert answer.json()["facts"].keys() <= {"stream_id", "expected", "actual"}
