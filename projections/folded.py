"""The state at a cut: the fold itself, rendered as the read models are."""

from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime

from domain.errors import Archived, CutOutOfRange, InvalidInput
from domain.folding import Folder
from domain.log import Cut, EventReader, Head, RecordedEvent
from projections.documents import RENDERINGS
from projections.documents.values import Document, decode, iso
from projections.errors import named, nothing_there


@dataclass(frozen=True, slots=True)
class Moment:
    """Where the log was at a cut: the end of its last whole command then, and the time that is told of the state."""

    position: int
    at: datetime


@dataclass(frozen=True, slots=True)
class Rendered:
    """A document as its events say, the moment it is true of, and where the command of its last event ends."""

    document: Document
    moment: datetime
    whole_position: int


class StateAtCut:
    """Folds one stream up to a cut. Only the state and, of the events, one page is held at once."""

    def __init__(self, reader: EventReader, folder: Folder) -> None:
        self._reader = reader
        self._folder = folder

    async def fold(self, kind: str, id: str, cut: Cut, now: datetime) -> Rendered:
        """Raises NotFound for an id that the log does not know, CutOutOfRange where it holds nothing."""
        moment = await self.require(kind, id, cut, now)
        folded = await self._folder.at(self._reader, self._folder.aggregates[kind].stream_id(id), cut)
        last = folded.place
        assert last is not None
        body = RENDERINGS[kind].render(folded.state, last.version, last.position, last.recorded_at)
        return Rendered(decode(body), moment or last.recorded_at, last.whole_position)

    async def require(self, kind: str, id: str, cut: Cut, now: datetime) -> datetime | None:
        """See to it that there is something at a cut, without a fold; gives the moment, None for a version.

        Raises NotFound for an id that the log does not know, CutOutOfRange where it holds nothing.
        """
        stream_id = self._folder.aggregates[kind].stream_id(id)
        version = await self._reader.stream_version(stream_id)
        if version == 0:
            raise nothing_there(kind, id)
        if cut.is_now:
            return now
        if cut.version is not None:
            if not 1 <= cut.version <= version:
                raise CutOutOfRange(
                    f"{named(kind, id)} has versions 1 to {version}, not {cut.version}; ask for one of them.",
                    kind=kind,
                    id=id,
                    first_version=1,
                    last_version=version,
                )
            return None
        began = await self._reader.stream_began(stream_id)
        assert began is not None
        if cut.at is not None:
            await self._require_past(cut.at, now)
            moment, has_begun = cut.at, began <= cut.at
        else:
            whole = await self._whole(cut)
            moment = whole.recorded_at or now
            has_begun = whole.recorded_at is not None and began <= whole.recorded_at
            if began == whole.recorded_at:  # commands of an import may have one time
                has_begun = (await self._first(stream_id)).position <= whole.position
        if not has_begun:
            raise await self._before_its_beginning(kind, id, began)
        return moment

    async def _before_its_beginning(self, kind: str, id: str, began: datetime) -> CutOutOfRange:
        facts: dict[str, object] = {"kind": kind, "id": id, "first_recorded_at": iso(began)}
        where = ""
        with suppress(Archived):  # when it began is known all the same
            first = await self._first(self._folder.aggregates[kind].stream_id(id))
            facts["first_position"], where = first.position, f", position {first.position}"
        told = f"{named(kind, id)} began at {iso(began)}{where}; ask for that moment or a later one."
        return CutOutOfRange(told, **facts)

    async def moment(self, cut: Cut, now: datetime) -> Moment:
        """Where the log was at a cut by time or position, or is now. Raises CutOutOfRange for what has not come yet."""
        if cut.is_now:
            return Moment((await self._reader.head()).position, now)
        if cut.at is not None:
            await self._require_past(cut.at, now)
            return Moment(await self._reader.position_at(cut.at), cut.at)
        whole = await self._whole(cut)
        return Moment(whole.position, whole.recorded_at or now)

    async def recorded(self, cut: Cut, now: datetime) -> Moment:
        """The same, where something was recorded by then. Raises CutOutOfRange also where nothing was."""
        moment = await self.moment(cut, now)
        if moment.position:
            return moment
        if not (begun := await self._reader.read_log(after_position=0, limit=1)):
            raise CutOutOfRange("The log is empty: nothing was recorded yet; submit something first.")
        began = iso(begun[0].recorded_at)
        raise CutOutOfRange(
            f"The log begins at {began}, position 1; ask for that moment or a later one.", first_recorded_at=began
        )

    async def between(self, begin: Cut, end: Cut, now: datetime) -> tuple[int, int]:
        """The positions of two cuts by time or position. Raises CutOutOfRange; InvalidInput for the wrong way round."""
        first, last = (await self.moment(begin, now)).position, (await self.moment(end, now)).position
        if first > last:
            raise InvalidInput(
                f"The first cut lies at position {first}, after the second one at {last}: turn them round.",
                first_position=first,
                last_position=last,
            )
        return first, last

    async def _whole(self, cut: Cut) -> Head:
        assert cut.position is not None
        head = await self._reader.head()
        if cut.position < 0:
            raise CutOutOfRange(
                f"The log has positions 1 to {head.position}, not {cut.position}; ask for one of them.",
                last_position=head.position,
            )
        if cut.position > head.position:
            raise CutOutOfRange(
                f"The log ends at position {head.position}, before {cut.position}; ask for one up to it.",
                last_position=head.position,
            )
        return await self._reader.whole_command(cut.position)

    async def _require_past(self, at: datetime, now: datetime) -> None:
        if at <= now:
            return
        head = await self._reader.head()
        latest = max(filter(None, (now, head.recorded_at)))
        if at > latest:
            raise CutOutOfRange(
                f"{iso(at)} lies in the future; ask for a moment up to {iso(latest)}.",
                last_recorded_at=iso(head.recorded_at),
            )

    async def _first(self, stream_id: str) -> RecordedEvent:
        (first,) = [record async for record in self._reader.read_stream(stream_id, limit=1)]
        return first
