"""From a decision to what the log is asked to keep of it."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import orjson

from commands import answers
from commands.decider import Decision
from commands.envelope import Envelope
from commands.work import Loaded
from domain.aggregate import Event
from domain.all_events import CATALOGUE
from domain.log import CommandAppend, Identifier, NewEvent
from domain.record import record

NOTHING_LEFT: Mapping[str, Loaded[Any]] = {}


@record
class Prepared:
    """A decided command, ready to append. `left` are the aggregates as it leaves them, if it is accepted."""

    decision: Decision
    append: CommandAppend
    left: Mapping[str, Loaded[Any]]
    versions: Mapping[str, int]


class Preparer:
    """Names each event, and says in its metadata who asked for it and why."""

    def __init__(self, *, tenant: str, new_id: Callable[[], Identifier]) -> None:
        self._tenant = tenant
        self._new_id = new_id

    def prepare(self, decision: Decision, recorded_at: datetime | None = None) -> Prepared:
        """`recorded_at` is for an import only."""
        envelope, work, problem = decision.envelope, decision.work, decision.problem
        left = NOTHING_LEFT if problem else work.left
        versions = {stream_id: loaded.version for stream_id, loaded in left.items()}
        answer = answers.to_bytes(envelope, versions, problem)
        events: tuple[NewEvent, ...] = ()
        if left:
            metadata = self._metadata(envelope)
            events = tuple([self._event(key.stream_id, event, metadata) for key, event in work.events])
        append = CommandAppend(envelope.command_id, work.reads, events, answer, recorded_at)
        return Prepared(decision, append, left, versions)

    def _event(self, stream_id: str, event: Event, metadata: bytes) -> NewEvent:
        return NewEvent(self._new_id(), stream_id, event.type, event.schema_version, CATALOGUE.encode(event), metadata)

    def _metadata(self, envelope: Envelope) -> bytes:
        metadata: dict[str, object] = {
            "command_id": envelope.command_id,
            "command_type": envelope.command.type,
            "actor": envelope.actor,
            "correlation_id": envelope.correlation_id,
            "tenant": self._tenant,
        }
        if envelope.causation_id is not None:
            metadata["causation_id"] = envelope.causation_id
        if envelope.occurred_at is not None:
            metadata["occurred_at"] = envelope.occurred_at
        if envelope.note is not None:
            metadata.update(envelope.note)
        return orjson.dumps(metadata, option=orjson.OPT_UTC_Z)
