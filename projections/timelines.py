"""Who did what when: the tasks of a workflow, one task, or the tasks of an agent, as stretches of time up to a cut."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from domain import agent as agents
from domain import workflow as workflows
from domain.aggregate import Event
from domain.errors import InvalidInput
from domain.folding import FOLDER, Folder
from domain.log import Cut, EventReader
from domain.task import OPEN
from domain.text import shown
from projections.folded import StateAtCut
from projections.questions import Questions, counted

MOST_ROWS = 500
"""Rows that are kept, the last ones."""
UpTo = Literal["now", "the cut", "its end"]
KINDS = ("workflow", "task", "agent")
_MARKS: dict[type[Event], str] = {
    workflows.WorkflowStarted: "started",
    workflows.WorkflowPaused: "paused",
    workflows.WorkflowResumed: "resumed",
    workflows.WorkflowCompleted: "completed",
    workflows.WorkflowFailed: "failed",
    workflows.WorkflowRetried: "retried",
    workflows.WorkflowCancelled: "cancelled",
    workflows.WorkflowRolledBack: "rolled back",
    agents.AgentWentOffline: "offline",
    agents.AgentReturned: "returned",
    agents.AgentDeregistered: "deregistered",
}


@dataclass(slots=True)
class Segment:
    """A task was in a state, with an agent or without; `end` None: it still was at the cut."""

    state: str
    agent: str | None
    begin: datetime
    end: datetime | None = None


@dataclass(slots=True)
class Row:
    """One task: what it went through, and in which state it was left."""

    task_id: str
    state: str = ""
    segments: list[Segment] = field(default_factory=list)

    def enter(self, state: str, agent: str | None, at: datetime) -> None:
        last = self.segments[-1] if self.segments else None
        if last is not None and last.end is None:
            if (last.state, last.agent) == (state, agent):
                return
            last.end = at
        self.state = state
        if state in OPEN:
            self.segments.append(Segment(state, agent, at))

    @property
    def agents(self) -> list[str]:
        """Who ran it, in order."""
        ran = [one.agent for one in self.segments if one.state == "running" and one.agent]
        return list(dict.fromkeys(ran))


@dataclass(frozen=True, slots=True)
class Mark:
    """Something that happened to the whole."""

    at: datetime
    text: str


@dataclass(frozen=True, slots=True)
class Timeline:
    """From the first event to the cut, or to the last one where nothing is open; `omitted` rows came before."""

    kind: str
    id: str
    begin: datetime
    end: datetime
    upto: UpTo
    rows: list[Row]
    marks: list[Mark]
    omitted: int


class Timelines:
    """Reads one stream up to a cut."""

    def __init__(self, reader: EventReader, folder: Folder = FOLDER, *, questions: Questions | None = None) -> None:
        self.questions = questions or Questions()
        self._reader = reader
        self._folder = folder
        self._at_cut = StateAtCut(reader, folder)

    @counted("timeline")
    async def of(self, kind: str, id: str, cut: Cut, now: datetime) -> Timeline:
        """Raises InvalidInput for a kind that has none, NotFound, CutOutOfRange."""
        if kind not in KINDS:
            raise InvalidInput(
                f"There is no timeline of a {shown(kind)}: ask for one of a workflow, a task or an agent."
            )
        moment = await self._at_cut.require(kind, id, cut, now)
        aggregate = self._folder.aggregates[kind]
        rows: dict[str, Row] = {}
        marks: list[Mark] = []
        omitted, begin, end = 0, now, now
        state: Any = None
        async for record in self._reader.read_stream(aggregate.stream_id(id), cut=cut):
            event, state = self._folder.step(record, state)
            begin = min(begin, record.recorded_at)
            end = record.recorded_at
            for task_id, went, agent in _moves(kind, id, event, state):
                rows.setdefault(task_id, Row(task_id)).enter(went, agent, record.recorded_at)
            if len(rows) > MOST_ROWS:
                rows.pop(next(iter(rows)))
                omitted += 1
            if type(event) in _MARKS:
                marks.append(Mark(record.recorded_at, _MARKS[type(event)]))
        is_over = not any(one.end is None for row in rows.values() for one in row.segments)
        until = end if cut.is_now and is_over else moment or end
        upto: UpTo = "the cut" if not cut.is_now else "its end" if is_over else "now"
        return Timeline(kind, id, begin, until, upto, list(rows.values()), marks, omitted)


def _moves(kind: str, id: str, event: Event, state: Any) -> Iterator[tuple[str, str, str | None]]:
    """The tasks that an event moved, each with the state and the agent that it has now."""
    match event:
        case workflows.WorkflowTaskAdded() | workflows.WorkflowTaskChanged():
            view = state.tasks[event.task_id]
            yield event.task_id, view.state, view.assigned_agent
        case workflows.WorkflowRolledBack():
            for task_id, view in state.tasks.items():
                yield task_id, view.state, view.assigned_agent
        case agents.AgentSlotTaken():
            yield event.task_id, "running" if event.started_at else "assigned", id
        case agents.AgentTaskStarted():
            yield event.task_id, "running", id
        case agents.AgentSlotFreed():
            yield event.task_id, event.outcome, id
        case _ if kind == "task":
            yield id, state.state, state.agent_id
