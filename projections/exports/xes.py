"""XES (IEEE 1849): a trace for each workflow, events for what its tasks and itself went through.

Where the standard's lifecycle has a transition for what happened, that stands there, with the task's definition as
the activity and the agent as the resource; everything else is `unknown` to it. So any tool reads it, and those that
mine tasks leave out what is unknown. Attributes `dora:` carry what XES has no word for: with the first event of each
command, `dora:recorded` holds all that was recorded of it on the workflow and its tasks, so that an import of the
log gives equal workflows. A trace that begins after its workflow did has none of that, and is to an import a log
like any other.
"""

import re
from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from itertools import groupby
from typing import Any, Literal
from xml.sax.saxutils import escape

import orjson

from domain import task as tasks
from domain import workflow as workflows
from domain.aggregate import Event
from domain.interchange import ACTOR, AUTHENTICATED, CREDENTIAL, EVENT, INFERRED, OCCURRED_AT, REASON, RECORDED, STATE
from domain.values import iso
from domain.workflow import Workflow
from projections.exports.links import Linked

PART = 500_000
"""Characters of one attribute: what is recorded of a command may be longer, and goes on in `dora:recorded.2`, ..."""
WORKFLOW_ACTIVITY = "workflow"
Transition = Literal["schedule", "assign", "start", "suspend", "resume", "complete", "ate_abort", "withdraw", "unknown"]

BEGIN = """\
<?xml version="1.0" encoding="UTF-8"?>
<log xes.version="1849-2016" xes.features="nested-attributes" xmlns="http://www.xes-standard.org/">
  <extension name="Concept" prefix="concept" uri="http://www.xes-standard.org/concept.xesext"/>
  <extension name="Lifecycle" prefix="lifecycle" uri="http://www.xes-standard.org/lifecycle.xesext"/>
  <extension name="Time" prefix="time" uri="http://www.xes-standard.org/time.xesext"/>
  <extension name="Organizational" prefix="org" uri="http://www.xes-standard.org/org.xesext"/>
  <extension name="DoraState" prefix="dora" uri="urn:dora-state:xes:1"/>
  <global scope="trace">
    <string key="concept:name" value="unknown"/>
  </global>
  <global scope="event">
    <string key="concept:name" value="unknown"/>
    <string key="lifecycle:transition" value="unknown"/>
    <date key="time:timestamp" value="1970-01-01T00:00:00Z"/>
  </global>
  <classifier name="Activity" keys="concept:name"/>
  <classifier name="Activity and transition" keys="concept:name lifecycle:transition"/>
  <classifier name="Resource" keys="org:resource"/>
"""
END = b"</log>\n"
_FORBIDDEN = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_ESCAPES = {'"': "&quot;", "\n": "&#10;", "\r": "&#13;", "\t": "&#9;"}


def begin(tenant: str, at: datetime) -> bytes:
    """Up to the first trace. `at` is the moment that is told of."""
    return (BEGIN + _attribute("concept:name", f"{tenant} as of {iso(at)}", "  ")).encode()


class Trace:
    """One workflow. Give it its events and those of its tasks in order, whole commands at a time."""

    def __init__(self, workflow: Workflow, *, is_whole: bool) -> None:
        """`workflow` as of the end; `is_whole`: its first event is told too."""
        self._workflow = workflow
        self._is_whole = is_whole
        self._running: set[str] = set()

    def begin(self) -> bytes:
        workflow = self._workflow
        told: dict[str, Any] = {
            "concept:name": workflow.workflow_id,
            STATE: workflow.state,
            "dora:definition": workflow.definition_id,
            "dora:definition_version": workflow.definition_version,
        }
        # The keys of the context are its callers' own: so a log that was imported comes out with what it had.
        told |= {key: value for key, value in workflow.context.items() if key not in told and is_scalar(value)}
        return ("  <trace>\n" + "".join(_attribute(key, value, "    ") for key, value in told.items())).encode()

    def events(self, page: Iterable[Linked]) -> bytes:
        commands = groupby(page, _command_end)
        return "".join(text for _, command in commands for text in self._command(list(command))).encode()

    def _command(self, command: list[Linked]) -> Iterator[str]:
        seen = [(one, transition) for one in command if (transition := self._transition(one)) is not None]
        if not seen:
            of_task = (one for one in command if one.record.stream_id.startswith("task-"))
            seen = [(next(of_task, command[0]), "unknown")]
        recorded = _recorded(command) if self._is_whole else {}
        for one, transition in seen:
            yield _event(one, transition, recorded)
            recorded = {}

    def _transition(self, one: Linked) -> Transition | None:
        """What the standard calls it: `unknown` for a step of the workflow itself, None for what goes with others."""
        event = one.event
        if not one.record.stream_id.startswith("task-"):
            return None if type(event) in _BESIDE else "unknown"
        transition = _TRANSITIONS.get(type(event))
        match event:
            case tasks.TaskStarted():
                self._running.add(one.record.stream_id)
            case tasks.TaskCancelled() if one.record.stream_id in self._running:
                transition = "ate_abort"
            case tasks.TaskProgressed(note="suspended"):
                transition = "suspend"
            case tasks.TaskProgressed(note="resumed"):
                transition = "resume"
        if type(event) in _ENDS:
            self._running.discard(one.record.stream_id)
        return transition


