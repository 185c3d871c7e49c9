"""The audit trail by actor: what one asked for, newest first; and who there is."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from itertools import groupby
from typing import Protocol

from domain.errors import Archived, CorruptLog
from domain.log import EventReader, RecordedEvent
from projections.actions import Action
from projections.errors import InvalidPage
from projections.metadata import metadata_of
from projections.pages import bounded, decode_mark, encode_mark
from projections.questions import Questions, counted

LAST = 2**63 - 1
MOST_DIGITS = len(str(LAST))
TICK = timedelta(microseconds=1)


@dataclass(frozen=True, slots=True)
class Wanted:
    """One actor's actions between two positions, both of them left out."""

    actor: str
    after_position: int = 0
    before_position: int = LAST
    command_type: str | None = None
    limit: int = 50


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asked for something, and what it asked for last."""

    actor: str
    position: int
    recorded_at: datetime
    command_type: str


@dataclass(frozen=True, slots=True)
class AuditedAction:
    """A command, by the position of its last event, with what its events tell; that is None where they are archived.

    `occurred_at` is when it happened, as its caller said; `authenticated` who sent it, by which `credential`. Streams
    and types of events are each named once.
    """

    position: int
    recorded_at: datetime
    actor: str
    command_type: str
    first_position: int | None = None
    occurred_at: str | None = None
    command_id: str | None = None
    correlation_id: str | None = None
    causation_id: str | None = None
    authenticated: str | None = None
    credential: str | None = None
    stream_ids: tuple[str, ...] | None = None
    event_types: tuple[str, ...] | None = None


@dataclass(frozen=True, slots=True)
class ActionPage:
    """Some actions, and the mark with which the next page is asked for; None on the last one."""

    items: list[AuditedAction]
    next: str | None


class ActionStore(Protocol):
    async def by_actor(self, wanted: Wanted) -> list[Action]: ...

    async def actors(self, after: str, limit: int) -> list[Actor]:
        """By name, from the first one after a name."""
        ...


class Audits:
    """Questions by actor. What was asked for and refused changed nothing and is not there."""

    def __init__(self, store: ActionStore, reader: EventReader, *, questions: Questions | None = None) -> None:
        self.questions = questions or Questions()
        self._store = store
        self._reader = reader

    @counted("audit")
    async def actions(
        self,
        actor: str,
        *,
        since: datetime | None = None,
        until: datetime | None = None,
        command_type: str | None = None,
        mark: str | None = None,
        limit: int = 50,
    ) -> ActionPage:
        """Newest first, of what was recorded from `since` up to `until`. Raises InvalidPage."""
        size = bounded(limit)
        wanted = Wanted(
            actor,
            after_position=0 if since is None else await self._reader.position_at(since - TICK),
            before_position=LAST if until is None else await self._reader.position_at(until) + 1,
            command_type=command_type,
            limit=size + 1,
        )
        if (keys := decode_mark(mark, 1)) is not None:
            if not keys[0].isdecimal() or len(keys[0]) > MOST_DIGITS:
                raise InvalidPage(mark=mark)
            wanted = replace(wanted, before_position=min(wanted.before_position, int(keys[0])))
        found = await self._store.by_actor(wanted)
        more = encode_mark(str(found[size - 1].position)) if len(found) > size else None
        return ActionPage(await self._with_events(found[:size]), more)

    @counted("audit")
    async def actors(self, *, after: str = "", limit: int = 50) -> list[Actor]:
        """By name, with what each asked for last; the next page comes after the last one's name."""
        return await self._store.actors(after, bounded(limit))

    async def _with_events(self, actions: Sequence[Action]) -> list[AuditedAction]:
        positions = sorted(action.position for action in actions)
        try:
            events = await self._reader.read_commands(positions)
        except Archived as error:
            archived = int(str(error.facts["last_position"]))
            events = await self._reader.read_commands([position for position in positions if position > archived])
        commands = {
            end: list(command) for end, command in groupby(events, key=lambda event: event.position + event.following)
        }
        return [_audited(action, commands.get(action.position)) for action in actions]


def _audited(action: Action, events: Sequence[RecordedEvent] | None) -> AuditedAction:
    plain = AuditedAction(action.position, action.recorded_at, action.actor, action.command_type)
    if events is None:
        return plain
    try:
        told = metadata_of(events[-1])
    except CorruptLog:  # what it touched is known all the same
        told = {}
    return replace(
        plain,
        first_position=events[0].position,
        occurred_at=told.get("occurred_at"),
        command_id=told.get("command_id"),
        correlation_id=told.get("correlation_id"),
        causation_id=told.get("causation_id"),
        authenticated=told.get("authenticated"),
        credential=told.get("credential"),
        stream_ids=tuple(dict.fromkeys(event.stream_id for event in events)),
        event_types=tuple(dict.fromkeys(event.type for event in events)),
    )
