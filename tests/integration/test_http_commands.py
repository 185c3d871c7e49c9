"""Commands over HTTP: each outcome has its status, each is carried out once, and who sent it is recorded."""

import asyncio
import contextvars
from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import httpx
import orjson
import pytest
import pytest_asyncio

from commands.bus import Busy
from commands.envelope import Envelope
from domain.errors import LogUnavailable
from dora_state.http.limits import Limits
from tests.support.http import Asked, ByRole, a_workflow, asked_directly, fresh
from tests.support.tenants import lent

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def asked(database_url: str, redis_url: str) -> AsyncIterator[Asked]:
    async with lent(database_url) as tenant, asked_directly(database_url, redis_url, tenant) as asked:
        yield asked


@pytest.fixture
def wf() -> str:
    return fresh("wf")


def create(wf: str) -> dict[str, str]:
    return {"workflow_id": wf, "definition_id": "d"}


def problem(answer: httpx.Response) -> Any:
    assert answer.headers["content-type"] == "application/problem+json"
    told = answer.json()
    assert told["status"] == answer.status_code
    assert told["type"] == f"/problems/{told['code']}"
    return told


async def metadata(asked: Asked, stream_id: str) -> dict[str, Any]:
    (first, *_) = [event async for event in asked.manager.platform.log.read_stream(stream_id)]
    found: dict[str, Any] = orjson.loads(first.metadata)
    return found


async def test_what_is_accepted_is_200_with_versions_and_position(asked: Asked, wf: str) -> None:
    answer = await asked.give("CreateWorkflow", create(wf))
    assert answer.status_code == 200
    told = answer.json()
    assert (told["outcome"], told["versions"], told["problem"]) == ("accepted", {f"workflow-{wf}": 1}, None)
    assert told["position"] == (await asked.manager.platform.log.head()).position


async def test_what_the_domain_refuses_is_a_409_with_its_code_and_facts(asked: Asked, wf: str) -> None:
    told = problem(await asked.give("StartTask", {"task_id": "nowhere"}))
    assert (told["status"], told["code"], told["facts"]) == (409, "unknown_id", {"kind": "task", "id": "nowhere"})
    assert told["answer"]["outcome"] == "refused"


async def test_what_is_not_valid_is_a_422_that_names_the_field(asked: Asked, wf: str) -> None:
    told = problem(await asked.give("CreateWorkflow", {"workflow_id": wf, "definition_ids": "d"}))
    assert (told["status"], told["code"]) == (422, "invalid_input")
    assert "data.definition_id" in told["facts"]["fields"]


async def test_the_idempotency_key_is_the_command_id_and_gets_the_first_answer_again(asked: Asked, wf: str) -> None:
    key = {"Idempotency-Key": str(uuid4())}
    first = await asked.give("CreateWorkflow", create(wf), headers=key)
    again = await asked.give("CreateWorkflow", create(wf), headers=key)
    assert first.json()["command_id"] == key["Idempotency-Key"]
    assert again.json() == first.json() | {"repeated": True}
    assert again.headers["Idempotent-Replayed"] == "true"
    other = await asked.give("CreateWorkflow", create(wf) | {"definition_id": "other"}, headers=key)
    assert problem(other)["code"] == "command_id_reused"
    assert other.status_code == 422


async def test_a_key_that_differs_from_the_command_id_or_is_none_is_refused(asked: Asked, wf: str) -> None:
    before = await asked.manager.platform.log.head()
    both = await asked.give(
        "CreateWorkflow", create(wf), command_id=str(uuid4()), headers={"Idempotency-Key": str(uuid4())}
    )
    none = await asked.give("CreateWorkflow", create(wf), headers={"Idempotency-Key": "first"})
    assert problem(both)["facts"]["field"] == "command_id"
    assert problem(none)["facts"]["field"] == "Idempotency-Key"
    assert await asked.manager.platform.log.head() == before


