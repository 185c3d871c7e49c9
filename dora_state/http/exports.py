"""Exports, as streams of any length."""

from collections.abc import AsyncIterator, Callable
from functools import partial
from typing import Literal

from pydantic import Field
from starlette.responses import Response

from domain.values import Time
from dora_state.exporting import Export, begin_export
from dora_state.http.call import Call
from dora_state.http.parameters import CutQuery, Word, cut_facts
from dora_state.http.streams import PieceStream

MEDIA_TYPES = {
    "jsonl": ("application/x-ndjson", "jsonl"),
    "ocel": ("application/json", "ocel.json"),
    "xes": ("application/xml", "xes"),
    "csv": ("text/csv; charset=utf-8", "csv"),
}


class ExportQuery(CutQuery):
    format: Literal["jsonl", "ocel", "xes", "csv"] = Field(description="docs/exports.md explains them.")
    workflow_id: Word | None = Field(None, description="Only what concerns this workflow.")
    since: Time | None = Field(None, description="Only what was recorded from then on.")


async def export(call: Call) -> Response:
    asked = call.query(ExportQuery)
    what, about = (
        f"export {asked.format}",
        "everything" if asked.workflow_id is None else f"workflow {asked.workflow_id}",
    )
    async with call.finding(what, about, cut_facts(asked.cut)):
        chosen = await begin_export(
            call.manager.platform, asked.format, workflow_id=asked.workflow_id, since=asked.since, cut=asked.cut
        )
    media_type, ending = MEDIA_TYPES[asked.format]
    headers = {
        "Content-Disposition": f'attachment; filename="dora-state.{ending}"',
        "Cache-Control": "private, no-store",
        "X-Until-Position": str(chosen.selection.until),
    }
    cut = {"after_position": chosen.selection.after, "until_position": chosen.selection.until}
    ended = await call.looks_at(what, about, cut)
    return PieceStream(_pieces(chosen, ended), media_type, headers, unshown=partial(ended, 0))


async def _pieces(chosen: Export, ended: Callable[[int], None]) -> AsyncIterator[bytes]:
    try:
        async for piece in chosen.pieces():
            yield piece
    finally:
        ended(chosen.events)
