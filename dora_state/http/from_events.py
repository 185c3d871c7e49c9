"""The events of one aggregate, and the state that they alone give."""

from collections.abc import AsyncIterator, Callable
from functools import partial

from pydantic import Field
from starlette.responses import Response

from domain.folding import FOLDER
from domain.log import Cut, RecordedEvent
from dora_state.http.call import Call
from dora_state.http.operations import JSON
from dora_state.http.parameters import From1, Query, cut_facts
from dora_state.http.past import JSON_LINES, about
from dora_state.http.problems import as_json
from dora_state.http.streams import PieceStream
from projections.exports import json_lines


class UpToQuery(Query):
    up_to_version: From1 | None = Field(None, description="The last version that counts.")

    @property
    def cut(self) -> Cut:
        return Cut(version=self.up_to_version)


async def get_events(call: Call) -> Response:
    """As lines of JSON, as the export has them."""
    cut = call.query(UpToQuery).cut
    kind, id = about(call)
    look = "events", f"{kind} {id}", cut_facts(cut)
    async with call.finding(*look):
        await call.manager.platform.queries.require(kind, id, cut)
    call.manager.platform.questions.asked("events")
    events = call.manager.platform.log.read_stream(FOLDER.aggregates[kind].stream_id(id), cut=cut)
    ended = await call.looks_at(*look)
    return PieceStream(_lines(events, ended), JSON_LINES, unshown=partial(ended, 0))


async def _lines(events: AsyncIterator[RecordedEvent], ended: Callable[[int], None]) -> AsyncIterator[bytes]:
    rows = 0
    try:
        async for event in events:
            rows += 1
            yield json_lines.line(event)
    finally:
        ended(rows)


async def get_reconstruction(call: Call) -> Response:
    asked = call.query(UpToQuery)
    kind, id = about(call)
    look = "reconstruction", f"{kind} {id}", cut_facts(asked.cut)
    async with call.finding(*look):
        found = await call.manager.reconstruct_state_from_events(kind, id, asked.up_to_version)
    await call.looks_at(*look, 1)
    return Response(as_json(found), 200, None, JSON)
