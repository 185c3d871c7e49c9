"""Whatever stands anywhere in a good body or a query: a 4xx that names a field, never a 5xx.

HYPOTHESIS_PROFILE=long tries thousands of each.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any
from urllib.parse import quote, urlencode

import pytest
import pytest_asyncio
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from dora_state.http.api import OPERATIONS
from dora_state.http.operations import Operation
from dora_state.testing.commands import any_command, submission
from tests.support.hostile import ANY_JSON, TEXTS, replaced, spoilt, written
from tests.support.http import Asked, asked_directly
from tests.support.tenants import lent

pytestmark = pytest.mark.asyncio(loop_scope="module")
LATER = datetime.fromisoformat("2040-01-01T00:00:00Z")
WINDOW = {
    "window_id": "m", "start": "2040-01-01T00:00:00Z", "end": "2040-01-02T00:00:00Z", "description": "d",
}  # fmt: skip
TRANSACTION: dict[str, Any] = {
    "steps": [
        {"task_state": {"task_id": "t", "state": "completed", "reason": "r", "agent_id": "a"}},
        {"type": "RecordOutputs", "data": {"task_id": "t", "outputs": {"a": 1}}},
        {"state": {"kind": "workflow", "id": "w", "version": 1, "changes": {"context": {"a": {"b": 2}}}}},
    ],
    "expected": {"workflow:w": 1},
    "actor": "x",
    "reason": "r",
    "correlation_id": "c",
}
ROLLBACK: dict[str, Any] = {"to_version": 1, "reason": "r", "operator": "o", "workflow_only": False, "dry_run": True}
READ = {"workflow": "w", "task": "t", "agent": "a", "pool": "p", "system": None}
SUBMISSION: dict[str, Any] = {
    "type": "Transaction",
    "data": {"commands": [{"type": "PauseWorkflow", "data": {"workflow_id": "w"}}], "expected": {"workflow-w": 1}},
    "actor": "x",
    "command_id": "0190d8a4-7c3e-7b1f-9a52-3f1de6a1c001",
    "correlation_id": "c",
    "causation_id": "d",
    "occurred_at": "2024-01-17T10:00:00Z",
    "expected_version": 1,
}
QUERIED = [one for one in OPERATIONS if one.method == "GET"]
WITH_HEADERS = [(one, header.name) for one in OPERATIONS for header in one.headers]
ASKED_FOR_SOMETHING = [one for one in QUERIED if one.query.model_fields or "{" in one.path]
REQUIRED = {"begin": "start", "actor": "x", "format": "jsonl"}
many = settings(suppress_health_check=[HealthCheck.function_scoped_fixture, HealthCheck.too_slow])


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def asked(database_url: str, redis_url: str) -> AsyncIterator[Asked]:
    """With one of each kind."""
    async with lent(database_url) as tenant, asked_directly(database_url, redis_url, tenant) as asked:
        async with asked.manager.transaction() as txn:
            await txn.submit("ConfigureSystem", environment="test")
            await txn.submit("ScheduleMaintenance", **WINDOW)
            await txn.submit("CreatePool", pool_id="p", total={"cpu": "4", "memory": "8G"})
            await txn.submit("Reserve", pool_id="p", resources={"cpu": "1"})
            await txn.submit("RegisterAgent", agent_id="a", agent_type="t", max_concurrent_tasks=2, state="healthy")
            context = {"a": {"b": 1}, "n": [1]}
            await txn.submit(
                "CreateWorkflow", workflow_id="w", definition_id="d", context=context, dependencies=["x", "y"]
            )
            await txn.submit("StartWorkflow", workflow_id="w")
            await txn.submit("AddTask", workflow_id="w", task_id="t", definition_id="d", phases=["one", "two"])
            await txn.submit("ScheduleTask", task_id="t")
            await txn.submit("AssignTask", task_id="t", agent_id="a", reason="r")
            await txn.submit("StartTask", task_id="t")
            await txn.submit("CompletePhase", task_id="t", phase="one")
        await asked.catch_up()
        yield asked


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def states(asked: Asked) -> dict[str, Any]:
    """Of each kind one, as it was before anything was tried."""
    found = {}
    for kind, id in READ.items():
        path = "/v1/system" if id is None else f"/v1/{kind}s/{id}"
        found[kind] = (await asked.get(path, params={"consistency": "live"})).json()
    return found


async def post(asked: Asked, path: str, body: Any) -> None:
    answer = await asked.client.post(path, content=written(body), headers={"Content-Type": "application/json"})
    require_fair(answer.status_code, answer.text, body)
    for one in answer.json() if answer.status_code == 207 else ():
        require_fair(one["status"], answer.text, body)


def require_fair(status: int, text: str, given: object) -> None:
    assert status < 500, f"{text} for {str(given)[:500]}"


async def ask(asked: Asked, path: str) -> None:
    """Of streams without an end only whether they begin."""
    async with asyncio.timeout(10):
        answer = await asked.client.request("HEAD" if path.startswith("/v1/events") else "GET", path)
    require_fair(answer.status_code, answer.text, path)


@st.composite
def commands(draw: st.DrawFn) -> Any:
    return submission(draw(any_command(LATER)))


@many
@given(command=(commands() | st.just(SUBMISSION)).flatmap(spoilt) | ANY_JSON, several=st.booleans())
async def test_commands(asked: Asked, command: Any, several: bool) -> None:
    await post(asked, "/v1/commands", [command, SUBMISSION, command] if several else command)


@many
@given(body=spoilt(TRANSACTION) | ANY_JSON)
async def test_transactions(asked: Asked, body: Any) -> None:
    await post(asked, "/v1/transactions", body)


@many
@given(body=spoilt(ROLLBACK) | ANY_JSON)
async def test_rollbacks(asked: Asked, body: Any) -> None:
    await post(asked, "/v1/workflows/w/rollback", body)


def handed_back(kind: str, state: Any, changes: Any) -> Any:
    step = {"kind": kind, "id": READ[kind], "version": state["stream_version"], "changes": changes}
    return {"steps": [{"state": step}]}


@pytest.mark.parametrize("kind", READ)
@many
@given(data=st.data())
async def test_states_that_were_changed(asked: Asked, states: dict[str, Any], kind: str, data: st.DataObject) -> None:
    state = states[kind]
    await post(asked, "/v1/transactions", handed_back(kind, state, data.draw(spoilt(state))))


@pytest.mark.parametrize("kind", READ)
async def test_each_value_of_a_state(asked: Asked, states: dict[str, Any], kind: str) -> None:
    """Of the first two levels."""
    state = states[kind]
    for key, value in state.items():
        inner = [(key, one) for one in value] if isinstance(value, dict) else []
        for place in [(key,), *inner]:
            for by in (None, [1], 10**30):
                changes = replaced({key: value}, place, by)
                await post(asked, "/v1/transactions", handed_back(kind, state, changes))


def paths(operation: Operation, parameter: str | None, text: str) -> str:
    """The operation asked with a text as a parameter, or in the path where there is none."""
    said = quote(text, safe="")
    known = {"workflow": "w", "task": "t", "agent": "a", "pool": "p"}
    id = next((one for kind, one in known.items() if kind in operation.path), "x")
    path = re.sub(r"\{[a-z_]+\}", said if parameter is None else id, operation.path)
    given = {name: REQUIRED[name] for name, one in operation.query.model_fields.items() if one.is_required()}
    query = urlencode(given | ({} if parameter is None else {parameter: text}))
    return f"{path}?{query}" if query else path


@pytest.mark.parametrize("operation", [pytest.param(one, id=one.id) for one in QUERIED])
async def test_every_parameter(asked: Asked, operation: Operation) -> None:
    parameters: list[str | None] = [*operation.query.model_fields, "unheard_of"]
    for parameter in [*parameters, None] if "{" in operation.path else parameters:
        for text in ("\0", "a\x1fb", "", "9" * 30):
            await ask(asked, paths(operation, parameter, text))


@many
@given(operation=st.sampled_from(ASKED_FOR_SOMETHING), text=st.sampled_from(TEXTS) | st.text(), data=st.data())
async def test_parameters(asked: Asked, operation: Operation, text: str, data: st.DataObject) -> None:
    parameter = data.draw(st.sampled_from([None, *operation.query.model_fields]))
    await ask(asked, paths(operation, parameter, text))


@pytest.mark.parametrize(
    ("operation", "name"), [pytest.param(*one, id=f"{one[0].id}-{one[1]}") for one in WITH_HEADERS]
)
async def test_every_header(asked: Asked, operation: Operation, name: str) -> None:
    body = {"submitCommands": SUBMISSION, "commitTransaction": TRANSACTION, "rollBackWorkflow": ROLLBACK}
    for value in (b"", b"\xff\xfe", b"\x00", b"x" * 20_000, b"9" * 400, b"-1", b'"', b",,", b"*", b"system-x-v1", b"{"):
        headers = [(name.encode(), value), (b"Content-Type", b"application/json")]
        method = "HEAD" if operation.id == "followEvents" else operation.method
        content = written(body[operation.id]) if operation.id in body else None
        path = re.sub(r"\{[a-z_]+\}", "w", operation.path)
        async with asyncio.timeout(10):
            answer = await asked.client.request(method, path, content=content, headers=headers)
        require_fair(answer.status_code, answer.text, (operation.id, name, value))
