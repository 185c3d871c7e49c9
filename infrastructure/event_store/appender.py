"""The connection that a process appends through: one prepared statement, sent and answered by libpq itself.

Every command waits for an append. psycopg's cursor makes an adaptation context, a row factory and a wait anew for each
call; that cost a lone command as much as the server took for it, and each of a group a tenth of its time. Here
parameters are packed already (arrays.py), the answer is one row as a rule, and the socket is watched all the time.
"""

import asyncio
import logging
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from struct import Struct
from typing import Any

import psycopg
from psycopg import errors, pq

from infrastructure import sql
from infrastructure.database import Connection, Role, assume, connect, tenant_schema

_STATEMENT = b"append"
_FORMATS = [pq.Format.BINARY] * 16
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)  # PostgreSQL's
_INT4 = Struct("!i").unpack
_INT8 = Struct("!q").unpack

logger = logging.getLogger(__name__)


class Appender:
    """Sends appends one after the other. The connection is made when first needed, and anew after it was lost.

    Errors are psycopg's, and LogUnavailable where there is no server. After an OperationalError nobody knows
    what was appended.
    """

    def __init__(self, database_url: str, tenant: str) -> None:
        self._database_url = database_url
        self._tenant = tenant
        self._alone = asyncio.Lock()
        self._connection: Connection | None = None
        self._socket = -1
        self._readable: asyncio.Future[None] | None = None

    async def append(self, parameters: Sequence[bytes | None]) -> list[tuple[Any, ...]]:
        """Call append with its arguments in binary form; gives its rows."""
        async with self._alone:
            try:
                if self._connection is None:
                    await self._open()
                return [
                    _row(result, number) for result in await self._call(parameters) for number in range(result.ntuples)
                ]
            except BaseException as error:
                if not isinstance(error, psycopg.Error) or isinstance(error, psycopg.OperationalError):
                    await self.close()  # lost, or left in the midst of a call
                raise

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        self._watch_no_more()
        if connection is not None:
            await connection.close()

    async def _open(self) -> None:
        connection = await connect(self._database_url, f"dora-state append {self._tenant}")
        self._connection = connection
        await assume(connection, tenant_schema(self._tenant), Role.WRITER)
        self._socket = connection.pgconn.socket
        asyncio.get_running_loop().add_reader(self._socket, self._receive)
        connection.pgconn.send_prepare(_STATEMENT, sql.load("append_prepared"))
        await self._results(connection.pgconn)

    async def _call(self, parameters: Sequence[bytes | None]) -> list[pq.abc.PGresult]:
        assert self._connection is not None
        pgconn = self._connection.pgconn
        pgconn.send_query_prepared(_STATEMENT, parameters, _FORMATS, pq.Format.BINARY)
        return await self._results(pgconn)

    async def _results(self, pgconn: pq.abc.PGconn) -> list[pq.abc.PGresult]:
        """What was sent is answered with. Raises the error that the server answers."""
        while pgconn.flush():
            await self._writable()
        results: list[pq.abc.PGresult] = []
        while True:
            while pgconn.is_busy():
                self._readable = asyncio.get_running_loop().create_future()
                await self._readable
            result = pgconn.get_result()
            if result is None:
                break
            results.append(result)
        for result in results:
            if result.status not in (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK):
                raise errors.error_from_result(result)
        return results

    def _receive(self) -> None:
        """The socket has something to read, or nothing more ever."""
        readable, self._readable = self._readable, None
        try:
            if self._connection is not None:
                self._connection.pgconn.consume_input()
        except psycopg.OperationalError as error:
            self._watch_no_more()
            if readable is None or readable.done():
                self._lose()  # while nothing was asked; the next call makes another
            else:
                readable.set_exception(error)
            return
        if readable is not None and not readable.done():
            readable.set_result(None)

    async def _writable(self) -> None:
        """The server reads more slowly than we write; it may also tell us something meanwhile."""
        loop = asyncio.get_running_loop()
        writable: asyncio.Future[None] = loop.create_future()

        def ready() -> None:
            if not writable.done():
                writable.set_result(None)

        loop.add_writer(self._socket, ready)
        try:
            await writable
        finally:
            loop.remove_writer(self._socket)

    def _lose(self) -> None:
        if self._connection is not None:
            self._connection.pgconn.finish()
            self._connection = None

    def _watch_no_more(self) -> None:
        if self._socket >= 0:
            asyncio.get_running_loop().remove_reader(self._socket)
            self._socket = -1


def _row(result: pq.abc.PGresult, number: int) -> tuple[Any, ...]:
    return tuple([_read(result.get_value(number, column)) for column, _read in enumerate(_COLUMNS)])


def _nullable(read: Callable[[bytes], Any]) -> Callable[[bytes | None], Any]:
    return lambda value: None if value is None else read(value)


def _integer(value: bytes) -> int:
    return int(_INT8(value)[0])


_COLUMNS: tuple[Callable[[bytes | None], Any], ...] = (
    _nullable(lambda value: _INT4(value)[0]),
    _nullable(bytes.decode),
    _nullable(lambda value: _EPOCH + timedelta(microseconds=_integer(value))),
    _nullable(_integer),
    _nullable(_integer),
    _nullable(bytes),
    _nullable(bytes.decode),
    _nullable(_integer),
    _nullable(_integer),
)
"""How the columns of append's rows are read: command, outcome, recorded_at, first and last position, answer,
stream_id, expected, actual."""
