"""Locks over HTTP: one is held for as long as its answer goes on and its holder says that he is there."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError
from starlette.responses import Response

from commands.locks import NO_LOCK, Claim, Lock, stream_of
from commands.strict_json import parse_json
from commands.wording import invalid
from domain.errors import InvalidInput, LockLost
from domain.text import visible
from domain.values import Id
from dora_state.access.caller import Caller, Permission
from dora_state.http.call import Call, ClientGone
from dora_state.http.lock_room import Holding, server_leaves
from dora_state.http.lock_tokens import MOST_DIGITS, MOST_TOKENS, owner_of, refuse, require_own, token_in_path
from dora_state.http.operations import JSON
from dora_state.http.problems import as_json
from dora_state.http.streams import PieceStream

JSON_LINES = "application/x-ndjson"
LONGEST_WAIT = 300.0
LONGEST_HOLD = 3600.0
BEAT_SECONDS = 5.0
"""How often the holder is told that the lock is still held."""
logger = logging.getLogger(__name__)


def _lock_name(name: str) -> str:
    try:
        stream_of(name)
    except InvalidInput as error:
        raise ValueError(error.message.rstrip(".")) from None
    return name


class LockBody(BaseModel):
    """`name` is `KIND:ID`. `timeout`: seconds that it is waited for at most. `hold`: seconds after which it ends,
    unless it is renewed. `holds`: tokens of what the caller holds already in the same work, so that those who wait for
    each other are found; without it, what the same `holder` holds."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    name: Annotated[str, AfterValidator(_lock_name), Field(min_length=3, max_length=300)]
    timeout: Annotated[float, Field(ge=0, le=LONGEST_WAIT)] = 30.0
    hold: Annotated[float, Field(ge=1, le=LONGEST_HOLD)] = 60.0
    holder: Id | None = None
    holds: Annotated[list[Annotated[int, Field(ge=1, lt=10**MOST_DIGITS)]], Field(max_length=MOST_TOKENS)] | None = None


async def take_lock(call: Call) -> Response:
    """The first line tells the token, under which commands are to be sent (`Lock-Token`)."""
    try:
        asked = LockBody.model_validate(parse_json(await call.body()))
    except ValidationError as error:
        raise invalid(error, LockBody, None, "The lock") from None
    if asked.holds:
        await require_own(call, asked.holds)
    holding = call.server.locks.admit(call.manager.platform.locks, _claim(asked, call.caller), asked.timeout)
    lock = await _taken(call, holding)
    pieces, ends = _held(call, holding, lock, asked.hold), holding.over.set
    return PieceStream(pieces, JSON_LINES, {"Cache-Control": "no-store"}, gone=ends, refused=ends)


def _claim(asked: LockBody, caller: Caller) -> Claim:
    holder = caller.name if asked.holder is None else f"{asked.holder} ({caller.name})"
    is_party = asked.holder is not None and asked.holds is None
    return Claim(
        stream_of(asked.name),
        holder,
        owner=owner_of(caller),
        party=holder if is_party else None,
        holds=tuple(asked.holds or ()),
        hold_seconds=asked.hold,
    )


async def _taken(call: Call, holding: Holding) -> Lock:
    """Wait for it, for as long as the caller does. Raises ClientGone, and what is wrong."""
    listening = asyncio.create_task(_gone(call))
    holding.taken.add_done_callback(lambda _: listening.cancel())
    try:
        await asyncio.wait({listening})
        if not holding.taken.done():
            raise ClientGone
        return holding.taken.result()
    except BaseException:
        await holding.give_up()
        raise
    finally:
        listening.cancel()


async def _gone(call: Call) -> None:
    while (await call.request.receive())["type"] != "http.disconnect":
        pass


async def _held(call: Call, holding: Holding, lock: Lock, hold: float) -> AsyncIterator[bytes]:
    holding.begun.set()
    try:
        yield _line({"stream_id": lock.stream_id, "token": lock.token, "hold": hold})
        while not await _is_over(holding, lock):
            yield _line({"held": True})
        yield _line(_last_word(call, holding, lock))
    finally:
        await holding.end()


async def _is_over(holding: Holding, lock: Lock) -> bool:
    """Known after a while, or as soon as it is."""
    with suppress(TimeoutError):
        async with asyncio.timeout(BEAT_SECONDS):
            await holding.over.wait()
    return holding.over.is_set() or lock.is_lost


def _last_word(call: Call, holding: Holding, lock: Lock) -> dict[str, object]:
    if (why := call.standing.refused) is not None:
        return {"lost": True, "detail": why.message}
    if holding.leaving:
        return {"lost": True, "detail": server_leaves().message}
    return {"lost": True, "detail": LockLost().message} if lock.is_lost else {"released": True}


def _line(told: dict[str, object]) -> bytes:
    return as_json(told) + b"\n"


async def renew_lock(call: Call) -> Response:
    """Whoever took it says that he is still there."""
    token = token_in_path(call)
    if await require_own(call, [token]) == (NO_LOCK,):
        raise LockLost(token=token)
    until = await call.manager.platform.locks.renew(token)
    return Response(as_json({"token": token, "held_until": until}), 200, {"Cache-Control": "no-store"}, JSON)


async def release_lock(call: Call) -> Response:
    """At once, also where another process of this server holds it; its answer ends soon after."""
    token, locks = token_in_path(call), call.manager.platform.locks
    owners = await locks.owners([token])
    if token in owners and owners[token] != owner_of(call.caller):
        if not call.caller.may(Permission.OPERATE):
            refuse(call, token)
        operator, whose = visible(call.caller.name), visible(owners[token] or "a process of ours")
        logger.warning("%s let go of the lock with the token %s, which %s held", operator, token, whose)
    holding = call.server.locks.of(token)
    if holding is not None:
        await holding.end()
    await locks.release(token)
    return Response(None, 204)


async def list_locks(call: Call) -> Response:
    return Response(as_json({"items": await call.manager.locks()}), 200, {"Cache-Control": "private, no-store"}, JSON)
