"""Answers of any length, piece by piece: server-sent events, exports, long histories."""

import asyncio
import logging
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import AbstractContextManager, aclosing, nullcontext
from typing import Any

from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from dora_state.http.standing import Standing

logger = logging.getLogger(__name__)
ABORT = "dora_state.abort"
"""The extension of our server by which a connection is cut: an answer that broke off must not look whole."""


class StreamAborted(Exception):
    """The answer can't be finished, and the connection could not be cut."""


class PieceStream(Response):
    """Sends pieces as they come, and stops when nobody listens any more: `gone` is called then.

    It ends too when whoever listens is not let in any more. Then `refused` is called, and the pieces are to end soon
    with a word; without it, the connection is cut. `unshown` is called where no piece is asked for in the end: the
    head alone was wanted, or whoever asked is not let in by now.
    """

    standing: Standing | None = None

    def __init__(
        self,
        pieces: AsyncIterator[bytes],
        media_type: str,
        headers: Mapping[str, str] | None = None,
        gone: Callable[[], None] = lambda: None,
        refused: Callable[[], None] | None = None,
        unshown: Callable[[], None] = lambda: None,
    ) -> None:
        self._pieces = pieces
        self._gone = gone
        self._refused = refused
        self.unshown = unshown
        super().__init__(None, 200, headers, media_type)
        del self.headers["content-length"]

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        if scope["method"] == "HEAD":
            self.unshown()
            await send({"type": "http.response.body", "body": b"", "more_body": False})
            return
        listening = asyncio.create_task(self._listen(receive))
        try:
            with self._watched(scope):
                await self._send_all(scope, send, listening)
        except Exception as error:
            logger.error("An answer broke off at %s: %s", scope["path"], error)
            _abort(scope)
        finally:
            listening.cancel()

    async def _send_all(self, scope: Scope, send: Send, listening: asyncio.Task[None]) -> None:
        async with aclosing(self._pieces) as pieces:  # type: ignore[type-var]  # it is a generator
            async for piece in pieces:
                if listening.done():
                    return
                if not await self._may_be_shown():
                    _abort(scope)
                    return
                await send({"type": "http.response.body", "body": piece, "more_body": True})
        await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _watched(self, scope: Scope) -> AbstractContextManager[None]:
        if self.standing is None:
            return nullcontext()
        # Whoever reads slowly, or waits for a piece, is cut off at once.
        return self.standing.watched(self._refused or scope.get("extensions", {}).get(ABORT, _with_the_next_piece))

    async def _may_be_shown(self) -> bool:
        """Pieces that end with a word look after that themselves."""
        return self.standing is None or self._refused is not None or await self.standing.holds()

    async def _listen(self, receive: Receive) -> None:
        while (await receive())["type"] != "http.disconnect":
            pass
        self._gone()


def _with_the_next_piece() -> None: ...


def _abort(scope: Mapping[str, Any]) -> None:
    abort = scope.get("extensions", {}).get(ABORT)
    if abort is None:
        raise StreamAborted
    abort()
