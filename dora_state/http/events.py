"""Events as they are recorded, as server-sent events. Those of long ago are the past, which not everybody may see."""

from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from typing import Literal

import orjson
from pydantic import Field
from starlette.responses import Response

from domain.errors import CutOutOfRange, InvalidInput
from dora_state.access.caller import Forbidden, Permission
from dora_state.http.call import Call
from dora_state.http.feed import LEAVING, TOO_SLOW, Feed, Subscription
from dora_state.http.parameters import Query, Whole, Word
from dora_state.http.problems import RequestError
from dora_state.http.standing import Standing
from dora_state.http.streams import PieceStream
from dora_state.http.wanted import Wanted
from dora_state.naming import check_types
from dora_state.platform import now

HEARTBEAT_SECONDS = 15.0
GONE, REFUSED = "gone", "refused"
WORDS = {
    TOO_SLOW: "You read slower than events are recorded; come again with the last event id.",
    LEAVING: "The server is leaving; come again with the last event id.",
}
BEGIN = b"retry: 1000\n: events as they are recorded\nid: %d\n\n"
"""With its place, so that who is cut off before the first event can come back."""


class EventsQuery(Query):
    after_position: Whole | None = Field(
        None,
        description="From the event after this position on; without it, what is recorded from now on. From longer than"
        " an hour ago (DORA_STATE_HTTP_RESUME) on it takes the permission `history`.",
    )
    kind: tuple[Literal["workflow", "task", "agent", "pool", "system"], ...] = Field((), description="Of these kinds.")
    type: tuple[Word, ...] = Field((), description="Of these types.")
    id: Word | None = Field(None, description="Of what has this id.")
    correlation_id: Word | None = Field(None, description="Of this conversation.")


async def follow_events(call: Call) -> Response:
    asked, feed = call.query(EventsQuery), call.server.feed
    wanted = Wanted(frozenset(asked.kind), check_types(list(asked.type)), asked.id, asked.correlation_id)
    after, head = await _place(call, asked)
    if feed.streams >= call.server.limits.streams:
        raise RequestError("too_many_streams", f"{feed.streams} streams are open already; try again in a moment.")
    ended = await _looks_back(call, asked, after, head)
    call.manager.platform.questions.asked("follow")
    subscription = Subscription(wanted)
    headers = {"Cache-Control": "no-store", "X-Accel-Buffering": "no"}
    return PieceStream(
        _messages(feed, subscription, after, ended, call.standing),
        "text/event-stream",
        headers,
        gone=lambda: subscription.end(GONE),
        unshown=lambda: ended(0),
        refused=lambda: subscription.cut(REFUSED),
    )


def position_of(last_event_id: str) -> int:
    """Raises InvalidInput."""
    if not last_event_id.isdecimal() or len(last_event_id) > 18:
        raise InvalidInput("Last-Event-ID: must be the position that came as the last id.", field="Last-Event-ID")
    return int(last_event_id)


async def _place(call: Call, asked: EventsQuery) -> tuple[int, int]:
    """After which position the stream begins, and where the log ends. Raises InvalidInput, CutOutOfRange."""
    last = call.header(b"last-event-id")
    head = (await call.manager.platform.log.head()).position
    after = head if asked.after_position is None else asked.after_position
    if last:  # a client that comes again says where it was, whatever its address says
        after = position_of(last)
    if after > head:
        raise CutOutOfRange(
            f"The log ends at position {head}, so nothing can be followed after {after}; begin anew.",
            position=after,
            last_position=head,
        )
    return after, head


async def _looks_back(call: Call, asked: EventsQuery, after: int, head: int) -> Callable[[int], None]:
    """Whoever goes on after a short break has missed what is now; from further back it is a look at the past, which is
    kept as any other. What it gives is told how much was shown. Raises Forbidden.
    """
    seconds = call.server.limits.resume_seconds
    if after == head or after >= await call.manager.platform.log.position_at(now() - timedelta(seconds=seconds)):
        return _not_kept
    try:
        call.require(Permission.HISTORY)
    except Forbidden as error:
        raise Forbidden(
            f"What follows position {after} was recorded more than {seconds:g} s ago, and to look at it takes"
            f" {Permission.HISTORY}: read the states as they are now and begin without a position, or ask with a key"
            " whose role has it.",
            **error.facts,
            position=after,
        ) from None
    place = {"after_position": after, "until_position": head}
    return await call.looks_at("events", asked.id or "everything", place)


def _not_kept(rows: int) -> None: ...


async def _messages(
    feed: Feed,
    subscription: Subscription,
    after: int,
    ended: Callable[[int], None] = _not_kept,
    standing: Standing | None = None,
) -> AsyncIterator[bytes]:
    """`ended` is told how many events of before were shown, once they are."""
    feed.enter(subscription)
    try:
        yield BEGIN % after
        try:
            async for missed in feed.missed(subscription, after):
                if standing is None or await standing.holds():
                    yield missed
        finally:
            ended(subscription.caught_up)
        while (piece := await subscription.take(HEARTBEAT_SECONDS)) is not None:
            if not piece:
                # With its place, so that who wants little need not have all looked through again.
                yield b": still there\nid: %d\n\n" % max(feed.position, after)
            elif standing is None or await standing.holds():
                yield piece
        if subscription.ended != GONE:
            yield b"event: end\ndata: %s\n\n" % orjson.dumps(_word(subscription, standing))
    finally:
        feed.close(subscription)


def _word(subscription: Subscription, standing: Standing | None) -> dict[str, str]:
    if standing is not None and standing.refused is not None:
        return {"reason": standing.refused.code, "detail": standing.refused.message}
    why = subscription.ended or LEAVING
    return {"reason": why, "detail": WORDS[why]}