async def test_if_match_takes_the_etag_of_a_document_and_a_version(asked: Asked, wf: str) -> None:
    await a_workflow(asked, wf)
    await asked.catch_up()
    etag = (await asked.get(f"/v1/workflows/{wf}")).headers["ETag"]
    good = await asked.give("PauseWorkflow", {"workflow_id": wf}, headers={"If-Match": etag})
    stale = await asked.give("ResumeWorkflow", {"workflow_id": wf}, headers={"If-Match": etag})
    assert good.status_code == 200
    told = problem(stale)
    assert (told["status"], told["facts"]) == (412, {"stream_id": f"workflow-{wf}", "expected": 3, "actual": 4})
    assert (await asked.give("ResumeWorkflow", {"workflow_id": wf}, headers={"If-Match": '"4"'})).status_code == 200


@pytest.mark.parametrize("said", ["*", "W/7", '"a", "b"', '"workflow-other-v1-0123456789ab"'])
async def test_if_match_of_something_else_is_refused(asked: Asked, wf: str, said: str) -> None:
    answer = await asked.give("StartWorkflow", {"workflow_id": wf}, headers={"If-Match": said})
    assert problem(answer)["facts"]["field"] == "If-Match"


async def test_an_array_is_answered_one_by_one_in_its_order(asked: Asked, wf: str) -> None:
    commands = [
        {"type": "CreateWorkflow", "data": create(wf)},
        {"type": "Nonsense", "data": {}},
        {"type": "AddTask", "data": {"workflow_id": wf, "task_id": f"{wf}-t", "definition_id": "d"}},
        {"type": "StartTask", "data": {"task_id": "nowhere"}},
        {"type": "StartWorkflow", "data": {"workflow_id": wf}, "expected_version": 9},
        7,
        {"type": "StartWorkflow", "data": {"workflow_id": wf}},
    ]
    answer = await asked.client.post("/v1/commands", json=commands, headers={"X-Correlation-Id": "talk"})
    assert answer.status_code == 207
    assert [one["status"] for one in answer.json()] == [200, 422, 200, 409, 412, 422, 200]
    assert answer.headers["X-Correlation-Id"] == "talk"
    assert (await metadata(asked, f"task-{wf}-t"))["correlation_id"] == "talk"


@pytest.mark.parametrize("header", ["Idempotency-Key", "If-Match"])
async def test_headers_of_a_single_command_are_not_for_arrays(asked: Asked, wf: str, header: str) -> None:
    said = {header: str(uuid4())}
    answer = await asked.client.post(
        "/v1/commands", json=[{"type": "CreateWorkflow", "data": create(wf)}], headers=said
    )
    assert problem(answer)["facts"]["field"] == header


@pytest.mark.parametrize("count", [0, 1_001])
async def test_an_array_has_1_to_1000_commands(asked: Asked, wf: str, count: int) -> None:
    answer = await asked.client.post("/v1/commands", json=[{"type": "CreateWorkflow", "data": create(wf)}] * count)
    assert problem(answer)["status"] == 422


async def test_who_does_not_wait_is_told_where_to_ask(asked: Asked, wf: str) -> None:
    answer = await asked.give("CreateWorkflow", create(wf), headers={"Prefer": "respond-async"})
    assert answer.status_code == 202
    assert answer.headers["Preference-Applied"] == "respond-async"
    location = answer.headers["Location"]
    assert location == f"/v1/commands/{answer.json()['command_id']}"
    await asked.server.pending.all()
    told = (await asked.get(location)).json()
    assert (told["status"], told["outcome"], told["versions"]) == (200, "accepted", {f"workflow-{wf}": 1})


async def test_the_answer_of_a_refusal_is_recorded_and_that_of_a_conflict_is_remembered(asked: Asked, wf: str) -> None:
    wanted = {"refused": {"workflow_id": "nowhere"}, "conflict": {"workflow_id": wf}}
    await asked.give("CreateWorkflow", create(wf))
    told = {}
    for outcome, data in wanted.items():
        more = {"expected_version": 9} if outcome == "conflict" else {}
        answer = await asked.give("StartWorkflow", data, headers={"Prefer": "respond-async"}, **more)
        await asked.server.pending.all()
        told[outcome] = (await asked.get(answer.headers["Location"])).json()
    assert {outcome: one["outcome"] for outcome, one in told.items()} == {"refused": "refused", "conflict": "conflict"}
    assert [one["status"] for one in told.values()] == [409, 412]


