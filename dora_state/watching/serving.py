"""Serves the metrics of a process that has no HTTP server, such as a worker."""

import asyncio
from typing import TYPE_CHECKING

from domain.errors import DoraStateError

if TYPE_CHECKING:
    from dora_state.platform import Platform


class MetricsNotServed(DoraStateError):
    """The metrics can't be served where the settings say."""

    code = "metrics_not_served"


async def serve_metrics(platform: "Platform", stop: asyncio.Event) -> None:
    """Until told to stop, on the port that the settings name, at any path. Raises MetricsNotServed."""
    from prometheus_client import start_http_server

    host, port = platform.settings.metrics_host, platform.settings.metrics_port or 0
    try:
        server, thread = start_http_server(port, host, platform.registry())
    except OSError as error:
        raise MetricsNotServed(
            f"The metrics can't be served on {host}, port {port} ({error.strerror or error}): free it, or set"
            " DORA_STATE_METRICS_HOST and DORA_STATE_METRICS_PORT to another.",
            host=host,
            port=port,
        ) from None
    try:
        await stop.wait()
    finally:
        await asyncio.to_thread(server.shutdown)
        server.server_close()
        thread.join()
