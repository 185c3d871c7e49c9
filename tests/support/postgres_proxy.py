"""What may be between us and PostgreSQL: it passes bytes on, and cuts, delays or swallows them when told to."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Literal, Self

from psycopg.conninfo import conninfo_to_dict, make_conninfo

Where = Literal["asking", "answering"]
READY = b"Z\0\0\0\5"
"""What PostgreSQL says when it is ready for a query, and then in which state."""
LONG = 400
"""Bytes of a piece that is worth cutting: what an append sends, or rows that it gives back."""


class Proxy:
    """A socket of its own, `url`, before that of a server."""

    def __init__(self, database_url: str, directory: Path) -> None:
        parts = conninfo_to_dict(database_url)
        self._there = str(parts["host"]), int(parts.get("port") or 5432)
        self._socket = directory / ".s.PGSQL.5432"
        self.url = make_conninfo(database_url, host=str(directory), port=5432)
        self.delay = 0.0
        self.mutes_new = False
        """Connections can be made, and then nothing passes any more."""
        self._silent: set[asyncio.Task[None]] = set()
        self._passing: set[asyncio.Task[None]] = set()
        self._trap: tuple[Where, asyncio.Event, bool] | None = None

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[Self]:
        server = await asyncio.start_unix_server(self._pass_on, self._socket)
        try:
            yield self
        finally:
            server.close()
            await self.cut_all()

    async def cut_all(self) -> None:
        for task in self._passing:
            task.cancel()
        await asyncio.gather(*self._passing, return_exceptions=True)

    def silence_all(self) -> None:
        """Connections that there are stay, and nothing passes any more; new ones are as before."""
        self._silent |= self._passing

    async def cut_within(self, where: Where, seconds: float = 5.0, *, silently: bool = False) -> bool:
        """The next long piece that passes is cut in its middle, and its connection with it; whether one came.

        Silently: the connection stays, and nothing passes any more.
        """
        sprung = asyncio.Event()
        self._trap = where, sprung, silently
        try:
            async with asyncio.timeout(seconds):
                await sprung.wait()
        except TimeoutError:
            return False
        finally:
            self._trap = None
        return True

    async def _pass_on(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._passing.add(task)
        writers = [writer]
        try:
            there, to = await self._open()
            writers.append(to)
            ways = (self._copy(task, reader, to, "asking"), self._copy(task, there, writer, "answering"))
            copying = [asyncio.ensure_future(one) for one in ways]
            try:
                await asyncio.wait(copying, return_when=asyncio.FIRST_COMPLETED)
            finally:
                for one in copying:
                    one.cancel()
                await asyncio.gather(*copying, return_exceptions=True)
        except (OSError, asyncio.CancelledError):
            pass  # there is nobody, or it is cut
        finally:
            for end in writers:
                end.transport.abort()
            self._passing.discard(task)
            self._silent.discard(task)

    async def _open(self) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        host, port = self._there
        if host.startswith("/"):
            return await asyncio.open_unix_connection(f"{host}/.s.PGSQL.{port}")
        return await asyncio.open_connection(host, port)

    async def _copy(
        self, of: asyncio.Task[None], reader: asyncio.StreamReader, writer: asyncio.StreamWriter, where: Where
    ) -> None:
        while data := await reader.read(65_536):
            if of in self._silent:
                continue
            if self.delay:
                await asyncio.sleep(self.delay)
            if self._trap is not None and self._trap[0] == where and len(data) >= LONG:
                (_, sprung, silently), self._trap = self._trap, None
                writer.write(data[: len(data) // 2])
                sprung.set()
                await asyncio.sleep(0)
                if not silently:
                    return
                self._silent.add(of)
                continue
            writer.write(data)
            await writer.drain()
            if self.mutes_new and where == "answering" and data[-6:-1] == READY:
                self._silent.add(of)
