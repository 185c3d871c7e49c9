"""A database that can be away: what is between it and its clients can be cut, and mended."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
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
        self._server: asyncio.Server | None = None
        self._writers: set[asyncio.StreamWriter] = set()

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Self]:
        await self.mend()
        try:
            yield self
        finally:
            await self.cut()

    async def mend(self) -> None:
        self._server = await asyncio.start_unix_server(self._pass_on, self._socket)

    async def cut(self) -> None:
        if self._server is not None:
            self._server.close()
            self._socket.unlink(missing_ok=True)
        for writer in list(self._writers):
            writer.transport.abort()

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        if self._host.startswith("/"):
            there, to = await asyncio.open_unix_connection(f"{self._host}/.s.PGSQL.{self._port}")
        else:
            there, to = await asyncio.open_connection(self._host, self._port)
        self._writers |= {writer, to}
        try:
            await asyncio.gather(_copy(reader, to), _copy(there, writer))
        finally:
            self._writers -= {writer, to}


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while data := await reader.read(65_536):
            writer.write(data)
            await writer.drain()
    except ConnectionError:
        pass
    finally:
        writer.close()
