"""Reads over HTTP: documents with tags, the past with a record of who looked, lists by pages; all as described."""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
import pytest_asyncio
from jsonschema import Draft202012Validator

from domain.errors import LogUnavailable
from domain.log import Cut
from dora_state.access.caller import PERMISSIONS, CallerRole
from dora_state.http.api import OPERATIONS
from dora_state.http.operations import Operation
from tests.support.http import Asked, ByRole, a_workflow, asked_directly, fresh
from tests.support.tenants import lent

pytestmark = pytest.mark.asyncio(loop_scope="module")
POOL = {"pool_id": "pool", "total": {"cpu": "8", "memory": "16Gi"}}
AGENT = {"agent_id": "agent", "agent_type": "checker", "max_concurrent_tasks": 4, "state": "healthy"}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def asked(database_url: str, redis_url: str) -> AsyncIterator[Asked]:
    """With a workflow `wf` of three tasks, of which the first runs, an agent, a pool, a configured system."""
    async with lent(database_url) as tenant, asked_directly(database_url, redis_url, tenant) as asked:
        await asked.give("CreatePool", POOL)
        await asked.give("RegisterAgent", AGENT)
        await asked.give("ConfigureSystem", {"environment": "test", "version": "1", "deployment_id": "d"})
        await a_workflow(asked, "wf", tasks=3)
        for name, more in (
            ("ScheduleTask", {}),
            ("AssignTask", {"agent_id": "agent", "reason": "free"}),
            ("StartTask", {}),
        ):
            answer = await asked.give(name, {"task_id": "wf-0", **more}, correlation_id="talk")
            assert answer.status_code == 200, answer.text
        await asked.catch_up()
        yield asked


def described(asked: httpx.Response, path: str) -> Any:
    """What was answered, which must be as the OpenAPI document says."""
    document = DOCUMENT
    reply = document["paths"][path]["get"]["responses"][str(asked.status_code)]
    told = asked.json()
    content = reply["content"][asked.headers["content-type"]]
    schema = content["schema"] | {"components": document["components"]}
    Draft202012Validator(schema).validate(told)
    return told


@pytest_asyncio.fixture(scope="module", loop_scope="module", autouse=True)
async def document(asked: Asked) -> None:
    DOCUMENT.update((await asked.get("/openapi.json")).json())


DOCUMENT: dict[str, Any] = {}


@pytest.mark.parametrize("consistency", ["cached", "projected", "live"])
@pytest.mark.parametrize(("kind", "id"), [("workflow", "wf"), ("task", "wf-0"), ("agent", "agent"), ("pool", "pool")])
async def test_a_document_is_as_it_is_described_at_each_consistency(
    asked: Asked, kind: str, id: str, consistency: str
) -> None:
    answer = await asked.get(f"/v1/{kind}s/{id}", params={"consistency": consistency})
    assert answer.status_code == 200
    told = described(answer, f"/v1/{kind}s/{{id}}")
    expected = await asked.manager.state(kind, id, live=True)
    assert told["stream_version"] == expected["stream_version"]
    assert told.keys() == expected.keys()


async def test_the_system_is_as_it_is_described(asked: Asked) -> None:
    assert described(await asked.get("/v1/system"), "/v1/system")["environment"] == "test"


@pytest.mark.parametrize("consistency", ["cached", "projected", "live"])
async def test_who_has_a_document_is_told_so_until_it_changes(asked: Asked, consistency: str) -> None:
    wf, params = fresh("wf"), {"consistency": consistency}
    await a_workflow(asked, wf)
    await asked.catch_up()
    path = f"/v1/workflows/{wf}"
    etag = (await asked.get(path, params=params)).headers["ETag"]
    assert etag.startswith(f'"workflow-{wf}-v3-')
    for known in (etag, f'"other", W/{etag}', "*"):
        again = await asked.get(path, params=params, headers={"If-None-Match": known})
        assert (again.status_code, again.content, again.headers["ETag"]) == (304, b"", etag)
    await asked.give("PauseWorkflow", {"workflow_id": wf})
    await asked.catch_up()
    other = await asked.get(path, params={"consistency": "live"}, headers={"If-None-Match": etag})
    assert other.status_code == 200
    assert other.headers["ETag"] != etag


