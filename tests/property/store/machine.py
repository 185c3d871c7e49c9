"""Random lives of a log with two writers; after each step it is as the model says, and at the end all of it."""

import asyncio
import json
from collections.abc import Iterator
from datetime import timedelta
from itertools import count
from uuid import UUID

import pytest
from hypothesis import strategies as st
from hypothesis.stateful import initialize, precondition, rule

from domain.errors import AppendRejected, ClockAhead, LogImporting
from domain.log import AppendOutcome, CommandAppend, EventLog, NewEvent
from domain.snapshots import Stamp
from infrastructure.event_store import PostgresEventLog
from tests.models.log import MICROSECOND, LogModel, taken
from tests.property.store.plans import (
    GAPS,
    LONG_AGO,
    STEPS,
    STREAMS,
    Plan,
    groups,
    numbers,
    plans,
    stamps,
    streams,
    writers,
)
from tests.property.store.readers import Readers
from tests.property.store.stores import Store


class Logs(Readers):
    """Each rule asks one of two writers for something, and holds what it was told against the model."""

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self.ids: Iterator[UUID] = (UUID(int=number) for number in count(1))

    # --- commands -------------------------------------------------------------------------------------------

    def commands(self, group: list[Plan]) -> list[CommandAppend]:
        """Each expects what the ones before leave, unless its plan says otherwise."""
        versions = {stream_id: self.model.version(stream_id) for stream_id in STREAMS}
        commands: list[CommandAppend] = []
        for plan in group:
            expected = {one: max(versions[one] + plan.wrong, 0) for one in (*plan.reads, *plan.writes)}
            known = [*self.sent, *commands]
            again = None if plan.again is None or not known else known[-1 - plan.again % len(known)]
            commands.append(again if again and plan.wrong else self.command(plan, expected, again))
            if not plan.unseen:
                for event in commands[-1].events:
                    versions[event.stream_id] += 1
        self.sent += commands
        return commands

    def command(self, plan: Plan, expected: dict[str, int], again: CommandAppend | None) -> CommandAppend:
        """A new one, or another with the id of one that was sent before."""
        told = json.dumps(plan.about).encode()
        events = [
            NewEvent(next(self.ids), one, plan.type, 1 + number, f"[{number}, {plan.wrong}]".encode(), told)
            for number, one in enumerate(plan.writes)
        ]
        command_id = again.command_id if again else next(self.ids)
        return CommandAppend(command_id, expected, tuple(events), f"answer {next(self.ids)}".encode())

    async def told(self, log: EventLog, group: list[CommandAppend]) -> list[AppendOutcome]:
        """As a coroutine, for whoever runs it."""
        return await log.append(group)

    # --- to begin with --------------------------------------------------------------------------------------

    @initialize(parts=st.none() | st.lists(st.lists(st.tuples(plans, st.sampled_from(GAPS)), max_size=5), max_size=4))
    def import_a_log(self, parts: list[list[tuple[Plan, timedelta]]] | None) -> None:
        """An older log, at the times that it names."""
        log = self.store.logs[0]
        if parts is None or not isinstance(log, PostgresEventLog):
            return
        import_id, at = next(self.ids), LONG_AGO
        importer = self.run(log.begin_import(import_id))
        for part in parts:
            timed: list[CommandAppend] = []
            for command, (_, gap) in zip(self.commands([plan for plan, _ in part]), part, strict=True):
                at += gap
                timed.append(
                    CommandAppend(command.command_id, command.expected, command.events, command.answer, recorded_at=at)
                )
            self.model.append(timed, self.run(self.told(importer, timed)), self.clock, importing=True)
        with pytest.raises(LogImporting):
            self.run(self.told(log, [CommandAppend(next(self.ids), {"task-1": 0}, (), b"")]))
        early = CommandAppend(next(self.ids), {}, (), b"", recorded_at=LONG_AGO - MICROSECOND)
        if self.model.events:
            with pytest.raises(AppendRejected):
                self.run(self.told(importer, [early]))
        self.run(log.end_import(import_id))

    # --- appends --------------------------------------------------------------------------------------------

    @rule(writer=writers, group=groups)
    def append(self, writer: int, group: list[Plan]) -> None:
        commands = self.commands(group)
        if self.store.real and self.model.too_late(self.clock):
            with pytest.raises(ClockAhead):
                self.run(self.told(self.store.logs[writer], commands))
        else:
            self.model.append(commands, self.run(self.told(self.store.logs[writer], commands)), self.clock)

    @rule(writer=writers, group=groups, spoiled=st.sampled_from(["stream", "unexpected"]))
    def append_what_is_not_well_formed(self, writer: int, group: list[Plan], spoiled: str) -> None:
        """The whole call is refused, and its neighbours may come again."""
        commands = self.commands(group)
        event = NewEvent(next(self.ids), "task-1", "one", 1, b"{}", b"{}")
        expected = {"task": 0} if spoiled == "stream" else {"agent-1": 0}
        wrong = CommandAppend(next(self.ids), expected, (event,), b"")
        with pytest.raises(AppendRejected):
            self.run(self.told(self.store.logs[writer], [*commands, wrong]))

    @precondition(lambda self: not self.model.too_late(self.clock))
    @rule(one=groups, another=groups)
    def append_two_at_once(self, one: list[Plan], another: list[Plan]) -> None:
        """One of them was first, whichever."""
        first, second = self.commands(one), self.commands(another)

        async def both() -> tuple[list[AppendOutcome], list[AppendOutcome]]:
            logs = self.store.logs
            return await asyncio.gather(self.told(logs[0], first), self.told(logs[1], second))

        told_first, told_second = self.run(both())
        other = self.model.copy()
        try:
            other.append(first, told_first, self.clock)
            other.append(second, told_second, self.clock)
            self.model = other
        except AssertionError:
            self.model.append(second, told_second, self.clock)
            self.model.append(first, told_first, self.clock)

    @precondition(lambda self: self.store.real and not self.model.too_late(self.clock))
    @rule(mine=st.lists(groups, min_size=1, max_size=2), others=groups, kept=st.booleans())
    def append_alone(self, mine: list[list[Plan]], others: list[Plan], kept: bool) -> None:
        """What another appends meanwhile comes after; nothing is left where the block ends in an error."""
        parts = [self.commands(group) for group in mine]
        meanwhile = self.commands(others)

        async def alone(model: LogModel) -> tuple[list[AppendOutcome], LogModel]:
            async with self.store.logs[1].alone() as log:
                waiting = asyncio.create_task(self.told(self.store.logs[0], meanwhile))
                for part in parts:
                    model.append(part, await log.append(part), self.clock)
                assert await log.head() == model.head()
                assert await self.store.logs[0].head() == self.model.head()  # nobody else sees it yet
                assert not waiting.done()
                if not kept:
                    raise _Undone(waiting)
            return await waiting, model

        async def undone() -> tuple[list[AppendOutcome], LogModel]:
            try:
                return await alone(self.model.copy())
            except _Undone as error:
                return await error.waiting, self.model

        outcomes, self.model = self.run(undone())
        self.model.append(meanwhile, outcomes, self.clock)

    @rule(step=st.sampled_from(STEPS))
    def the_clock_steps(self, step: timedelta) -> None:
        self.clock += step
        self.run(self.store.set_clock(self.clock))

    @precondition(lambda self: bool(self.model.events))
    @rule(to=numbers)
    def the_clock_is_set_to_the_end_of_the_log(self, to: int) -> None:
        self.clock = self.model.events[-1].recorded_at + to * MICROSECOND
        self.run(self.store.set_clock(self.clock))

    # --- snapshots ------------------------------------------------------------------------------------------

    @rule(stream_id=streams, stamp=stamps, every=st.integers(1, 3))
    def take_snapshots(self, stream_id: str, stamp: Stamp, every: int) -> None:
        for event in self.model.stream(stream_id)[::every]:
            snapshot = taken(event, stamp)
            self.model.snapshots.append(snapshot)
            self.run(self.store.keep(snapshot))

    @rule(stream_id=streams)
    def delete_snapshots(self, stream_id: str) -> None:
        self.model.snapshots = [one for one in self.model.snapshots if one.stream_id != stream_id]
        self.run(self.store.forget(stream_id))


class _Undone(Exception):
    def __init__(self, waiting: asyncio.Task[list[AppendOutcome]]) -> None:
        self.waiting = waiting
