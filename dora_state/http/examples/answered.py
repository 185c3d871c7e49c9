"""What the server answers in the story of the examples: documents, lists, what was, how it is."""

from collections.abc import Iterator
from dataclasses import asdict
from typing import Any

import orjson

from commands.locks import HeldLock, Waiter
from domain.log import RecordedEvent
from dora_state.health.judging import Check
from dora_state.health.report import HealthReport
from dora_state.http.examples import sent
from dora_state.http.examples.story import CONVERSATION, EVENTS, IDS, NOW, WORKFLOW, at, read, stored, stream
from dora_state.http.past import difference_document, traced_document
from dora_state.http.problems import as_json, sort_document
from projections import changes
from projections.audits import Actor, AuditedAction
from projections.differences import Difference, Side
from projections.exports import json_lines
from projections.history import entry_of
from projections.lists.boards import Board, Column
from projections.metadata import metadata_of
from projections.pages import encode_mark
from projections.rates import Rate
from projections.timelines import Mark, Row, Segment, Timeline
from projections.traces import TracedCommand

TOLD_VERSIONS = {"workflow": 3, "task": 4, "agent": 2, "pool": 2, "system": 2}
"""Of each kind, the version that its history and its difference end with; they begin before that."""


def _plain(value: object) -> Any:
    """As it comes to who asks."""
    return orjson.loads(as_json(value))


def _page(*items: object, following: str | None = None) -> dict[str, Any]:
    return {"items": _plain(items), "next": following}


def _history(kind: str) -> dict[str, Any]:
    version = TOLD_VERSIONS[kind]
    record = stream(kind, version)[-1]
    entry = entry_of(record, metadata_of(record), *changes.compare(stored(kind, version - 1), stored(kind, version)))
    return {"items": [_plain(entry)], "next": version if version < len(stream(kind)) else None}


def _side(kind: str, version: int) -> Side:
    document = stored(kind, version)
    last = stream(kind, version)[-1]
    return Side(version, last.position, last.recorded_at, document.get("state", "active"), document)


def _difference(kind: str, *, whole: bool) -> dict[str, Any]:
    version = TOLD_VERSIONS[kind]
    found = Difference(kind, IDS[kind], _side(kind, version - 1), _side(kind, version))
    told: dict[str, Any] = _plain(difference_document(found, whole=whole))
    return told


def _timeline(kind: str) -> dict[str, Any]:
    by = "collector-1"
    assigned, running = Segment("assigned", by, at(90), at(92)), Segment("running", by, at(92))
    before = [Segment("created", None, at(61), at(63)), Segment("scheduled", None, at(63), at(90))]
    segments = [assigned, running] if kind == "agent" else [*before, assigned, running]
    marks = [Mark(at(62), "started")] if kind == "workflow" else []
    begin = stream(kind)[0].recorded_at
    rows = [Row("t-1", "running", segments)]
    told: dict[str, Any] = _plain(asdict(Timeline(kind, IDS[kind], begin, NOW, "now", rows, marks, 0)))
    return told


def _traced() -> dict[str, Any]:
    """The commands that moved the workflow, none of which was caused by another."""
    found: dict[str, TracedCommand] = {}
    for event in EVENTS:
        said = metadata_of(event)
        if said["command_type"] in ("AssignTask", "StartTask"):
            command = found.setdefault(
                said["command_id"],
                TracedCommand(
                    said["command_id"], said["command_type"], said["actor"], event.recorded_at, None, None,
                    said["authenticated"], said["credential"],
                ),
            )  # fmt: skip
            command.events.append(event)
    commands = [traced_document(0, command) for command in found.values()]
    told: dict[str, Any] = _plain({"correlation_id": CONVERSATION, "commands": commands})
    return told


def _action() -> AuditedAction:
    events = [event for event in EVENTS if metadata_of(event)["command_type"] == "AssignTask"]
    said, last = metadata_of(events[-1]), events[-1]
    return AuditedAction(
        last.position, last.recorded_at, said["actor"], said["command_type"], events[0].position,
        command_id=said["command_id"], correlation_id=CONVERSATION, authenticated=said["authenticated"],
        credential=said["credential"], stream_ids=tuple(event.stream_id for event in events),
        event_types=tuple(event.type for event in events),
    )  # fmt: skip


def _lines(*events: RecordedEvent) -> str:
    return "".join(json_lines.line(event).decode() for event in events)


