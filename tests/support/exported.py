"""What holds of the exports of any log: nothing is lost, nothing invented, and what comes back comes back equal."""

import csv
import io
import json
import tempfile
from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import jsonschema

from commands.envelope import Answer, Envelope
from commands.xes_mapping import XesMapping
from domain.agent import AGENT
from domain.log import NOW, Cut, EventReader, RecordedEvent
from domain.task import TASK
from domain.workflow import WORKFLOW
from dora_state.importing.translation import Translation
from infrastructure.xes.sort import sort_xes
from projections.exports import Exporter
from tests.support.command_world import World
from tests.support.invariants import IMPORTING, check_moves, check_world
from tests.support.memory_log import MemoryEventLog

LATER = datetime(2100, 1, 1, tzinfo=UTC)
OCEL_SCHEMA = json.loads((Path(__file__).parents[1] / "data" / "ocel20-schema-json.json").read_text())
_OCEL = jsonschema.Draft7Validator(OCEL_SCHEMA)
_PARSE: dict[str, Callable[[str], object]] = {
    "integer": int,
    "float": float,
    "boolean": ("true", "false").index,
    "time": datetime.fromisoformat,
    "string": str,
}


async def exported(
    log: EventReader, format: str, workflow_id: str | None = None, cut: Cut = NOW, since: datetime | None = None
) -> bytes:
    """The whole of an export. Raises what an export does."""
    exporter = Exporter(log, "bank")
    selection = await exporter.select(workflow_id, since, cut, LATER)
    return b"".join([piece async for piece in exporter.write(format, selection, lambda count: None)])


async def check_exports(log: MemoryEventLog) -> None:
    if not log.events:
        return
    check_json_lines(await exported(log, "jsonl"), log.events)
    check_table(await exported(log, "csv"), log.events)
    check_ocel(await exported(log, "ocel"), log.events)
    workflow_ids = sorted({one.stream_id[9:] for one in log.events if one.stream_id.startswith("workflow-")})
    for workflow_id in workflow_ids:
        of_one = [json.loads(line) for line in (await exported(log, "jsonl", workflow_id)).splitlines()]
        told = {line["stream_id"] for line in of_one}
        tasks = {one.stream_id for one in log.events if _created_in(one, workflow_id)}
        streams = {f"workflow-{workflow_id}", *tasks}
        own = [one.position for one in log.events if one.stream_id in streams]
        assert {one for one in told if one.startswith(("workflow-", "task-"))} == streams
        assert [line["position"] for line in of_one if line["stream_id"].startswith(("workflow-", "task-"))] == own
        check_ocel(await exported(log, "ocel", workflow_id), [log.events[line["position"] - 1] for line in of_one])


def _created_in(event: RecordedEvent, workflow_id: str) -> bool:
    return event.type == "TaskCreated" and json.loads(event.data)["workflow_id"] == workflow_id


def check_json_lines(text: bytes, events: list[RecordedEvent]) -> None:
    """Every byte that was recorded."""
    lines = text.splitlines()
    assert len(lines) == len(events)
    for line, event in zip(lines, events, strict=True):
        assert b'"data":' + event.data + b"," in line
        assert line.endswith(b'"metadata":' + event.metadata + b"}")
        told = json.loads(line)
        assert (told["position"], told["version"]) == (event.position, event.version)
        assert told["stream_id"] == event.stream_id
        assert (told["event_id"], told["following"]) == (str(event.event_id), event.following)
        assert (told["type"], datetime.fromisoformat(told["recorded_at"])) == (event.type, event.recorded_at)


def check_table(text: bytes, events: list[RecordedEvent]) -> None:
    rows = list(csv.DictReader(io.StringIO(text.decode())))
    assert [int(row["position"]) for row in rows] == [event.position for event in events]
    for row, event in zip(rows, events, strict=True):
        kind, _, id = event.stream_id.partition("-")
        if kind != "system":
            assert row[f"{kind}_id"] == id
        assert row["data"] == event.data.decode()
        if kind == "task":
            assert row["workflow_id"]
            assert row["activity"]


