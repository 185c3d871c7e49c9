"""The workflows of a selection one after the other, each with its own events and those of its tasks."""

from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, replace
from typing import cast

from domain.folding import Folder
from domain.log import EventReader, FoldRequest, RecordedEvent
from domain.task import TASK, Task
from domain.workflow import WORKFLOW, Workflow
from projections.exports.selection import Selection, Selector

WORKFLOWS = 50
"""Workflows that are folded at once."""
TOGETHER = 5_000
"""Events of several workflows that are read in one go; a workflow that has more is read by pages."""
MOVED = 10_000
"""Streams that are named at once."""
_FIRST = "workflow-"


@dataclass(frozen=True, slots=True)
class Case:
    """One workflow as it was in the end, with what was recorded of it and its tasks, whole commands at a time."""

    workflow: Workflow
    pages: AsyncIterator[list[RecordedEvent]]


class Cases:
    """Reads many short workflows in one round trip, and long ones in bounded memory."""

    def __init__(self, reader: EventReader, folder: Folder, selector: Selector) -> None:
        self._reader = reader
        self._folder = folder
        self._selector = selector

    async def batches(self, selection: Selection) -> AsyncIterator[list[Case]]:
        """By the ids of the workflows; only those of which something is selected."""
        async for stream_ids in self._streams(selection):
            requests = [self._folder.request(stream_id) for stream_id in stream_ids]
            stretches = await self._reader.read_folds(requests, up_to_position=selection.until)
            folded = [self._folder.go_on(*one).state for one in zip(stream_ids, stretches, strict=True)]
            workflows: list[Workflow] = [one for one in folded if one is not None]
            versions = await self._reader.stream_versions([id for one in workflows for id in _streams_of(one)])
            group: list[Workflow] = []
            size = 0
            for workflow in workflows:
                events = sum(versions[stream_id] for stream_id in _streams_of(workflow))
                # Streams are read from their beginning, so a range that begins later goes by positions.
                if selection.after > 0 or events > TOGETHER:
                    yield [self._by_pages(selection, workflow)]
                    continue
                if size + events > TOGETHER:
                    yield await self._together(selection, group)
                    group, size = [], 0
                group.append(workflow)
                size += events
            yield await self._together(selection, group)

    async def _streams(self, selection: Selection) -> AsyncIterator[list[str]]:
        if selection.workflow_id is not None:
            yield [WORKFLOW.stream_id(selection.workflow_id)]
            return
        if selection.after > 0:
            moved = sorted(await self._moved(selection), key=str.encode)
            for place in range(0, len(moved), WORKFLOWS):
                yield moved[place : place + WORKFLOWS]
            return
        last = _FIRST
        while True:
            found = await self._reader.streams_after(last, WORKFLOWS)
            some = [stream_id for stream_id in found if stream_id.startswith(_FIRST)]
            if not some:
                return
            yield some
            last = some[-1]

    async def _moved(self, selection: Selection) -> set[str]:
        """The streams of the workflows that, or a task of which, have events in a range."""
        found: set[str] = set()
        mark = ""
        while page := await self._reader.moved_between(selection.after, selection.until, mark, MOVED):
            mark = page[-1].stream_id
            found.update(one.stream_id for one in page if one.category == WORKFLOW.category)
            tasks = [one.stream_id for one in page if one.category == TASK.category]
            for place in range(0, len(tasks), WORKFLOWS):
                some = tasks[place : place + WORKFLOWS]
                requests = [FoldRequest(stream_id, until_version=1) for stream_id in some]
                for stream_id, stretch in zip(some, await self._reader.read_folds(requests), strict=True):
                    task = cast(Task, self._folder.go_on(stream_id, stretch).state)
                    found.add(WORKFLOW.stream_id(task.workflow_id))
        return found

    def _by_pages(self, selection: Selection, workflow: Workflow) -> Case:
        of_one = replace(selection, workflow_id=workflow.workflow_id, task_ids=frozenset(workflow.tasks))
        return Case(workflow, self._selector.pages(of_one))

    async def _together(self, selection: Selection, group: list[Workflow]) -> list[Case]:
        of_each = [_streams_of(workflow) for workflow in group]
        streams = await self._reader.read_streams(
            [stream_id for some in of_each for stream_id in some], up_to_position=selection.until
        )
        return [
            Case(workflow, _at_once([event for stream_id in some for event in streams[stream_id]]))
            for workflow, some in zip(group, of_each, strict=True)
        ]


def _streams_of(workflow: Workflow) -> list[str]:
    return [WORKFLOW.stream_id(workflow.workflow_id), *map(TASK.stream_id, workflow.tasks)]


async def _at_once(events: Iterable[RecordedEvent]) -> AsyncIterator[list[RecordedEvent]]:
    yield sorted(events, key=_position)


def _position(event: RecordedEvent) -> int:
    return event.position
