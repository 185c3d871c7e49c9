"""Which events an export tells of: everything, a range of time, or one workflow; always whole commands."""

from bisect import bisect_right
from collections.abc import AsyncIterator, Container, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson

from domain.errors import Archived, CutOutOfRange
from domain.folding import Folder
from domain.log import Cut, EventReader, RecordedEvent
from domain.task import TASK
from domain.workflow import WORKFLOW
from projections.documents.values import iso
from projections.folded import StateAtCut
from projections.history import BEGINNING_OF_TIME, MICROSECOND

PAGE = 2_000
POSITIONS = 500
"""Events that are read at once, and events of a workflow; their commands hold several times as many."""
FIRST_PAGE = 50
PAGE_BYTES = 8_000_000
"""As many bytes as a page should have, by the size of events in the page before; the first one is small."""


@dataclass(frozen=True, slots=True)
class Selection:
    """The events after one position and up to another, which ends a command; `at` is the moment that is told of.

    With a workflow, only those of commands that concern it or one of its tasks.
    """

    after: int
    until: int
    at: datetime
    workflow_id: str | None = None
    task_ids: frozenset[str] = frozenset()

    @property
    def is_everything(self) -> bool:
        return self.after == 0 and self.workflow_id is None

    @property
    def streams(self) -> list[str]:
        """Those of the workflow and of its tasks."""
        assert self.workflow_id is not None
        return [WORKFLOW.stream_id(self.workflow_id), *(TASK.stream_id(task_id) for task_id in sorted(self.task_ids))]

    def concerns(self, event: RecordedEvent, reservations: Container[str | None]) -> bool:
        """Whether an event of a command that concerns the workflow does so itself. `reservations` are its tasks'.

        A command may touch many workflows at once, when an agent goes say: what it did to other tasks is left out.
        """
        category, _, id = event.stream_id.partition("-")
        if category == "workflow":
            return id == self.workflow_id
        if category == "task":
            return id in self.task_ids
        if b'"task_id"' not in event.data and b'"reservation_id"' not in event.data:
            return True
        data: Mapping[str, Any] = orjson.loads(event.data)
        if data.get("task_id") is not None:
            return data["task_id"] in self.task_ids
        return data.get("reservation_id") is None or data["reservation_id"] in reservations

    def reserved_by(self, event: RecordedEvent) -> str | None:
        """The reservation that an event says one of the tasks has."""
        category, _, id = event.stream_id.partition("-")
        if category != "task" or id not in self.task_ids or b'"reservation_id"' not in event.data:
            return None
        data: Mapping[str, Any] = orjson.loads(event.data)
        reserved: str | None = data.get("reservation_id") or data.get("restored", {}).get("reservation_id")
        return reserved


class Selector:
    """Finds what is to be told, and reads it in the order of the log."""

    def __init__(self, reader: EventReader, folder: Folder) -> None:
        self._reader = reader
        self._folder = folder
        self._at_cut = StateAtCut(reader, folder)

    async def select(self, workflow_id: str | None, since: datetime | None, end: Cut, now: datetime) -> Selection:
        """Up to a cut; only what was recorded from `since` on, if that is given.

        A version, which only one workflow has, stands for the whole of the command that made it. Raises NotFound,
        and CutOutOfRange where there is nothing.
        """
        if workflow_id is None:
            moment = await self._at_cut.recorded(end, now)
            until, at, task_ids = moment.position, moment.at, frozenset[str]()
        else:
            told = await self._at_cut.require("workflow", workflow_id, end, now)
            folded = await self._folder.at(self._reader, WORKFLOW.stream_id(workflow_id), end)
            assert folded.place is not None
            assert folded.state is not None
            task_ids = frozenset(folded.state.tasks)
            if end.version is not None:
                until, at = folded.place.whole_position, folded.place.recorded_at
            else:
                until, at = (await self._at_cut.moment(end, now)).position, told or folded.place.recorded_at
        begins = since is None or since == BEGINNING_OF_TIME
        after = 0 if since is None or begins else await self._reader.position_at(since - MICROSECOND)
        selection = Selection(after, until, at, workflow_id, task_ids)
        if since is not None and not await self._holds_anything(selection):
            of_it = f" of workflow {workflow_id}" if workflow_id is not None else ""
            raise CutOutOfRange(
                f"Nothing{of_it} was recorded from {iso(since)} up to {iso(at)}; choose a longer time.",
                until_position=until,
            )
        return selection

    async def _holds_anything(self, selection: Selection) -> bool:
        if selection.after >= selection.until:
            return False
        if selection.workflow_id is None:
            return True
        return bool(await self._reader.positions_of(selection.streams, after=selection.after, until=selection.until))

    async def pages(self, selection: Selection) -> AsyncIterator[list[RecordedEvent]]:
        """The events in order, some whole commands at a time."""
        if selection.workflow_id is not None:
            reservations: set[str | None] = set()
            if selection.after > 0:
                with suppress(Archived):  # what was reserved in months that are gone is not known
                    async for page in self.commands_of(selection.streams, 0, selection.after):
                        reservations.update(map(selection.reserved_by, page))
            async for page in self.commands_of(selection.streams, selection.after, selection.until):
                reservations.update(map(selection.reserved_by, page))
                yield [event for event in page if selection.concerns(event, reservations)]
            return
        reached, size = selection.after, min(PAGE, FIRST_PAGE)
        while reached < selection.until:
            page = await self._reader.read_log(after_position=reached, limit=size, until_position=selection.until)
            if not page:
                return
            reached, size = page[-1].position, _next_size(page, len(page), PAGE)
            yield page

    async def commands_of(self, streams: list[str], after: int, until: int) -> AsyncIterator[list[RecordedEvent]]:
        """The whole commands that wrote to some streams, in order, some at a time."""
        positions = await self._reader.positions_of(streams, after=after, until=until)
        place, size = 0, min(POSITIONS, FIRST_PAGE)
        while place < len(positions):
            page = await self._reader.read_commands(positions[place : place + size])
            before, place = place, bisect_right(positions, page[-1].position)
            size = _next_size(page, place - before, POSITIONS)
            yield page


def _next_size(page: list[RecordedEvent], asked: int, most: int) -> int:
    """How much to ask for next, where so much gave this page."""
    held = sum(len(event.data) + len(event.metadata) for event in page)
    return max(1, min(most, asked * PAGE_BYTES // max(held, 1)))
