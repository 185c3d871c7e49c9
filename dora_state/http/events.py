"""Events as they are recorded, as server-sent events."""

from collections.abc import AsyncIterator
from typing import Literal

import orjson
from pydantic import Field
from starlette.responses import Response

from domain.errors import CutOutOfRange, InvalidInput
from dora_state.cli.arguments import check_types
from dora_state.http.call import Call
from dora_state.http.feed import LEAVING, TOO_SLOW, Feed, Subscription
from dora_state.http.parameters import Query, Whole, Word
from dora_state.http.problems import RequestError
from dora_state.http.streams import PieceStream
from dora_state.http.wanted import Wanted

HEARTBEAT_SECONDS = 15.0
GONE = "gone"
WORDS = {
    TOO_SLOW: "You read slower than events are recorded; come again with the last event id.",
    LEAVING: "The server is leaving; come again with the last event id.",
}
BEGIN = b"retry: 1000\n: events as they are recorded\n\n"


class EventsQuery(Query):
    after_position: Whole | None = Field(
        None, description="From the event after this position on; without it, what is recorded from now on."
    )
    kind: tuple[Literal["workflow", "task", "agent", "pool", "system"], ...] = Field((), description="Of these kinds.")
    type: tuple[Word, ...] = Field((), description="Of these types.")
    id: Word | None = Field(None, description="Of what has this id.")
    correlation_id: Word | None = Field(None, description="Of this conversation.")


async def follow_events(call: Call) -> Response:
    asked, feed = call.query(EventsQuery), call.server.feed
    wanted = Wanted(frozenset(asked.kind), check_types(list(asked.type)), asked.id, asked.correlation_id)
    after = await _place(call, asked)
    if feed.streams >= call.server.limits.streams:
        raise RequestError("too_many_streams", f"{feed.streams} streams are open already; try again in a moment.")
    call.manager.platform.questions.asked("follow")
    subscription = Subscription(wanted)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return PieceStream(
        _messages(feed, subscription, after), "text/event-stream", headers, gone=lambda: subscription.end(GONE)
    )


async def _place(call: Call, asked: EventsQuery) -> int:
    """After which position the stream begins. Raises InvalidInput, CutOutOfRange."""
    last = call.header(b"last-event-id")
    head = (await call.manager.platform.log.head()).position
    if last:
        if not last.isdecimal() or len(last) > 18:
            raise InvalidInput("Last-Event-ID: must be the position that came as the last id.", field="Last-Event-ID")
        after = int(last)  # a client that comes again says where it was, whatever its address says
    else:
        after = head if asked.after_position is None else asked.after_position
    if after > head:
        raise CutOutOfRange(
            f"The log ends at position {head}, so nothing can be followed after {after}; begin anew.",
            position=after,
            last_position=head,
        )
    return after


async def _messages(feed: Feed, subscription: Subscription, after: int) -> AsyncIterator[bytes]:
    feed.enter(subscription)
    try:
        yield BEGIN
        async for missed in feed.missed(subscription, after):
            yield missed
        while (piece := await subscription.take(HEARTBEAT_SECONDS)) is not None:
            # With its place, so that who wants little need not have all looked through again.
            yield piece or b": still there\nid: %d\n\n" % max(feed.position, after)
        why = subscription.ended or LEAVING
        if why != GONE:
            yield b"event: end\ndata: %s\n\n" % orjson.dumps({"reason": why, "detail": WORDS[why]})
    finally:
        feed.close(subscription)
