"""OCEL 2.0 as JSON (ocel-standard.org): events with the objects that they concern, objects with their changes.

Objects are the workflows, tasks, agents, pools and the system, by the ids of their streams. An event's relation to
the object of its own stream is qualified `changed`, others by what the object is to it. All values are text, as
the standard's schema wants them; their types are declared at the end, when all are known.
"""

from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from contextlib import aclosing
from datetime import datetime
from typing import Any, get_args

import orjson
from pydantic.fields import FieldInfo

from domain.aggregate import Event
from domain.folding import Folder
from domain.log import Cut, EventReader, RecordedEvent
from domain.task import Task
from domain.workflow import Workflow
from projections.exports.ahead import one_ahead
from projections.exports.attributes import Changes, text_of, type_of
from projections.exports.links import Linked
from projections.exports.selection import Selection

STREAMS = 500
EVENTS = 5_000
"""Of objects that are told together, so many streams and events are held at once; longer ones are read by pages."""
_Records = list[RecordedEvent] | AsyncIterator[RecordedEvent]
_METADATA = (
    "actor",
    "authenticated",
    "credential",
    "command_type",
    "command_id",
    "correlation_id",
    "causation_id",
    "occurred_at",
)
_COMMON = {
    "position": "integer",
    "version": "integer",
    **{name: "time" if name == "occurred_at" else "string" for name in _METADATA},
}
_LEFT_OUT = frozenset({"at", "restored"})
"""Of an event's data: when it was decided, which its time tells well enough; and whole states, which objects tell."""

BEGIN = b'{"events":['
BETWEEN = b'\n],"objects":['


class Ocel:
    """One export. Call `events` with pages in order, then iterate over `objects`, then ask for the `end`."""

    def __init__(self, reader: EventReader, folder: Folder, selection: Selection) -> None:
        self._reader = reader
        self._folder = folder
        self._selection = selection
        self._changes = Changes()
        self._event_types: dict[str, type[Event]] = {}
        self._concerned: set[str] = set()
        self._events = 0
        self._objects = 0

    # --- events ---------------------------------------------------------------------------------------------

    def events(self, page: Iterable[Linked]) -> bytes:
        return b"".join(map(self._event, page))

    def _event(self, one: Linked) -> bytes:
        record = one.record
        self._event_types[record.type] = type(one.event)
        own = record.stream_id
        concerned = {own: "changed"}
        for kind, id in (
            ("workflow", one.workflow_id),
            ("task", one.task_id),
            ("agent", one.agent_id),
            ("pool", one.pool_id),
        ):
            if id is not None:
                concerned.setdefault(f"{kind}-{id}", kind)
        if not self._selection.is_everything:
            self._concerned.update(concerned)
        told = {
            "id": str(record.event_id),
            "type": record.type,
            "time": record.recorded_at,
            "attributes": [{"name": name, "value": value} for name, value in _attributes(one)],
            "relationships": [{"objectId": id, "qualifier": qualifier} for id, qualifier in concerned.items()],
        }
        self._events += 1
        return _separator(self._events) + orjson.dumps(told, option=orjson.OPT_UTC_Z)

    # --- objects --------------------------------------------------------------------------------------------

    async def objects(self) -> AsyncIterator[bytes]:
        """The objects that the events concern, each with all that became of it up to the end of the selection.

        Of changes before the first event told of, only the last of each attribute.
        """
        async with aclosing(one_ahead(self._histories())) as histories:
            async for some in histories:
                for stream_id, records in some.items():
                    if isinstance(records, list):
                        yield self._told(stream_id, records)
                    else:
                        async for piece in self._told_by_pages(stream_id, records):
                            yield piece

    async def _histories(self) -> AsyncIterator[dict[str, _Records]]:
        """Short streams together, long ones alone and event by event."""
        until = self._selection.until
        async for stream_ids in self._streams():
            versions = await self._reader.stream_versions(stream_ids)
            group: list[str] = []
            size = 0
            for stream_id in stream_ids:
                version = versions.get(stream_id, 0)
                if version > EVENTS:
                    yield {stream_id: self._reader.read_stream(stream_id, cut=Cut(position=until))}
                    continue
                if size + version > EVENTS:
                    yield dict(await self._reader.read_streams(group, up_to_position=until))
                    group, size = [], 0
                group.append(stream_id)
                size += version
            yield dict(await self._reader.read_streams(group, up_to_position=until))

    async def _streams(self) -> AsyncIterator[list[str]]:
        if not self._selection.is_everything:
            concerned = sorted(self._concerned, key=str.encode)
            for place in range(0, len(concerned), STREAMS):
                yield concerned[place : place + STREAMS]
            return
        last = ""
        while found := await self._reader.streams_after(last, STREAMS):
            last = found[-1]
            yield [stream_id for stream_id in found if stream_id.partition("-")[0] in self._folder.aggregates]

    def _told(self, stream_id: str, records: list[RecordedEvent]) -> bytes:
        if not records:
            return b""
        telling = self._object(stream_id)
        pieces = [telling.changed(record) for record in records]
        return b"".join([*pieces, telling.end(self._among)])

    async def _told_by_pages(self, stream_id: str, records: AsyncIterator[RecordedEvent]) -> AsyncIterator[bytes]:
        telling: _Object | None = None
        pieces: list[bytes] = []
        async for record in records:
            telling = telling or self._object(stream_id)
            pieces.append(telling.changed(record))
            if len(pieces) >= EVENTS:
                yield b"".join(pieces)
                pieces = []
        if telling is not None:
            yield b"".join([*pieces, telling.end(self._among)])

    def _object(self, stream_id: str) -> "_Object":
        self._objects += 1
        before = _separator(self._objects)
        return _Object(self._folder, self._changes, self._selection.after, stream_id, before)

    @property
    def _among(self) -> set[str] | None:
        """The objects that are told of; None: all."""
        return None if self._selection.is_everything else self._concerned

    # --- types ----------------------------------------------------------------------------------------------

    def end(self) -> bytes:
        told = {
            "eventTypes": [
                {"name": name, "attributes": _declared(_COMMON | _fields(event))}
                for name, event in sorted(self._event_types.items())
            ],
            "objectTypes": [
                {"name": kind, "attributes": _declared(types)} for kind, types in sorted(self._changes.types.items())
            ],
        }
        return b"\n]," + orjson.dumps(told)[1:] + b"\n"


