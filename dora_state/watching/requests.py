"""Watches an ASGI application: each request is counted and timed, traced, and named in whatever is logged meanwhile."""

import asyncio
import time
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

from commands.figures import SECONDS, Spread
from dora_state.watching.context import doing
from dora_state.watching.traces import Traces

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

LONGEST = 200
"""Characters of what a caller says, in the log."""
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
OTHER = "other"
"""Methods and routes that nobody made: a stranger names as many as they like."""
UNAVAILABLE = 503
WAITING = ("POST", "/v1/locks")
"""Who waits for a lock bears no command: that there is no room says nothing of the log."""
FAILED, GONE = 500, 499
"""Where nothing was answered: by a fault, or since whoever asked went away."""


@dataclass(slots=True)
class RequestFigures:
    """Of requests by method, route (its pattern) and status; `seconds` to where the answer begins."""

    requests: dict[tuple[str, str, int], int] = field(default_factory=dict)
    seconds: Spread = field(default_factory=lambda: Spread(SECONDS))
    open: int = 0

    def answered(self, method: str, route: str, status: int, seconds: float) -> None:
        key = method, route, status
        self.requests[key] = self.requests.get(key, 0) + 1
        self.seconds.add(seconds)

    def unavailable(self, method: str) -> int:
        """Requests answered "try again", but for locks; a server that says how it is has answered."""
        return sum(
            count
            for (asked, route, status), count in list(self.requests.items())
            if asked == method and status == UNAVAILABLE and not _is_aside(asked, route)
        )


def _is_aside(method: str, route: str) -> bool:
    return route.startswith("/health") or (method, route) == WAITING


class WatchedRequests:
    """Pure ASGI, around everything else: streams are not held up, and contexts reach whatever serves a request."""

    def __init__(self, app: App, traces: Traces, figures: RequestFigures) -> None:
        self._app = app
        self._traces = traces
        self._figures = figures

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        method = scope["method"] if scope["method"] in METHODS else OTHER
        begun, took, status = time.perf_counter(), None, FAILED

        async def sending(message: Message) -> None:
            nonlocal status, took
            if message["type"] == "http.response.start":
                status, took = message["status"], time.perf_counter() - begun
            await send(message)

        with self._traces.request(method, _header(scope, b"traceparent")) as span:
            about = {"trace_id": span.trace_id, "correlation_id": _header(scope, b"x-correlation-id")}
            self._figures.open += 1
            try:
                with doing(**{name: said[:LONGEST] for name, said in about.items() if said is not None}):
                    await self._app(scope, receive, sending)
            except asyncio.CancelledError:
                status = GONE if took is None else status
                raise
            finally:
                self._figures.open -= 1
                route = getattr(scope.get("route"), "path", OTHER)  # known once it was routed
                seconds = time.perf_counter() - begun if took is None else took
                self._figures.answered(method, route, status, seconds)
                span.answered(method, route, status)


def _header(scope: Scope, name: bytes) -> str | None:
    """The header if it comes once: of two that disagree, neither is believed."""
    found = [value for key, value in scope["headers"] if key.lower() == name]
    return found[0].decode("latin-1") if len(found) == 1 else None
