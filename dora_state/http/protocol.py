"""HTTP/1.1 on a connection, with patience for nobody: heads of requests must come soon and be short, and who does not
read what was asked for is let go. uvicorn itself waits for ever."""

import asyncio
from typing import Any

from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol, RequestResponseCycle

from dora_state.http.problems import MEDIA_TYPE, as_json, problem_document
from dora_state.http.streams import ABORT

HEAD_SECONDS = 10.0
HEAD_BYTES = 32_768
REST_SECONDS = 20.0
"""How long the rest of a body may take that nobody waits for, as its request is answered."""
READ_SECONDS = 30.0
"""How long somebody may leave what was sent unread."""
MOST_CONNECTIONS = 5_000


class Refused(Exception):
    """Why stands in `_refusal`; the parser takes it for an error of the request."""


REFUSALS = {
    "malformed": ("malformed_request", "The request is no HTTP/1.1 that can be understood; mend it and send it again."),
    "host": ("malformed_request", "A request must name its host once; send one header Host."),
    "head": ("headers_too_large", f"The path and headers of a request may have {HEAD_BYTES} bytes; send less."),
}
"""What is told of a request that does not come as far as the application."""


class PatientProtocol(HttpToolsProtocol):
    """One connection."""

    _head_bytes = 0
    _refusal = "malformed"
    _head_timer: asyncio.TimerHandle | None = None
    _rest_timer: asyncio.TimerHandle | None = None
    _write_timer: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]  # as uvicorn has it
        super().connection_made(transport)
        if len(self.connections) > MOST_CONNECTIONS:
            self._refuse("too_many_connections", "Too many connections are open; try again in a moment.")
        self._expect_head()

    def connection_lost(self, exc: Exception | None) -> None:
        for timer in (self._head_timer, self._rest_timer, self._write_timer):
            if timer is not None:
                timer.cancel()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        if self.parser is None or self.transport.is_closing():
            return  # it was refused, and goes on sending
        super().data_received(data)

    def on_message_begin(self) -> None:
        super().on_message_begin()
        self._head_bytes = 0
        if self._head_timer is None:
            self._expect_head()
        scope: dict[str, Any] = self.scope  # type: ignore[assignment]  # a typed dictionary
        scope["extensions"] = {ABORT: self.transport.abort}

    def on_url(self, url: bytes) -> None:
        self._count(len(url))
        super().on_url(url)

    def on_header(self, name: bytes, value: bytes) -> None:
        self._count(len(name) + len(value))
        super().on_header(name, value)

    def on_headers_complete(self) -> None:
        if self._head_timer is not None:
            self._head_timer.cancel()
            self._head_timer = None
        hosts = sum(name == b"host" for name, _ in self.headers)
        if hosts > 1 or (hosts == 0 and self.parser.get_http_version() == "1.1"):
            self._refusal = "host"
            raise Refused
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        if self._rest_timer is not None:
            self._rest_timer.cancel()
            self._rest_timer = None
        super().on_message_complete()

    def on_response_complete(self) -> None:
        super().on_response_complete()
        cycle = self.cycle
        if cycle is not None and cycle.response_complete and cycle.more_body and not self.transport.is_closing():
            self._rest_timer = self.loop.call_later(REST_SECONDS, self.transport.close)

    def pause_writing(self) -> None:
        super().pause_writing()
        self._write_timer = self.loop.call_later(READ_SECONDS, self.transport.abort)

    def resume_writing(self) -> None:
        super().resume_writing()
        if self._write_timer is not None:
            self._write_timer.cancel()
            self._write_timer = None

    def send_400_response(self, msg: str) -> None:
        self._refuse(*REFUSALS[self._refusal])

    def _expect_head(self) -> None:
        self._head_timer = self.loop.call_later(HEAD_SECONDS, self._head_is_late)

    def _head_is_late(self) -> None:
        self._head_timer = None
        if self.transport.is_closing():
            return
        if self._head_bytes:
            self._refuse(
                "request_too_slow", f"The head of the request was not there within {HEAD_SECONDS:g} s; send it again."
            )
        else:
            self.transport.close()

    def _count(self, size: int) -> None:
        self._head_bytes += size
        if self._head_bytes > HEAD_BYTES:
            self._refusal = "head"
            raise Refused

    def _refuse(self, code: str, message: str) -> None:
        """Without a word of the application, unless it is answering something else already."""
        cycle = self.cycle
        if cycle is None or cycle.response_complete or self._is_of_this(cycle):
            document = problem_document(code, message, {})
            body = as_json(document)
            head = f"content-type: {MEDIA_TYPE}\r\ncontent-length: {len(body)}\r\nconnection: close\r\n\r\n"
            self.transport.write(STATUS_LINE[document["status"]] + head.encode() + body)
        if cycle is not None:
            cycle.disconnected = True
            cycle.message_event.set()
        self.transport.close()

    def _is_of_this(self, cycle: RequestResponseCycle) -> bool:
        """Whether what is wrong is in the body of the request that is waited for."""
        return cycle.more_body and not cycle.response_started and not self.pipeline
