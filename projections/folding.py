"""From recorded events to a batch: fold each stream that they touch, render its document."""

import asyncio
from collections.abc import Mapping, Sequence

from domain.aggregate import Aggregate
from domain.catalogue import EventCatalogue
from domain.log import RecordedEvent
from domain.pool import Pool
from domain.workflow import WorkflowCompleted
from projections.attempts import OUTCOMES, ended_attempt
from projections.batch import Batch, Completion, DeadLetter, RenderedDocument
from projections.documents import RENDERINGS, status
from projections.states import States

AT_ONCE = 200
"""Events that are folded without letting others of this process have their turn."""


class Folding:
    """Makes one batch. An event that can't be applied is parked, with all that follows of its stream.

    `parked` are the streams of which an event is parked already; those that this batch adds are in it
    afterwards. The states are those after the batch, so whoever doesn't write the batch forgets them.
    """

    def __init__(self, states: States, catalogue: EventCatalogue, parked: set[str], batch: Batch) -> None:
        self._states = states
        self._catalogue = catalogue
        self._parked = parked
        self._batch = batch
        self._last: dict[str, RecordedEvent] = {}

    async def apply(self, records: Sequence[RecordedEvent]) -> Batch:
        versions: dict[str, int] = {}
        for record in records:
            if record.stream_id not in versions and record.stream_id not in self._parked:
                versions[record.stream_id] = record.version - 1
        failed = await self._states.load(versions, self._batch.start)
        for place, record in enumerate(records):
            await self._apply(record, failed)
            if place % AT_ONCE == AT_ONCE - 1:
                await asyncio.sleep(0)  # whoever is to say that we are there, say
        for stream_id, record in self._last.items():
            self._render(stream_id, record)
        self._states.trim(list(versions))
        return self._batch

    async def _apply(self, record: RecordedEvent, failed: Mapping[str, Exception]) -> None:
        stream_id = record.stream_id
        if stream_id in self._parked:
            self._bury(record, "follows an event of its stream that is parked")
            return
        aggregate = self._states.aggregate(stream_id)
        try:
            if stream_id in failed:
                raise failed[stream_id]
            if aggregate is None:
                raise LookupError(f"no kind of document comes from the stream {stream_id}")
            self._evolve(aggregate, record)
        except Exception as error:
            # An event can fail in any way that a fold can; whatever it is, only its document stops.
            await self._park(record, error)

    def _evolve(self, aggregate: Aggregate[object], record: RecordedEvent) -> None:  # type: ignore[type-var]  # any aggregate's state
        event = self._catalogue.decode(record.type, record.schema_version, record.data)
        state = self._states.get(record.stream_id)
        attempt = ended_attempt(state, event, record) if state is not None and type(event) in OUTCOMES else None
        self._states.put(record.stream_id, aggregate.evolve(state, event))
        self._last[record.stream_id] = record
        if attempt is not None:
            self._batch.attempts.append(attempt)
        if isinstance(event, WorkflowCompleted):
            workflow_id = record.stream_id.partition("-")[2]
            self._batch.completions.append(Completion(record.position, event.at, workflow_id))

    async def _park(self, record: RecordedEvent, error: Exception) -> None:
        """The fold may have stopped half way: go back to the state before this event."""
        self._parked.add(record.stream_id)
        self._bury(record, f"{type(error).__name__}: {error}")
        self._states.forget(record.stream_id)
        if record.stream_id in self._last:
            await self._states.load_one(record.stream_id, record.version - 1)

    def _bury(self, record: RecordedEvent, error: str) -> None:
        self._batch.dead_letters.append(
            DeadLetter(record.position, record.stream_id, record.version, record.type, error)
        )

    def _render(self, stream_id: str, record: RecordedEvent) -> None:
        kind, _, document_id = stream_id.partition("-")
        state = self._states.get(stream_id)
        rendering = RENDERINGS[kind]
        try:
            body = rendering.render(state, record.version, record.position, record.recorded_at)
            values = rendering.values(state)
        except Exception as error:
            # The document stays as it was; what was folded of it is not written.
            self._parked.add(stream_id)
            self._bury(record, f"{type(error).__name__}: {error}")
            self._states.forget(stream_id)
            return
        if isinstance(state, Pool):
            self._batch.reservations[document_id] = state.reservations.copy()
        self._batch.documents.append(RenderedDocument(kind, document_id, record.position, status(state), values, body))
