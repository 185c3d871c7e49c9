"""What all projections share: the lead is taken and let go of, an outage is waited out, who asks is told how far."""

import asyncio
import logging
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from domain.errors import Archived, DoraStateError, LogUnavailable
from projections import runner as running
from projections.errors import (
    CheckpointMoved,
    CheckpointNotInLog,
    NotProjectedYet,
    ProjectionChanged,
    ProjectionHalted,
    ReadModelsUnavailable,
)
from projections.ports import Checkpoint
from projections.projection import Projection
from projections.runner import Runner
from projections.signal import ProcessSignal
from tests.support.stories import full_agent
from tests.support.told_log import ToldLog

PROJECTION = Projection("counting", 2)
OF_OURS = PROJECTION.version
BEGUN = datetime(2024, 1, 17, 10, 0, tzinfo=UTC)


class Writer:
    def __init__(self, store: "Store") -> None:
        self._store = store

    async def checkpoint(self) -> Checkpoint:
        return self._store.at

    async def require_same(self) -> None:
        self._store.compared += 1


class Store:
    """Whose lead one has at a time, and where the checkpoint is in a log of one moment."""

    def __init__(self, position: int = 0, recorded_at: datetime | None = None, version: int = OF_OURS) -> None:
        self.log = ToldLog()
        for event in full_agent():
            self.log.tell(event, at=BEGUN)
        self.at = Checkpoint(position, recorded_at or BEGUN, version)
        self.led = False
        self.asked = 0
        self.compared = 0
        self.taken = 0

    @asynccontextmanager
    async def run_alone(self) -> AsyncIterator[Writer | None]:
        if self.led:
            yield None
            return
        self.led = True
        self.taken += 1
        try:
            yield Writer(self)
        finally:
            self.led = False

    async def checkpoint(self) -> Checkpoint:
        self.asked += 1
        return self.at


class Counting(Runner[Writer]):
    """Each batch has so many events, or fails so."""

    def __init__(self, store: Store, *batches: int | BaseException, **options: Any) -> None:
        super().__init__(PROJECTION, store.log, store, **options)
        self.store = store
        self.batches = list(batches)
        self.told: list[str] = []
        self.tried = asyncio.Event()

    async def _begin(self, writer: Writer, checkpoint: Checkpoint) -> None:
        self.told.append(f"begin at {checkpoint.position}")

    async def _apply(self, writer: Writer) -> int:
        if not self.batches:
            self.tried.set()
            return 0
        batch = self.batches.pop(0)
        if isinstance(batch, BaseException):
            raise batch
        self._position += batch
        self._recorded_at = BEGUN
        self.store.at = Checkpoint(self._position, self._recorded_at, OF_OURS)
        return batch

    async def _rest(self, writer: Writer) -> None:
        assert writer is self._writer
        self.told.append("rest")

    async def _forget(self) -> None:
        self.told.append("forget")


async def test_the_lead_is_taken_once_and_kept() -> None:
    store = Store()
    runner = Counting(store, 3, 4)
    assert [await runner.run_once() for _ in range(3)] == [3, 4, 0]
    assert runner.told == ["begin at 0", "rest"]
    assert (store.taken, store.compared) == (1, 1), "whether another has taken over is asked where nothing is written"
    await runner.release()
    assert (store.led, runner.told[-1]) == (False, "forget")
    assert await Counting(store).run_once() == 0


async def test_where_another_has_the_lead_nothing_is_begun() -> None:
    store = Store()
    first, second = Counting(store, 1), Counting(store, 1)
    await first.run_once()
    assert await second.run_once() == 0
    assert second.told == []
    await first.release()
    assert await second.run_once() == 1
    assert second.told == ["begin at 1"]


async def test_two_who_ask_at_once_do_not_write_at_once() -> None:
    store = Store()
    runner = Counting(store, 1, 1)
    assert [*await asyncio.gather(runner.run_once(), runner.run_once())] == [1, 1]
    assert store.taken == 1


