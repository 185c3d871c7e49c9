"""What changed between two cuts: of one aggregate, or across everything."""

from collections.abc import AsyncGenerator
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import Any, get_args

from domain.errors import CutOutOfRange, InvalidInput
from domain.folding import FOLDER, Folded, Folder
from domain.log import Cut, EventReader, Moved
from domain.task import OPEN as OPEN_TASK
from domain.task import TaskState
from domain.workflow import ALL as ALL_WORKFLOW
from domain.workflow import OPEN as OPEN_WORKFLOW
from projections import changes
from projections.documents import RENDERINGS, status
from projections.documents.values import Document, decode
from projections.folded import StateAtCut
from projections.questions import Questions, counted

STREAMS_AT_ONCE = 200
MOVED_AT_ONCE = 100_000
"""Streams that are named at once, some 40 MB. For the next ones the log between the cuts is looked through again."""
_ENDS: dict[str, frozenset[str]] = {
    "workflow": frozenset(ALL_WORKFLOW - OPEN_WORKFLOW),
    "task": frozenset(get_args(TaskState)) - OPEN_TASK,
    "agent": frozenset({"deregistered"}),
}
"""The states in which something is over."""


@dataclass(frozen=True, slots=True)
class Side:
    """An aggregate at one of the cuts; `document` is as stored, without what depends on who asks when."""

    version: int
    position: int
    recorded_at: datetime
    state: str
    document: Document


@dataclass(frozen=True, slots=True)
class Difference:
    """One aggregate at both cuts; None where it was not there."""

    kind: str
    id: str
    before: Side | None
    after: Side | None

    @property
    def appeared(self) -> bool:
        return self.before is None and self.after is not None

    @property
    def ended(self) -> bool:
        """It is over now, and was not before."""
        ends = _ENDS.get(self.kind, frozenset())
        is_over, was_over = (side is not None and side.state in ends for side in (self.after, self.before))
        return is_over and not was_over

    @property
    def patch(self) -> changes.Patch:
        """RFC 6902: applied to the document before, it gives the one after, but for the bookkeeping."""
        return changes.patch(*self._documents)

    @property
    def lines(self) -> list[str]:
        """The same for people."""
        return list(changes.lines(*self._documents))

    @property
    def _documents(self) -> tuple[Document | None, Document | None]:
        before, after = self.before, self.after
        return None if before is None else before.document, None if after is None else after.document


class Differences:
    """Compares folds; read models are not asked."""

    def __init__(self, reader: EventReader, folder: Folder = FOLDER, *, questions: Questions | None = None) -> None:
        self.questions = questions or Questions()
        self._reader = reader
        self._folder = folder
        self._at_cut = StateAtCut(reader, folder)

    @counted("difference")
    async def of(self, kind: str, id: str, begin: Cut, end: Cut, now: datetime) -> Difference:
        """One aggregate; where it was not there at `begin`, it appeared. Raises NotFound, CutOutOfRange."""
        stream_id = self._folder.aggregates[kind].stream_id(id)
        await self._at_cut.require(kind, id, end, now)
        try:
            await self._at_cut.require(kind, id, begin, now)
        except CutOutOfRange as error:
            if "first_recorded_at" not in error.facts:
                raise
        before, after = [await self._folder.at(self._reader, stream_id, cut) for cut in (begin, end)]
        return Difference(kind, id, _side(kind, before), _side(kind, after))

    async def everywhere(self, begin: Cut, end: Cut, now: datetime) -> AsyncGenerator[Difference]:
        """All aggregates that have events after the one cut and up to the other, by kind and id.

        Raises CutOutOfRange, and InvalidInput where the cuts are versions, or the wrong way round.
        """
        self.questions.asked("changes")
        if begin.version is not None or end.version is not None:
            raise InvalidInput("A version is one of a single stream: compare everything by times or positions.")
        first, last = await self._at_cut.between(begin, end, now)
        if not end.is_now:
            await self._at_cut.recorded(end, now)
        async with aclosing(self._moved(first, last)) as moved:
            async for some in moved:
                before = await self._fold([one for one in some if one.first_version > 1], first)
                after = await self._fold(some, last)
                for one in some:
                    kind, id = one.category, one.stream_id.partition("-")[2]
                    yield Difference(kind, id, before.get(one.stream_id), after.get(one.stream_id))

    async def _moved(self, first: int, last: int) -> AsyncGenerator[list[Moved]]:
        """The streams that are to be compared, by their ids, as many as are folded at once."""
        mark = ""
        while page := await self._reader.moved_between(first, last, mark, MOVED_AT_ONCE):
            mark = page[-1].stream_id
            known = [one for one in page if one.category in RENDERINGS]
            for place in range(0, len(known), STREAMS_AT_ONCE):
                yield known[place : place + STREAMS_AT_ONCE]
            if len(page) < MOVED_AT_ONCE:
                return

    async def _fold(self, moved: list[Moved], position: int) -> dict[str, Side | None]:
        requests = [self._folder.request(one.stream_id) for one in moved]
        stretches = await self._reader.read_folds(requests, up_to_position=position)
        return {
            one.stream_id: _side(one.category, self._folder.go_on(one.stream_id, stretch))
            for one, stretch in zip(moved, stretches, strict=True)
        }


def _side(kind: str, folded: Folded[Any]) -> Side | None:
    if folded.place is None:
        return None
    place = folded.place
    body = RENDERINGS[kind].render(folded.state, place.version, place.position, place.recorded_at)
    return Side(place.version, place.position, place.recorded_at, status(folded.state), decode(body))
