"""Projects in a process of its own while an import runs, so that both cores work."""

import asyncio
import contextlib
import logging
import os
import sys
from collections import deque
from collections.abc import AsyncIterator

from pydantic import SecretStr

from dora_state.servers import Servers
from dora_state.settings import Settings

MODULE = "dora_state.importing.projecting_child"
STOP_SECONDS = 30
"""How long the child may take to finish its batch; after that it ends itself, or is ended."""
_LINES_KEPT = 20

logger = logging.getLogger(__name__)


@contextlib.asynccontextmanager
async def project_meanwhile(servers: Servers, settings: Settings) -> AsyncIterator[None]:
    """A child that projects as long as the block runs. It ends when its standard input does, so also if we die.

    It holds no lock on the embedded servers: they stay as long as we do, and the child has no use for them
    longer than that. If it fails, one warning says so, and whoever catches up afterwards has more to do.
    """
    child = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        MODULE,
        env=_environment(servers, settings),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.DEVNULL,
        stderr=asyncio.subprocess.PIPE,
        start_new_session=True,  # a Ctrl-C is for us, and we tell the child
    )
    said: deque[str] = deque(maxlen=_LINES_KEPT)
    listening = asyncio.create_task(_listen(child.stderr, said))
    try:
        yield
    finally:
        if child.stdin is not None:
            child.stdin.close()
        try:
            async with asyncio.timeout(STOP_SECONDS + 5):
                await child.wait()
        except TimeoutError:
            child.kill()
            await child.wait()
        await listening
        if child.returncode:
            why = said[-1] if said else f"exit code {child.returncode}"
            logger.warning("The process that projects failed (%s); the read models are completed without it.", why)


async def _listen(stderr: asyncio.StreamReader | None, said: deque[str]) -> None:
    """Its last words, for the warning; whoever does not listen blocks it."""
    while stderr is not None and (line := await stderr.read(65_536)):
        said.extend(text for text in line.decode(errors="replace").splitlines() if text.strip())


def _environment(servers: Servers, settings: Settings) -> dict[str, str]:
    """Our own, with our settings, however they came to us: from files, too, which it need not read again."""
    chosen = {
        f"DORA_STATE_{name.upper()}": value.get_secret_value() if isinstance(value, SecretStr) else str(value)
        for name, value in settings
        if value is not None
    }
    where = {"DORA_STATE_DATABASE_URL": servers.database_url, "DORA_STATE_REDIS_URL": servers.redis_url or ""}
    ours = {name: text for name, text in os.environ.items() if not name.startswith("DORA_STATE_")}
    return ours | chosen | where
