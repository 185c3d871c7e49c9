"""The audit trail by actor: what one asked for, newest first; and who there is."""

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from domain.log import EventReader
from projections.actions import Action
from projections.errors import InvalidPage
from projections.pages import bounded, decode_mark, encode_mark

LAST = 2**63 - 1
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
class ActionPage:
    """Some actions, and the mark with which the next page is asked for; None on the last one."""

    items: list[Action]
    next: str | None


class ActionStore(Protocol):
    async def by_actor(self, wanted: Wanted) -> list[Action]: ...

    async def actors(self, after: str, limit: int) -> list[Actor]:
        """By name, from the first one after a name."""
        ...


class Audits:
    """Questions by actor. What was asked for and refused changed nothing and is not there."""

    def __init__(self, store: ActionStore, reader: EventReader) -> None:
        self._store = store
        self._reader = reader

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
            if not keys[0].isdecimal():
                raise InvalidPage(mark=mark)
            wanted = replace(wanted, before_position=min(wanted.before_position, int(keys[0])))
        found = await self._store.by_actor(wanted)
        if len(found) <= size:
            return ActionPage(found, None)
        return ActionPage(found[:size], encode_mark(str(found[size - 1].position)))

    async def actors(self, *, after: str = "", limit: int = 50) -> list[Actor]:
        """By name, with what each asked for last; the next page comes after the last one's name."""
        return await self._store.actors(after, bounded(limit))
