"""The OpenAPI document is whole: its examples are true, and a client that knows nothing else can run a story."""

import re
from collections.abc import AsyncIterator, Iterator
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio
from jsonschema import Draft202012Validator

from commands.messages import COMMANDS
from dora_state.http.api import OPERATIONS
from dora_state.http.problems import SORTS
from tests.support.http import Asked, asked_directly, fresh_tenant

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def asked(database_url: str, redis_url: str) -> AsyncIterator[Asked]:
    async with fresh_tenant(database_url) as tenant, asked_directly(database_url, redis_url, tenant) as asked:
        yield asked


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def document(asked: Asked) -> dict[str, Any]:
    found: dict[str, Any] = (await asked.get("/openapi.json")).json()
    return found


def described(document: dict[str, Any]) -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in document["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


async def test_it_is_whole(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1.")
    assert {one.path for one in OPERATIONS} == set(document["paths"])
    ids = [operation["operationId"] for _, _, operation in described(document)]
    assert len(set(ids)) == len(OPERATIONS)
    assert all(re.fullmatch("[a-z][A-Za-z]*", one) for one in ids)
    for reference in references(document):
        name = reference.removeprefix("#/components/schemas/")
        assert name in document["components"]["schemas"], reference
    for schema in document["components"]["schemas"].values():
        Draft202012Validator.check_schema(schema)
    for path, _, operation in described(document):
        named = {one["name"] for one in operation["parameters"] if one["in"] == "path"}
        assert named == set(re.findall(r"\{(\w+)\}", path))
        assert operation["summary"]
        assert operation["responses"]


async def test_each_command_is_described(document: dict[str, Any]) -> None:
    choices = document["components"]["schemas"]["Submission"]["oneOf"]
    assert {one["properties"]["type"]["const"] for one in choices} == {*COMMANDS, "Transaction"}


def fits(document: dict[str, Any], schema: dict[str, Any], value: Any) -> None:
    Draft202012Validator(schema | {"components": document["components"]}).validate(value)


PARTIAL = ("Workflow", "Task", "Agent", "Pool", "System")
"""Documents are too long for whole examples."""


async def test_its_examples_are_as_it_says(document: dict[str, Any]) -> None:
    looked = 0
    for _, _, operation in described(document):
        bodies = operation.get("requestBody", {}).get("content", {}).values()
        for body in bodies:
            for example in body["examples"].values():
                fits(document, body["schema"], example["value"])
                looked += 1
        for reply in operation["responses"].values():
            for content in reply.get("content", {}).values():
                if "example" in content and content["schema"].get("$ref", "").rpartition("/")[2] not in PARTIAL:
                    fits(document, content["schema"], content["example"])
                    looked += 1
    assert looked > 10


async def test_its_examples_of_commands_are_accepted(asked: Asked, document: dict[str, Any]) -> None:
    content = document["paths"]["/v1/commands"]["post"]["requestBody"]["content"]["application/json"]
    answer = await asked.client.post("/v1/commands", json=content["examples"]["several"]["value"])
    assert [one["status"] for one in answer.json()] == [200, 200]


async def test_every_problem_is_explained_where_its_type_leads(asked: Asked) -> None:
    for code, sort in SORTS.items():
        told = (await asked.get(f"/problems/{code}")).json()
        assert (told["code"], told["status"], told["type"]) == (code, sort.status, f"/problems/{code}")
    assert (await asked.get("/problems/nonsense")).status_code == 404


class Generated:
    """A client made of the document alone: a method for each operation id, parameters by their names."""

    def __init__(self, document: dict[str, Any], client: httpx.AsyncClient) -> None:
        self._client = client
        self._operations = {one["operationId"]: (path, method, one) for path, method, one in described(document)}
        self._document = document

    async def __call__(self, operation_id: str, body: Any = None, /, **given: Any) -> Any:
        path, method, operation = self._operations[operation_id]
        query: dict[str, Any] = {}
        headers: dict[str, str] = {}
        for parameter in operation["parameters"]:
            name = parameter["name"]
            value = given.pop(name.lower().replace("-", "_"), None)
            if value is None:
                assert not parameter["required"], name
            elif parameter["in"] == "path":
                path = path.replace(f"{{{name}}}", quote(value, safe=""))
            else:
                (query if parameter["in"] == "query" else headers)[name] = value
        assert not given, f"{operation_id} has no such parameter: {given}"
        answer = await self._client.request(method, path, params=query, headers=headers, json=body)
        reply = operation["responses"][str(answer.status_code)]
        media_type = answer.headers["content-type"].partition(";")[0]
        content = reply["content"][media_type]
        if media_type in ("application/json", "application/problem+json"):
            fits(self._document, content["schema"], answer.json())
            return answer.json()
        return answer.text


async def test_a_client_made_of_it_alone_runs_a_story(asked: Asked, document: dict[str, Any]) -> None:
    client = Generated(document, asked.client)

    async def submit(name: str, **data: Any) -> Any:
        return await client("submitCommands", {"type": name, "data": data}, idempotency_key=str(uuid4()))

    await submit("CreatePool", pool_id="pool", total={"cpu": "4"})
    await submit("RegisterAgent", agent_id="collector", agent_type="bot", max_concurrent_tasks=2, state="healthy")
    story = [
        {"type": "CreateWorkflow", "data": {"workflow_id": "story", "definition_id": "d"}},
        {"type": "AddTask", "data": {"workflow_id": "story", "task_id": "evidence", "definition_id": "d"}},
        {"type": "AddTask", "data": {"workflow_id": "story", "task_id": "x", "definition_id": "d"}},
        {"type": "StartWorkflow", "data": {"workflow_id": "story"}},
    ]
    answers = await client("submitCommands", story, x_correlation_id="a story")
    assert [one["outcome"] for one in answers] == ["accepted"] * 4
    await submit("ScheduleTask", task_id="evidence")
    await submit("AssignTask", task_id="evidence", agent_id="collector", reason="free")
    await submit("StartTask", task_id="evidence")
    refused = await submit("StartTask", task_id="nowhere")
    assert refused["status"] == 409
    done = await submit("CompleteTask", task_id="evidence", outputs={"found": 3})
    await submit("CancelTask", task_id="x", reason="not needed")
    await asked.catch_up()
    workflow = await client("getWorkflow", id="story", min_position=done["position"])
    assert (workflow["state"], workflow["metrics"]["completed_tasks"]) == ("completed", 1)
    assert (await client("getTask", id="evidence"))["outputs"] == {"found": 3}
    assert (await client("getWorkflow", id="story", version=1))["state"] == "created"
    history = await client("getWorkflowHistory", id="story", limit=3)
    assert [one["version"] for one in history["items"]] == [1, 2, 3]
    assert (await client("getWorkflowDiff", id="story", begin="v1"))["ended"]
    assert len((await client("getTrace", correlation_id="a story"))["commands"]) == 4
    assert (await client("listTasks", state=["completed"]))["items"][0]["task_id"] == "evidence"
    assert (await client("getCommand", id=done["command_id"]))["position"] == done["position"]
    preview = await client("rollBackWorkflow", {"to_version": 4, "dry_run": True}, id="story")
    assert preview["after"]["state"] == "running"
    assert "WorkflowCreated" in await client("exportLog", format="jsonl")
    assert (await client("getBoard"))["counts"]["completed"] == 1
    assert (await client("getHealth"))["checks"]
