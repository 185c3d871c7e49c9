"""Documents: now, as fresh as is asked for, or at a cut."""

from contextlib import nullcontext
from typing import Literal

from pydantic import Field
from starlette.responses import Response

from domain.errors import InvalidInput
from domain.system import SYSTEM_ID
from dora_state.access.caller import Permission
from dora_state.http.call import Call
from dora_state.http.encoded import Encoded, encoded
from dora_state.http.operations import JSON
from dora_state.http.parameters import CutQuery, Seconds, Whole, cut_facts

CACHE_CONTROL = "private, no-cache"


class StateQuery(CutQuery):
    consistency: Literal["cached", "projected", "live"] = Field(
        "projected",
        description="`cached`: what this process keeps, if it is known to be fresh; `projected`: what the read models"
        " have; `live`: the fold of the log.",
    )
    min_position: Whole = Field(0, description="Only an answer that includes the event at this position.")
    patience: Seconds = Field(0.0, description="How many seconds the read models are waited for to come there.")


async def get_workflow(call: Call) -> Response:
    return await _state(call, "workflow", call.id())


async def get_task(call: Call) -> Response:
    return await _state(call, "task", call.id())


async def get_agent(call: Call) -> Response:
    return await _state(call, "agent", call.id())


async def get_pool(call: Call) -> Response:
    return await _state(call, "pool", call.id())


async def get_system(call: Call) -> Response:
    return await _state(call, "system", SYSTEM_ID)


async def _state(call: Call, kind: str, id: str) -> Response:
    asked = call.query(StateQuery)
    if asked.consistency == "cached":
        near = call.manager.platform.queries.peek(kind, id, asked.min_position) if asked.cut.is_now else None
        if near is not None:
            return _response(call, call.server.encoded.of(kind, id, near))
    longest = call.server.limits.patience
    if asked.patience > longest:
        raise InvalidInput(f"patience: must be at most {longest:g} seconds.", field="patience")
    cut = asked.cut
    if not cut.is_now:
        call.require(Permission.HISTORY)
    look = "state", f"{kind} {id}", cut_facts(cut)
    async with call.finding(*look) if not cut.is_now else nullcontext():
        document = await call.manager.state(
            kind,
            id,
            cut=cut,
            consistency=asked.consistency,
            min_position=asked.min_position,
            patience=asked.patience,
        )
    if not cut.is_now:
        await call.looks_at(*look, 1)
    return _response(call, encoded(kind, id, document, past=not cut.is_now))


def _response(call: Call, found: Encoded) -> Response:
    headers = {"ETag": found.etag, "Cache-Control": CACHE_CONTROL}
    known = call.header(b"if-none-match")
    if known is not None and _is_known(known, found.etag):
        return Response(None, 304, headers)
    return Response(found.body, 200, headers, JSON)


def _is_known(said: str, etag: str) -> bool:
    return said == "*" or etag in {one.strip().removeprefix("W/") for one in said.split(",")}