END_OF_TRACE = b"  </trace>\n"
_BESIDE = (workflows.WorkflowTaskAdded, workflows.WorkflowTaskChanged)
_TRANSITIONS: Mapping[type[Event], Transition] = {
    tasks.TaskScheduled: "schedule",
    tasks.TaskAssigned: "assign",
    tasks.TaskStarted: "start",
    tasks.TaskCompleted: "complete",
    tasks.TaskFailed: "ate_abort",
    tasks.TaskTimedOut: "ate_abort",
    tasks.TaskRetried: "schedule",
    tasks.TaskCancelled: "withdraw",
    tasks.TaskUnassigned: "unknown",
    tasks.TaskRolledBack: "unknown",
}
_ENDS = (tasks.TaskCompleted, tasks.TaskFailed, tasks.TaskTimedOut, tasks.TaskCancelled, tasks.TaskRolledBack)


def _command_end(one: Linked) -> int:
    return one.record.position + one.record.following


def _recorded(command: Iterable[Linked]) -> dict[str, str]:
    """What was recorded, as JSON: stream, type, schema version and data of each event; in parts, if it is long."""
    parts = [
        (one.record.stream_id, one.record.type, one.record.schema_version, orjson.Fragment(one.record.data))
        for one in command
    ]
    text = orjson.dumps(parts).decode()
    if _FORBIDDEN.search(text):
        text = _FORBIDDEN.sub(lambda found: f"\\u{ord(found[0]):04x}", text)  # in JSON it may stand so
    return {
        RECORDED if place == 0 else f"{RECORDED}.{place // PART + 1}": text[place : place + PART]
        for place in range(0, len(text), PART)
    }


def _event(one: Linked, transition: Transition, recorded: Mapping[str, str]) -> str:
    metadata, record = one.metadata, one.record
    of_task = record.stream_id.startswith("task-")
    told: dict[str, Any] = {
        "concept:name": one.activity if of_task else WORKFLOW_ACTIVITY,
        "concept:instance": one.task_id if of_task else None,
        "lifecycle:transition": transition,
        "time:timestamp": record.recorded_at,
        "org:resource": one.agent_id if of_task else metadata.get("actor"),
        EVENT: record.type,
        ACTOR: metadata.get("actor"),
        AUTHENTICATED: metadata.get("authenticated"),
        CREDENTIAL: metadata.get("credential"),
        REASON: one.reason,
        OCCURRED_AT: metadata.get("occurred_at"),
        INFERRED: metadata.get("inferred"),
        **recorded,
    }
    inside = "".join(_attribute(key, value, "      ") for key, value in told.items() if value is not None)
    return f"    <event>\n{inside}    </event>\n"


def is_scalar(value: object) -> bool:
    return isinstance(value, str | int | float | datetime)


def _attribute(key: str, value: object, indent: str) -> str:
    match value:
        case bool():
            kind, text = "boolean", "true" if value else "false"
        case int() if -(2**63) <= value < 2**63:
            kind, text = "int", str(value)
        case float():
            kind, text = "float", repr(value)
        case datetime():
            kind, text = "date", iso(value)
        case _:
            kind, text = "string", str(value)
    return f'{indent}<{kind} key="{_quoted(key)}" value="{_quoted(text)}"/>\n'


def _quoted(text: str) -> str:
    """As an attribute's value; what XML has no place for becomes U+FFFD."""
    return escape(_FORBIDDEN.sub("\ufffd", text), _ESCAPES)
