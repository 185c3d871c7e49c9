"""The server: listens, answers, and leaves in good order."""

import asyncio
import contextlib
import logging
import resource
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.parse import urlsplit

import uvicorn

from domain.errors import InvalidInput
from dora_state.access.opening import Access, open_access
from dora_state.http.app import make_app
from dora_state.http.call import Server
from dora_state.http.limits import Limits
from dora_state.http.protocol import PatientProtocol
from dora_state.memory import spare_the_collector
from dora_state.servers import Say
from dora_state.settings import Settings
from dora_state.state_manager import StateManager, open_state_manager
from dora_state.watching.requests import WatchedRequests
from dora_state.watching.serving import metrics_served
from infrastructure.hosts import can_be_host

GRACE_SECONDS = 30
"""How long answers under way may still take once the server is to leave."""
KEEP_ALIVE_SECONDS = 75
OPEN_FILES = 16_384


class _Uvicorn(uvicorn.Server):
    """Signals are for whoever runs it."""

    @contextmanager
    def capture_signals(self) -> Iterator[None]:
        yield


async def serve(settings: Settings, host: str, port: int, stop: asyncio.Event, say: Say) -> None:
    """Until `stop` is set: then nothing more is taken, and what was taken is answered.

    Raises InvalidInput where it must not or can't listen there, LogUnavailable where there is no database.
    """
    require_host(host)
    cors = origins(settings.http_cors)
    async with (
        open_state_manager(settings, say=say, warm=True) as manager,
        open_access(settings, manager.platform.servers) as access,
        metrics_served(manager.platform),
    ):
        access.require_may_listen(host)
        with listening(host, port) as listener:
            allow_many_connections()
            spare_the_collector()
            say(f"Listening on {address(listener)}, tenant {settings.tenant}.")
            if access.notice is not None:
                say(access.notice)
            await run(make_server(manager, access), listener, stop, cors=cors)
    say("Everything that was taken is answered.")


def make_server(manager: StateManager, access: Access) -> Server:
    settings = manager.platform.settings
    limits = Limits(
        rate=settings.http_rate,
        body_bytes=settings.http_body_bytes,
        streams=settings.http_streams,
        resume_seconds=settings.http_resume,
    )
    is_open = access.notice is not None
    return Server(
        manager, access.authenticator, access.readings, limits=limits, is_open=is_open, refusals=access.refusals
    )


async def run(server: Server, listener: socket.socket, stop: asyncio.Event, *, cors: tuple[str, ...] = ()) -> None:
    async with server.feed:
        runner = _Uvicorn(_config(server, cors))
        serving = asyncio.create_task(runner.serve([listener]), name="http")
        stopping = asyncio.create_task(stop.wait())
        try:
            await asyncio.wait({serving, stopping}, return_when=asyncio.FIRST_COMPLETED)
        finally:
            server.leaving = True
            server.feed.leave()
            server.locks.leave()
            runner.should_exit = True
            stopping.cancel()
            await serving
            await server.pending.all()


def _config(server: Server, cors: tuple[str, ...]) -> uvicorn.Config:
    logging.getLogger("uvicorn.error").setLevel(logging.ERROR)  # what strangers send is no event of ours
    platform = server.manager.platform
    return uvicorn.Config(
        WatchedRequests(make_app(server, cors=cors), platform.traces, platform.requests),
        http=PatientProtocol,
        ws="none",
        lifespan="off",
        log_config=None,
        access_log=False,
        proxy_headers=False,
        server_header=False,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=GRACE_SECONDS,
    )


def require_host(host: str) -> None:
    """Raises InvalidInput for what can be no name or address, before anything is started."""
    if not can_be_host(host):
        raise InvalidInput(
            "--host takes a name or an address of this machine, like 127.0.0.1 or 0.0.0.0; what was given can be none.",
            host=host,
        )


@contextmanager
def listening(host: str, port: int) -> Iterator[socket.socket]:
    """A socket at an address; port 0 is one that is free. Raises InvalidInput."""
    require_host(host)
    try:
        family = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0][0]
        listener = socket.create_server((host, port), family=family, backlog=2048)
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise InvalidInput(
            f"The server can't listen on {host}, port {port} ({reason}): free it, or choose another --host or --port.",
            host=host,
            port=port,
        ) from None
    with contextlib.closing(listener):
        yield listener


def address(listener: socket.socket) -> str:
    host, port = listener.getsockname()[:2]
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def allow_many_connections() -> None:
    """Each is an open file, and many systems allow a process a thousand unless it asks for more."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    wanted = OPEN_FILES if hard == resource.RLIM_INFINITY else min(OPEN_FILES, hard)
    if soft != resource.RLIM_INFINITY and soft < wanted:
        resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, hard))


def origins(text: str) -> tuple[str, ...]:
    """Origins divided by commas. Raises InvalidInput."""
    found = tuple(one.strip() for one in text.split(",") if one.strip())
    for one in found:
        parts = urlsplit(one)
        if parts.scheme not in ("http", "https") or not parts.netloc or one != f"{parts.scheme}://{parts.netloc}":
            raise InvalidInput(
                f"DORA_STATE_HTTP_CORS: {one} is no origin; write origins like https://console.example, divided by"
                " commas.",
                field="HTTP_CORS",
            )
    return found
