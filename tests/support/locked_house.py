"""Everything that takes a password, with one of its own each: a database, a replica, a cache, a broker, a collector."""

import asyncio
import contextlib
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import unquote

from tests.support.between import Between
from tests.support.command_line import ROOT, CommandLine, Ended
from tests.support.redis_server import RedisServer, execute
from tests.support.secrets import Secrets


class House:
    """Everything that takes a secret, with one of its own each."""

    def __init__(self, home: Path, between: Between, cache: RedisServer, broker: RedisServer, tenant: str):
        self.secrets = secrets = Secrets()
        self.between = between
        self._home = home
        self.cache, self.broker = cache, broker
        login, _, rest = between.url.removeprefix("postgresql://").partition("@")
        user, _, password = login.partition(":")
        if password:  # else the server asks for none, and takes any
            secrets.passwords["database"] = secrets.passwords["replica"] = unquote(password)
        self.settings = {
            "DATABASE_URL": f"postgresql://{user}:{secrets.in_url('database')}@{rest}",
            "READ_DATABASE_URL": f"postgresql://{user}:{secrets.in_url('replica')}@{rest}",
            "REDIS_URL": cache.url.replace("unix://", f"unix://:{secrets.in_url('cache')}@"),
            "BROKER_URL": broker.url.replace("unix://", f"unix://:{secrets.in_url('broker')}@"),
            "TRACES_URL": f"http://tracer:{secrets.in_url('collector')}@127.0.0.1:1/v1/traces",
            "TENANT": tenant,
            "LOG_LEVEL": "debug",
            "WORKER_INTERVAL": "0.2",
        }
        self.line = self.with_settings()

    def with_settings(self, **more: str) -> CommandLine:
        variables = {f"DORA_STATE_{name}": value for name, value in (self.settings | more).items()}
        return CommandLine(self._home, directory=ROOT, **variables)

    async def run(self, *arguments: str, given: str = "", line: CommandLine | None = None) -> Ended:
        """A command, of which all is heard."""
        ended = await asyncio.to_thread(line or self.line, *arguments, given=given)
        self.secrets.hear(" ".join(arguments), ended.out + ended.err)
        return ended


@contextlib.contextmanager
def locked_redis(directory: Path, name: str) -> Iterator[RedisServer]:
    directory.mkdir()
    with RedisServer(directory) as server:
        with server.client() as client:
            execute(client, "CONFIG", "SET", "requirepass", Secrets().passwords[name])
        yield server