async def test_a_command_that_nobody_sent_is_not_found(asked: Asked, wf: str) -> None:
    assert problem(await asked.get(f"/v1/commands/{uuid4()}"))["status"] == 404
    assert problem(await asked.get("/v1/commands/nonsense"))["facts"]["field"] == "id"


@pytest.mark.parametrize(
    ("error", "status"),
    [(Busy("10 commands are waiting already."), 503), (LogUnavailable("PostgreSQL can't be reached at db.bank."), 503)],
)
async def test_what_can_be_tried_again_says_when_and_not_where_servers_are(
    asked: Asked, wf: str, monkeypatch: pytest.MonkeyPatch, error: Exception, status: int
) -> None:
    async def refuse(envelope: Envelope) -> None:
        raise error

    monkeypatch.setattr(asked.manager.platform.bus, "submit", refuse)
    for headers in ({}, {"Prefer": "respond-async"}):
        answer = await asked.give("CreateWorkflow", create(wf), headers=headers)
        assert problem(answer)["status"] == status
        assert answer.headers["Retry-After"].isdecimal()
        assert "db.bank" not in answer.text


async def test_a_locked_stream_is_423(asked: Asked, wf: str) -> None:
    await asked.give("CreateWorkflow", create(wf))
    async with asked.manager.exclusive_lock(f"workflow:{wf}"):
        answer = await from_outside(asked, wf)
    assert problem(answer)["status"] == 423
    assert answer.headers["Retry-After"] == "1"


async def from_outside(asked: Asked, wf: str) -> httpx.Response:
    """What is submitted within the block is submitted under the lock, but for what knows nothing of the block."""
    task = contextvars.Context().run(
        asyncio.get_running_loop().create_task, asked.give("StartWorkflow", {"workflow_id": wf})
    )
    return await task


async def test_an_answer_that_takes_too_long_is_503_and_the_command_is_carried_out(
    asked: Asked, wf: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    submit = asked.manager.platform.bus.submit
    under_way = []

    async def slow(envelope: Envelope) -> Any:
        under_way.append(asyncio.create_task(submit(envelope)))
        await asyncio.sleep(60)

    monkeypatch.setattr(asked.manager.platform.bus, "submit", slow)
    monkeypatch.setattr(asked.server, "limits", Limits(answer_seconds=0.05))
    told = problem(await asked.give("CreateWorkflow", create(wf)))
    assert (told["status"], told["code"]) == (503, "took_too_long")
    assert (await under_way[0]).ok


async def test_who_sent_a_command_is_recorded_beside_the_actor_that_it_names(
    asked: Asked, wf: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asked.server, "authenticator", ByRole(asked.manager.platform.settings.tenant))
    headers = {"Authorization": "Bearer orchestrator"}
    named = await asked.give("CreateWorkflow", create(wf), actor="scheduler", headers=headers)
    unnamed = await asked.give("CreateWorkflow", create(f"{wf}-2"), headers=headers)
    assert (named.status_code, unnamed.status_code) == (200, 200)
    told = await metadata(asked, f"workflow-{wf}")
    assert (told["actor"], told["authenticated"]) == ("scheduler", "the orchestrator")
    assert (await metadata(asked, f"workflow-{wf}-2"))["actor"] == "the orchestrator"


async def test_a_rollback_is_previewed_refused_without_a_reason_and_done(asked: Asked, wf: str) -> None:
    await a_workflow(asked, wf)
    await asked.give("PauseWorkflow", {"workflow_id": wf})
    path = f"/v1/workflows/{wf}/rollback"
    preview = await asked.client.post(path, json={"to_version": 3, "dry_run": True})
    assert preview.json()["after"]["state"] == "running"
    assert preview.json()["before"]["state"] == "paused"
    unsaid = await asked.client.post(path, json={"to_version": 3, "operator": "ann"})
    assert problem(unsaid)["facts"]["field"] == "reason"
    done = await asked.client.post(path, json={"to_version": 3, "operator": "ann", "reason": "too early"})
    assert done.json()["versions"][f"workflow-{wf}"] == 5
    document = (await asked.get(f"/v1/workflows/{wf}?consistency=live")).json()
    assert document["state"] == "running"
    unknown = await asked.client.post(path, json={"to_version": 3, "dry_runs": True})
    assert problem(unknown)["facts"]["field"] == "dry_runs"
