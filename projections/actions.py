"""Who asked for what: a row for each command that changed something, by its metadata."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

import orjson

from domain.errors import Archived
from domain.log import EventReader
from projections.ports import ProjectionStore, ProjectionWriter
from projections.projection import ACTIONS
from projections.runner import Runner

UNKNOWN = "unknown"
PAGE = 10_000
POLL_SECONDS = 1.0
"""What comes together is written for less, and nobody waits: so no signal, and whoever asks has them brought up."""


@dataclass(frozen=True, slots=True)
class Action:
    """A command by the position of its last event. What its metadata does not tell is "unknown"."""

    position: int
    recorded_at: datetime
    actor: str
    command_type: str


class ActionWriter(ProjectionWriter, Protocol):
    async def copy(self, start: int, limit: int, until: int | None) -> tuple[int, datetime] | None:
        """Write the actions after a position: those of the next so many events, and none after `until`.

        Gives the position and time of the last one, None where there is none. Also raises LogError.
        """
        ...


class KeptActions(Protocol):
    async def between(self, after: int, until: int) -> list[Action]:
        """Those that are kept after a position and up to another, in order. Raises ReadModelsUnavailable."""
        ...


class ActionsRunner(Runner[ActionWriter]):
    """Has the database write an action for each command: nothing of it is to be decided here."""

    def __init__(
        self,
        reader: EventReader,
        store: ProjectionStore[ActionWriter],
        *,
        batch_size: int = PAGE,
        until: int | None = None,
    ) -> None:
        super().__init__(ACTIONS, reader, store, poll_seconds=POLL_SECONDS, batch_size=batch_size, until=until)

    async def _apply(self, writer: ActionWriter) -> int:
        before = self._position
        last = await writer.copy(before, self._batch_size, self._until)
        if last is None:
            return 0
        self._position, self._recorded_at = last
        return self._position - before


async def wrong_actions(reader: EventReader, kept: KeptActions, until: int) -> AsyncIterator[tuple[int, str]]:
    """What is kept up to a position and is not what the log tells: the position of each, and what is wrong.

    What is archived is not compared.
    """
    position = min(await _readable_from(reader), until)
    while position < until:
        events = await reader.read_log(after_position=position, limit=PAGE)
        told = {
            event.position: Action(event.position, event.recorded_at, *_told(event.metadata))
            for event in events
            if event.following == 0 and event.position <= until
        }
        end = min(events[-1].position, until)
        there = {one.position: one for one in await kept.between(position, end)}
        for at in sorted(told.keys() | there.keys()):
            if at not in there:
                yield at, "there is none"
            elif at not in told:
                yield at, "there is one, and no command ends there"
            elif told[at] != there[at]:
                yield at, "it is not what the log tells"
        position = events[-1].position


async def _readable_from(reader: EventReader) -> int:
    try:
        await reader.read_log(after_position=0, limit=1)
    except Archived as error:
        return int(str(error.facts["last_position"]))
    return 0


def _told(metadata: bytes) -> tuple[str, str]:
    """Actor and type of command, as text; of what is no object, or has a NUL that PostgreSQL can't hold, nothing."""
    try:
        told: Any = orjson.loads(metadata)
    except orjson.JSONDecodeError:
        told = None
    if not isinstance(told, dict) or b"\\u0000" in metadata:
        return UNKNOWN, UNKNOWN
    return _text(told.get("actor")), _text(told.get("command_type"))


def _text(value: Any) -> str:
    return value if isinstance(value, str) else UNKNOWN
