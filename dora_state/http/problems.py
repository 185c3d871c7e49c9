"""Errors as RFC 9457 has them: a stable `type` for each code, one sentence with what to do next, and the facts."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import orjson
from starlette.responses import Response

from commands.envelope import Problem
from domain.errors import DoraStateError

MEDIA_TYPE = "application/problem+json"
NOTHING: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Sort:
    """What errors of one code have in common. `retry_after`: seconds after which it is worth another try."""

    status: int
    title: str
    retry_after: int | None = None


REFUSED = Sort(409, "The domain refused the command")
"""Codes of refusals are those of docs/rules.md; the answer is recorded and stays."""

SORTS: Mapping[str, Sort] = {
    "malformed_request": Sort(400, "The request is no HTTP"),
    "unauthenticated": Sort(401, "Nobody is known by what was sent"),
    "forbidden": Sort(403, "The role of the caller does not allow it"),
    "no_such_path": Sort(404, "There is no such path"),
    "not_found": Sort(404, "There is nothing of that id"),
    "cut_out_of_range": Sort(404, "The log holds nothing at that cut"),
    "method_not_allowed": Sort(405, "The path knows no such method"),
    "request_too_slow": Sort(408, "The request did not come in time"),
    "not_projected_yet": Sort(409, "The read models have not come as far as was asked", 1),
    "lock_lost": Sort(409, "The lock that the caller thought to hold is lost"),
    "lock_deadlock": Sort(409, "The locks wait for each other"),
    "archived": Sort(410, "What was asked for is archived"),
    "conflict": Sort(412, "The version is not the current one"),
    "body_too_large": Sort(413, "The body is too large"),
    "unsupported_media_type": Sort(415, "The body is of another type than JSON"),
    "misdirected_request": Sort(421, "The request is for another host"),
    "invalid_input": Sort(422, "What was sent is not valid"),
    "invalid_page": Sort(422, "The page mark is of another list"),
    "command_id_reused": Sort(422, "The command id was used for another command"),
    "locked": Sort(423, "Another holds a lock on it", 1),
    "lock_timeout": Sort(423, "Another holds a lock on it", 1),
    "too_many_requests": Sort(429, "The caller asks for more than its share", 1),
    "headers_too_large": Sort(431, "The head of the request is too large"),
    "append_rejected": Sort(500, "The log refused what breaks its rules"),
    "corrupt_log": Sort(500, "What is stored can't be understood"),
    "unknown_event": Sort(500, "What is stored can't be understood"),
    "log_error": Sort(500, "The log could not do what was asked"),
    "internal_error": Sort(500, "The server met a fault of its own"),
    "busy": Sort(503, "Too many commands are waiting", 1),
    "too_many_streams": Sort(503, "Too many streams are open", 5),
    "too_many_locks": Sort(503, "Too many locks are waited for or held", 5),
    "too_many_connections": Sort(503, "Too many connections are open", 5),
    "took_too_long": Sort(503, "The answer took too long", 2),
    "closed": Sort(503, "The server is leaving", 2),
    "log_unavailable": Sort(503, "The log can't be reached", 2),
    "issuer_unavailable": Sort(503, "Who sent a token can't be found out", 5),
    "read_models_unavailable": Sort(503, "The read models can't be reached", 2),
    "projection_halted": Sort(503, "The read models have stopped", 30),
    "projection_changed": Sort(503, "The read models are of another release", 30),
    "checkpoint_not_in_log": Sort(503, "The read models were made from another log", 30),
    "importing": Sort(503, "An older log is being imported", 30),
    "clock_ahead": Sort(503, "The log's time is ahead of the clock", 30),
}


_UNTOLD = {
    "log_unavailable": "The log can't be reached or is read-only just now; send it again with the same command ids.",
    "log_error": "The log could not do what was asked; its operators find the reason in the server's log.",
    "read_models_unavailable": "The read models can't be reached just now; try again.",
}


class RequestError(DoraStateError):
    """The request can't be answered as it came. `headers` go with the problem."""

    def __init__(self, code: str, message: str, headers: Mapping[str, str] = NOTHING, /, **facts: object) -> None:
        super().__init__(message, **facts)
        self.of_code = code
        self.headers = headers


def sort_of(code: str) -> Sort:
    """Whatever is none of the codes above is the reason of a refusal."""
    return SORTS.get(code, REFUSED)


def type_of(code: str) -> str:
    """Stable, and a path of this server that explains it."""
    return f"/problems/{code}"


def sort_document(code: str) -> dict[str, Any]:
    """What all errors of a code have in common."""
    sort = sort_of(code)
    return {"type": type_of(code), "code": code, "status": sort.status, "title": sort.title}


def problem_document(code: str, message: str, facts: Mapping[str, object]) -> dict[str, Any]:
    sort = sort_of(code)
    if code in _UNTOLD:  # where servers are, is for their operators
        message, facts = _UNTOLD[code], NOTHING
    return {
        "type": type_of(code),
        "title": sort.title,
        "status": sort.status,
        "detail": message,
        "code": code,
        "facts": facts,
    }


def of_problem(problem: Problem) -> dict[str, Any]:
    return problem_document(problem.code, problem.message, problem.facts)


def problem_response(
    code: str,
    message: str,
    facts: Mapping[str, object] = NOTHING,
    *,
    headers: Mapping[str, str] = NOTHING,
    more: Mapping[str, object] = NOTHING,
) -> Response:
    """`more` are members beside those of the RFC."""
    sort = sort_of(code)
    told = dict(headers)
    if sort.retry_after is not None:
        told.setdefault("Retry-After", str(sort.retry_after))
    if sort.status == 401:
        told.setdefault("WWW-Authenticate", 'Bearer realm="dora-state"')
    body = as_json(problem_document(code, message, facts) | dict(more))
    return Response(body, sort.status, told, MEDIA_TYPE)


def response_of(error: DoraStateError) -> Response:
    if isinstance(error, RequestError):
        return problem_response(error.of_code, error.message, error.facts, headers=error.headers)
    return problem_response(error.code, error.message, error.facts)


def as_json(value: object) -> bytes:
    """Facts may be of any type; what is no JSON stands there as text."""
    return orjson.dumps(value, default=str, option=orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS)
