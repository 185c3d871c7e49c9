"""From a decision to what the log is asked to keep of it."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any

import orjson

from commands import answers
from commands.decider import Decision
from commands.envelope import Envelope, Problem
from commands.work import Key, Loaded, Work
from domain.aggregate import Event
from domain.all_events import CATALOGUE
from domain.errors import Refusal
from domain.log import MAX_COMMAND_BYTES, MAX_EVENT_BYTES, CommandAppend, Identifier, NewEvent
from domain.record import record

NOTHING_LEFT: Mapping[str, Loaded[Any]] = {}
FEW = MAX_COMMAND_BYTES // MAX_EVENT_BYTES
"""So many events are never too large together."""


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
        """A decision whose events are larger than the log takes is refused. `recorded_at` is for an import only."""
        try:
            return self._prepare(decision, recorded_at)
        except Refusal as refusal:
            problem = Problem(refusal.reason, refusal.message, refusal.facts)
            return self._prepare(replace(decision, problem=problem), recorded_at)

    def _prepare(self, decision: Decision, recorded_at: datetime | None) -> Prepared:
        envelope, work, problem = decision.envelope, decision.work, decision.problem
        left = NOTHING_LEFT if problem else work.left
        versions = {stream_id: loaded.version for stream_id, loaded in left.items()}
        answer = answers.to_bytes(envelope, versions, problem)
        events: tuple[NewEvent, ...] = ()
        if left:
            events = (
                tuple(self._steps(envelope, work))
                if work.steps
                else self._events(work.events, self._metadata(envelope))
            )
            if len(events) > FEW:
                _require_room(events)
        append = CommandAppend(envelope.command_id, work.reads, events, answer, recorded_at, envelope.tokens)
        return Prepared(decision, append, left, versions)

    def _steps(self, envelope: Envelope, work: Work) -> Iterator[NewEvent]:
        """Events of a transaction say besides which of its commands each is of."""
        done = 0
        for step, until in work.steps:
            yield from self._events(work.events[done:until], self._metadata(envelope, step=step))
            done = until

    def _events(self, events: Sequence[tuple[Key[Any], Event]], metadata: bytes) -> tuple[NewEvent, ...]:
        return tuple([self._event(key.stream_id, event, metadata) for key, event in events])

    def _event(self, stream_id: str, event: Event, metadata: bytes) -> NewEvent:
        data = CATALOGUE.encode(event)
        size = len(data) + len(metadata)
        if size > MAX_EVENT_BYTES:
            raise Refusal(
                "event_too_large",
                f"An event {event.type} of {stream_id} would have {size:,} bytes, and the log takes "
                f"{MAX_EVENT_BYTES:,} at most; keep what is large elsewhere, and tell where.",
                stream_id=stream_id,
                event_type=event.type,
                bytes=size,
                limit=MAX_EVENT_BYTES,
            )
        return NewEvent(self._new_id(), stream_id, event.type, event.schema_version, data, metadata)

    def _metadata(self, envelope: Envelope, **more: object) -> bytes:
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
        if envelope.traceparent is not None:
            metadata["traceparent"] = envelope.traceparent
        if envelope.note is not None:
            metadata.update(envelope.note)
        metadata.update(more)
        return orjson.dumps(metadata, option=orjson.OPT_UTC_Z)


def _require_room(events: Sequence[NewEvent]) -> None:
    size = sum([len(event.data) + len(event.metadata) for event in events])
    if size > MAX_COMMAND_BYTES:
        raise Refusal(
            "command_too_large",
            f"Its {len(events):,} events would have {size:,} bytes, and the log takes {MAX_COMMAND_BYTES:,} of one "
            "command at most; do it in parts, or to less at once.",
            events=len(events),
            bytes=size,
            limit=MAX_COMMAND_BYTES,
        )
