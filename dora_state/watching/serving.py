"""Serves the metrics of a process on a port of their own, for who watches from within, and whether it is ready."""

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Callable, Iterable
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING, Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer, make_server

from domain.errors import DoraStateError
from dora_state.health.readiness import CANT_WORK

if TYPE_CHECKING:
    from dora_state.platform import Platform

READY_PATH = "/health/ready"
PATIENCE = 2.0
"""Seconds after which a process that does not say whether it is ready is not."""
App = Callable[[dict[str, Any], Callable[..., Any]], Iterable[bytes]]


class MetricsNotServed(DoraStateError):
    """The metrics can't be served where the settings say."""

    code = "metrics_not_served"


async def serve_metrics(platform: "Platform", stop: asyncio.Event) -> None:
    """Until told to stop. Raises MetricsNotServed."""
    async with metrics_served(platform):
        await stop.wait()


@asynccontextmanager
async def metrics_served(platform: "Platform") -> AsyncIterator[None]:
    """As long as the block runs, on the port that the settings name, at any path but that of readiness; not at all
    where they name none.

    Raises MetricsNotServed.
    """
    host, port = platform.settings.metrics_host, platform.settings.metrics_port
    if port is None:
        yield
        return

    from prometheus_client import make_wsgi_app

    from dora_state.watching.registry import registry_of

    try:
        server = _listen(host, port, _with_readiness(make_wsgi_app(registry_of(platform)), _asking(platform)))
    except OSError as error:
        raise MetricsNotServed(
            f"The metrics can't be served on {host}, port {port} ({error.strerror or error}): free it, or set"
            " DORA_STATE_METRICS_HOST and DORA_STATE_METRICS_PORT to another.",
            host=host,
            port=port,
        ) from None
    thread = threading.Thread(target=server.serve_forever, name="metrics", daemon=True)
    thread.start()
    try:
        yield
    finally:
        await asyncio.to_thread(server.shutdown)
        server.server_close()
        thread.join()


def _asking(platform: "Platform") -> Callable[[], bool]:
    """Asks the process, from a thread of the server, whether it is ready: one whose loop hangs is not."""
    loop = asyncio.get_running_loop()

    def is_ready() -> bool:
        asked = asyncio.run_coroutine_threadsafe(platform.health.ready(), loop)
        try:
            return asked.result(PATIENCE).status != "unhealthy"
        except TimeoutError:
            asked.cancel()
            return False

    return is_ready


def _with_readiness(metrics: App, is_ready: Callable[[], bool]) -> App:
    def app(environ: dict[str, Any], start_response: Callable[..., Any]) -> Iterable[bytes]:
        if environ["PATH_INFO"] != READY_PATH:
            return metrics(environ, start_response)
        ready = is_ready()
        status = "200 OK" if ready else "503 Service Unavailable"
        start_response(status, [("Content-Type", "application/json"), ("Cache-Control", "no-store")])
        return [b'{"status":"ready"}' if ready else b'{"status":"not ready","reason":"%s"}' % CANT_WORK.encode()]

    return app


class _Handler(WSGIRequestHandler):
    def log_message(self, format: str, *args: Any) -> None:
        """Who asks every few seconds is no news."""


def _listen(host: str, port: int, app: App) -> WSGIServer:
    """Raises OSError."""
    from prometheus_client.exposition import ThreadingWSGIServer

    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE)
    family, _, _, _, place = found[0]

    class Server(ThreadingWSGIServer):
        address_family = family

    return make_server(str(place[0]), port, app, Server, _Handler)
