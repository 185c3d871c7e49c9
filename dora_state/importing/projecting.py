"""Projects in a process of its own while an import runs, so that both cores work."""

import asyncio
import contextlib
import os
import sys
from collections.abc import AsyncIterator

from dora_state.platform import Servers
from dora_state.settings import Settings

_MODULE = "dora_state.importing.projecting_child"
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
