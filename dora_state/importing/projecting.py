"""Projects in a process of its own while an import runs, so that both cores work."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator

from dora_state.platform import Servers, open_on
from dora_state.settings import Settings, load_settings

_MODULE = "dora_state.importing.projecting"
_STOP_SECONDS = 30.0


@contextlib.asynccontextmanager
async def project_meanwhile(servers: Servers, settings: Settings) -> AsyncIterator[None]:
    """A child that projects as long as the block runs. It ends when its standard input does, so also if we die."""
    environment = {
        **os.environ,
        "DORA_STATE_HOME": str(settings.home),
        "DORA_STATE_TENANT": settings.tenant,
        "DORA_STATE_DATABASE_URL": servers.database_url,
        "DORA_STATE_REDIS_URL": servers.redis_url or "",
    }
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        _MODULE,
        env=environment,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
    )
    try:
        yield
    finally:
        if child.stdin is not None:
            child.stdin.close()
        try:
            await asyncio.wait_for(child.wait(), _STOP_SECONDS)
        except TimeoutError:
            child.kill()
            await child.wait()


async def _project() -> None:

    settings = load_settings()
    if settings.database_url is None:
        return
    servers = Servers(
        settings.database_url.get_secret_value(),
        settings.redis_url.get_secret_value() if settings.redis_url else None,
        None,
    )
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    loop.add_reader(sys.stdin.fileno(), stop.set)
    async with open_on(servers, settings) as platform:
        await platform.projector.run(stop)


if __name__ == "__main__":
    asyncio.run(_project())