async def test_a_tag_covers_what_is_computed_when_it_is_read(asked: Asked) -> None:
    id = fresh("agent")
    await asked.give("RegisterAgent", AGENT | {"agent_id": id})
    await asked.catch_up()
    before = await asked.get(f"/v1/agents/{id}")
    await asked.give("Heartbeat", {"agent_id": id, "queue_size": 7})
    await asked.manager.platform.presence.flush()
    after = await asked.get(f"/v1/agents/{id}", headers={"If-None-Match": before.headers["ETag"]})
    assert after.status_code == 200
    assert after.json()["stream_version"] == before.json()["stream_version"]
    running = [(await asked.get("/v1/tasks/wf-0", params={"consistency": "live"})) for _ in range(2)]
    assert running[0].headers["ETag"] != running[1].headers["ETag"]
    assert running[0].json()["execution_metrics"] != running[1].json()["execution_metrics"]


async def test_ids_may_have_slashes_and_every_other_sign_that_can_be_seen(asked: Asked) -> None:
    id = f"wf/{fresh('ä %?#')}"
    await asked.give("CreateWorkflow", {"workflow_id": id, "definition_id": "d"})
    path = f"/v1/workflows/{httpx.URL('http://x/', params={'q': id}).query.decode()[2:].replace('+', '%20')}"
    assert (await asked.get(path, params={"consistency": "live"})).json()["workflow_id"] == id
    assert (await asked.get(f"{path}/history")).json()["items"][0]["type"] == "WorkflowCreated"


async def test_who_wants_a_position_that_is_not_there_yet_is_told_how_far_things_are(asked: Asked) -> None:
    head = (await asked.manager.platform.log.head()).position
    asked_for = {"min_position": head + 5}
    for more in ({}, {"patience": "0.05"}, {"consistency": "live"}):
        answer = await asked.get("/v1/workflows/wf", params=asked_for | more)
        assert (answer.status_code, answer.json()["code"]) == (409, "not_projected_yet")
        assert answer.json()["facts"]["asked"] == head + 5
        assert answer.headers["Retry-After"] == "1"
    too_patient = await asked.get("/v1/workflows/wf", params=asked_for | {"patience": "3600"})
    assert too_patient.json()["facts"]["field"] == "patience"


async def test_the_past_is_told_at_a_version_a_time_and_a_position(asked: Asked) -> None:
    history = (await asked.get("/v1/workflows/wf/history")).json()["items"]
    second = history[1]
    for cut in ({"version": 2}, {"at": second["recorded_at"]}, {"position": second["position"]}):
        told = described(await asked.get("/v1/workflows/wf", params=cut), "/v1/workflows/{id}")
        assert (told["stream_version"], told["state"]) == (2, "created")
    both = await asked.get("/v1/workflows/wf", params={"version": 2, "position": 3})
    late = await asked.get("/v1/workflows/wf", params={"version": 99})
    assert both.json()["detail"].startswith("version and position can't be asked for at once")
    assert (late.status_code, late.json()["code"]) == (404, "cut_out_of_range")


async def test_history_comes_in_pages_forwards_and_backwards_and_as_a_stream(asked: Asked) -> None:
    path = "/v1/tasks/wf-0/history"
    stream = await asked.get(path, params={"stream": "true"})
    assert stream.headers["content-type"] == "application/x-ndjson"
    everything = [json.loads(line) for line in stream.text.splitlines()]
    assert [one["version"] for one in everything] == list(range(1, len(everything) + 1))
    for newest_first, mark in ((False, "after_version"), (True, "before_version")):
        found: list[Any] = []
        more: dict[str, Any] = {}
        while True:
            params: dict[str, Any] = {"limit": 2, "newest_first": str(newest_first).lower()} | more
            page = described(await asked.get(path, params=params), "/v1/tasks/{id}/history")
            found += page["items"]
            if page["next"] is None:
                break
            more = {mark: page["next"]}
        assert found == (everything[::-1] if newest_first else everything)
    started = await asked.get(path, params={"type": ["TaskStarted", "TaskScheduled"]})
    assert [one["type"] for one in started.json()["items"]] == ["TaskScheduled", "TaskStarted"]
    wrong = await asked.get(path, params={"type": "TaskStated"})
    assert "the closest is TaskStarted" in wrong.json()["detail"]


