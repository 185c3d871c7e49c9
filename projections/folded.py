"""The state at a cut: the fold itself, rendered as the read models are."""

from dataclasses import dataclass
from datetime import datetime

from domain.errors import CutOutOfRange
from domain.folding import Folder
from domain.log import Cut, EventReader, RecordedEvent
from projections.documents import RENDERINGS
from projections.documents.values import Document, decode, iso
from projections.errors import nothing_there


@dataclass(frozen=True, slots=True)
class Folded:
    """A document as its events say, and the moment it is true of."""

    document: Document
    moment: datetime


class StateAtCut:
    """Folds one stream up to a cut. Only the state and, of the events, one page is held at once."""

    def __init__(self, reader: EventReader, folder: Folder) -> None:
        self._reader = reader
        self._folder = folder

    async def fold(self, kind: str, id: str, cut: Cut, now: datetime) -> Folded:
        """Raises NotFound for an id that the log does not know, CutOutOfRange where it holds nothing."""
        stream_id = self._folder.aggregates[kind].stream_id(id)
        await self._require_within_log(kind, id, stream_id, cut, now)
        folded = await self._folder.at(self._reader, stream_id, cut)
        last = folded.place
        if last is None:
            first = await self._first(stream_id)
            raise CutOutOfRange(
                f"The {kind} {id} began at {iso(first.recorded_at)}, position {first.position}; "
                "ask for that moment or a later one.",
                kind=kind,
                id=id,
                first_recorded_at=iso(first.recorded_at),
                first_position=first.position,
            )
        body = RENDERINGS[kind].render(folded.state, last.version, last.position, last.recorded_at)
        moment = now if cut.is_now else cut.at or last.recorded_at
        return Folded(decode(body), moment)

    async def _require_within_log(self, kind: str, id: str, stream_id: str, cut: Cut, now: datetime) -> None:
        version = await self._reader.stream_version(stream_id)
        if version == 0:
            raise nothing_there(kind, id)
        if cut.version is not None and not 1 <= cut.version <= version:
            raise CutOutOfRange(
                f"The {kind} {id} has versions 1 to {version}, not {cut.version}; ask for one of them.",
                kind=kind,
                id=id,
                first_version=1,
                last_version=version,
            )
        if cut.at is None and cut.position is None:
            return
        head = await self._reader.head()
        if cut.position is not None and cut.position > head.position:
            raise CutOutOfRange(
                f"The log ends at position {head.position}, before {cut.position}; ask for one up to it.",
                last_position=head.position,
            )
        latest = max(filter(None, (now, head.recorded_at)))
        if cut.at is not None and cut.at > latest:
            raise CutOutOfRange(
                f"{iso(cut.at)} lies in the future; ask for a moment up to {iso(latest)}.",
                last_recorded_at=iso(head.recorded_at),
            )

    async def _first(self, stream_id: str) -> RecordedEvent:
        (first,) = [record async for record in self._reader.read_stream(stream_id, limit=1)]
        return first
