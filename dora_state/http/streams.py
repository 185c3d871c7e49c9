"""Answers of any length, piece by piece: server-sent events, exports, long histories."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import aclosing
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

logger = logging.getLogger(__name__)
ABORT = "dora_state.abort"
"""The extension of our server by which a connection is cut: an answer that broke off must not look whole."""


class StreamAborted(Exception):
    """The answer can't be finished, and the connection could not be cut."""


class PieceStream(Response):
    """Sends pieces as they come, and stops when nobody listens any more: `gone` is called then."""

    def __init__(
        self,
        pieces: AsyncIterator[bytes],
        media_type: str,
        headers: Mapping[str, str] | None = None,
        gone: Callable[[], None] = lambda: None,
    ) -> None:
        self._pieces = pieces
        self._gone = gone
        super().__init__(None, 200, headers, media_type)
        del self.headers["content-length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        if scope["method"] == "HEAD":
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            return
        listening = asyncio.create_task(self._listen(receive))
        try:
            async with aclosing(self._pieces) as pieces:  # type: ignore[type-var]  # it is a generator
                async for piece in pieces:
                    if listening.done():
                        return
                    await send({"type": "http.response.body", "body": piece, "more_body": True})
            await send({"type": "http.response.body", "body": b"", "more_body": False})
        except Exception as error:
            logger.error("An answer broke off at %s: %s", scope["path"], error)
            _abort(scope)
        finally:
            listening.cancel()

    async def _listen(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._gone()


def _abort(scope: Mapping[str, Any]) -> None:
    abort = scope.get("extensions", {}).get(ABORT)
    if abort is None:
        raise StreamAborted
    abort()
