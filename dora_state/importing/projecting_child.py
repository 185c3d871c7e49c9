"""The child that `projecting` starts: projects until its standard input ends."""

import asyncio
import sys

from dora_state.platform import Servers, open_on
from dora_state.settings import load_settings


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
    loop.add_reader(sys.stdin.fileno(), stop.set)
    async with open_on(servers, settings) as platform:
        await platform.projector.run(stop)


if __name__ == "__main__":
    asyncio.run(project())
