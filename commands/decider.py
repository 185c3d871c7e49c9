"""Decides commands on aggregates in memory, and loads what is missing.

A handler is run again when it needs more; it has no effects outside its unit of work, so that is harmless.
Aggregates live in a bounded cache, kept honest by the version check of the append.
"""

from __future__ import annotations  # those of a function made in a function would be evaluated at each call

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol
from uuid import UUID

from commands.envelope import Envelope, Problem
from commands.glances import glance
from commands.handlers import HANDLERS
from commands.messages import Command
from commands.messages.transaction import Transaction
from commands.work import Key, Loaded, Memory, Needs, NotYetCommitted, Past, PastKey, Work
from domain.errors import Refusal
from domain.folding import FOLDER
from domain.log import Cut, EventReader, FoldRequest
from domain.record import record

DEFAULT_CACHE_SIZE = 20_000
LOOK_BACK = 10_000
"""In how many events, the last ones, to look for what other processes have written."""
PREFETCH_ROUNDS = 3
"""A command names a task, the task its workflow, agent and pool, and these little more."""
NOTHING: Mapping[str, Loaded[Any]] = {}


class WorkflowCounter(Protocol):
    """A read model's count, for the soft limit of concurrent workflows."""

    async def active_workflows(self) -> int: ...


@record
class Decision:
    """What a command came to: its unit of work, or why it was refused."""

    envelope: Envelope
    work: Work
    problem: Problem | None

    @property
    def unexpected(self) -> tuple[str, int, int] | None:
        """The first stream that is not at the version that the caller named, with that and its own."""
        expected = self.envelope.expected
        if not expected:
            return None
        reads = self.work.reads
        for stream_id, version in expected.items():
            actual = reads.get(stream_id, 0)
            if actual != version:
                return stream_id, version, actual
        return None


