"""Locks over HTTP: one is held for as long as its answer goes on, and let go of when nobody listens any more."""

import asyncio
import logging
from collections.abc import AsyncIterator
from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.responses import Response

from commands.locks import Lock, Locks, stream_of
from commands.strict_json import parse_json
from commands.wording import invalid
from domain.errors import InvalidInput, LockLost
from domain.values import Id
from dora_state.http.call import Call
from dora_state.http.operations import JSON
from dora_state.http.problems import RequestError, as_json
from dora_state.http.streams import PieceStream

JSON_LINES = "application/x-ndjson"
LONGEST_WAIT = 300.0
BEAT_SECONDS = 5.0
"""How often the holder is told that the lock is still held."""
BEGIN_SECONDS = 10.0
"""What was taken and is not told to anybody by then is let go of."""
MOST_LOCKS = 200
"""Each is a session of the database."""
MOST_DIGITS = 18
logger = logging.getLogger(__name__)


class LockBody(BaseModel):
    """`name` is `KIND:ID`. `timeout`: seconds that it is waited for at most."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: Annotated[str, Field(min_length=3, max_length=300)]
    timeout: Annotated[float, Field(gt=0, le=LONGEST_WAIT, strict=False)] = 30.0
    holder: Id | None = None


class _Holding:
    """A lock that a caller has, by a task of its own: it is let go of whatever becomes of the answer."""

    def __init__(self, locks: Locks, holder: str, stream_id: str, timeout: float) -> None:
        self.begun = asyncio.Event()
        self.over = asyncio.Event()
        self.taken: asyncio.Future[Lock] = asyncio.get_running_loop().create_future()
        self._task = asyncio.create_task(self._hold(locks, holder, stream_id, timeout), name=f"lock of {stream_id}")

    async def _hold(self, locks: Locks, holder: str, stream_id: str, timeout: float) -> None:
        try:
            async with locks.session(holder) as session, session.hold(stream_id, timeout) as lock:
                self.taken.set_result(lock)
                async with asyncio.timeout(BEGIN_SECONDS):
                    await self.begun.wait()
                await self.over.wait()
        except TimeoutError:
            logger.info("A lock of %s was taken, and nobody heard of it", stream_id)
        except Exception as error:  # told to whoever waits for it; a lock that was lost is told by the answer's end
            if not self.taken.done():
                self.taken.set_exception(error)

    async def end(self) -> None:
        self.over.set()
        self.begun.set()
        await asyncio.wait({self._task})

    async def give_up(self) -> None:
        """Nobody waits for it any more."""
        self._task.cancel()
        await asyncio.wait({self._task})


async def take_lock(call: Call) -> Response:
    """The first line tells the token, under which commands are to be sent (`Lock-Token`)."""
    try:
        asked = LockBody.model_validate(parse_json(await call.body()))
    except ValidationError as error:
        raise invalid(error, LockBody, None, "The lock") from None
    stream_id = stream_of(asked.name)
    if len(call.server.held) >= MOST_LOCKS:
        raise RequestError("too_many_locks", f"{MOST_LOCKS} locks are held through this server; try again in a moment.")
    holder = call.caller.name if asked.holder is None else f"{asked.holder} ({call.caller.name})"
    holding = _Holding(call.manager.platform.locks, holder, stream_id, asked.timeout)
    try:
        lock = await asyncio.shield(holding.taken)
    except asyncio.CancelledError:
        await holding.give_up()
        raise
    call.server.held.add(holding.over)
    ends, headers = holding.over.set, {"Cache-Control": "no-store"}
    return PieceStream(_held(call, holding, lock), JSON_LINES, headers, gone=ends, refused=ends)


async def _held(call: Call, holding: _Holding, lock: Lock) -> AsyncIterator[bytes]:
    holding.begun.set()
    try:
        yield as_json({"stream_id": lock.stream_id, "token": lock.token}) + b"\n"
        while not lock.is_lost:
            try:
                async with asyncio.timeout(BEAT_SECONDS):
                    await holding.over.wait()
                if (why := call.standing.refused) is not None:
                    yield as_json({"lost": True, "detail": why.message}) + b"\n"
                return
            except TimeoutError:
                yield as_json({"held": True}) + b"\n"
        yield as_json({"lost": True, "detail": LockLost().message}) + b"\n"
    finally:
        call.server.held.discard(holding.over)
        await holding.end()


async def release_lock(call: Call) -> Response:
    """At once, also where another process of this server holds it; its answer ends soon after."""
    token = call.id("token")
    if not token.isdecimal() or len(token) > MOST_DIGITS:
        raise InvalidInput("token: must be that of a lock, as its first line told.", field="token")
    await call.manager.platform.locks.release(int(token))
    return Response(None, 204)


async def list_locks(call: Call) -> Response:
    return Response(as_json({"items": await call.manager.locks()}), 200, {"Cache-Control": "private, no-store"}, JSON)