async def test_differences_timelines_and_conversations_are_as_they_are_described(asked: Asked) -> None:
    diff = described(await asked.get("/v1/workflows/wf/diff", params={"begin": "v1"}), "/v1/workflows/{id}/diff")
    assert {"op": "replace", "path": "/state", "value": "running"} in diff["patch"]
    told = described(await asked.get("/v1/workflows/wf/timeline"), "/v1/workflows/{id}/timeline")
    assert {row["task_id"] for row in told["rows"]} >= {"wf-0"}
    trace = described(await asked.get("/v1/traces/talk"), "/v1/traces/{correlation_id}")
    assert [one["type"] for one in trace["commands"]] == ["ScheduleTask", "AssignTask", "StartTask"]
    changes = await asked.get("/v1/diff", params={"begin": "start", "differences": "true"})
    moved = {(one["kind"], one["id"]): one for one in map(json.loads, changes.text.splitlines())}
    assert moved["pool", "pool"]["after"]["document"]["resource_pool_id"] == "pool"
    assert moved["pool", "pool"]["appeared"] is True


LISTS = ["workflows", "tasks", "overdue", "stalled", "pending", "agents", "pools", "reservations", "board", "rates"]


@pytest.mark.parametrize("name", [*LISTS, "actors", "audit"])
async def test_lists_are_as_they_are_described(asked: Asked, name: str) -> None:
    params = {"actor": "local"} if name == "audit" else {}
    described(await asked.get(f"/v1/{name}", params=params), f"/v1/{name}")


@pytest.mark.parametrize(("name", "id"), [("tasks", "task_id"), ("workflows", "workflow_id"), ("audit", "position")])
async def test_pages_of_a_list_make_the_whole_of_it(asked: Asked, name: str, id: str) -> None:
    await a_workflow(asked, fresh("wf"), tasks=3)
    await asked.catch_up()
    params = {"actor": "local"} if name == "audit" else {}
    whole = (await asked.get(f"/v1/{name}", params=params | {"limit": 1000})).json()
    found, mark = [], None
    while True:
        page = (await asked.get(f"/v1/{name}", params=params | {"limit": 2} | ({"page": mark} if mark else {}))).json()
        found += page["items"]
        if (mark := page["next"]) is None:
            break
    assert [one[id] for one in found] == [one[id] for one in whole["items"]]
    assert len(found) > 3


async def test_filters_of_a_list_may_be_given_several_times_where_it_says_so(asked: Asked) -> None:
    found = await asked.get("/v1/tasks", params={"state": ["running", "created"], "workflow_id": "wf"})
    assert {task["state"] for task in found.json()["items"]} == {"running", "created"}
    assert (await asked.get("/v1/tasks", params={"state": "asleep"})).status_code == 422
    twice = await asked.get("/v1/tasks", params={"workflow_id": ["a", "b"]})
    assert twice.json()["facts"]["field"] == "workflow_id"


@pytest.mark.parametrize("format", ["jsonl", "ocel", "xes", "csv"])
async def test_an_export_is_that_of_the_library_and_who_took_it_is_kept(asked: Asked, format: str) -> None:
    asked.readings.readings.clear()
    cut = (await asked.manager.platform.log.head()).position
    params: dict[str, Any] = {"format": format, "workflow_id": "wf", "position": cut}
    answer = await asked.get("/v1/export", params=params)
    assert answer.headers["X-Until-Position"] == str(cut)
    pieces = asked.manager.export(format, workflow_id="wf", cut=Cut(position=cut))
    assert answer.content == b"".join([piece async for piece in pieces])
    ((reading),) = asked.readings.readings
    assert (reading.what, reading.about, reading.caller.name) == (f"export {format}", "workflow wf", "local")
    assert reading.cut["until_position"] == cut
    assert (reading.rows or 0) > 3
    assert (await asked.get("/v1/export")).json()["facts"]["field"] == "format"


async def test_every_look_at_the_past_is_kept_with_its_cut_and_its_rows(asked: Asked) -> None:
    asked.readings.readings.clear()
    for path in (
        "/v1/workflows/wf/history?limit=2",
        "/v1/workflows/wf/history?stream=true",
        "/v1/workflows/wf/diff?begin=v1",
        "/v1/diff?begin=start",
        "/v1/traces/talk",
        "/v1/workflows/wf/timeline",
        "/v1/workflows/wf?version=1",
        "/v1/audit?actor=local",
        "/v1/actors",
    ):
        assert (await asked.get(path)).status_code == 200
    kept = [(one.what, one.about, bool(one.rows)) for one in asked.readings.readings]
    assert kept == [
        ("history", "workflow wf", True),
        ("history", "workflow wf", True),
        ("diff", "workflow wf", True),
        ("diff", "everything", True),
        ("trace", "talk", True),
        ("timeline", "workflow wf", True),
        ("state", "workflow wf", True),
        ("audit", "actor local", True),
        ("audit", "actors", True),
    ]
    assert asked.readings.readings[-3].cut == {"version": 1}