@pytest.mark.parametrize(
    ("error", "failures"),
    [
        (ReadModelsUnavailable(), {"read_models_unavailable": 1}),
        (ProjectionHalted(), {"projection_halted": 1}),
        (ZeroDivisionError(), {}),
        (asyncio.CancelledError(), {}),
    ],
)
async def test_whatever_fails_the_lead_is_let_go_and_what_is_known_by_a_code_is_counted(
    error: BaseException, failures: dict[str, int]
) -> None:
    store = Store()
    runner = Counting(store, 1, error, 1)
    await runner.run_once()
    with pytest.raises(type(error)):
        await runner.run_once()
    assert not store.led
    assert runner.told == ["begin at 0", "forget"]
    assert dict(runner.figures.failures) == failures
    assert await runner.run_once() == 1
    assert store.taken == 2
    runner.batches.append(error)
    with pytest.raises(type(error)):
        await runner.run_once()
    assert dict(runner.figures.failures) == {code: 2 * times for code, times in failures.items()}


async def test_what_was_applied_is_counted_with_its_age_and_how_long_it_took(monkeypatch: pytest.MonkeyPatch) -> None:
    now, ticks = iter((100.0, 40.0)), iter((1.0, 1.5, 7.0, 7.25))
    clock = SimpleNamespace(time=lambda: BEGUN.timestamp() + next(now), monotonic=lambda: next(ticks))
    monkeypatch.setattr(running, "time", clock)
    runner = Counting(Store(), 3, 4)
    await runner.run_once()
    await runner.run_once()
    figures = runner.figures
    assert (figures.events, figures.batches, figures.position) == (7, 2, 7)
    assert (figures.lag, figures.lag_seconds, figures.seconds) == (40.0, 140.0, 0.75)


async def test_a_batch_of_unknown_age_has_none() -> None:
    runner = Counting(Store(), 3)
    runner._apply = _three  # type: ignore[method-assign]  # one that notes no time
    await runner.run_once()
    assert (runner.figures.events, runner.figures.lag) == (3, 0.0)


async def _three(writer: Writer) -> int:
    return 3