def check_ocel(text: bytes, events: list[RecordedEvent]) -> None:
    """By the standard's schema, and by what it can't say: declared types, ids that are there, times in order."""
    told = json.loads(text)
    _OCEL.validate(told)
    objects = {one["id"]: one for one in told["objects"]}
    assert len(objects) == len(told["objects"])
    assert [one["id"] for one in told["events"]] == [str(event.event_id) for event in events]
    event_types = {one["name"]: {a["name"]: a["type"] for a in one["attributes"]} for one in told["eventTypes"]}
    object_types = {one["name"]: {a["name"]: a["type"] for a in one["attributes"]} for one in told["objectTypes"]}
    for one, event in zip(told["events"], events, strict=True):
        related = Counter(relation["objectId"] for relation in one["relationships"])
        assert related.keys() <= objects.keys()
        assert set(related.values()) == {1}
        assert {"objectId": event.stream_id, "qualifier": "changed"} in one["relationships"]
        for attribute in one["attributes"]:
            _PARSE[event_types[one["type"]][attribute["name"]]](attribute["value"])
    for one in told["objects"]:
        assert {relation["objectId"] for relation in one["relationships"]} <= objects.keys()
        types = object_types[one["type"]]
        times = [datetime.fromisoformat(attribute["time"]) for attribute in one["attributes"]]
        assert times == sorted(times)
        for attribute in one["attributes"]:
            _PARSE[types[attribute["name"]]](attribute["value"])
        assert max(Counter((a["name"], a["time"]) for a in one["attributes"]).values(), default=1) == 1


def last_values(told: dict[str, Any]) -> dict[str, str]:
    """An object's attributes as they were in the end; what is gone is left out."""
    values = {one["name"]: one["value"] for one in told["attributes"]}
    return {name: value for name, value in values.items() if value}


# --- back again --------------------------------------------------------------------------------------------


async def check_round_trip(log: MemoryEventLog) -> None:
    """What is exported as XES and imported again gives the same workflows and tasks, but for what pools lent."""
    if not any(one.stream_id.startswith("workflow-") for one in log.events):
        return
    before, after = World(log), World()
    await import_again(after, await exported(log, "xes"))
    check_moves(after.log.events, IMPORTING)
    check_world(after)
    workflows, tasks = before.of_kind(WORKFLOW), before.of_kind(TASK)
    assert after.of_kind(WORKFLOW) == workflows
    lent = {"pool_id": None, "reservation_id": None, "allocated": None}
    assert after.of_kind(TASK) == {task_id: replace(task, **lent) for task_id, task in tasks.items()}
    for kind, ids in ((WORKFLOW, workflows), (TASK, tasks)):
        for id in ids:
            assert after.types(kind.stream_id(id)) == before.types(kind.stream_id(id))
    held = {id: set(agent.slots) for id, agent in before.of_kind(AGENT).items() if agent.slots}
    assert {id: set(agent.slots) for id, agent in after.of_kind(AGENT).items() if agent.slots} == held


async def import_again(world: World, text: bytes) -> None:
    """Nothing may be refused or skipped."""
    translation, answers, events_read = await import_into(world, text)
    for answer in answers:
        assert answer.outcome == "accepted", answer.problem
    assert not translation.skipped
    assert translation.used == events_read


async def import_into(world: World, text: bytes) -> tuple[Translation, list[Answer], int]:
    """As the import does it, into a log in memory: what was translated, what became of each command, events read."""
    answers: list[Answer] = []
    with tempfile.TemporaryDirectory() as directory:
        path = Path(directory) / "log.xes"
        path.write_bytes(text)
        with sort_xes(path, Path(directory) / "sorted", now=LATER) as events:
            ahead = XesMapping("")
            for event in events:
                ahead.step(event)
            translation = Translation("log", ahead.agents, "nobody")
            for event in events:
                translated = translation.command(event)
                if translated is None:
                    continue
                world.clock.now = event.time
                envelope = Envelope(
                    uuid4(), translated.command, translated.actor, "import", occurred_at=translated.occurred_at
                )
                answers += await world.committer.commit([envelope])
                if answers[-1].outcome == "refused":
                    translation.was_refused(translated.command)
            return translation, answers, events.report.events_read