class Decider:
    """Runs handlers on the aggregates in its cache."""

    def __init__(
        self,
        reader: EventReader,
        counter: WorkflowCounter,
        *,
        cache_size: int = DEFAULT_CACHE_SIZE,
    ) -> None:
        self._reader = reader
        self._counter = counter
        self._cache: OrderedDict[str, Loaded[Any]] = OrderedDict()
        self._cache_size = cache_size
        self._seen = 0
        self.misses = 0
        """How many commands found something not in memory."""

    async def decide(self, envelope: Envelope, now: datetime, ahead: Mapping[str, Loaded[Any]] = NOTHING) -> Decision:
        """Decide one command; `ahead` is what earlier commands leave that are not committed yet.

        Raises LogError if something could not be read, and NotYetCommitted if the command asks for the past
        while `ahead` holds something: the past is read from the log, which lacks that.
        """
        cache = self._cache

        def recall(stream_id: str) -> Loaded[Any] | None:
            return ahead.get(stream_id) or cache.get(stream_id)

        work = Work(recall, now, envelope.command_id)
        try:
            HANDLERS[type(envelope.command)](work, envelope.command)
        except Needs as needs:
            return await self._decide_with_more(envelope, now, ahead, needs, self._reader)
        except Refusal as refusal:
            return Decision(envelope, work, Problem(refusal.reason, refusal.message, refusal.facts))
        return Decision(envelope, work, None)

    async def prefetch(
        self, envelopes: Iterable[Envelope], now: datetime, ahead: Mapping[str, Loaded[Any]] = NOTHING
    ) -> bool:
        """Load what many commands need and is not in memory, in a few round trips for all of them. Raises LogError.

        Gives whether there was anything. What a command needs is found by a glance at its handler; only those
        are asked whose own aggregate is not in memory. What is missed is loaded when the command is decided.
        Others may decide meanwhile.
        """
        cache = self._cache

        def recall(stream_id: str) -> Loaded[Any] | None:
            return ahead.get(stream_id) or cache.get(stream_id)

        cold = [one for one in envelopes if recall(one.command.stream_id) is None]
        if len(cold) > 1:
            await self._look_ahead([(one.command_id, one.command) for one in cold], now, recall, self._reader)
        return bool(cold)

    async def _look_ahead(
        self, asking: Sequence[tuple[UUID, Command]], now: datetime, recall: Memory, reader: EventReader
    ) -> dict[str, Loaded[Any]]:
        """Load what commands will read, as far as glances at their handlers tell."""
        loaded: dict[str, Loaded[Any]] = {}

        def known(stream_id: str) -> Loaded[Any] | None:
            return recall(stream_id) or loaded.get(stream_id)

        for _ in range(PREFETCH_ROUNDS):
            missing, asking = glance(asking, now, known)
            if not missing:
                break
            loaded.update(await self._load(tuple(missing.values()), reader))
        return loaded

    async def decide_afresh(self, envelope: Envelope, now: datetime, reader: EventReader) -> Decision:
        """Decide one command on nothing but what `reader` says; what is cached is brought up to it first."""
        return await self._decide_with_more(envelope, now, NOTHING, Needs(), reader, afresh=True)

    async def _decide_with_more(
        self,
        envelope: Envelope,
        now: datetime,
        ahead: Mapping[str, Loaded[Any]],
        needs: Needs,
        reader: EventReader,
        *,
        afresh: bool = False,
    ) -> Decision:
        """What was loaded for this command stays with it, however small the cache is."""
        self.misses += 1
        loaded: dict[str, Loaded[Any]] = {}
        past: dict[PastKey, Past[Any]] = {}
        active: int | None = None
        end: int | None = None
        cache = NOTHING if afresh else self._cache

        def recall(stream_id: str) -> Loaded[Any] | None:
            return ahead.get(stream_id) or cache.get(stream_id) or loaded.get(stream_id)

        command = envelope.command
        if isinstance(command, Transaction):
            asking = [(envelope.command_id, one) for one in command.commands]
            loaded.update(await self._look_ahead(asking, now, recall, reader))
            needs = Needs()  # what it needs still, it says again
        work = Work(recall, now, envelope.command_id, past)
        while True:
            if (needs.past or needs.end) and ahead:
                raise NotYetCommitted from None
            loaded.update(await self._load(needs.streams, reader))
            for key, cut in needs.past:
                past[PastKey(key.stream_id, cut)] = await _fold_past(key, cut, reader)
            if needs.count:
                active = await self._counter.active_workflows()
            if needs.end:
                end = (await reader.head()).position
            work.begin_again(active, end)
            try:
                HANDLERS[type(command)](work, command)
            except Needs as more:
                needs = more
            except Refusal as refusal:
                return Decision(envelope, work, Problem(refusal.reason, refusal.message, refusal.facts))
            else:
                return Decision(envelope, work, None)

    def remember(self, left: Mapping[str, Loaded[Any]]) -> None:
        """Keep aggregates as a committed command left them."""
        cache = self._cache
        cache.update(left)
        for stream_id in left:
            cache.move_to_end(stream_id)
        while len(cache) > self._cache_size:
            cache.popitem(last=False)

    def forget(self, stream_ids: Iterable[str]) -> None:
        """Drop what turned out to be out of date."""
        for stream_id in stream_ids:
            self._cache.pop(stream_id, None)

    async def refresh(self, stream_ids: Iterable[str]) -> None:
        """Bring what is cached of these streams up to the log, in one round trip."""
        await self._load(
            tuple([Key.of_stream(stream_id) for stream_id in stream_ids if stream_id in self._cache]), self._reader
        )

    async def catch_up(self) -> None:
        """Bring what is cached up to the log where others have moved it since the last time."""
        self._seen, moved = await self._reader.moved_after(self._seen, at_most=LOOK_BACK)
        cache = self._cache
        await self.refresh(
            [s for s, version in moved.items() if (cached := cache.get(s)) is not None and cached.version < version]
        )

    async def _load(self, keys: tuple[Key[Any], ...], reader: EventReader) -> dict[str, Loaded[Any]]:
        """Aggregates as they are in the log: what is cached of one is gone on from."""
        if not keys:
            return {}
        stream_ids = list({key.stream_id: None for key in keys})
        known = {stream_id: found for stream_id in stream_ids if (found := self._cache.get(stream_id)) and found.state}
        requests = [
            FoldRequest(stream_id, after_version=known[stream_id].version)
            if stream_id in known
            else FOLDER.request(stream_id)
            for stream_id in stream_ids
        ]
        loaded: dict[str, Loaded[Any]] = {}
        for stream_id, stretch in zip(stream_ids, await reader.read_folds(requests), strict=True):
            base = known.get(stream_id)
            if base is None:
                folded = FOLDER.go_on(stream_id, stretch)
            elif base.state is None or stretch.last is None:
                loaded[stream_id] = base
                continue
            else:
                folded = FOLDER.go_on(stream_id, stretch, base.state.copy(), base.version)
            loaded[stream_id] = Loaded(folded.version, folded.state)
        newer = {}  # what was committed while we read stays
        for stream_id, one in loaded.items():
            cached = self._cache.get(stream_id)
            if cached is None or cached.version <= one.version:
                newer[stream_id] = one
        self.remember(newer)
        return loaded


async def _fold_past(key: Key[Any], cut: Cut, reader: EventReader) -> Past[Any]:
    folded = await FOLDER.at(reader, key.stream_id, cut)
    if folded.place is None:
        return Past(0, 0, None, await reader.stream_began(key.stream_id))
    return Past(folded.version, folded.place.whole_position, folded.state)