@pytest.fixture
def waits(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The seconds of every wait that a run has begun; none is waited for."""
    begun: list[float] = []

    async def first_of(stop: Any, other: Any) -> None:
        stop.close()
        # What is waited for beside the end: a sleep's delay, or a listener's timeout.
        begun.append(other.cr_frame.f_locals.get("delay", other.cr_frame.f_locals.get("timeout")))
        other.close()
        await asyncio.sleep(0)

    monkeypatch.setattr(running, "_first_of", first_of)
    return begun


async def run_until_nothing_is_left(runner: Counting) -> None:
    stop = asyncio.Event()
    task = asyncio.create_task(runner.run(stop))
    await runner.tried.wait()
    stop.set()
    await task


async def test_an_outage_is_waited_out_longer_each_time(waits: list[float], caplog: pytest.LogCaptureFixture) -> None:
    outages = [
        ReadModelsUnavailable("They are away."),
        LogUnavailable("It is away: try again with the same command ids."),
    ] * 4
    runner = Counting(Store(), *outages, 1, LogUnavailable("It is away."), 1)
    with caplog.at_level(logging.INFO):
        await run_until_nothing_is_left(runner)
    assert waits[:9] == [0.1, 0.2, 0.4, 0.8, 1.6, 3.2, 5.0, 5.0, 0.1]
    assert caplog.messages[:2] == [
        "The projection counting goes on in 0.1 s: They are away.",
        "The projection counting goes on in 0.2 s: It is away.",
    ]
    assert caplog.messages[-1] == "The projection counting goes on in 0.1 s: It is away."
    assert {record.levelno for record in caplog.records} == {logging.WARNING}
    assert not runner.store.led


async def test_where_another_has_written_nothing_is_waited_for(
    waits: list[float], caplog: pytest.LogCaptureFixture
) -> None:
    moved = CheckpointMoved("Another has written these events.")
    with caplog.at_level(logging.INFO):
        await run_until_nothing_is_left(Counting(Store(), moved, 1, poll_seconds=7))
    assert waits in ([], [7.0])
    assert caplog.messages == ["Another has written these events."]
    assert caplog.records[0].levelno == logging.INFO


async def test_where_there_is_nothing_to_do_it_looks_again_after_a_while(waits: list[float]) -> None:
    runner = Counting(Store(), 1, poll_seconds=7)
    stop = asyncio.Event()
    task = asyncio.create_task(runner.run(stop))
    while len(waits) < 3:  # noqa: ASYNC110  nothing tells
        await asyncio.sleep(0)
    stop.set()
    await task
    assert set(waits) == {7}
    assert Counting(Store())._poll_seconds == running.POLL_SECONDS


async def test_a_run_ends_with_what_it_does_not_wait_out() -> None:
    runner = Counting(Store(), ProjectionHalted("Run a later release."))
    with pytest.raises(ProjectionHalted):
        await runner.run(asyncio.Event())
    assert not runner.store.led


async def test_a_run_that_is_told_to_stop_while_it_waits_ends_at_once() -> None:
    for batches in ([], [LogUnavailable()]):
        runner = Counting(Store(), *batches, poll_seconds=600, signal=ProcessSignal())
        stop = asyncio.Event()
        task = asyncio.create_task(runner.run(stop))
        await asyncio.sleep(0.05)
        others = asyncio.all_tasks() - {task, asyncio.current_task()}
        assert len(others) == 2
        stop.set()
        async with asyncio.timeout(5):
            await task
        assert all(other.done() for other in others), "what it waited for is not left behind"


async def test_a_wait_leaves_nothing_behind() -> None:
    entered, left = asyncio.Event(), asyncio.Event()

    async def slow_to_end() -> None:
        try:
            entered.set()
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            left.set()

    await running._first_of(entered.wait(), slow_to_end())
    assert left.is_set()


@pytest.mark.parametrize(
    ("applied", "took", "breath"),
    [
        (499, 0.1, 0.0),
        (500, 0.1, 0.2),
        (500, 0.4, 0.5),
        (501, 0.1, 0.2),
        (31_999, 0.1, 0.2),
        (32_000, 0.1, 0.0),
        (32_001, 0.1, 0.0),
    ],
)
async def test_there_is_a_breath_where_much_comes_and_it_is_not_far_behind(
    applied: int, took: float, breath: float
) -> None:
    assert Counting(Store())._breath(applied, took) == pytest.approx(breath)
    assert Counting(Store(), batch_size=applied // 8 + 1)._breath(applied, took) == pytest.approx(
        breath if applied < 32_000 else 0.2
    )


async def test_a_breath_is_as_long_as_twice_the_batch(waits: list[float], monkeypatch: pytest.MonkeyPatch) -> None:
    ticks = iter(range(50, 150))
    clock = SimpleNamespace(time=lambda: BEGUN.timestamp(), monotonic=lambda: next(ticks) / 64)
    monkeypatch.setattr(running, "time", clock)
    runner = Counting(Store(), 600, 20, poll_seconds=7)
    # Of each batch: begun in the loop, begun in the batch, its end twice.
    await run_until_nothing_is_left(runner)
    assert waits[0] == 6 / 64
    assert set(waits[1:]) <= {7}
    assert runner.figures.seconds == 2 / 64


async def test_who_catches_up_applies_by_itself_or_waits_for_whoever_does() -> None:
    store = Store()
    runner, other = Counting(store, 2, 3), Counting(store, 4, 5)
    await runner.catch_up(5)
    assert await runner.reached() == 5
    assert runner.batches == []
    waiting = asyncio.create_task(other.catch_up(6))
    await asyncio.sleep(0.03)
    assert not waiting.done()
    runner.batches.append(1)
    await runner.run_once()
    async with asyncio.timeout(5):
        await waiting
    assert other.batches == [4, 5]


async def test_who_is_there_already_does_nothing() -> None:
    runner = Counting(Store(), 5, 1)
    await runner.catch_up(5)
    await runner.catch_up(5)
    await runner.catch_up(3)
    assert runner.batches == [1]


async def test_a_batch_that_another_wrote_meanwhile_does_not_end_it() -> None:
    store = Store()
    runner = Counting(store, CheckpointMoved(), 5)
    await runner.catch_up(5, timeout=5)
    assert await runner.reached() == 5


@pytest.mark.parametrize("error", [LogUnavailable(), ReadModelsUnavailable(), ProjectionHalted()])
async def test_another_failure_ends_it(error: DoraStateError) -> None:
    with pytest.raises(type(error)):
        await Counting(Store(), error).catch_up(5, timeout=5)


async def test_who_can_wait_no_longer_is_told_where_it_is() -> None:
    runner = Counting(Store(), 3)
    with pytest.raises(NotProjectedYet) as caught:
        await runner.catch_up(99, timeout=0.05)
    assert caught.value.message == "The read models are at position 3 and 99 was asked for; try again."
    assert caught.value.facts == {"position": 3, "asked": 99}


async def test_whoever_has_the_lead_knows_where_it_is_and_others_ask() -> None:
    store = Store()
    runner, other = Counting(store, 3), Counting(store)
    await runner.run_once()
    assert (await runner.reached(), store.asked) == (3, 0)
    assert (await other.reached(), store.asked) == (3, 1)
    await runner.release()
    store.at = Checkpoint(8, datetime.now(UTC), OF_OURS)
    assert (await runner.reached(), store.asked) == (8, 2)
    assert (await runner.checkpoint()).position == 8


@pytest.mark.parametrize(
    ("theirs", "advice"),
    [
        (1, "build it anew with `dora-state rebuild counting`, beside those that run"),
        (3, "leave it to the workers of the later release"),
    ],
)
async def test_what_another_version_wrote_is_left_alone(theirs: int, advice: str) -> None:
    store = Store(4, version=theirs)
    runner = Counting(store, 1)
    for ask in (runner.run_once, runner.require_version):
        with pytest.raises(ProjectionChanged) as caught:
            await ask()
        assert caught.value.message == (
            f"The projection counting is of version {theirs} and this release has version 2: {advice}."
        )
        assert caught.value.facts == {"projection": "counting", "version": theirs, "ours": 2}
    assert not store.led
    assert (runner.batches, runner.told) == ([1], ["forget"])


@pytest.mark.parametrize(("position", "version"), [(0, 1), (0, 3), (1, OF_OURS)])
async def test_what_nobody_has_written_yet_is_of_any_version(position: int, version: int) -> None:
    await Counting(Store(position, None, version)).require_version()


@pytest.mark.parametrize(("position", "late"), [(3, 1), (99, 0)])
async def test_a_checkpoint_that_is_not_in_the_log_is_not_gone_on_from(position: int, late: int) -> None:
    store = Store(position, BEGUN + timedelta(seconds=late))
    runner = Counting(store, 1)
    with pytest.raises(CheckpointNotInLog) as caught:
        await runner.run_once()
    assert caught.value.message == (
        f"The projection counting is at position {position} of another log than this one, which ends at 11 (was the"
        " database restored from an older backup?): build it anew with `dora-state rebuild counting`."
    )
    assert caught.value.facts == {"projection": "counting", "position": position, "head": 11}
    assert (store.led, runner.told) == (False, ["forget"])


async def test_it_goes_on_from_its_checkpoint_in_the_log_or_in_an_archive(monkeypatch: pytest.MonkeyPatch) -> None:
    async def archived(position: int) -> Any:
        raise Archived

    for is_archived in (False, True):
        store = Store(3)
        if is_archived:
            monkeypatch.setattr(store.log, "whole_command", archived)
        runner = Counting(store, 1)
        assert await runner.run_once() == 1
        assert runner.told == ["begin at 3"]
        assert runner._position == 4
