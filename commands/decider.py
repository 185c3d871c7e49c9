"""Decides commands on aggregates in memory, and loads what is missing.

A handler is run again from its beginning when it needs more; it has no effects outside its unit of work,
so that is harmless. Aggregates live in a bounded cache, kept honest by the version check of the append.
"""

from collections import OrderedDict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from commands.envelope import Envelope, Problem
from commands.handlers import HANDLERS
from commands.work import Key, Loaded, Memory, Needs, NotYetCommitted, Past, PastKey, Work
from domain.all_events import CATALOGUE
from domain.errors import Refusal
from domain.log import Cut, EventReader, RecordedEvent

DEFAULT_CACHE_SIZE = 20_000


class WorkflowCounter(Protocol):
    """A read model's count, for the soft limit of concurrent workflows."""

    async def active_workflows(self) -> int: ...


@dataclass(frozen=True, slots=True)
class Decision:
    """What a command came to: its unit of work, or why it was refused."""

    envelope: Envelope
    work: Work
    problem: Problem | None


class Decider:
    """Runs handlers on the aggregates in `cache`; `recall` looks first at what is not committed yet."""

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

    async def decide(
        self, envelope: Envelope, now: datetime, ahead: Mapping[str, Loaded[Any]] | None = None
    ) -> Decision:
        """Decide one command; `ahead` is what earlier commands of its group leave.

        Raises LogError if something could not be read, and NotYetCommitted if the command asks for the past
        while `ahead` holds something: the past is read from the log, which lacks that.
        """
        handler = HANDLERS[type(envelope.command)]
        past: dict[PastKey, Past[Any]] = {}
        loaded: dict[str, Loaded[Any]] = {}
        active: int | None = None
        memory = self._memory(ahead or {}, loaded)
        while True:
            work = Work(memory, now, str(envelope.command_id), past, active)
            try:
                handler(work, envelope.command)
            except Needs as needs:
                if needs.past and ahead:
                    raise NotYetCommitted from None
                loaded.update(await self._load(needs.streams))
                for key, cut in needs.past:
                    past[PastKey(key.stream_id, cut)] = await self._fold_past(key, cut)
                if needs.count:
                    active = await self._counter.active_workflows()
            except Refusal as refusal:
                return Decision(envelope, work, Problem(refusal.reason, refusal.message, refusal.facts))
            else:
                return Decision(envelope, work, None)

    def remember(self, left: Mapping[str, Loaded[Any]]) -> None:
        """Keep aggregates as a committed command left them."""
        self._cache.update(left)
        for stream_id in left:
            self._cache.move_to_end(stream_id)
        while len(self._cache) > self._cache_size:
            self._cache.popitem(last=False)

    def forget(self, stream_ids: Iterable[str]) -> None:
        """Drop what turned out to be out of date."""
        for stream_id in stream_ids:
            self._cache.pop(stream_id, None)

    def cached_version(self, stream_id: str) -> int | None:
        found = self._cache.get(stream_id)
        return found.version if found else None

    def _memory(self, ahead: Mapping[str, Loaded[Any]], loaded: Mapping[str, Loaded[Any]]) -> Memory:
        """What was loaded for this command stays with it, however small the cache is."""

        def recall(stream_id: str) -> Loaded[Any] | None:
            return ahead.get(stream_id) or self._cache.get(stream_id) or loaded.get(stream_id)

        return recall

    async def _load(self, keys: tuple[Key[Any], ...]) -> dict[str, Loaded[Any]]:
        if not keys:
            return {}
        by_stream = {key.stream_id: key for key in keys}
        loaded: dict[str, Loaded[Any]] = {}
        for stream_id, events in (await self._reader.read_streams(list(by_stream))).items():
            state = None
            for event in events:
                state = by_stream[stream_id].aggregate.evolve(state, decode(event))
            loaded[stream_id] = Loaded(events[-1].version if events else 0, state)
        self.remember(loaded)
        return loaded

    async def _fold_past(self, key: Key[Any], cut: Cut) -> Past[Any]:
        state, version, position = None, 0, 0
        async for event in self._reader.read_stream(key.stream_id, cut=cut):
            state = key.aggregate.evolve(state, decode(event))
            version, position = event.version, event.position + event.following
        return Past(version, position, state)


def decode(event: RecordedEvent) -> Any:
    return CATALOGUE.decode(event.type, event.schema_version, event.data)
