"""What both sides of the machine have: a log and its model; and the rules that read."""

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from domain.log import CommandAppend, Cut, EventLog, FoldRequest, LogFilter
from tests.models.log import MICROSECOND, LogModel
from tests.property.store.plans import (
    BEGINNING,
    STREAMS,
    LogRead,
    StreamRead,
    cuts,
    limits,
    log_reads,
    numbers,
    some_streams,
    stamps,
    stream_reads,
    streams,
    versions,
    writers,
)
from tests.property.store.stores import Store

T = TypeVar("T")


class Readers(RuleBasedStateMachine):
    """Each rule asks a log for something, and the model for the same."""

    def __init__(self, store: Store) -> None:
        super().__init__()
        self.store = store
        self.runner = asyncio.Runner()
        self.model = LogModel()
        self.clock = BEGINNING
        self.sent: list[CommandAppend] = []
        self.run(store.open(self.clock))

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def position(self, number: int) -> int:
        """Any of the log, or just beyond its end."""
        return number % (len(self.model.events) + 3)

    def cut(self, kind: str, number: int) -> Cut:
        match kind:
            case "version":
                return Cut(version=1 + number % 9)
            case "position":
                return Cut(position=self.position(number))
            case "time" if self.model.events:
                at = self.model.events[number % len(self.model.events)].recorded_at
                return Cut(at=at + (number % 3 - 1) * MICROSECOND)
        return Cut()

    @rule(reader=writers, asked=stream_reads)
    def read_streams(self, reader: int, asked: list[StreamRead]) -> None:
        for one in asked:
            self.run(self.read_a_stream(self.store.logs[reader], one))
            self.run(self.read_for_a_fold(self.store.logs[reader], one))

    async def read_a_stream(self, log: EventLog, asked: StreamRead) -> None:
        until = self.cut(*asked.cut)
        found = log.read_stream(
            asked.stream_id, after_version=asked.after, cut=until, backwards=asked.backwards, limit=asked.limit
        )
        there = self.model.stream(asked.stream_id, until, asked.after)
        assert [event async for event in found] == (there[::-1] if asked.backwards else there)[: asked.limit]

    async def read_for_a_fold(self, log: EventLog, asked: StreamRead) -> None:
        until = self.cut(*asked.cut)
        found = log.read_stretches(asked.stream_id, stamp=asked.stamp, after_version=asked.after, cut=until)
        stretches = [stretch async for stretch in found]
        whole = self.model.fold(FoldRequest(asked.stream_id, asked.stamp, asked.after), until)
        assert stretches[0].snapshot == whole.snapshot
        assert [event for one in stretches for event in one.events] == whole.events
        assert [one.last for one in stretches if one.last][-1:] == ([whole.last] if whole.last else [])

    @rule(reader=writers, asked=log_reads)
    def read_the_log(self, reader: int, asked: list[LogRead]) -> None:
        log = self.store.logs[reader]
        for one in asked:
            after, until = self.position(one.after), None if one.until is None else self.position(one.until)
            only = LogFilter(one.categories, one.types, one.correlation)
            batch = self.run(log.read_log(after_position=after, limit=one.limit, only=only, until_position=until))
            assert batch == self.model.batch(after, one.limit, only, until)

    @rule(reader=writers, stream_ids=some_streams, after=versions, until=st.none() | numbers)
    def read_many_streams(self, reader: int, stream_ids: list[str], after: int, until: int | None) -> None:
        until = None if until is None else self.position(until)
        versions = dict.fromkeys(stream_ids[::2], after)
        read = self.run(self.store.logs[reader].read_streams(stream_ids, after=versions, up_to_position=until))
        cut = Cut(position=until)
        assert read == {one: self.model.stream(one, cut, versions.get(one, 0)) for one in stream_ids}

    @rule(
        reader=writers,
        asked=st.lists(
            st.builds(
                FoldRequest,
                streams,
                st.none() | stamps,
                versions,
                st.none() | st.integers(1, 9),
            ),
            max_size=4,
            unique_by=lambda one: one.stream_id,
        ),
        until=st.none() | numbers,
    )
    def read_for_many_folds(self, reader: int, asked: list[FoldRequest], until: int | None) -> None:
        until = None if until is None else self.position(until)
        folds = self.run(self.store.logs[reader].read_folds(asked, up_to_position=until))
        assert folds == [self.model.fold(one, Cut(version=one.until_version, position=until)) for one in asked]

    @rule(reader=writers, stream_ids=some_streams, after=numbers, until=numbers, limit=limits)
    def look_for_what_moved(self, reader: int, stream_ids: list[str], after: int, until: int, limit: int) -> None:
        model, log = self.model, self.store.logs[reader]
        after, until = self.position(after), self.position(until)
        found = self.run(log.positions_of(stream_ids, after=after, until=until))
        assert sorted(found) == model.positions_of(stream_ids, after, until)
        if found:
            assert self.run(log.read_commands(sorted(found))) == model.commands_at(found)
        beyond = stream_ids[0] if stream_ids else ""
        assert self.run(log.moved_between(after, until, beyond, limit)) == model.moved_between(
            after, until, beyond, limit
        )
        within = min(after, len(model.events))
        assert self.run(log.moved_after(within, at_most=limit)) == model.moved_after(within, limit)

    @rule(reader=writers, cut=cuts, position=numbers, which=numbers)
    def ask_where_something_is(self, reader: int, cut: tuple[str, int], position: int, which: int) -> None:
        model, log = self.model, self.store.logs[reader]
        at = self.cut("time", position).at or self.clock
        assert self.run(log.position_at(at)) == model.position_at(at)
        assert self.run(log.whole_command(self.position(position))) == model.head(self.position(position))
        if self.sent:
            command_id = self.sent[which % len(self.sent)].command_id
            assert self.run(log.find_command(command_id)) == model.answers.get(command_id)

    # --- after each step, and at the end --------------------------------------------------------------------

    @invariant()
    def it_is_as_long_as_the_model(self) -> None:
        versions = {one: version for one in STREAMS if (version := self.model.version(one))}
        for log in self.store.logs:
            assert self.run(log.head()) == self.model.head()
            assert self.run(log.stream_versions(STREAMS)) == versions

    async def all_agrees(self, log: EventLog) -> None:
        model = self.model
        assert await log.read_log(after_position=0, limit=10_000) == model.events
        assert await log.streams_after("", 100) == model.streams()
        for stream_id in STREAMS:
            stream = model.stream(stream_id)
            assert [event async for event in log.read_stream(stream_id)] == stream
            assert await log.stream_began(stream_id) == (stream[0].recorded_at if stream else None)
        for command in self.sent:
            assert await log.find_command(command.command_id) == model.answers.get(command.command_id)

    def teardown(self) -> None:
        try:
            for log in self.store.logs:
                self.run(self.all_agrees(log))
        finally:
            self.run(self.store.close())
            self.runner.close()