@pytest.mark.parametrize(
    ("path", "cut", "filters"),
    [
        (
            "/v1/workflows/wf/history?version=2&type=WorkflowCreated&actor=local&limit=5&newest_first=true",
            {"version": 2},
            {"type": ["WorkflowCreated"], "actor": "local", "limit": 5, "newest_first": True},
        ),
        (
            "/v1/workflows/wf/history?stream=true&since=2026-01-01T00:00:00Z",
            {},
            {"stream": True, "since": "2026-01-01T00:00:00Z"},
        ),
        ("/v1/audit?actor=local&command=AddTask&limit=2", {}, {"actor": "local", "command": "AddTask", "limit": 2}),
        ("/v1/actors?after=a", {}, {"after": "a"}),
        ("/v1/workflows/wf/timeline", {}, {}),
    ],
)
async def test_what_was_asked_for_is_kept_besides_the_cut(
    asked: Asked, path: str, cut: dict[str, Any], filters: dict[str, Any]
) -> None:
    asked.readings.readings.clear()
    assert (await asked.get(path)).status_code == 200
    ((kept),) = asked.readings.readings
    assert (kept.cut, kept.asked) == (cut, filters)


async def test_what_can_not_be_kept_is_not_shown(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    async def refuse(reading: object) -> None:
        raise LogUnavailable()

    monkeypatch.setattr(asked.readings, "record", refuse)
    for path in ("/v1/workflows/wf/diff?begin=v1", "/v1/workflows/wf/history?stream=true", "/v1/export?format=jsonl"):
        answer = await asked.get(path)
        assert answer.status_code == 503
        assert "wf" not in answer.text


def with_ids(operation: Operation) -> str:
    return operation.path.replace("{id}", "wf").replace("{correlation_id}", "talk").replace("{code}", "locked")


@pytest.mark.parametrize("operation", OPERATIONS, ids=lambda one: one.id)
async def test_who_may_not_is_told_so_and_nobody_comes_in_without_a_name(
    asked: Asked, monkeypatch: pytest.MonkeyPatch, operation: Operation
) -> None:
    monkeypatch.setattr(asked.server, "authenticator", ByRole(asked.manager.platform.settings.tenant))
    if operation.id == "followEvents":
        roles = [role for role in CallerRole if not PERMISSIONS[role] >= {operation.permission}]
    else:
        roles = list(CallerRole)
    for role in roles:
        answer = await asked.client.request(
            operation.method, with_ids(operation), headers={"Authorization": f"Bearer {role}"}
        )
        may = operation.permission is None or operation.permission in PERMISSIONS[role]
        assert (answer.status_code == 403) != may, (role, answer.text)
    nobody = await asked.client.request(operation.method, with_ids(operation))
    assert (nobody.status_code == 401) == (operation.permission is not None)
    if nobody.status_code == 401:
        assert nobody.headers["WWW-Authenticate"].startswith("Bearer")


async def test_a_reader_of_now_may_not_ask_for_the_past_by_a_cut(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(asked.server, "authenticator", ByRole(asked.manager.platform.settings.tenant))
    headers = {"Authorization": "Bearer reader"}
    assert (await asked.get("/v1/workflows/wf", headers=headers)).status_code == 200
    for cut in ("version=1", f"at={datetime.now(UTC).isoformat().replace('+', '%2B')}", "position=1"):
        assert (await asked.get(f"/v1/workflows/wf?{cut}", headers=headers)).status_code == 403


async def test_health_is_told_and_figures_are_there(asked: Asked) -> None:
    assert (await asked.get("/health/live")).json() == {"status": "alive"}
    assert (await asked.get("/health/ready")).json() == {"status": "ready"}
    health = described(await asked.get("/health"), "/health")
    assert health["checks"]["database"]["status"] == "healthy"
    assert "dora_state_reads_total" in (await asked.get("/metrics")).text
    told = (await asked.get("/problems/locked")).json()
    assert (told["status"], told["type"]) == (423, "/problems/locked")
