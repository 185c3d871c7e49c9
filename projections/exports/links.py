"""What an event concerns besides its own stream: a task's workflow, the agent that has it, the pool it takes from."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

from domain.agent import AGENT
from domain.aggregate import Event
from domain.errors import CorruptLog
from domain.folding import Folder
from domain.log import EventReader, FoldRequest, RecordedEvent
from domain.task import TASK, Task
from projections.metadata import metadata_of
from projections.states import States

TASKS_KEPT = 20_000


@dataclass(frozen=True, slots=True)
class Linked:
    """An event with its metadata, and the aggregates that it concerns; None: it concerns none of that kind.

    `activity` is the definition of the task.
    """

    record: RecordedEvent
    event: Event
    metadata: Mapping[str, Any]
    workflow_id: str | None = None
    task_id: str | None = None
    activity: str | None = None
    agent_id: str | None = None
    pool_id: str | None = None

    @property
    def reason(self) -> str | None:
        """Why, where the event says so."""
        reason: str | None = said(self.event, "reason") or said(self.event, "error")
        return reason


class _Held(NamedTuple):
    agent_id: str | None
    pool_id: str | None


_NOTHING = _Held(None, None)


def said(event: Event, name: str) -> Any:
    """One of the fields that an event may have, None: it has no such field.

    Not `getattr`: pydantic makes an error with a sentence for each name that is missing, a fifth of an export's time.
    """
    return event.__dict__.get(name)


class Linker:
    """Folds the tasks along while it is given events in order; a bounded number is kept, the rest is read again."""

    def __init__(self, reader: EventReader, folder: Folder) -> None:
        self._reader = reader
        self._folder = folder
        self._tasks = States(reader, folder, TASKS_KEPT)

    async def link(self, page: list[RecordedEvent]) -> list[Linked]:
        """Whole commands, in which each task's events follow on those before. Raises CorruptLog, UnknownEvent."""
        try:
            return await self._link(page) if page else []
        except CorruptLog as error:
            told = f"{error.message.rstrip('.')}; an export as jsonl copies it as it is."
            raise type(error)(told, **error.facts) from error

    async def _link(self, page: list[RecordedEvent]) -> list[Linked]:
        begin: dict[str, int] = {}
        for record in page:
            if record.stream_id.startswith("task-"):
                begin.setdefault(record.stream_id, record.version - 1)
        failed = await self._tasks.load(begin, page[0].position - 1)
        for error in failed.values():
            raise error
        # A task's are understood as they are folded.
        events = [None if record.stream_id in begin else self._decode(record) for record in page]
        others = await self._named(page, events, begin)
        linked: list[Linked] = []
        first = 0
        for place, record in enumerate(page):
            if record.following == 0 or place == len(page) - 1:
                command = zip(page[first : place + 1], events[first : place + 1], strict=True)
                linked += self._command(list(command), others)
                first = place + 1
        self._tasks.trim(list(begin))
        return linked

    def _decode(self, record: RecordedEvent) -> Event:
        try:
            return self._folder.catalogue.decode(record.type, record.schema_version, record.data)
        except CorruptLog as error:
            place = {"stream_id": record.stream_id, "version": record.version}
            told = f"{record.stream_id}, version {record.version}: {error.message}"
            raise type(error)(told, **error.facts, **place) from error

    async def _named(
        self, page: list[RecordedEvent], events: list[Event | None], known: Mapping[str, int]
    ) -> dict[str, Any]:
        """The tasks and agents that are named without being among the events, as they began.

        Who reserves from a pool may name ones that there are not.
        """
        named: set[str] = set()
        for record, event in zip(page, events, strict=True):
            if event is None:
                continue
            task_id, agent_id = said(event, "task_id"), said(event, "agent_id")
            if task_id is not None:
                named.add(TASK.stream_id(task_id))
            if agent_id is not None and record.stream_id.startswith("pool-"):
                named.add(AGENT.stream_id(agent_id))
        missing = sorted(stream_id for stream_id in named - known.keys() if self._tasks.get(stream_id) is None)
        requests = [FoldRequest(stream_id, until_version=1) for stream_id in missing]
        stretches = await self._reader.read_folds(requests, up_to_position=page[-1].position) if requests else []
        folded = [self._folder.go_on(stream_id, one) for stream_id, one in zip(missing, stretches, strict=True)]
        return {stream_id: one.state for stream_id, one in zip(missing, folded, strict=True) if one.state is not None}

    def _command(
        self, command: list[tuple[RecordedEvent, Event | None]], others: Mapping[str, Any]
    ) -> Iterator[Linked]:
        before = {record.stream_id: self._tasks.get(record.stream_id) for record, _ in command}
        reserved = {task.reservation_id: task.task_id for task in before.values() if task and task.reservation_id}
        for record, decoded in command:
            category, _, id = record.stream_id.partition("-")
            event, had, has = (decoded, _NOTHING, _NOTHING) if decoded is not None else self._task_event(record)
            task_id: str | None = said(event, "task_id")
            workflow_id: str | None = said(event, "workflow_id")
            agent_id: str | None = said(event, "agent_id")
            pool_id: str | None = None
            match category:
                case "task":
                    task_id, agent_id, pool_id = id, has.agent_id or had.agent_id, has.pool_id or had.pool_id
                case "workflow":
                    workflow_id, agent_id = id, said(event, "assigned_agent")
                case "agent":
                    agent_id = id
                case "pool":
                    pool_id = id
                    task_id = task_id or reserved.get(said(event, "reservation_id"))
                    if agent_id is not None and AGENT.stream_id(agent_id) not in others:
                        agent_id = None
            task: Task | None = None
            if task_id is not None:
                stream_id = TASK.stream_id(task_id)
                task = self._tasks.get(stream_id) or others.get(stream_id)
                task_id = task_id if task is not None else None
            yield Linked(
                record,
                event,
                metadata_of(record),
                workflow_id or (task.workflow_id if task else None),
                task_id,
                task.definition_id if task else None,
                agent_id,
                pool_id,
            )

    def _task_event(self, record: RecordedEvent) -> tuple[Event, _Held, _Held]:
        """A task's event, and what the task held before and after it. A fold changes the state that it is given."""
        task = self._tasks.get(record.stream_id)
        had = _Held(task.agent_id, task.pool_id) if task is not None else _NOTHING
        event, task = self._folder.step(record, task)
        self._tasks.put(record.stream_id, task)
        return event, had, _Held(task.agent_id, task.pool_id)
