"""The OpenAPI document is whole, and its examples are true."""

import re
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest
import pytest_asyncio
from jsonschema import Draft202012Validator

from commands.messages import COMMANDS
from dora_state.http.api import OPERATIONS
from dora_state.http.problems import SORTS
from tests.support.described import Described, objects
from tests.support.http import Asked, asked_directly
from tests.support.tenants import lent

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def asked(database_url: str, redis_url: str) -> AsyncIterator[Asked]:
    async with lent(database_url) as tenant, asked_directly(database_url, redis_url, tenant) as asked:
        yield asked


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def described(asked: Asked) -> Described:
    return Described((await asked.get("/openapi.json")).json())


def references(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        if isinstance(value.get("$ref"), str):
            yield value["$ref"]
        for inner in value.values():
            yield from references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


async def test_it_is_whole(described: Described) -> None:
    assert described.document["openapi"].startswith("3.1.")
    assert {one.path for one in OPERATIONS} == set(described.document["paths"])
    ids = [operation["operationId"] for _, _, operation in described.operations()]
    assert len(set(ids)) == len(OPERATIONS)
    assert all(re.fullmatch("[a-z][A-Za-z]*", one) for one in ids)
    for reference in references(described.document):
        _, _, sort, name = reference.split("/")
        assert name in described.document["components"][sort], reference
    for schema in described.schemas.values():
        Draft202012Validator.check_schema(schema)
    for path, _, operation in described.operations():
        named = {one["name"] for one in operation["parameters"] if one["in"] == "path"}
        assert named == set(re.findall(r"\{(\w+)\}", path))
        assert operation["summary"]
        assert operation["responses"]


async def test_each_command_is_described(described: Described) -> None:
    choices = described.schemas["Submission"]["oneOf"]
    assert {one["properties"]["type"]["const"] for one in choices} == {*COMMANDS, "Transaction"}


async def test_it_says_where_it_is_served(asked: Asked, described: Described) -> None:
    (server,) = described.document["servers"]
    assert asked.client.base_url.join(server["url"]) == asked.client.base_url.join("/")


async def test_what_an_object_holds_is_described(described: Described) -> None:
    """Where keys are another's, it says so."""
    found = list(objects(described.schemas))
    assert len(found) > 100
    assert [place for place, one in found if not {"properties", "additionalProperties"} & set(one)] == []


def answers(described: Described) -> Iterator[tuple[str, str, dict[str, Any] | None]]:
    """Operation, status, and the content of the first media type, if there is any."""
    for _, _, operation in described.operations():
        for status, reply in operation["responses"].items():
            yield operation["operationId"], status, next(iter(reply.get("content", {}).values()), None)


async def test_every_answer_that_has_content_has_an_example(described: Described) -> None:
    found = list(answers(described))
    assert [(id, status) for id, status, content in found if content is not None and "example" not in content] == []
    assert {status for _, status, content in found if content is None} == {"204", "304"}


async def test_all_that_is_sent_has_an_example(described: Described) -> None:
    for _, _, operation in described.operations():
        assert all("example" in one for one in operation["parameters"] if one["in"] == "path"), operation["operationId"]
        body = operation.get("requestBody")
        assert body is None or body["content"]["application/json"]["examples"]


async def test_its_examples_are_as_it_says_and_say_no_more(described: Described) -> None:
    for _, _, operation in described.operations():
        for body in operation.get("requestBody", {}).get("content", {}).values():
            for example in body["examples"].values():
                described.fits(body["schema"], example["value"])
    for id, status, content in answers(described):
        if content is not None:
            described.fits(content["schema"], content["example"])
            assert status < "400" or id == "getReady" or content["example"]["status"] in (int(status), "unhealthy")


async def test_its_examples_of_commands_are_accepted(asked: Asked, described: Described) -> None:
    content = described.document["paths"]["/v1/commands"]["post"]["requestBody"]["content"]["application/json"]
    answer = await asked.client.post("/v1/commands", json=content["examples"]["several"]["value"])
    assert [one["status"] for one in answer.json()] == [200, 200]


async def test_every_problem_is_explained_where_its_type_leads(asked: Asked) -> None:
    for code, sort in SORTS.items():
        told = (await asked.get(f"/problems/{code}")).json()
        assert (told["code"], told["status"], told["type"]) == (code, sort.status, f"/problems/{code}")
    assert (await asked.get("/problems/nonsense")).status_code == 404
