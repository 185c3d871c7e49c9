"""One error of each status, as it is told."""

from typing import Any

from domain.errors import Archived, LockLost
from dora_state.access.caller import Forbidden, Unauthenticated
from dora_state.http.problems import problem_document

_TOLD: tuple[tuple[str, str, dict[str, object]], ...] = (
    ("malformed_request", "The request is no HTTP/1.1 that can be understood; mend it and send it again.", {}),
    ("unauthenticated", Unauthenticated().message, {}),
    ("forbidden", Forbidden().message, {}),
    ("not_found", "There is no workflow wf-9; check the id.", {"kind": "workflow", "id": "wf-9"}),
    ("request_too_slow", "The body was not there within 20 s; send it again, faster.", {}),
    (
        "task_blocked",
        "Task t-2 waits for t-1; start it when they are done.",
        {"task_id": "t-2", "blocked_by": ["t-1"]},
    ),
    ("archived", Archived().message, {}),
    (
        "conflict",
        "workflow-wf-1 is at version 9, not at 7; read it again and decide again.",
        {"stream_id": "workflow-wf-1", "expected": 7, "actual": 9},
    ),
    ("body_too_large", "A body may have 2097152 bytes; send less, or in several requests.", {"limit": 2097152}),
    (
        "unsupported_media_type",
        "Content-Type: must be application/json; send the body as JSON in UTF-8.",
        {"field": "Content-Type"},
    ),
    (
        "misdirected_request",
        "A server without keys answers to the names of its own machine only, such as 127.0.0.1.",
        {},
    ),
    (
        "invalid_input",
        "the query is not valid: vesion: is no field of it, the closest is version.",
        {"field": "vesion", "fields": ["vesion"]},
    ),
    (
        "locked",
        "workflow-wf-1 is locked by reviewer (scheduler) since 2026-01-17T10:05:10Z; try again a little later.",
        {"stream_id": "workflow-wf-1", "holder": "reviewer (scheduler)", "since": "2026-01-17T10:05:10Z"},
    ),
    ("too_many_requests", "scheduler asks for more than 50000 a second; try again in 1 s.", {"per_second": 50000}),
    ("headers_too_large", "The path and headers of a request may have 32768 bytes; send less.", {}),
    (
        "internal_error",
        "The server met a fault of its own, which its log tells of; try again, and tell who runs it.",
        {},
    ),
    ("log_unavailable", "", {}),
)
_OF_EACH_STATUS = [problem_document(*told) for told in _TOLD]
PROBLEMS: dict[str, dict[str, Any]] = {
    **{f"Problem{problem['status']}": problem for problem in _OF_EACH_STATUS},
    "NotProjectedYet": problem_document(
        "not_projected_yet",
        "The read models are at position 15 and 17 was asked for; try again.",
        {"position": 15, "asked": 17},
    ),
    "LockLost": problem_document("lock_lost", LockLost().message, {"token": 7}),
}
"""By the name of the response. 409 is a refusal, but where something is only read, or a lock is renewed."""
