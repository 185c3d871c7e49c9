"""The log on PostgreSQL: the port EventLog, with what an import and maintenance need besides."""

from collections.abc import AsyncIterator, Awaitable, Mapping, Sequence
from contextlib import asynccontextmanager
from datetime import datetime
from uuid import UUID

from domain.log import AppendOutcome, CommandAppend, EventLog
from domain.snapshots import Stamp
from infrastructure import sql
from infrastructure.event_store.appender import Appender
from infrastructure.event_store.errors import domain_errors
from infrastructure.event_store.group import Group, outcomes
from infrastructure.event_store.reading import PostgresEventReader
from infrastructure.event_store.signal import LogSignal
from infrastructure.event_store.turns import PostgresTurns
from infrastructure.pools import Connections, Held

__all__ = ["Appender", "LogSignal", "PostgresEventLog", "PostgresEventReader", "PostgresTurns"]


class PostgresEventLog(PostgresEventReader):
    """The port EventLog on a pool of connections with the role writer."""

    def __init__(
        self,
        connections: Connections,
        appender: Appender | None = None,
        *,
        import_id: UUID | None = None,
        stamps: Mapping[str, Stamp] | None = None,
    ) -> None:
        """`appender`: how to append faster than by one of the connections. `import_id`: appends are those of that
        import, and say their recorded_at."""
        super().__init__(connections, stamps)
        self._appender = appender
        self._import_id = import_id

    def append(self, commands: Sequence[CommandAppend]) -> Awaitable[list[AppendOutcome]]:
        """Append a group of commands in one round trip, one outcome each, in order; durable when it is answered.

        Raises AppendRejected when a command is not well-formed, ClockAhead, LogImporting, and LogUnavailable,
        after which it is not known what was appended: append the same command ids again. Errors are about the
        whole call: nothing of it was appended.
        """
        group = Group()
        known: set[UUID] = set()
        for command in commands:
            if command.command_id not in known:
                known.add(command.command_id)
                group.add(command)
        if self._appender is None or not known:
            return self._append(commands, group)
        return self._appender.append(group.packed(self._import_id), lambda rows: outcomes(commands, group, rows))

    async def _append(self, commands: Sequence[CommandAppend], group: Group) -> list[AppendOutcome]:
        if not commands:
            return []
        return outcomes(commands, group, await self._rows("append", *group.arguments(self._import_id)))

    @asynccontextmanager
    async def alone(self) -> AsyncIterator[EventLog]:
        with domain_errors():
            async with self._connections.connection() as connection, connection.transaction():
                await connection.execute(sql.load("claim_log"))
                yield PostgresEventLog(Held(connection), import_id=self._import_id, stamps=self._stamps)

    async def importing(self) -> UUID | None:
        """The import that the tenant is in, None when it is live."""
        ((import_id,),) = await self._rows("mode")
        return UUID(str(import_id)) if import_id is not None else None

    async def begin_import(self, import_id: UUID) -> "PostgresEventLog":
        """Put an empty tenant into the mode importing; returns the log through which the import appends.

        May be called again for the same import, to go on. Raises AppendRejected when the tenant is not empty,
        LogImporting when another import has begun.
        """
        await self._rows("begin_import", import_id)
        return PostgresEventLog(self._connections, self._appender, import_id=import_id, stamps=self._stamps)

    async def end_import(self, import_id: UUID) -> None:
        """The tenant is live again. Raises AppendRejected when that import has not begun."""
        await self._rows("end_import", import_id)

    async def ensure_months(self, first: datetime, last: datetime) -> list[str]:
        """Make the months from one time to another, both included; returns the partitions that were made."""
        return [str(name) for (name,) in await self._rows("ensure_months", first, last)]

    async def maintain(self) -> list[str]:
        """Make the months up to two ahead; returns the partitions that were made. Call it now and then."""
        return [str(name) for (name,) in await self._rows("months_ahead")]
