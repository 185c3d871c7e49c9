"""Who asked for what: a row for each command that changed something, by its metadata."""

from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import orjson

from domain.errors import Archived
from domain.log import EventReader
from projections.ports import ProjectionStore, ProjectionWriter, Signal
from projections.projection import ACTIONS
from projections.runner import Runner

UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True)
class RecordedCommand:
    """A command as its events tell of it: the last one's `position`, and what was said with the first one."""

    position: int
    first_position: int
    recorded_at: datetime
    stream_ids: Sequence[str]
    event_types: Sequence[str]
    metadata: bytes


@dataclass(frozen=True, slots=True)
class Action:
    """`occurred_at` is when it happened, as its caller said. Streams and types are each named once, in their order."""

    position: int
    first_position: int
    recorded_at: datetime
    occurred_at: datetime | None
    actor: str
    command_type: str
    command_id: str | None
    correlation_id: str | None
    causation_id: str | None
    stream_ids: list[str]
    event_types: list[str]


class CommandReader(Protocol):
    async def read_commands(self, after_position: int, limit: int) -> list[RecordedCommand]:
        """The commands whose events come next: of at least so many events, if there are as many. Raises LogError."""
        ...


class ActionWriter(ProjectionWriter, Protocol):
    async def write(self, start: int, actions: Sequence[Action]) -> None:
        """The actions after a position, of which there is one at least."""
        ...


class KeptActions(Protocol):
    async def between(self, after: int, until: int) -> list[Action]:
        """Those that are kept after a position and up to another, in order. Raises ReadModelsUnavailable."""
        ...


async def wrong_actions(
    commands: CommandReader, kept: KeptActions, until: int, page: int = 10_000
) -> AsyncIterator[tuple[int, str]]:
    """What is kept up to a position and is not what the log tells: the position of each, and what is wrong.

    What is archived is not compared.
    """
    position = 0
    try:
        await commands.read_commands(0, 1)
    except Archived as error:
        position = int(str(error.facts["last_position"]))
    while found := [one for one in await commands.read_commands(position, page) if one.position <= until]:
        told = {one.position: action_of(one) for one in found}
        there = {one.position: one for one in await kept.between(position, found[-1].position)}
        for at in sorted(told.keys() | there.keys()):
            if at not in there:
                yield at, "there is none"
            elif at not in told:
                yield at, "there is one, and no command ends there"
            elif told[at] != there[at]:
                yield at, "it is not what the log tells"
        position = found[-1].position


class ActionsRunner(Runner[ActionWriter]):
    """Writes an action for each command."""

    def __init__(
        self,
        reader: EventReader,
        commands: CommandReader,
        store: ProjectionStore[ActionWriter],
        *,
        signal: Signal | None = None,
        batch_size: int = 10_000,
        until: int | None = None,
    ) -> None:
        super().__init__(ACTIONS, reader, store, signal=signal, batch_size=batch_size, until=until)
        self._commands = commands

    async def _apply(self, writer: ActionWriter) -> int:
        found = await self._commands.read_commands(self._position, self._batch_size)
        if self._until is not None:
            found = [command for command in found if command.position <= self._until]
        if not found:
            return 0
        await writer.write(self._position, [action_of(command) for command in found])
        before, self._position = self._position, found[-1].position
        return self._position - before


def action_of(command: RecordedCommand) -> Action:
    """What the metadata does not tell, or not in a way that can be understood, is unknown."""
    told = _told(command.metadata)
    return Action(
        position=command.position,
        first_position=command.first_position,
        recorded_at=command.recorded_at,
        occurred_at=_time(told.get("occurred_at")),
        actor=_text(told.get("actor")) or UNKNOWN,
        command_type=_text(told.get("command_type")) or UNKNOWN,
        command_id=_text(told.get("command_id")),
        correlation_id=_text(told.get("correlation_id")),
        causation_id=_text(told.get("causation_id")),
        stream_ids=list(dict.fromkeys(command.stream_ids)),
        event_types=list(dict.fromkeys(command.event_types)),
    )


def _told(metadata: bytes) -> dict[str, Any]:
    try:
        told: Any = orjson.loads(metadata)
    except orjson.JSONDecodeError:
        return {}
    return told if isinstance(told, dict) else {}


def _text(value: Any) -> str | None:
    """PostgreSQL's text has no NUL."""
    return value if isinstance(value, str) and "\0" not in value else None


def _time(value: Any) -> datetime | None:
    try:
        time = datetime.fromisoformat(value)
    except (TypeError, ValueError):
        return None
    return time if time.tzinfo is not None else None