class _Object:
    """One object while its events are read: what changed is told as it comes, what it relates to at its end."""

    def __init__(self, folder: Folder, changes: Changes, after: int, stream_id: str, before: bytes) -> None:
        """`before` is what stands before it."""
        self._stream_id = stream_id
        self._kind = stream_id.partition("-")[0]
        self._before = before
        self._aggregate = folder.aggregates[self._kind]
        self._catalogue = folder.catalogue
        self._changes = changes
        self._after = after
        self._state: Any = None
        self._waiting: dict[str, tuple[str, datetime]] = {}
        self._at: datetime | None = None
        self._begun = False
        self._agents: dict[str, None] = {}
        self._pools: dict[str, None] = {}
        changes.begin()

    def changed(self, record: RecordedEvent) -> bytes:
        event = self._catalogue.decode(record.type, record.schema_version, record.data)
        state = self._state = self._aggregate.evolve(self._state, event)
        if isinstance(state, Task):
            if state.agent_id is not None:
                self._agents[state.agent_id] = None
            if state.pool_id is not None:
                self._pools[state.pool_id] = None
        told = b""
        if record.position > self._after and record.recorded_at != self._at:
            told, self._at = self._tell(), record.recorded_at
        self._waiting |= {name: (value, record.recorded_at) for name, value in self._changes.of(self._kind, state)}
        return told

    def _tell(self) -> bytes:
        """What the events before the range, or those of one time, have left: of several values at a time nobody could
        tell which one holds."""
        told = sorted(self._waiting.items(), key=lambda one: one[1][1])
        self._waiting = {}
        return b"".join([self._attribute(name, *rest) for name, rest in told])

    def _attribute(self, name: str, value: str, at: datetime) -> bytes:
        told = orjson.dumps({"name": name, "value": value, "time": at}, option=orjson.OPT_UTC_Z)
        if self._begun:
            return b"," + told
        self._begun = True
        return self._head() + told

    def _head(self) -> bytes:
        told = orjson.dumps({"id": self._stream_id, "type": self._kind})
        return self._before + told[:-1] + b',"attributes":['

    def end(self, among: set[str] | None) -> bytes:
        """`among`: no relations to others than these."""
        told = self._tell()
        head = b"" if self._begun else self._head()
        related = [
            {"objectId": id, "qualifier": qualifier}
            for id, qualifier in self._related()
            if among is None or id in among
        ]
        return told + head + b'],"relationships":' + orjson.dumps(related) + b"}"

    def _related(self) -> Iterator[tuple[str, str]]:
        match self._state:
            case Task() as task:
                yield f"workflow-{task.workflow_id}", "part of"
                yield from ((f"task-{task_id}", "requires") for task_id in task.requires)
                yield from ((f"agent-{agent_id}", "assigned to") for agent_id in self._agents)
                yield from ((f"pool-{pool_id}", "takes from") for pool_id in self._pools)
            case Workflow() as workflow:
                yield from ((f"task-{task_id}", "has") for task_id in workflow.tasks)


def _attributes(one: Linked) -> Iterator[tuple[str, str]]:
    yield "position", str(one.record.position)
    yield "version", str(one.record.version)
    for name in _METADATA:
        value = one.metadata.get(name)
        if value is not None:
            yield name, text_of(value)
    for name, value in one.event.__dict__.items():
        if name not in _LEFT_OUT and value is not None:
            yield name, text_of(value)


def _fields(event: type[Event]) -> dict[str, str]:
    return {name: _declared_type(field) for name, field in event.model_fields.items() if name not in _LEFT_OUT}


def _declared_type(field: FieldInfo) -> str:
    """By the annotation; what is no scalar stands there as JSON."""
    kinds = {kind for kind in (get_args(field.annotation) or (field.annotation,)) if kind is not type(None)}
    samples: Mapping[Any, Any] = {bool: True, int: 0, float: 0.0, datetime: datetime.min}
    (kind,) = kinds if len(kinds) == 1 else (str,)
    return type_of(samples.get(kind, ""))


def _declared(types: Mapping[str, str]) -> list[dict[str, str]]:
    return [{"name": name, "type": kind} for name, kind in types.items()]


def _separator(number: int) -> bytes:
    return b"\n" if number == 1 else b",\n"
