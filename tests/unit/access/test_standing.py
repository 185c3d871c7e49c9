"""Whether a caller is still let in while an answer goes on; and what is shown while nobody can tell."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import ExitStack
from functools import partial

import pytest

from domain.errors import DoraStateError, LogUnavailable
from dora_state.access.caller import Caller, CallerRole, Unauthenticated
from dora_state.http import events, standing
from dora_state.http.feed import Feed, Subscription
from dora_state.http.standing import SURE_SECONDS, Standing, Watch
from dora_state.http.wanted import Wanted


class Door:
    """An authenticator with a clock; `error` is what it says to everybody."""

    def __init__(self) -> None:
        self.now = 1_000.0
        self.asked: list[str | None] = []
        self.error: Exception | None = None

    async def who(self, authorization: str | None) -> Caller:
        self.asked.append(authorization)
        if self.error is not None:
            raise self.error
        return Caller("ann", CallerRole.READER, "bank")


@pytest.fixture
def door(monkeypatch: pytest.MonkeyPatch) -> Door:
    """Whoever waits between two looks waits for no time."""
    monkeypatch.setattr(standing, "LOOK_SECONDS", 0.0)
    return Door()


@pytest.fixture
def watch(door: Door) -> Watch:
    return Watch(door.who, lambda: door.now)


def standing_of(watch: Watch, key: str = "key") -> Standing:
    return Standing(watch, key, watch.clock())


async def turns(count: int = 20) -> None:
    for _ in range(count):
        await asyncio.sleep(0)


async def test_many_answers_of_one_credential_are_looked_after_by_one_question(door: Door, watch: Watch) -> None:
    ended: list[int] = []
    with ExitStack() as stack:
        for number in range(100):
            stack.enter_context(standing_of(watch).watched(partial(ended.append, number)))
        stack.enter_context(standing_of(watch, "another").watched(lambda: ended.append(-1)))
        await turns(3)
        assert set(door.asked) == {"key", "another"}
        assert len(door.asked) <= 6
        door.error = Unauthenticated("Revoked.")
        await turns()
    assert sorted(ended) == [-1, *range(100)]


async def test_nobody_is_looked_after_when_there_is_no_answer_any_more(door: Door, watch: Watch) -> None:
    one = standing_of(watch)
    with one.watched(lambda: None):
        await turns()
    before = len(door.asked)
    await turns()
    assert len(door.asked) == before > 0


async def test_who_was_let_in_a_moment_ago_is_not_asked_for_again(door: Door, watch: Watch) -> None:
    one = standing_of(watch)
    assert await one.holds()
    assert door.asked == []
    door.now += SURE_SECONDS
    assert await one.holds()
    assert await one.holds()
    assert door.asked == ["key"]


async def test_what_would_be_shown_waits_while_nobody_can_tell(door: Door, watch: Watch) -> None:
    one = standing_of(watch)
    door.now += SURE_SECONDS
    door.error = LogUnavailable("away")
    with pytest.raises(LogUnavailable):
        await one.confirm()
    waiting = asyncio.create_task(one.holds())
    await turns()
    assert not waiting.done()
    door.error = None
    assert await waiting


@pytest.mark.parametrize("error", [Unauthenticated("Revoked."), None])
async def test_whoever_waited_may_be_refused_in_the_end(door: Door, watch: Watch, error: DoraStateError | None) -> None:
    one = standing_of(watch)
    door.now += SURE_SECONDS
    door.error = LogUnavailable("away")
    waiting = asyncio.create_task(one.holds())
    await turns()
    door.error = error
    assert await waiting is (error is None)
    assert one.refused is error


async def test_a_fault_ends_no_watch(door: Door, watch: Watch, caplog: pytest.LogCaptureFixture) -> None:
    ended: list[bool] = []
    with standing_of(watch).watched(lambda: ended.append(True)):
        door.error = RuntimeError("a fault")
        await turns()
        assert ended == []
        door.error = Unauthenticated("Revoked.")
        await turns()
    assert ended == [True]
    assert "could not be found out" in caplog.text


class NothingMissed(Feed):
    def __init__(self) -> None:
        self.closed: list[Subscription] = []

    def enter(self, subscription: Subscription) -> None: ...

    def close(self, subscription: Subscription) -> None:
        self.closed.append(subscription)

    async def missed(self, subscription: Subscription, after: int) -> AsyncIterator[bytes]:
        return
        yield

    @property
    def position(self) -> int:
        return 7


async def test_heartbeats_go_on_while_events_wait_for_who_can_not_be_told(
    door: Door, watch: Watch, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(events, "HEARTBEAT_SECONDS", 0.0)
    one, subscription = standing_of(watch), Subscription(Wanted())
    told = events._messages(NothingMissed(), subscription, 7, standing=one)
    assert await anext(told) == events.BEGIN % 7
    door.now += SURE_SECONDS
    door.error = LogUnavailable("away")
    assert (await anext(told)).startswith(b": still there")
    subscription.put(b"id: 8\ndata: {}\n\n")
    waiting = asyncio.ensure_future(anext(told))
    await turns()
    assert not waiting.done()
    subscription.put(b"id: 9\ndata: {}\n\n")
    door.error = Unauthenticated("Revoked.")
    with one.watched(lambda: subscription.cut(events.REFUSED)):
        assert await waiting == b'event: end\ndata: {"reason":"unauthenticated","detail":"Revoked."}\n\n'
