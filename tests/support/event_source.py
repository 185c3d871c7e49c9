"""A client of server-sent events."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import httpx


class EventSource:
    """As a browser has it: it parses by the standard, remembers the last id, and comes again by itself."""

    def __init__(self, client: httpx.AsyncClient, path: str) -> None:
        self._client = client
        self._path = path
        self.last_id = ""
        self.messages: list[dict[str, Any]] = []
        self.ends: list[dict[str, Any]] = []
        self.comments: list[str] = []
        self.opened = 0
        self._arrived = asyncio.Event()
        self.statuses: list[int] = []

    @asynccontextmanager
    async def listening(self) -> AsyncIterator["EventSource"]:
        task = asyncio.create_task(self._for_ever())
        try:
            yield self
        finally:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(30):
            while not holds():
                self._arrived.clear()
                await self._arrived.wait()

    @property
    def positions(self) -> list[int]:
        return [one["position"] for one in self.messages]

    async def _for_ever(self) -> None:
        while True:
            headers = {"Accept": "text/event-stream"}
            if self.last_id:
                headers["Last-Event-ID"] = self.last_id
            try:
                async with self._client.stream("GET", self._path, headers=headers, timeout=60) as answer:
                    self.statuses.append(answer.status_code)
                    if answer.status_code == 200:
                        self.opened += 1
                        self._arrived.set()
                        await self._read(answer)
            except httpx.TransportError:
                pass
            await asyncio.sleep(0.02)

    async def _read(self, answer: httpx.Response) -> None:
        kind, data, id = "message", [], self.last_id
        async for line in answer.aiter_lines():
            if line.startswith(":"):
                self.comments.append(line)
            elif line:
                name, _, value = line.partition(":")
                value = value.removeprefix(" ")
                if name == "id":
                    id = value
                elif name == "event":
                    kind = value
                elif name == "data":
                    data.append(value)
                continue
            else:
                self.last_id = id
                if data:
                    (self.messages if kind == "message" else self.ends).append(json.loads("\n".join(data)))
                kind, data = "message", []
            self._arrived.set()
