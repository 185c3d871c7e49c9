"""What was: histories, differences, timelines, conversations, and going back."""

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import asdict, replace
from functools import partial
from typing import Any

from pydantic import Field
from starlette.responses import Response

from domain.errors import InvalidInput
from domain.log import NOW, START, Cut
from domain.system import SYSTEM_ID
from domain.values import Time
from dora_state.cli.arguments import parse_cut
from dora_state.http.call import Call
from dora_state.http.operations import JSON
from dora_state.http.parameters import CutQuery, Flag, From1, Limit, Query, Whole, Word, cut_facts
from dora_state.http.problems import as_json
from dora_state.http.streams import PieceStream
from dora_state.naming import check_types
from projections.differences import Difference, Side
from projections.history import HistoryEntry, HistoryFilter
from projections.traces import TracedCommand

JSON_LINES = "application/x-ndjson"
KINDS = {"workflows": "workflow", "tasks": "task", "agents": "agent", "pools": "pool", "system": "system"}


class HistoryQuery(CutQuery):
    after_version: Whole = Field(0, description="Only later versions; the `next` of a page goes here.")
    before_version: From1 | None = Field(
        None, description="Only earlier versions; with newest_first the `next` of a page goes here."
    )
    limit: Limit = Field(100, description="Versions on a page.")
    newest_first: Flag = Field(False, description="Backwards.")
    type: tuple[Word, ...] = Field((), description="Only events of these types.")
    actor: Word | None = Field(None, description="Only what this actor did.")
    since: Time | None = Field(None, description="Only what was recorded from then on.")
    occurred_since: Time | None = Field(None, description="Only what happened from then on, as callers said.")
    occurred_until: Time | None = Field(None, description="Only what had happened by then, as callers said.")
    stream: Flag = Field(False, description="All of it as JSON lines, however much it is; `limit` does not count.")

    @property
    def only(self) -> HistoryFilter:
        """Raises InvalidInput for an event that there is not."""
        return HistoryFilter(
            types=check_types(list(self.type)),
            actor=self.actor,
            since=self.since,
            occurred_since=self.occurred_since,
            occurred_until=self.occurred_until,
        )

    @property
    def until(self) -> Cut:
        """Raises InvalidInput where two ends are given."""
        if self.before_version is None:
            return self.cut
        if not self.cut.is_now:
            raise InvalidInput("before_version: leave it out, or the cut.", field="before_version")
        return Cut(version=self.before_version - 1)


class DiffQuery(Query):
    """Cuts in one word: v3, p120, a time, start, now."""

    begin: Word = Field(description="From where: a version (v3), a position (p120), a time, or start.")
    end: Word = Field("now", description="Up to where: a version, a position, a time, or now.")

    def cuts(self, *, versions: bool) -> tuple[Cut, Cut]:
        """Raises InvalidInput."""
        return parse_cut(self.begin, "begin", versions=versions), parse_cut(self.end, "end", versions=versions)


class EverythingQuery(DiffQuery):
    differences: Flag = Field(False, description="Each with both documents and what turns one into the other.")


class TraceQuery(Query):
    begin: Word = Field("start", description="From where in the log: a position (p120), a time, or start.")
    end: Word = Field("now", description="Up to where: a position, a time, or now.")


def about(call: Call) -> tuple[str, str]:
    """The kind that the path names, and the id."""
    kind = KINDS[call.operation.path.split("/")[2]]
    return kind, SYSTEM_ID if kind == "system" else call.id()


async def get_history(call: Call) -> Response:
    asked = call.query(HistoryQuery)
    kind, id = about(call)
    entries = call.manager.history(
        kind,
        id,
        cut=asked.until,
        after_version=asked.after_version,
        only=asked.only,
        newest_first=asked.newest_first,
        limit=None if asked.stream else asked.limit + 1,
    )
    look = "history", f"{kind} {id}", {"after_version": asked.after_version or None, **cut_facts(asked.until)}
    if asked.stream:
        async with call.finding(*look):
            first = await anext(entries, None)  # what is wrong is told before the answer begins
        ended = await call.looks_at(*look)
        return PieceStream(_lines(first, entries, ended), JSON_LINES, unshown=partial(ended, 0))
    async with call.finding(*look):
        found = [entry async for entry in entries]
    page = found[: asked.limit]
    await call.looks_at(*look, len(page))
    following = page[-1].version if len(found) > asked.limit else None
    return Response(as_json({"items": page, "next": following}), 200, None, JSON)


