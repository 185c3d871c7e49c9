"""What the OpenAPI document says, held against what there is; and a client that knows nothing but the document."""

import json
from collections.abc import Iterator
from datetime import datetime
from typing import Any
from urllib.parse import quote
from uuid import UUID

import httpx
from jsonschema import Draft202012Validator, FormatChecker

FORMATS = FormatChecker(formats=())
Schema = dict[str, Any]


@FORMATS.checks("date-time", raises=ValueError)
def _is_time(value: object) -> bool:
    return not isinstance(value, str) or datetime.fromisoformat(value).tzinfo is not None


@FORMATS.checks("uuid", raises=ValueError)
def _is_uuid(value: object) -> bool:
    return not isinstance(value, str) or bool(UUID(value))


def objects(schema: Any, place: str = "") -> Iterator[tuple[str, Schema]]:
    """Every schema of an object within a schema, with its place."""
    if isinstance(schema, dict):
        if "object" in (schema.get("type"), *(schema["type"] if isinstance(schema.get("type"), list) else ())):
            yield place, schema
        for key, inner in schema.items():
            yield from objects(inner, f"{place}/{key}")
    elif isinstance(schema, list):
        for inner in schema:
            yield from objects(inner, place)


def without_more(value: Any) -> Any:
    """The same schemas, in which an object has no keys but those that are described."""
    if isinstance(value, list):
        return [without_more(one) for one in value]
    if not isinstance(value, dict):
        return value
    strict = {key: without_more(inner) for key, inner in value.items()}
    if isinstance(value.get("properties"), dict):
        strict.setdefault("additionalProperties", False)
    return strict


class Described:
    """The document."""

    def __init__(self, document: dict[str, Any]) -> None:
        self.document = document
        self.schemas: dict[str, Schema] = document["components"]["schemas"]
        self._strict = {"components": {"schemas": without_more(self.schemas)}}

    def operations(self) -> Iterator[tuple[str, str, dict[str, Any]]]:
        """Path, method and operation of each, with the responses that it shares with others."""
        shared = {
            f"#/components/responses/{name}": one for name, one in self.document["components"]["responses"].items()
        }
        for path, methods in self.document["paths"].items():
            for method, operation in methods.items():
                responses = {
                    status: shared[one["$ref"]] if "$ref" in one else one
                    for status, one in operation["responses"].items()
                }
                yield path, method, {**operation, "responses": responses}

    def fits(self, schema: Schema, value: Any) -> None:
        """Raises ValidationError, also where something is there that is not described."""
        strict = without_more(schema) | self._strict
        Draft202012Validator(strict, format_checker=FORMATS).validate(value)


class Generated:
    """A client made of the document alone: a method for each operation id, parameters by their names.

    It takes nothing that the document does not describe. `used`: the operations that were called.
    """

    def __init__(self, described: Described, client: httpx.AsyncClient) -> None:
        self.used: set[str] = set()
        self._client = client
        self._operations = {one["operationId"]: (path, method, one) for path, method, one in described.operations()}
        self._described = described

    @property
    def ids(self) -> set[str]:
        """Of all operations."""
        return set(self._operations)

    async def __call__(self, operation_id: str, body: Any = None, /, **given: Any) -> Any:
        """JSON as it is, lines of it as a list, other texts as they are."""
        self.used.add(operation_id)
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
        return self._told(operation["responses"][str(answer.status_code)], answer)

    def _told(self, reply: dict[str, Any], answer: httpx.Response) -> Any:
        media_type = answer.headers["content-type"].partition(";")[0]
        content = reply["content"][media_type]
        if media_type == "application/x-ndjson":
            return [json.loads(line) for line in answer.text.splitlines()]
        if media_type not in ("application/json", "application/problem+json"):
            return answer.text
        self._described.fits(content["schema"], answer.json())
        return answer.json()
