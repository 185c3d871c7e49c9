"""Servers for tests: the application in this process, asked directly or over a port of its own."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from typing import Any
from uuid import uuid4

import httpx

from dora_state.access.caller import Authenticator, Caller, CallerRole, Reading, Unauthenticated
from dora_state.http.app import make_app
from dora_state.http.call import Server
from dora_state.http.limits import Limits
from dora_state.http.serving import address, listening, run
from dora_state.settings import load_settings
from dora_state.state_manager import StateManager, open_state_manager


@dataclass
class KeptReadings:
    """The port Readings, in memory; with the rows of each."""

    readings: list[Reading] = field(default_factory=list)

    async def record(self, reading: Reading) -> None:
        self.readings.append(reading)

    def ended(self, reading: Reading, rows: int) -> None:
        self.readings[self.readings.index(reading)] = replace(reading, rows=rows)


class Anybody:
    """An authenticator for which whoever asks may do everything."""

    def __init__(self, tenant: str) -> None:
        self._caller = Caller("local", CallerRole.OPERATOR, tenant)

    async def caller(self, authorization: str | None) -> Caller:
        return self._caller

    def remembered(self, authorization: str | None) -> Caller | None:
        return self._caller


class ByRole:
    """An authenticator for which a credential is the name of a role."""

    def __init__(self, tenant: str) -> None:
        self._tenant = tenant

    async def caller(self, authorization: str | None) -> Caller:
        role = (authorization or "").removeprefix("Bearer ")
        if role not in list(CallerRole):
            raise Unauthenticated()
        return Caller(f"the {role}", CallerRole(role), self._tenant, credential=f"key-{role}")

    def remembered(self, authorization: str | None) -> Caller | None:
        return None


@dataclass
class Asked:
    """A server and one who asks it."""

    server: Server
    client: httpx.AsyncClient
    readings: KeptReadings

    @property
    def manager(self) -> StateManager:
        return self.server.manager

    async def give(self, name: str, data: Mapping[str, Any], **more: Any) -> httpx.Response:
        headers = more.pop("headers", {})
        return await self.client.post("/v1/commands", json={"type": name, "data": data, **more}, headers=headers)

    async def get(self, path: str, **more: Any) -> httpx.Response:
        return await self.client.get(path, **more)

    async def catch_up(self) -> None:
        assert await self.manager.catch_up(everything=True)


@asynccontextmanager
async def asked_directly(
    database_url: str,
    redis_url: str,
    tenant: str,
    *,
    by_role: bool = False,
    limits: Limits | None = None,
    cors: tuple[str, ...] = (),
) -> AsyncIterator[Asked]:
    """Without a port. `by_role`: each request says as what it comes; else it is an operator without a key."""
    async with _manager(database_url, redis_url, tenant) as manager:
        readings = KeptReadings()
        server = Server(manager, _authenticator(tenant, by_role), readings, limits=limits)
        transport = httpx.ASGITransport(make_app(server, cors=cors))
        async with server.feed, httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            yield Asked(server, client, readings)


@asynccontextmanager
async def asked_by_port(
    database_url: str,
    redis_url: str,
    tenant: str,
    *,
    by_role: bool = False,
    limits: Limits | None = None,
    port: int = 0,
) -> AsyncIterator[Asked]:
    """Over a real connection; leaving ends the server as SIGTERM does."""
    stop = asyncio.Event()
    async with _manager(database_url, redis_url, tenant) as manager:
        readings = KeptReadings()
        server = Server(manager, _authenticator(tenant, by_role), readings, limits=limits, is_open=True)
        with listening("127.0.0.1", port) as listener:
            base_url = address(listener)
            serving = asyncio.create_task(run(server, listener, stop))
            try:
                async with httpx.AsyncClient(base_url=base_url, timeout=30) as client:
                    yield Asked(server, client, readings)
            finally:
                stop.set()
                await serving


def _authenticator(tenant: str, by_role: bool) -> Authenticator:
    return ByRole(tenant) if by_role else Anybody(tenant)


@asynccontextmanager
async def _manager(database_url: str, redis_url: str, tenant: str) -> AsyncIterator[StateManager]:
    settings = load_settings(database_url=database_url, redis_url=redis_url, tenant=tenant)
    async with open_state_manager(settings) as manager:
        yield manager


def fresh(word: str) -> str:
    """An id that nobody has used."""
    return f"{word}-{uuid4().hex[:12]}"


async def a_workflow(asked: Asked, id: str, tasks: int = 1) -> None:
    """Created and started, with some tasks `ID-N`."""
    assert (await asked.give("CreateWorkflow", {"workflow_id": id, "definition_id": "d"})).status_code == 200
    for number in range(tasks):
        task = {"workflow_id": id, "task_id": f"{id}-{number}", "definition_id": "d"}
        assert (await asked.give("AddTask", task)).status_code == 200
    assert (await asked.give("StartWorkflow", {"workflow_id": id})).status_code == 200
