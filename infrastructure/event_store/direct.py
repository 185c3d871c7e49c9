"""A connection whose few statements are prepared once, and sent and answered by libpq itself.

Every command waits for an append. psycopg's cursor makes an adaptation context, a row factory and a wait anew for each
call; that cost a lone command as much as the server took for it, and each of a group a tenth of its time. Here
parameters are packed already (arrays.py), and the socket is watched all the time.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from typing import Any, Generic, TypeVar

import psycopg
from psycopg import errors, pq

from infrastructure import sql
from infrastructure.database import Connection, connect
from infrastructure.event_store.errors import domain_errors, to_domain
from infrastructure.silence import WatchedConnection

T = TypeVar("T")
Results = list[pq.abc.PGresult]


class DirectConnection:
    """Sends statements one after the other. The connection is made when first needed, and anew after it was lost.

    Errors are LogErrors. After LogUnavailable nobody knows what was done.
    """

    def __init__(
        self, database_url: str, application_name: str, set_up: Callable[[Connection], Awaitable[object]]
    ) -> None:
        """`set_up` gives a new connection what it needs, such as a role."""
        self._database_url = database_url
        self._application_name = application_name
        self._set_up = set_up
        self._turns = asyncio.Lock()
        self._connection: WatchedConnection | None = None
        self._prepared: set[str] = set()
        self._socket = -1
        self._is_writing = False
        self._call: _Call[Any] | None = None
        self._connections = 0
        self._closes = 0

    @property
    def generation(self) -> int:
        """Which connection this is, from 1; 0: there is none now. What one session held, another one does not."""
        return self._connections if self._connection is not None else 0

    def execute(
        self, query: str, parameters: Sequence[bytes | None], read: Callable[[Results], T]
    ) -> asyncio.Future[T]:
        """Execute a query by its name, with parameters in binary form; `read` makes of its results what is answered.

        It is sent before this returns if nothing is in the way. Whoever cancels it does not know what was done.
        """
        if self._call is None and query in self._prepared and not self._turns.locked():
            return self._send(query, parameters, read)
        return asyncio.create_task(self._execute_in_turn(query, parameters, read))

    async def close(self) -> None:
        """What is under way fails. What is asked for later makes another connection."""
        self._closes += 1
        connection, self._connection = self._connection, None
        self._forget()
        if self._call is not None:
            self._call.fail(psycopg.OperationalError("the connection was closed"))
            self._call = None
        if connection is not None:
            await connection.close()

    async def _execute_in_turn(self, query: str, parameters: Sequence[bytes | None], read: Callable[[Results], T]) -> T:
        async with self._turns:
            while self._call is not None:
                await self._call.over()
            if self._connection is None:
                with domain_errors():
                    await self._connect()
            if query not in self._prepared:
                await self._prepare(query)
            return await self._send(query, parameters, read)

    async def _connect(self) -> None:
        closes = self._closes
        connection = await connect(self._database_url, self._application_name)
        try:
            await self._set_up(connection)
            if self._closes > closes:
                raise psycopg.OperationalError("it was closed while it was made")
        except BaseException:
            await connection.close()
            raise
        self._connection = connection
        self._connections += 1
        self._socket = connection.pgconn.socket
        asyncio.get_running_loop().add_reader(self._socket, self._receive)

    async def _prepare(self, query: str) -> None:
        """Whoever asked may go away meanwhile: it is prepared all the same, and not twice."""
        await asyncio.shield(
            self._begin(
                lambda pgconn: pgconn.send_prepare(query.encode(), sql.load(query)), lambda _: self._prepared.add(query)
            )
        )

    def _send(self, query: str, parameters: Sequence[bytes | None], read: Callable[[Results], T]) -> asyncio.Future[T]:
        formats = [pq.Format.BINARY] * len(parameters)
        return self._begin(
            lambda pgconn: pgconn.send_query_prepared(query.encode(), parameters, formats, pq.Format.BINARY), read
        )

    def _begin(self, send: Callable[[pq.abc.PGconn], None], read: Callable[[Results], T]) -> asyncio.Future[T]:
        if self._connection is None:
            call = self._call = _Call(read)
            self._lose(psycopg.OperationalError("it was lost before anything was sent"))
            return call.answer
        call = self._call = _Call(read, self._connection)
        try:
            send(self._connection.pgconn)
        except psycopg.OperationalError as error:
            self._lose(error)
        except Exception as error:  # nothing was sent
            self._call = None
            call.end()
            call.answer.set_exception(error)
        else:
            self._flush()
        return call.answer

    def _flush(self) -> None:
        """Send what is left; the server may read more slowly than we write."""
        if self._connection is None:
            return
        if self._call is not None:
            self._call.moved()
        try:
            is_left = bool(self._connection.pgconn.flush())
        except psycopg.OperationalError as error:
            self._lose(error)
            return
        if is_left and not self._is_writing:
            asyncio.get_running_loop().add_writer(self._socket, self._flush)
        elif self._is_writing and not is_left:
            asyncio.get_running_loop().remove_writer(self._socket)
        self._is_writing = is_left

    def _receive(self) -> None:
        """The socket has something to read, or nothing more ever."""
        if self._connection is None:
            return
        pgconn = self._connection.pgconn
        if self._call is not None:
            self._call.moved()
        try:
            pgconn.consume_input()
            call = self._call
            while call is not None and not pgconn.is_busy():
                result = pgconn.get_result()
                if result is None:
                    self._call = None
                    call.finish()
                    return
                call.results.append(result)
        except psycopg.OperationalError as error:
            self._lose(error)

    def _lose(self, error: psycopg.OperationalError) -> None:
        """The next call makes another connection."""
        self._forget()
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.pgconn.finish()
        call, self._call = self._call, None
        if call is not None:
            call.fail(error)

    def _forget(self) -> None:
        """What is known of the connection that there was."""
        self._prepared.clear()
        self._is_writing = False
        if self._socket >= 0:
            loop, number, self._socket = asyncio.get_running_loop(), self._socket, -1
            for remove in (loop.remove_writer, loop.remove_reader):
                with suppress(OSError):  # libpq closes it by itself, and then there is nothing to remove
                    remove(number)


class _Call(Generic[T]):
    """What was sent, and will be answered."""

    __slots__ = ("_over", "_read", "_wait", "answer", "results")

    def __init__(self, read: Callable[[Results], T], connection: WatchedConnection | None = None) -> None:
        self.answer: asyncio.Future[T] = asyncio.get_running_loop().create_future()
        self.results: Results = []
        self._read = read
        self._over: asyncio.Event | None = None
        self._wait = None if connection is None else connection.silences.begin(connection)

    async def over(self) -> None:
        """Until it was answered or lost, whether anybody still waits for that or not."""
        if self._over is None:
            self._over = asyncio.Event()
        await self._over.wait()

    def moved(self) -> None:
        if self._wait is not None:
            self._wait.moved()

    def end(self) -> None:
        """Nothing more comes."""
        if self._wait is not None:
            self._wait.end()
        if self._over is not None:
            self._over.set()

    def finish(self) -> None:
        """All results are here; one may be an error."""
        self.end()
        if self._wait is not None:
            self._wait.connection.heard()
        if self.answer.done():
            return  # whoever asked went away
        try:
            for result in self.results:
                if result.status not in (pq.ExecStatus.TUPLES_OK, pq.ExecStatus.COMMAND_OK):
                    raise to_domain(errors.error_from_result(result))
            self.answer.set_result(self._read(self.results))
        except Exception as error:  # it belongs to whoever asked
            self.answer.set_exception(error)

    def fail(self, error: psycopg.OperationalError) -> None:
        self.end()
        if not self.answer.done():
            self.answer.set_exception(to_domain(error))
            self.answer.exception()  # whoever asked may be gone, and then there is nobody to be told of it
