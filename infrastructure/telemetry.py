"""Traces by OpenTelemetry: of requests, of their commands and appends, and of the batches that show them.

Imported only where traces are sent: the library takes a while to load. Nothing of it is global.
"""

import asyncio
import random
import re
from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from opentelemetry import trace
from opentelemetry.context import Context
from opentelemetry.exporter.otlp.proto.http.trace_exporter import OTLPSpanExporter
from opentelemetry.sdk.resources import Resource
from opentelemetry.sdk.trace import TracerProvider
from opentelemetry.sdk.trace.export import BatchSpanProcessor, SpanExporter
from opentelemetry.trace import Link, SpanContext, SpanKind, Status, StatusCode, TraceFlags

from commands.envelope import Answer, Envelope
from commands.tracing import TRACEPARENT, Span, traceparent_of
from domain.log import RecordedEvent

EXPORT_SECONDS = 2.0
"""How long a collector may take, and so the end of a process where it is away."""
MOST_LINKS = 100
"""Of a batch's span; of the commands beyond these only their number is told."""
_TOLD = re.compile(rb'"traceparent":"(00-[0-9a-f]{32}-[0-9a-f]{16}-01)"')


class OpenTelemetryTraces:
    """The ports CommandTracing and BatchTracing, and requests. `exporter` is where spans go, in the background."""

    def __init__(self, exporter: SpanExporter, *, tenant: str, release: str, sample: float) -> None:
        """`sample` is the share of traces that are told, of those that begin here."""
        resource = Resource.create(
            {"service.name": "dora-state", "service.version": release, "dora_state.tenant": tenant}
        )
        # Which traces are told is decided here: to ask the library costs a tenth of a command.
        self._sample = sample
        self._provider = TracerProvider(resource=resource, shutdown_on_exit=False)
        self._provider.add_span_processor(BatchSpanProcessor(exporter))
        self._tracer = self._provider.get_tracer("dora_state", release)

    async def close(self) -> None:
        """Send what is left."""
        await asyncio.to_thread(self._provider.shutdown)

    @contextmanager
    def request(self, method: str, header: str | None) -> "Iterator[RequestSpan]":
        """A request of HTTP with its header `traceparent`; what is submitted within is a part of it."""
        parent = traceparent_of(header)
        span = self._tracer.start_span(method, _context(parent), SpanKind.SERVER) if self._is_wanted(parent) else None
        before = TRACEPARENT.set(parent if span is None else _name(span))
        try:
            yield RequestSpan(span, parent)
        finally:
            TRACEPARENT.reset(before)
            if span is not None:
                span.end()

    def begin(self, envelope: Envelope) -> Span | None:
        if not self._is_wanted(envelope.traceparent):
            return None
        span = self._tracer.start_span(
            envelope.command.type,
            _context(envelope.traceparent),
            attributes={
                "dora_state.command_id": str(envelope.command_id),
                "dora_state.correlation_id": envelope.correlation_id,
                "dora_state.stream": envelope.command.stream_id,
            },
        )
        return CommandSpan(self._tracer, span)

    def _is_wanted(self, parent: str | None) -> bool:
        """Callers decide about their traces; of those that begin here, a share is told."""
        if parent is not None:
            return bool(int(parent[-2:], 16) & TraceFlags.SAMPLED)
        return random.random() < self._sample

    def applied(self, projection: str, records: Sequence[RecordedEvent], since: int) -> None:
        found = dict.fromkeys(match[1] for record in records if (match := _TOLD.search(record.metadata)))
        if not found:
            return
        links = [Link(context) for name in list(found)[:MOST_LINKS] if (context := _parse(name.decode()))]
        span = self._tracer.start_span(
            f"project {projection}",
            Context(),
            links=links,
            attributes={
                "dora_state.events": len(records),
                "dora_state.position": records[-1].position,
                "dora_state.commands": len(found),
            },
            start_time=since,
        )
        span.end()


class RequestSpan:
    """`trace_id` is for the log: also of a trace that is not told, but the caller's."""

    def __init__(self, span: trace.Span | None, parent: str | None) -> None:
        self._span = span
        name = parent if span is None else _name(span)
        self.trace_id = None if name is None else name.split("-")[1]

    def answered(self, method: str, route: str, status: int) -> None:
        if self._span is None:
            return
        self._span.update_name(f"{method} {route}")
        self._span.set_attribute("http.request.method", method)
        self._span.set_attribute("http.route", route)
        self._span.set_attribute("http.response.status_code", status)
        if status >= 500:
            self._span.set_status(Status(StatusCode.ERROR))


class CommandSpan:
    """From submission to answer, and within it each append."""

    def __init__(self, tracer: trace.Tracer, span: trace.Span) -> None:
        self._tracer = tracer
        self._span = span
        self._append: trace.Span | None = None
        self.traceparent = _name(span)

    def sent(self, commands: int) -> None:
        within = trace.set_span_in_context(self._span, Context())
        self._append = self._tracer.start_span("append", within, attributes={"dora_state.group_commands": commands})

    def landed(self) -> None:
        if self._append is not None:
            self._append.end()
            self._append = None

    def answered(self, answer: Answer | None) -> None:
        self._span.set_attribute("dora_state.outcome", "unavailable" if answer is None else answer.outcome)
        if answer is None or answer.outcome == "failed":
            self._span.set_status(Status(StatusCode.ERROR))
        if answer is not None and answer.problem is not None:
            self._span.set_attribute("dora_state.problem", answer.problem.code)
        if answer is not None and answer.position is not None:
            self._span.set_attribute("dora_state.position", answer.position)
        self._span.end()


def open_traces(url: str, *, tenant: str, release: str, sample: float) -> OpenTelemetryTraces:
    """Traces that go to a collector by OTLP over HTTP, such as `http://collector:4318/v1/traces`."""
    return OpenTelemetryTraces(
        OTLPSpanExporter(endpoint=url, timeout=EXPORT_SECONDS), tenant=tenant, release=release, sample=sample
    )


def _name(span: trace.Span) -> str:
    context = span.get_span_context()
    ids = f"{trace.format_trace_id(context.trace_id)}-{trace.format_span_id(context.span_id)}"
    return f"00-{ids}-{context.trace_flags:02x}"


def _context(traceparent: str | None) -> Context:
    """Nothing but what we are told is a parent: what else a program traces is its own."""
    context = None if traceparent is None else _parse(traceparent)
    if context is None:
        return Context()
    return trace.set_span_in_context(trace.NonRecordingSpan(context), Context())


def _parse(traceparent: str) -> SpanContext | None:
    if traceparent_of(traceparent) is None:
        return None
    _, trace_id, span_id, flags = traceparent.split("-")
    return SpanContext(int(trace_id, 16), int(span_id, 16), True, TraceFlags(int(flags, 16)))
