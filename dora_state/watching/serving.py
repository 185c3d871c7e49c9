"""Serves the metrics of a process on a port of their own, for who watches from within."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

from domain.errors import DoraStateError

if TYPE_CHECKING:
    from dora_state.platform import Platform


class MetricsNotServed(DoraStateError):
    """The metrics can't be served where the settings say."""

    code = "metrics_not_served"


async def serve_metrics(platform: "Platform", stop: asyncio.Event) -> None:
    """Until told to stop. Raises MetricsNotServed."""
    async with metrics_served(platform):
        await stop.wait()


@asynccontextmanager
async def metrics_served(platform: "Platform") -> AsyncIterator[None]:
    """As long as the block runs, on the port that the settings name, at any path; not at all where they name none.

    Raises MetricsNotServed.
    """
    host, port = platform.settings.metrics_host, platform.settings.metrics_port
    if port is None:
        yield
        return

    from prometheus_client import start_http_server

    from dora_state.watching.registry import registry_of

    try:
        server, thread = start_http_server(port, host, registry_of(platform))
    except OSError as error:
        raise MetricsNotServed(
            f"The metrics can't be served on {host}, port {port} ({error.strerror or error}): free it, or set"
            " DORA_STATE_METRICS_HOST and DORA_STATE_METRICS_PORT to another.",
            host=host,
            port=port,
        ) from None
    try:
        yield
    finally:
        await asyncio.to_thread(server.shutdown)
        server.server_close()
        thread.join()