_STORED_RESERVATION = stored("pool")["reservations"][0]
RESERVATION: dict[str, Any] = {"reservation_id": "", "resource_pool_id": "pool-1"} | _STORED_RESERVATION
CHECKS = {
    "database": Check("healthy", "PostgreSQL 18.6 answers.", {"connect_seconds": 0.011, "max_connections": 100}),
    "disk": Check("warning", "9.1 of 100.0 GB are free where the home is.", {"free_bytes": 9_100_000_000}),
}
AWAY = {"cache": Check("unhealthy", "Redis can't be reached at cache, port 6379 (connection refused): start it.")}
METRICS = (
    "# HELP dora_state_health 0: healthy, 1: a warning, 2: unhealthy.\n# TYPE dora_state_health gauge\n"
    'dora_state_health{check="database",tenant="bank"} 0.0\n'
)


def _of_kinds() -> Iterator[tuple[str, Any]]:
    for kind in IDS:
        name = kind.capitalize()
        yield f"get{name}", read(kind)
        yield f"reconstruct{name}", stored(kind)
        yield f"get{name}History", _history(kind)
        yield f"get{name}Diff", _difference(kind, whole=True)
        yield f"get{name}Events", _lines(stream(kind)[0])
    for kind in ("workflow", "task", "agent"):
        yield f"get{kind.capitalize()}Timeline", _timeline(kind)
    yield "getChanges", "".join(as_json(_difference(kind, whole=False)).decode() + "\n" for kind in ("agent", "pool"))
    yield "getTrace", _traced()


def _of_lists() -> Iterator[tuple[str, Any]]:
    """What is overdue or stalled looks like any other task."""
    yield "listWorkflows", _page(read("workflow"))
    for operation in ("listTasks", "listOverdue", "listStalled"):
        yield operation, _page(stored("task"))
    yield "listPending", _page(stored("task", 2))
    presence = {"status": "online", "seconds": 5.0}
    yield "listAgents", _page(read("agent") | {"presence": presence, "reservations": [RESERVATION]})
    expiry = {"active_reservations": 1, "next_expiry": RESERVATION["expires_at"]}
    yield "listPools", _page(read("pool") | expiry)
    yield "listReservations", _page(RESERVATION)
    yield "getBoard", _plain(Board("agent", [Column("collector-1", 1, {"running": 1})], 1, {"running": 1}, None))
    yield "getRates", {"items": [_plain(Rate(at(-3600), at(0), 12, 1, 0, 0, 2, 0.0769, 12.5, 341.2))]}
    action = _action()
    yield "getAudit", _page(action, following=encode_mark(str(action.position)))
    yield "listActors", _page(Actor(action.actor, action.position, action.recorded_at, action.command_type))
    waiter = Waiter("a.jansen", "api-2:17", at(320))
    yield "listLocks", {"items": [_plain(HeldLock(WORKFLOW, "reviewer", 7, "api-1:41", at(310), at(370), (waiter,)))]}


def _of_the_rest() -> Iterator[tuple[str, dict[int, Any]]]:
    answer = sent.ANSWER
    yield "submitCommands", {200: answer, 202: sent.ACCEPTED, 207: [answer]}
    yield "commitTransaction", {200: answer | {"type": "Transaction"}}
    yield "getCommand", {200: answer, 202: sent.ACCEPTED}
    yield "rollBackWorkflow", {200: answer | {"type": "RollBackWorkflow"}, 202: sent.ACCEPTED}
    yield "takeLock", {200: sent.HELD_LOCK}
    yield "renewLock", {200: _plain({"token": 7, "held_until": at(390)})}
    yield "followEvents", {200: f"id: {EVENTS[3].position}\ndata: {_lines(EVENTS[3])}\n"}
    yield "exportLog", {200: _lines(*EVENTS[3:6])}
    yield "getLive", {200: {"status": "alive"}}
    yield "getReady", {200: {"status": "ready"}, 503: {"status": "not ready", "reason": "The server is leaving."}}
    health, unhealthy = (_plain(HealthReport(found, NOW).to_json()) for found in (CHECKS, CHECKS | AWAY))
    yield "getHealth", {200: health, 503: unhealthy}
    yield "getMetrics", {200: METRICS}
    yield "explainProblem", {200: sort_document("not_found")}


PLACES = {f"{kind}s": id for kind, id in IDS.items()} | {
    "commands": sent.ANSWER["command_id"],
    "locks": "7",
    "traces": CONVERSATION,
    "problems": "not_found",
}
"""What stands in paths, by the word before it."""
EXAMPLES: dict[str, dict[int, Any]] = {
    **{operation: {200: told} for operation, told in (*_of_kinds(), *_of_lists())},
    **dict(_of_the_rest()),
}
"""By operation and status."""
