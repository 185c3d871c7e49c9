"""The child that `projecting` starts: projects until its standard input ends."""

import asyncio
import gc
import signal
import sys

from domain.errors import DoraStateError
from dora_state.importing.projecting import STOP_SECONDS
from dora_state.platform import open_on
from dora_state.servers import Servers
from dora_state.settings import load_settings

COLLECT_EVERY = 50_000
"""As in the importing process: the states that are kept form no cycles."""


async def project() -> None:
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

    def end() -> None:
        loop.remove_reader(sys.stdin.fileno())
        stop.set()
        # Nobody may be left who would kill us: not even a server that never answers keeps us.
        signal.alarm(STOP_SECONDS)

    loop.add_reader(sys.stdin.fileno(), end)
    async with open_on(servers, settings) as platform:
        await platform.projector.run(stop)


if __name__ == "__main__":
    gc.set_threshold(COLLECT_EVERY)
    try:
        asyncio.run(project())
    except DoraStateError as error:
        sys.exit(error.message)
