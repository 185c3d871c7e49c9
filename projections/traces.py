"""What one request caused: the commands of a conversation with their events, over all aggregates, as a tree."""

from collections.abc import AsyncIterator, Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime

from domain.errors import InvalidInput, NotFound
from domain.folding import FOLDER
from domain.log import Cut, EventReader, LogFilter, RecordedEvent
from projections.folded import StateAtCut
from projections.metadata import metadata_of
from projections.questions import Questions, counted

MOST = 50_000
"""Events of one conversation that are held at once."""
PAGE = 2_000
WINDOW = 20_000
"""Positions that are looked through at once."""
Looked = Callable[[int, int], None]
"""Hears through how many positions of how many it has looked."""


def unheard(done: int, total: int) -> None: ...


@dataclass(slots=True)
class TracedCommand:
    """A command that was accepted, its events, and the commands that it caused."""

    command_id: str
    type: str | None
    actor: str | None
    recorded_at: datetime
    occurred_at: str | None
    causation_id: str | None
    authenticated: str | None
    credential: str | None
    events: list[RecordedEvent] = field(default_factory=list)
    effects: list["TracedCommand"] = field(default_factory=list)

    def walk(self) -> Iterator[tuple[int, "TracedCommand"]]:
        """Itself and all that it caused, each with its depth, causes first."""
        waiting = [(0, self)]
        while waiting:
            at, command = waiting.pop()
            yield at, command
            waiting += [(at + 1, effect) for effect in reversed(command.effects)]


@dataclass(frozen=True, slots=True)
class Trace:
    correlation_id: str
    roots: list[TracedCommand]

    def __iter__(self) -> Iterator[tuple[int, TracedCommand]]:
        for root in self.roots:
            yield from root.walk()


class Tracer:
    """Looks through the log: it has no index over conversations, so a trace between cuts costs less."""

    def __init__(self, reader: EventReader, *, questions: Questions | None = None) -> None:
        self.questions = questions or Questions()
        self._reader = reader
        self._at_cut = StateAtCut(reader, FOLDER)

    @counted("trace")
    async def trace(self, correlation_id: str, begin: Cut, end: Cut, now: datetime, looked: Looked = unheard) -> Trace:
        """Raises NotFound where there is nothing of it, InvalidInput where there is too much at once, CutOutOfRange."""
        first, last = await self._at_cut.between(begin, end, now)
        commands: dict[str, TracedCommand] = {}
        by_event: dict[str, str] = {}
        async for event in self._events(correlation_id, first, last, looked):
            told = metadata_of(event)
            command_id = str(told.get("command_id") or event.event_id)
            if command_id not in commands:
                commands[command_id] = TracedCommand(
                    command_id,
                    told.get("command_type"),
                    told.get("actor"),
                    event.recorded_at,
                    told.get("occurred_at"),
                    told.get("causation_id"),
                    told.get("authenticated"),
                    told.get("credential"),
                )
            commands[command_id].events.append(event)
            by_event[str(event.event_id)] = command_id
        if not commands:
            where = f"at positions {first + 1} to {last}" if first < last else f"after position {first}"
            raise NotFound(
                f"Nothing with the correlation id {correlation_id} is in the log {where}; check the id.",
                correlation_id=correlation_id,
            )
        return Trace(correlation_id, _tree(commands, by_event))

    async def _events(self, correlation_id: str, first: int, last: int, looked: Looked) -> AsyncIterator[RecordedEvent]:
        """In order, a window of positions after the other, as most of the log may be of other conversations."""
        only, found = LogFilter(correlation_id=correlation_id), 0
        for begin in range(first, last, WINDOW):
            looked(begin - first, last - first)
            after, end = begin, min(begin + WINDOW, last)
            while page := await self._reader.read_log(after_position=after, limit=PAGE, only=only, until_position=end):
                for event in page:
                    found += 1
                    if found > MOST:
                        raise InvalidInput(
                            f"The conversation {correlation_id} has more than {MOST:,} events; ask for a part of it,"
                            " between two times.",
                            correlation_id=correlation_id,
                        )
                    yield event
                after = page[-1].position


def _tree(commands: dict[str, TracedCommand], by_event: dict[str, str]) -> list[TracedCommand]:
    """A command named its cause by the id of a command or of an event. What came later can't be a cause."""
    order = {command_id: place for place, command_id in enumerate(commands)}
    roots = []
    for command_id, command in commands.items():
        cause = command.causation_id or ""
        parent = by_event.get(cause, cause)
        if order.get(parent, len(order)) < order[command_id]:
            commands[parent].effects.append(command)
        else:
            roots.append(command)
    return roots
