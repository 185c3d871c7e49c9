"""Commits commands in groups: each is decided on what the ones before it leave, whether that is committed yet or not.

A group is open while commands are decided into it, then in flight while it is appended, and then concluded: its
commands are answered. One group is in flight at a time, and the next is decided meanwhile. Every command succeeds or is
refused on its own. Refusals and no-ops are recorded with their answers, so that a command id answers the same for ever.

On a conflict with another process only the commands that it concerns are decided again, in their order: those in
conflict, and those of the open group that stood on what they would have left. A command that has lost often is decided
with the log to itself, so that it cannot lose again.
"""

import contextlib
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from functools import partial

from commands.decider import Decider
from commands.deciding import Deciding
from commands.envelope import Answer, Envelope
from commands.groups import Group, Pending
from commands.landing import RETRIES, Landing, PresenceSink
from commands.preparing import Preparer
from commands.under_way import UnderWay
from domain.errors import LogError
from domain.log import AppendOutcome, EventLog


class Committer:
    """One writer to a tenant's log. Not safe for concurrent use: the bus calls it from one task."""

    def __init__(
        self,
        log: EventLog,
        decider: Decider,
        presence: PresenceSink,
        preparer: Preparer,
        *,
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
        retries: Sequence[float] = RETRIES,
    ) -> None:
        self._decider = decider
        self._waiting = UnderWay()
        self._deciding = Deciding(log, decider, preparer, clock, self._waiting, self.conclude)
        self._landing = Landing(log, decider, presence, self._waiting, self._deciding, retries)
        self._presence = presence
        self._preparer = preparer
        self._clock = clock
        self._open = Group()
        self._ahead: dict[str, Loaded[Any]] = {}
        """What commands leave that are decided and not concluded."""
        self._under_way: dict[UUID, Pending] = {}
        self._is_cold = True
        """Something was not in memory of late: so it is worth looking ahead."""
        self.again: deque[Pending] = deque()
        """Commands to decide before any other."""
        self.lost = 0
        """How many commands were lost to other processes, and decided again."""
        self.resent = 0
        """How many groups were sent again, as their answer was lost."""
        self.events = 0
        """How many events were appended."""

    async def commit(self, envelopes: Sequence[Envelope]) -> list[Answer]:
        """Commit commands without a bus: answers in the order of the envelopes, durable when this returns.

        Raises LogError if the log could not be read or written: then whether anything was appended is
        unknown, and the same command ids may be sent again without harm.
        """
        settled: dict[int, Answer | LogError] = {}
        for index, envelope in enumerate(envelopes):
            self.again.append(Pending(envelope, partial(settled.__setitem__, index)))
        while self.again or self.open:
            await self.decide_all(self.again)
            group = self.close()
            await self.conclude(group, await self.land(group, self.send(group)))
        results = [settled[index] for index in range(len(envelopes))]
        for result in results:
            if isinstance(result, LogError):
                raise result
        return [result for result in results if isinstance(result, Answer)]

    # --- the open group ---------------------------------------------------------------------------------

    @property
    def open(self) -> Group:
        return self._deciding.open

    @property
    def again(self) -> deque[Pending]:
        """Commands to decide before any other."""
        return self._waiting.again

    @property
    def is_quiet(self) -> bool:
        """Nothing is decided that is not concluded."""
        return not self._waiting.by_id

    async def decide_all(self, queue: deque[Pending], at_most: int | None = None) -> bool:
        """Decide commands from the front of a queue; False if the first must wait until all before it is concluded."""
        return await self._deciding.decide_all(queue, at_most)
        await self._refresh_agents(queue)
        if self._is_cold and len(queue) > 1:
            self._is_cold = await self.prefetch([one.envelope for one in islice(queue, at_most)])
        misses = self._decider.misses
        while queue and not self._open.full and (at_most is None or len(self._open) < at_most):
            pending = queue.popleft()
            if not await self._decide(pending):
                queue.appendleft(pending)
                return False
        self._is_cold = self._is_cold or self._decider.misses > misses
        return True

    async def _decide(self, pending: Pending) -> bool:
        """Decide a command into the open group; False if it must wait until all before it is concluded."""
        envelope = pending.envelope
        first = self._under_way.get(envelope.command_id)
        if first is not None:
            first.repeats.append(pending)
            return True
        if pending.single and len(self._open):
            return False
        try:
            if pending.losses >= PATIENCE:
                return self.is_quiet and await self._decide_alone(pending)
            decision = await self._decider.decide(envelope, self._clock(), self._ahead)
            if _unexpected(decision) is not None:
                again = await self._decide_expecting(pending)
                if again is None:
                    return True
                decision = again
            self._put(self._open, pending, decision)
        except NotYetCommitted:
            return False
        except CorruptLog as error:
            self._settle(pending, answers.of_error(envelope, error))
        except LogError as error:
            self._settle(pending, error)
        except Exception as error:  # a fault of ours must not take others down
            if pending.losses < PATIENCE:
                # What is known of one stream may be older than what is known of another: decide on one moment.
                pending.losses = PATIENCE
                return await self._decide(pending)
            told = {"command_id": envelope.command_id, "correlation_id": envelope.correlation_id}
            logger.exception("%s %s could not be decided", envelope.command.type, envelope.command_id, extra=told)
            message = f"{envelope.command.type} could not be decided ({type(error).__name__}); please report this."
            self._settle(pending, answers.failed(envelope, "internal_error", message))
        return True

    def _put(self, group: Group, pending: Pending, decision: Decision) -> None:
        work = decision.work
        if work.telemetry is not None and decision.problem is None:
            group.telemetry.append(work.telemetry)
        if isinstance(decision.envelope.command, Heartbeat) and not work.events:
            if decision.problem is not None:
                self._settle(pending, _unrecorded(decision.envelope, decision.problem))
            else:
                group.unrecorded.append(pending)
            return
        prepared = self._preparer.prepare(decision)
        group.add(pending, prepared)
        self._under_way[decision.envelope.command_id] = pending
        if prepared.left:
            self._ahead.update(prepared.left)

    async def _decide_expecting(self, pending: Pending) -> Decision | None:
        """The caller named a version: a known command id still gets its first answer, a stale cache is renewed.

        None if it is answered. Raises NotYetCommitted if what it stands on may still change.
        """
        envelope = pending.envelope
        known = await self._log.find_command(envelope.command_id)
        if known is not None:
            self._settle(pending, answers.of_recorded(envelope, known))
            return None
        if not self._ahead.keys().isdisjoint(envelope.expected):
            raise NotYetCommitted
        await self._decider.refresh(envelope.expected)
        decision = await self._decider.decide(envelope, self._clock(), self._ahead)
        unexpected = _unexpected(decision)
        if unexpected is None:
            return decision
        self._settle(pending, answers.conflict(envelope, *unexpected))
        return None

    async def _decide_alone(self, pending: Pending) -> bool:
        """Decide and append a command while nobody else appends. Raises LogError."""
        envelope, group = pending.envelope, Group()
        outcomes: list[AppendOutcome] = []
        try:
            async with self._log.alone() as log:
                decision = await self._decider.decide_afresh(envelope, self._clock(), log)
                unexpected = _unexpected(decision)
                if unexpected is not None:
                    known = await log.find_command(envelope.command_id)
                    conflict = answers.conflict(envelope, *unexpected)
                    self._settle(pending, answers.of_recorded(envelope, known) if known else conflict)
                    return True
                self._put(group, pending, decision)
                if group.members:
                    outcomes = await log.append(group.appends)
        except BaseException:
            self._ahead.clear()
            raise
        if any(isinstance(outcome, Conflicted) for outcome in outcomes):
            raise AssertionError(f"Lost with the log to itself: {outcomes}")
        await self.conclude(group, outcomes)
        return True

    async def _refresh_agents(self, queue: Iterable[Pending]) -> None:
        """A heartbeat appends nothing, so nothing else would tell that another process took the agent off."""
        beating = {one.envelope.command.stream_id for one in queue if isinstance(one.envelope.command, Heartbeat)}
        if beating:
            with contextlib.suppress(LogError):  # whoever needs the log will say so
                await self._decider.refresh(beating)

    async def prefetch(self, envelopes: Sequence[Envelope]) -> bool:
        """Load what commands that are to come will need and is not there. The only call that may run beside others."""
        return await self._deciding.prefetch(envelopes)

    async def catch_up(self) -> None:
        """See what other processes have written since the last time."""
        with contextlib.suppress(LogError):  # whoever needs the log will say so
            await self._decider.catch_up()

    def abandon(self, error: LogError) -> None:
        """Answer all that is decided or to be decided again with an error; nothing of it is known any more."""
        self._waiting.abandon(self._deciding.close().unrecorded, error)

    # --- the group in flight ----------------------------------------------------------------------------

    @property
    def lost(self) -> int:
        """How many commands were lost to other processes, and decided again."""
        return self._landing.lost

    def close(self) -> Group:
        """Take the open group, to append it; the next one is open."""
        return self._deciding.close()

    def send(self, group: Group) -> Awaitable[list[AppendOutcome]]:
        """Append a group: it may be under way when this returns, and is to be landed."""
        return self._landing.send(group)

    async def land(self, group: Group, flight: Awaitable[list[AppendOutcome]]) -> list[AppendOutcome] | LogError:
        """What became of a group that was sent; known in the end, or why it is not."""
        return await self._landing.land(group, flight)

    async def conclude(self, group: Group, outcomes: list[AppendOutcome] | LogError) -> None:
        """Answer a group's commands; what was lost, or stood on it, is decided again into the open group."""
        await self._landing.conclude(group, outcomes)
        """What became of a group that was sent; known in the end, or why it is not.

        An append whose answer was lost is sent again: its command ids see to it that nothing is done twice.
        """
        for pause in (*self._retries, None):
            try:
                return await flight
            except LogUnavailable as unavailable:
                if pause is None:
                    return unavailable
            except LogError as refused:
                return refused
            except Exception as fault:  # the writer outlives whatever one group runs into
                logger.exception("A group of %d commands could not be appended", len(group))
                return LogUnavailable(f"The commands could not be committed ({fault}); submit them again.")
            group.resent = True
            self.resent += 1
            await asyncio.sleep(pause)
            flight = self.send(group)
        raise AssertionError("The last attempt has no pause after it")

    async def conclude(self, group: Group, outcomes: list[AppendOutcome] | LogError) -> None:
        """Answer a group's commands; what was lost, or stood on it, is decided again into the open group."""
        if isinstance(outcomes, LogError):
            await self._conclude_failed(group, outcomes)
            return
        lost: list[Pending] = []
        stale: set[str] = set()
        for (pending, prepared), outcome in zip(group.members, outcomes, strict=True):
            if isinstance(outcome, Appended):
                self.events += len(prepared.append.events)
                self._take_over(prepared)
                self._settle(pending, _answer(prepared, outcome))
            elif isinstance(outcome, AlreadyRecorded):
                resent = group.resent and outcome.answer == prepared.append.answer
                if resent:
                    self._take_over(prepared)
                else:
                    stale |= prepared.append.expected.keys()
                first = resent or pending.ours
                self._settle(pending, answers.of_recorded(pending.envelope, outcome, repeated=not first))
            elif isinstance(outcome, LockedOut):
                stale |= prepared.append.expected.keys()
                self._settle(pending, answers.locked_out(pending.envelope, outcome))
            else:
                stale |= prepared.append.expected.keys()
                self.lost += 1
                pending.losses += 1
                lost.append(pending)
        if stale:
            await self._decide_anew(lost, stale)
        try:
            if group.telemetry:
                await self._presence.record(group.telemetry)
        finally:
            for pending in group.unrecorded:
                self._settle(pending, _unrecorded(pending.envelope, None))

    def _take_over(self, prepared: Prepared) -> None:
        """What a command left is committed."""
        if prepared.left:
            self._decider.remember(prepared.left)
            for stream_id, loaded in prepared.left.items():
                if self._ahead.get(stream_id) is loaded:
                    del self._ahead[stream_id]

    def _settle(self, pending: Pending, result: Answer | LogError) -> None:
        self._under_way.pop(pending.envelope.command_id, None)
        if pending.repeats:
            self.again.extend(pending.repeats)
            pending.repeats.clear()
        pending.settled(result)

    async def _decide_anew(self, lost: list[Pending], stale: set[str]) -> None:
        """Take the commands of the open group that stand on something stale out of it; all of them come again."""
        kept = Group()
        kept.unrecorded, kept.telemetry = self._open.unrecorded, self._open.telemetry
        self._ahead.clear()
        for pending, prepared in self._open.members:
            if stale.isdisjoint(prepared.append.expected):
                kept.add(pending, prepared)
                self._ahead.update(prepared.left)
            else:
                stale |= prepared.left.keys()
                lost.append(pending)
        self._open = kept
        for pending in lost:
            self._under_way.pop(pending.envelope.command_id, None)
        self.again.extendleft(reversed(lost))
        try:
            await self._decider.refresh(stale)
        except LogError:
            self._decider.forget(stale)

    async def _conclude_failed(self, group: Group, error: LogError) -> None:
        """Nothing was appended, or nobody knows. What was refused for one command's sake harms no other."""
        pendings = [pending for pending, _ in group.members]
        lost: list[Pending] = []
        if isinstance(error, AppendRejected) and len(pendings) > 1:
            lost = pendings
            for pending in lost:
                pending.single = True
        else:
            for pending in pendings:
                self._settle(pending, error)
        for pending in group.unrecorded:
            self._settle(pending, error)
        await self._decide_anew(lost, {stream_id for one in group.appends for stream_id in one.expected})


def _unexpected(decision: Decision) -> tuple[str, int, int] | None:
    """The first stream that is not at the version that the caller named, with that and its own."""
    expected = decision.envelope.expected
    if not expected:
        return None
    reads = decision.work.reads
    for stream_id, version in expected.items():
        actual = reads.get(stream_id, 0)
        if actual != version:
            return stream_id, version, actual
    return None


def _answer(prepared: Prepared, where: Appended) -> Answer:
    return answers.of_appended(prepared.decision.envelope, prepared.versions, prepared.decision.problem, where)


def _unrecorded(envelope: Envelope, problem: Problem | None) -> Answer:
    return Answer(envelope.command_id, envelope.command.type, "refused" if problem else "accepted", problem=problem)


async def _nothing() -> list[AppendOutcome]:
    return []


async def _refused(error: LogError) -> list[AppendOutcome]:
    raise error
