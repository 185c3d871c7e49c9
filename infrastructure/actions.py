"""Who asked for what, in PostgreSQL: read from the log by commands, kept as rows, found by actor."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from typing import Any

import orjson

from infrastructure import sql
from infrastructure.available import available
from infrastructure.database import Pool
from infrastructure.event_store.errors import domain_errors
from infrastructure.leading import Lead, find_checkpoint, lead
from projections.actions import Action, RecordedCommand
from projections.audits import Actor, Wanted
from projections.ports import Checkpoint
from projections.projection import ACTIONS

_PLAIN = (
    "position",
    "first_position",
    "recorded_at",
    "occurred_at",
    "actor",
    "command_type",
    "command_id",
    "correlation_id",
    "causation_id",
)
_LISTS = ("stream_ids", "event_types")


def _query(name: str) -> bytes:
    return sql.load(f"actions/{name}")


class PostgresCommandReader:
    """The port CommandReader, on connections that see the log."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def read_commands(self, after_position: int, limit: int) -> list[RecordedCommand]:
        facts = {"after": after_position, "limit": limit}
        with domain_errors():
            async with self._pool.connection() as connection:
                rows: list[Any] = await (await connection.execute(_query("read"), facts, binary=True)).fetchall()
        return [RecordedCommand(*row) for row in rows]


class PostgresActionWriter:
    """Writes on the connection that holds the lock: without the lock there is no connection."""

    def __init__(self, lead: Lead) -> None:
        self._lead = lead

    async def checkpoint(self) -> Checkpoint:
        with available():
            return await self._lead.checkpoint()

    async def write(self, start: int, actions: Sequence[Action]) -> None:
        columns: dict[str, list[Any]] = {name: [getattr(action, name) for action in actions] for name in _PLAIN}
        for name in _LISTS:
            columns[name] = [orjson.dumps(getattr(action, name)).decode() for action in actions]
        connection = self._lead.connection
        with available():
            async with connection.transaction():
                await self._lead.expect(start)
                async with connection.pipeline():
                    await connection.execute(_query("insert"), columns)
                    await self._lead.move(actions[-1].position, actions[-1].recorded_at)


class PostgresActions:
    """Where actions are kept, on a pool of connections with the projector's rights."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    @asynccontextmanager
    async def run_alone(self) -> AsyncIterator[PostgresActionWriter | None]:
        async with lead(self._pool, ACTIONS) as held:
            yield None if held is None else PostgresActionWriter(held)

    async def checkpoint(self) -> Checkpoint:
        with available():
            async with self._pool.connection() as connection:
                return await find_checkpoint(connection, ACTIONS)

    async def between(self, after: int, until: int) -> list[Action]:
        return [Action(*row) for row in await self._rows("between", {"after": after, "until": until})]

    async def by_actor(self, wanted: Wanted) -> list[Action]:
        facts = {
            "actor": wanted.actor,
            "after": wanted.after_position,
            "before": wanted.before_position,
            "command_type": wanted.command_type,
            "limit": wanted.limit,
        }
        return [Action(*row) for row in await self._rows("by_actor", facts)]

    async def actors(self, after: str, limit: int) -> list[Actor]:
        return [Actor(*row) for row in await self._rows("actors", {"after": after, "limit": limit})]

    async def _rows(self, name: str, facts: dict[str, Any]) -> list[Any]:
        """Never prepared: a filter that is null must drop out of the plan, not stay in a general one."""
        with available():
            async with self._pool.connection() as connection:
                return await (await connection.execute(_query(name), facts, prepare=False)).fetchall()
