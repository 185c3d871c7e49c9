"""A connection whose few statements are prepared once, and sent and answered by libpq itself.

Every command waits for an append. psycopg's cursor makes an adaptation context, a row factory and a wait anew for each
call; that cost a lone command as much as the server took for it, and each of a group a tenth of its time. Here
parameters are packed already (arrays.py), and the socket is watched all the time.
"""

import asyncio
from collections.abc import Awaitable, Callable, Sequence

import psycopg
from psycopg import errors, pq

from infrastructure import sql
from infrastructure.database import Connection, connect


class DirectConnection:
    """Sends statements one after the other. The connection is made when first needed, and anew after it was lost.

    Errors are psycopg's, and LogError where no connection can be had. After an OperationalError nobody knows what
    was done.
    """

    def __init__(
        self, database_url: str, application_name: str, set_up: Callable[[Connection], Awaitable[object]]
    ) -> None:
        """`set_up` gives a new connection what it needs, such as a role."""
        self._database_url = database_url
        self._application_name = application_name
        self._set_up = set_up
        self._alone = asyncio.Lock()
        self._connection: Connection | None = None
        self._prepared: set[str] = set()
        self._socket = -1
        self._readable: asyncio.Future[None] | None = None

    async def execute(self, query: str, parameters: Sequence[bytes | None] = ()) -> list[pq.abc.PGresult]:
        """Execute a query by its name, with parameters in binary form; its results are in binary form too."""
        async with self._alone:
            try:
                if self._connection is None:
                    await self._connect()
                if query not in self._prepared:
                    await self._prepare(query)
                assert self._connection is not None
                pgconn = self._connection.pgconn
                formats = [pq.Format.BINARY] * len(parameters)
                pgconn.send_query_prepared(query.encode(), parameters, formats, pq.Format.BINARY)
                return await self._results(pgconn)
            except BaseException as error:
                if not isinstance(error, psycopg.Error) or isinstance(error, psycopg.OperationalError):
                    await self.close()  # lost, or left in the midst of a call
                raise

    async def close(self) -> None:
        connection, self._connection = self._connection, None
        self._watch_no_more()
        if connection is not None:
            await connection.close()

    async def _connect(self) -> None:
        connection = await connect(self._database_url, self._application_name)
        try:
            await self._set_up(connection)
        except BaseException:
            await connection.close()
            raise
        self._connection = connection
        self._prepared.clear()
        self._socket = self._connection.pgconn.socket
        asyncio.get_running_loop().add_reader(self._socket, self._receive)

    async def _prepare(self, query: str) -> None:
        assert self._connection is not None
        self._connection.pgconn.send_prepare(query.encode(), sql.load(query))
        await self._results(self._connection.pgconn)
        self._prepared.add(query)

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
