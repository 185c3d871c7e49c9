"""Traces: to a collector where the settings name one; else only the names of requests are kept."""

from collections.abc import AsyncIterator, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager
from typing import Protocol

from commands.envelope import Envelope
from commands.tracing import TRACEPARENT, CommandTracing, Span, traceparent_of
from domain.errors import InvalidInput
from dora_state.settings import Settings
from dora_state.watching.release import release
from projections.tracing import BatchTracing, NobodyAsks


class RequestSpan(Protocol):
    """A request that is being served. `trace_id` is for the log, None where there is none."""

    @property
    def trace_id(self) -> str | None: ...

    def answered(self, method: str, route: str, status: int) -> None:
        """`route` is the pattern and not the path: of few values, and without ids."""
        ...


class Traces(CommandTracing, BatchTracing, Protocol):
    """Whoever is told of requests, their commands, and what comes of them."""

    def request(self, method: str, header: str | None) -> AbstractContextManager[RequestSpan]:
        """A request with its header `traceparent`; what is submitted within is a part of it."""
        ...

    async def close(self) -> None: ...


class KeptName:
    def __init__(self, traceparent: str | None) -> None:
        self.trace_id = None if traceparent is None else traceparent.split("-")[1]

    def answered(self, method: str, route: str, status: int) -> None:
        return None


class NamesOnly(NobodyAsks):
    """Tells nobody; commands keep the name of their request."""

    def begin(self, envelope: Envelope) -> Span | None:
        return None

    @contextmanager
    def request(self, method: str, header: str | None) -> Iterator[RequestSpan]:
        traceparent = traceparent_of(header)
        before = TRACEPARENT.set(traceparent)
        try:
            yield KeptName(traceparent)
        finally:
            TRACEPARENT.reset(before)

    async def close(self) -> None:
        return None


@asynccontextmanager
async def tracing(settings: Settings) -> AsyncIterator[Traces]:
    """As the settings say. Raises InvalidInput where what sends traces is not installed."""
    traces = _chosen(settings)
    try:
        yield traces
    finally:
        await traces.close()


def _chosen(settings: Settings) -> Traces:
    if settings.traces_url is None:
        return NamesOnly()
    try:
        from infrastructure.telemetry import open_traces  # here, as it takes a while to import
    except ImportError as error:
        raise InvalidInput(
            f"DORA_STATE_TRACES_URL: what sends traces is not installed ({error.name} is missing); install dora-state"
            ' with its extra "telemetry", or leave the variable out.',
            field="TRACES_URL",
        ) from error
    return open_traces(
        settings.traces_url.get_secret_value(), tenant=settings.tenant, release=release(), sample=settings.traces_sample
    )
