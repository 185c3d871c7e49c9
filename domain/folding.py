"""The one fold: an aggregate at a cut is its nearest snapshot at or below it, and the events after that.

The write side, the projector, states at a cut and differences come to their states through here; a history begins
here and goes on event by event, as it tells of each. Only `replay --check` folds apart from it.
"""

from collections.abc import Iterator, Mapping
from contextlib import aclosing
from operator import length_hint
from typing import Any, Generic, TypeVar

from domain.aggregate import Aggregate, AggregateState, Event
from domain.all_events import AGGREGATES, CATALOGUE
from domain.catalogue import EventCatalogue
from domain.errors import CorruptLog
from domain.log import NOW, Cut, EventReader, FoldRequest, RecordedEvent, StoredEvent, Stretch
from domain.record import record
from domain.snapshots import Place, Stamp, StateCodec

S = TypeVar("S", bound=AggregateState)


@record
class Folded(Generic[S]):
    """An aggregate after some event. `place` is that event's; None and None: the stream had not begun."""

    state: S | None
    place: Place | None

    @property
    def version(self) -> int:
        return 0 if self.place is None else self.place.version


NOT_BEGUN: Folded[Any] = Folded(None, None)


class _Stamps(Mapping[str, Stamp]):
    """Each is made when it is asked for, which takes milliseconds: many a process asks for none."""

    def __init__(self, codecs: Mapping[str, StateCodec[Any]]) -> None:
        self._codecs = codecs

    def __getitem__(self, category: str) -> Stamp:
        return self._codecs[category].stamp

    def __iter__(self) -> Iterator[str]:
        return iter(self._codecs)

    def __len__(self) -> int:
        return len(self._codecs)


class Folder:
    """Folds streams of the aggregates it knows. A state that is handed in is changed and handed back."""

    def __init__(
        self, aggregates: Mapping[str, Aggregate[Any]] = AGGREGATES, catalogue: EventCatalogue = CATALOGUE
    ) -> None:
        self.aggregates = aggregates
        self.catalogue = catalogue
        self._codecs = {category: StateCodec(aggregate) for category, aggregate in aggregates.items()}
        self.stamps: Mapping[str, Stamp] = _Stamps(self._codecs)
        """What a snapshot made today is stamped with, by category."""

    def codec(self, stream_id: str) -> StateCodec[Any]:
        """How states of a stream's aggregate are kept. Raises KeyError for a kind of stream that is unknown."""
        return self._codecs[stream_id.partition("-")[0]]

    def request(self, stream_id: str, until_version: int | None = None) -> FoldRequest:
        """What to ask of the log for a fold from the nearest snapshot on."""
        return FoldRequest(stream_id, self.codec(stream_id).stamp, until_version=until_version)

    async def at(self, reader: EventReader, stream_id: str, cut: Cut = NOW) -> Folded[Any]:
        """One aggregate at a cut. Raises CorruptLog that says which version can't be folded, LogError."""
        folded = NOT_BEGUN
        stamp = self.codec(stream_id).stamp
        async with aclosing(reader.read_stretches(stream_id, stamp=stamp, cut=cut)) as stretches:
            async for stretch in stretches:
                after = self.go_on(stream_id, stretch, folded.state, folded.version)
                folded = Folded(after.state, after.place or folded.place)
        return folded

    def go_on(self, stream_id: str, stretch: Stretch, state: Any = None, version: int = 0) -> Folded[Any]:
        """What a stretch makes of the state at the version before it; its place is None where the stretch is empty.

        Raises CorruptLog, after which the state is of no use.
        """
        category = stream_id.partition("-")[0]
        if stretch.snapshot is not None:
            state, version = self._codecs[category].from_bytes(stretch.snapshot.state), stretch.snapshot.place.version
        evolve, decoders = self.aggregates[category].evolve, self.catalogue.decoders
        events = iter(stretch.events)
        try:
            for type_name, schema_version, data in events:
                state = evolve(state, decoders[type_name, schema_version](data))
        except Exception as error:
            index = len(stretch.events) - length_hint(events) - 1
            raise self._told(stream_id, version + index + 1, stretch.events[index], error) from error
        return Folded(state, stretch.last)

    def step(self, record: RecordedEvent, state: Any) -> tuple[Event, Any]:
        """One event and what it makes of the state before it. Raises CorruptLog, after which the state is of no use."""
        stored = (record.type, record.schema_version, record.data)
        try:
            event = self.catalogue.decoders[stored[:2]](record.data)
            return event, self.aggregates[record.stream_id.partition("-")[0]].evolve(state, event)
        except Exception as error:
            raise self._told(record.stream_id, record.version, stored, error) from error

    def _told(self, stream_id: str, version: int, stored: StoredEvent, error: Exception) -> CorruptLog:
        """The same error with its place, and with what can still be answered."""
        type_name, schema_version, data = stored
        try:
            self.catalogue.decode(type_name, schema_version, data)
        except CorruptLog as plainer:
            error = plainer
        if not isinstance(error, CorruptLog):
            error = CorruptLog(
                f"An event {type_name} does not fit what came before it ({type(error).__name__}: {error}); restore it"
                " from a backup.",
                event_type=type_name,
            )
        return at_place(error, stream_id, version)


def at_place(error: CorruptLog, stream_id: str, version: int) -> CorruptLog:
    """The same error with the place of its event, and with what can still be answered."""
    still = f"; its states up to version {version - 1} can be asked for" if version > 1 else ""
    told = f"{stream_id}, version {version}: {error.message.rstrip('.')}{still}."
    return type(error)(told, **{**error.facts, "stream_id": stream_id, "version": version})


FOLDER = Folder()
"""For all of the service's aggregates."""
