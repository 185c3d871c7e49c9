"""Where the servers are: those that the settings name, or our own, which the last process that leaves stops."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass

from dora_state.settings import Settings
from infrastructure.embedded import EmbeddedServers
from infrastructure.whole import whole

Say = Callable[[str], None]


def quiet(_: str) -> None:
    """For those who want no word on the screen."""


@dataclass(frozen=True, slots=True)
class Servers:
    """Where PostgreSQL and Redis are. The URLs hold secrets and are never shown.

    `broker_url` is the Redis by which workers hand jobs to each other; without one they stay in their process.
    """

    database_url: str
    redis_url: str | None
    embedded: EmbeddedServers | None
    broker_url: str | None = None


@asynccontextmanager
async def open_servers(settings: Settings, say: Say = quiet) -> AsyncIterator[Servers]:
    """The servers that the settings name, else our own, stopped by the last process that leaves."""
    broker_url = settings.broker_url.get_secret_value() if settings.broker_url else None
    if settings.database_url is not None:
        redis_url = settings.redis_url.get_secret_value() if settings.redis_url else None
        yield Servers(settings.database_url.get_secret_value(), redis_url, None, broker_url or redis_url)
        return
    embedded = EmbeddedServers(settings.home, say=say)
    try:
        # A start can't be interrupted half way; who is cancelled meanwhile leaves when it is done.
        await whole(asyncio.to_thread(embedded.start))
        redis_url = embedded.redis_url
        yield Servers(embedded.database_url, redis_url, embedded, broker_url or redis_url)
    finally:
        await whole(asyncio.to_thread(embedded.stop))
