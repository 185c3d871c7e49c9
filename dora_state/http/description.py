"""The OpenAPI document, made of the operations."""

import re
from collections.abc import Sequence
from http import HTTPStatus
from importlib.metadata import version
from typing import Any

from pydantic import BaseModel

from dora_state.http.examples.answered import EXAMPLES, PLACES
from dora_state.http.examples.problems import PROBLEMS
from dora_state.http.operations import Operation, Reply
from dora_state.http.problems import MEDIA_TYPE, SORTS
from dora_state.http.schemas import REF, schemas

OF_ALL = (400, 408, 421, 422, 431, 500)
OF_CALLERS = (401, 403, 429, 503)
"""Statuses of problems that every operation, and every one that knows its caller, may answer."""
_PLACE = re.compile(r"([a-z]+)/\{([a-z_]+)\}")
_TAGS = {
    "commands": "What is to happen; each may be refused.",
    "states": "Documents of now, or of a cut.",
    "past": "Histories, differences, timelines, conversations.",
    "lists": "Lists by pages, boards, rates, who did what.",
    "streams": "Answers without a known end.",
    "health": "For those who run and watch the server.",
}


def openapi_document(operations: Sequence[Operation]) -> dict[str, Any]:
    """OpenAPI 3.1."""
    paths: dict[str, Any] = {}
    for operation in operations:
        paths.setdefault(operation.path, {})[operation.method.lower()] = _described(operation)
    return {
        "openapi": "3.1.0",
        "info": {
            "title": "dora-state",
            "version": version("dora-state"),
            "description": "The event-sourced state of an AI-agent platform: commands, states of now and of the past,"
            " and events as they are recorded. Errors are RFC 9457 problems; /problems/{code} explains each.",
        },
        "servers": [{"url": "/", "description": "Where this document was read."}],
        "tags": [{"name": name, "description": told} for name, told in _TAGS.items()],
        "security": [{"bearer": []}],
        "paths": paths,
        "components": {
            "schemas": schemas(),
            "responses": {name: _problem(example) for name, example in PROBLEMS.items()},
            "securitySchemes": {
                "bearer": {"type": "http", "scheme": "bearer", "description": "An API key or a token."}
            },
        },
    }


def _described(operation: Operation) -> dict[str, Any]:
    told: dict[str, Any] = {
        "operationId": operation.id,
        "tags": [operation.tag],
        "summary": operation.summary,
        "parameters": _parameters(operation),
        "responses": _responses(operation),
    }
    if operation.description:
        told["description"] = operation.description
    if operation.permission is None:
        told["security"] = []
    else:
        told["x-permission"] = operation.permission.value
    if operation.body is not None:
        examples = {name: {"value": value} for name, value in operation.body.examples.items()}
        content = {"schema": {"$ref": REF + operation.body.schema}, "examples": examples}
        told["requestBody"] = {"required": True, "content": {"application/json": content}}
    return told


def _parameters(operation: Operation) -> list[dict[str, Any]]:
    id_text = {"type": "string", "minLength": 1, "maxLength": 255}
    in_path = [
        {"name": name, "in": "path", "required": True, "schema": id_text, "example": PLACES[before]}
        for before, name in _PLACE.findall(operation.path)
    ]
    in_headers = [
        {"name": one.name, "in": "header", "required": False, "description": one.description, "schema": one.schema}
        for one in operation.headers
    ]
    return in_path + _query(operation.query) + in_headers


def _query(model: type[BaseModel]) -> list[dict[str, Any]]:
    told = model.model_json_schema()
    required = told.get("required", [])
    found = []
    for name, schema in told.get("properties", {}).items():
        schema = _without_null(schema)
        schema.pop("title", None)
        one = {"name": name, "in": "query", "required": name in required, "schema": schema}
        if (description := schema.pop("description", None)) is not None:
            one["description"] = description
        found.append(one)
    return found


def _without_null(schema: dict[str, Any]) -> dict[str, Any]:
    """A parameter that is not given is left out, and never null."""
    schema = dict(schema)
    choices = [one for one in schema.pop("anyOf", []) if one.get("type") != "null"]
    if choices:
        schema |= choices[0]
    if schema.get("default", ...) is None:
        del schema["default"]
    return schema


def _responses(operation: Operation) -> dict[str, Any]:
    examples = EXAMPLES.get(operation.id, {})
    told = {str(status): _reply(reply, examples.get(status)) for status, reply in operation.replies.items()}
    statuses = {*OF_ALL, *operation.problems}
    if operation.permission is not None:
        statuses |= set(OF_CALLERS)
    for status in sorted(statuses):
        told.setdefault(str(status), {"$ref": f"#/components/responses/{_problem_name(operation, status)}"})
    return told


def _reply(reply: Reply, example: Any) -> dict[str, Any]:
    told: dict[str, Any] = {"description": reply.description}
    if reply.headers:
        told["headers"] = {
            name: {"description": text, "schema": {"type": "string"}} for name, text in reply.headers.items()
        }
    if reply.schema is None and reply.media_type == "application/json":
        return told
    schema = {"$ref": REF + reply.schema} if isinstance(reply.schema, str) else dict(reply.schema or {"type": "string"})
    content: dict[str, Any] = {"schema": schema}
    if example is not None:
        content["example"] = example
    told["content"] = {reply.media_type: content}
    for media_type in reply.or_as:
        told["content"][media_type] = {"schema": {} if media_type == "application/json" else {"type": "string"}}
    return told


def _problem_name(operation: Operation, status: int) -> str:
    """Of a response that operations share."""
    if status != 409 or operation.method == "POST":
        return f"Problem{status}"
    return "NotProjectedYet" if operation.method == "GET" else "LockLost"


def _problem(example: dict[str, Any]) -> dict[str, Any]:
    status = example["status"]
    codes = [code for code, sort in SORTS.items() if sort.status == status]
    told = f"{HTTPStatus(status).phrase}: {', '.join(codes)}"
    if status == 409:
        told += ", and the reasons of refusals (docs/rules.md)"
    return {"description": told, "content": {MEDIA_TYPE: {"schema": {"$ref": REF + "Problem"}, "example": example}}}