async def _lines(
    first: HistoryEntry | None, rest: AsyncIterator[HistoryEntry], ended: Callable[[int], None]
) -> AsyncIterator[bytes]:
    rows = 0
    try:
        if first is not None:
            rows = 1
            yield as_json(first) + b"\n"
        async for entry in rest:
            rows += 1
            yield as_json(entry) + b"\n"
    finally:
        ended(rows)


async def get_diff(call: Call) -> Response:
    begin, end = call.query(DiffQuery).cuts(versions=True)
    kind, id = about(call)
    look = "diff", f"{kind} {id}", {"begin": cut_facts(begin), "end": cut_facts(end)}
    async with call.finding(*look):
        found = await call.manager.diff(kind, id, begin, end)
    await call.looks_at(*look, 1)
    return Response(as_json(difference_document(found, whole=True)), 200, None, JSON)


async def get_everything_that_changed(call: Call) -> Response:
    asked = call.query(EverythingQuery)
    begin, end = asked.cuts(versions=False)
    found = call.manager.diff_everything(begin, end)
    look = "diff", "everything", {"begin": cut_facts(begin), "end": cut_facts(end)}
    async with call.finding(*look):
        first = await anext(found, None)
    ended = await call.looks_at(*look)
    return PieceStream(_changes(asked.differences, first, found, ended), JSON_LINES, unshown=partial(ended, 0))


async def _changes(
    whole: bool, first: Difference | None, rest: AsyncIterator[Difference], ended: Callable[[int], None]
) -> AsyncIterator[bytes]:
    rows = 0
    try:
        if first is not None:
            rows = 1
            yield as_json(difference_document(first, whole=whole)) + b"\n"
        async for one in rest:
            rows += 1
            yield as_json(difference_document(one, whole=whole)) + b"\n"
    finally:
        ended(rows)


async def get_timeline(call: Call) -> Response:
    cut = call.query(CutQuery).cut
    kind, id = about(call)
    look = "timeline", f"{kind} {id}", cut_facts(cut)
    async with call.finding(*look):
        found = await call.manager.timeline(kind, id, cut)
    await call.looks_at(*look, len(found.rows))
    return Response(as_json(asdict(found)), 200, None, JSON)


async def get_trace(call: Call) -> Response:
    asked, correlation_id = call.query(TraceQuery), call.id("correlation_id")
    begin = START if asked.begin == "start" else parse_cut(asked.begin, "begin", versions=False)
    end = NOW if asked.end == "now" else parse_cut(asked.end, "end", versions=False)
    look = "trace", correlation_id, {"begin": cut_facts(begin), "end": cut_facts(end)}
    async with call.finding(*look):
        found = await call.manager.trace(correlation_id, begin, end)
    commands = [traced_document(depth, command) for depth, command in found]
    await call.looks_at(*look, len(commands))
    return Response(as_json({"correlation_id": correlation_id, "commands": commands}), 200, None, JSON)


def difference_document(difference: Difference, *, whole: bool) -> dict[str, Any]:
    """`whole`: with both documents and what turns one into the other."""
    told: dict[str, Any] = {
        "kind": difference.kind,
        "id": difference.id,
        "appeared": difference.appeared,
        "ended": difference.ended,
        "before": _side(difference.before, whole=whole),
        "after": _side(difference.after, whole=whole),
    }
    return told | {"patch": difference.patch, "lines": difference.lines} if whole else told


def _side(side: Side | None, *, whole: bool) -> dict[str, Any] | None:
    if side is None:
        return None
    told = asdict(replace(side, document={}))
    del told["document"]
    return told | {"document": side.document} if whole else told


def traced_document(depth: int, command: TracedCommand) -> dict[str, Any]:
    """Flat, causes first, each with its depth: a chain of causes may be longer than JSON may be deep."""
    names: Sequence[str] = (
        "command_id", "type", "actor", "authenticated", "credential", "recorded_at", "occurred_at", "causation_id"
    )  # fmt: skip
    of_event = ("position", "event_id", "stream_id", "version", "type")
    return (
        {"depth": depth}
        | {name: getattr(command, name) for name in names}
        | {"events": [{name: getattr(event, name) for name in of_event} for event in command.events]}
    )
