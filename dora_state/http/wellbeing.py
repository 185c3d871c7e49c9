"""Health for those who run the server, and figures for those who watch it."""

from starlette.responses import Response

from dora_state.health.readiness import CANT_WORK
from dora_state.http.call import Call
from dora_state.http.operations import JSON
from dora_state.http.problems import as_json

NO_STORE = {"Cache-Control": "no-store"}


async def get_live(call: Call) -> Response:
    """Answers as long as the process does anything at all."""
    return Response(as_json({"status": "alive"}), 200, NO_STORE, JSON)


async def get_ready(call: Call) -> Response:
    """Whether requests should be sent here: the log answers, and the server is not leaving."""
    why = await _why_not(call)
    if why is None:
        return Response(as_json({"status": "ready"}), 200, NO_STORE, JSON)
    return Response(as_json({"status": "not ready", "reason": why}), 503, NO_STORE | {"Retry-After": "2"}, JSON)


async def _why_not(call: Call) -> str | None:
    if call.server.leaving:
        return "The server is leaving."
    found = await call.manager.platform.health.ready()
    return CANT_WORK if found.status == "unhealthy" else None


async def get_health(call: Call) -> Response:
    """All checks; the status of the answer tells of the worst: 503 where one is unhealthy."""
    report = await call.manager.platform.health.check()
    return Response(as_json(report.to_json()), 503 if report.status == "unhealthy" else 200, NO_STORE, JSON)


async def get_metrics(call: Call) -> Response:
    # Here, as they take a while to import.
    from prometheus_client.exposition import generate_latest

    from dora_state.watching.registry import registry_of

    return Response(generate_latest(registry_of(call.manager.platform)), 200, NO_STORE, "text/plain; version=0.0.4")
