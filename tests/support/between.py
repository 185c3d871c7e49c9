"""A database that can be away: what is between it and its clients can be cut, and mended, or hang for a while."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager
from pathlib import Path
from typing import Self
from urllib.parse import quote

from psycopg.conninfo import conninfo_to_dict


class Between:
    """Passes bytes on, from a socket of its own."""

    def __init__(self, database_url: str, directory: Path) -> None:
        parts = conninfo_to_dict(database_url)
        self._host, self._port = str(parts.get("host") or "localhost"), int(str(parts.get("port") or 5432))
        user, database = parts.get("user") or "postgres", parts.get("dbname") or "postgres"
        password = f":{quote(str(parts['password']), safe='')}" if parts.get("password") else ""
        self._socket = directory / ".s.PGSQL.5432"
        self.url = f"postgresql://{user}{password}@/{database}?host={quote(str(directory), safe='')}"
        self._is_cut = False
        self._flows = asyncio.Event()
        self._flows.set()
        self._passing: set[asyncio.Task[None]] = set()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Self]:
        server = await asyncio.start_unix_server(self._pass_on, self._socket)
        try:
            yield self
        finally:
            await self.cut()
            server.close()

    def mend(self) -> None:
        self._is_cut = False

    async def cut(self) -> None:
        self._is_cut = True
        for task in self._passing:
            task.cancel()
        await asyncio.gather(*self._passing, return_exceptions=True)

    @contextmanager
    def hanging(self) -> Iterator[None]:
        """Nothing comes through as long as the block runs, and nobody is told."""
        self._flows.clear()
        try:
            yield
        finally:
            self._flows.set()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._passing.add(task)
        writers = [writer]
        try:
            if self._is_cut:
                return
            if self._host.startswith("/"):
                there, to = await asyncio.open_unix_connection(f"{self._host}/.s.PGSQL.{self._port}")
            else:
                there, to = await asyncio.open_connection(self._host, self._port)
            writers.append(to)
            await asyncio.gather(self._copy(reader, to), self._copy(there, writer))
        except asyncio.CancelledError:
            pass  # it is cut
        finally:
            for one in writers:
                one.transport.abort()
            self._passing.discard(task)

    async def _copy(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while data := await reader.read(65_536):
                await self._flows.wait()
                writer.write(data)
                await writer.drain()
        except ConnectionError:
            pass
        finally:
            writer.close()
