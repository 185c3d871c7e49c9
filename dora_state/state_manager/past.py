"""Questions of a StateManager about what happened."""

from collections.abc import AsyncIterator, Iterable
from datetime import datetime
from typing import Any

from domain.folding import FOLDER
from domain.log import NOW, START, Cut
from domain.system import SYSTEM_ID
from domain.text import require_id
from dora_state.exporting import begin_export
from dora_state.following import follow, state_change
from dora_state.naming import check_filter, check_kind, check_named, check_types
from dora_state.platform import Platform, now
from dora_state.state_events import StateChangeEvent
from projections.differences import Difference
from projections.documents import RENDERINGS
from projections.documents.values import decode
from projections.history import EVERYTHING, HistoryEntry, HistoryFilter
from projections.timelines import Timeline
from projections.traces import Looked, Trace, unheard


class Past:
    """History, differences, traces, exports, and the events themselves.

    All raise InvalidInput for what can't be an id, and for kinds and types of events that there are not.
    """

    platform: Platform

    async def history(
        self,
        kind: str,
        aggregate_id: str,
        *,
        cut: Cut = NOW,
        after_version: int = 0,
        only: HistoryFilter = EVERYTHING,
        newest_first: bool = False,
        limit: int | None = None,
    ) -> AsyncIterator[HistoryEntry]:
        """Every version with when, who, why and what changed, in bounded memory. Raises NotFound, CutOutOfRange."""
        check_named(kind, aggregate_id)
        check_filter(only)
        await self.platform.queries.require(kind, aggregate_id, cut)
        async for entry in self.platform.history.of(
            kind,
            aggregate_id,
            cut=cut,
            after_version=after_version,
            only=only,
            newest_first=newest_first,
            limit=limit,
        ):
            yield entry

    async def version(self, kind: str, aggregate_id: str) -> int:
        """The last version that there is; 0 where there is no such thing."""
        check_named(kind, aggregate_id)
        return await self.platform.log.stream_version(f"{kind}-{aggregate_id}")

    async def diff(self, kind: str, aggregate_id: str, begin: Cut, end: Cut = NOW) -> Difference:
        """One aggregate at two cuts. Raises NotFound, CutOutOfRange."""
        check_named(kind, aggregate_id)
        return await self.platform.differences.of(kind, aggregate_id, begin, end, now())

    def diff_everything(self, begin: Cut, end: Cut = NOW) -> AsyncIterator[Difference]:
        """All that changed between two cuts, by kind and id. Raises CutOutOfRange, InvalidInput."""
        return self.platform.differences.everywhere(begin, end, now())

    async def timeline(self, kind: str, aggregate_id: str, cut: Cut = NOW) -> Timeline:
        """Tasks over time: a workflow's, one, or an agent's. Raises NotFound, CutOutOfRange, InvalidInput."""
        require_id("id", aggregate_id)
        return await self.platform.timelines.of(kind, aggregate_id, cut, now())

    async def trace(
        self, correlation_id: str, begin: Cut = START, end: Cut = NOW, *, looked: Looked = unheard
    ) -> Trace:
        """All that one request caused, as a tree. `looked` hears through how much of the log it has looked.

        Raises NotFound; InvalidInput where it is too much at once.
        """
        require_id("correlation_id", correlation_id)
        return await self.platform.tracer.trace(correlation_id, begin, end, now(), looked)

    async def export(
        self, format: str, *, workflow_id: str | None = None, since: datetime | None = None, cut: Cut = NOW
    ) -> AsyncIterator[bytes]:
        """What was recorded, as `jsonl`, `ocel`, `xes` or `csv`, in pieces to be written one after the other.

        Raises InvalidInput, NotFound, CutOutOfRange.
        """
        chosen = await begin_export(self.platform, format, workflow_id=workflow_id, since=since, cut=cut)
        async for piece in chosen.pieces():
            yield piece

    async def get_workflow_history(self, workflow_id: str) -> list[HistoryEntry]:
        return [entry async for entry in self.history("workflow", workflow_id)]

    async def get_task_history(self, task_id: str) -> list[HistoryEntry]:
        return [entry async for entry in self.history("task", task_id)]

    async def get_agent_history(self, agent_id: str) -> list[HistoryEntry]:
        return [entry async for entry in self.history("agent", agent_id)]

    async def get_pool_history(self, pool_id: str) -> list[HistoryEntry]:
        return [entry async for entry in self.history("pool", pool_id)]

    async def get_system_history(self) -> list[HistoryEntry]:
        return [entry async for entry in self.history("system", SYSTEM_ID)]

    async def events(
        self, entity_type: str, entity_id: str, *, up_to_version: int | None = None
    ) -> AsyncIterator[StateChangeEvent]:
        """The events of one aggregate in order, in bounded memory. Raises NotFound, CutOutOfRange."""
        check_named(entity_type, entity_id)
        await self.platform.queries.require(entity_type, entity_id, Cut(version=up_to_version))
        self.platform.questions.asked("events")
        stream_id = FOLDER.aggregates[entity_type].stream_id(entity_id)
        async for event in self.platform.log.read_stream(stream_id, cut=Cut(version=up_to_version)):
            yield state_change(event)

    async def reconstruct_state_from_events(
        self, entity_type: str, entity_id: str, up_to_version: int | None = None
    ) -> dict[str, Any]:
        """The state that the events give from the first one on, without any snapshot or read model. Raises NotFound,
        CutOutOfRange.
        """
        check_named(entity_type, entity_id)
        self.platform.questions.asked("reconstruction")
        await self.platform.queries.require(entity_type, entity_id, Cut(version=up_to_version))
        aggregate, state, last = FOLDER.aggregates[entity_type], None, None
        stream_id = aggregate.stream_id(entity_id)
        async for event in self.platform.log.read_stream(stream_id, cut=Cut(version=up_to_version)):
            state, last = (
                aggregate.evolve(state, FOLDER.catalogue.decode(event.type, event.schema_version, event.data)),
                event,
            )
        assert last is not None, "what is required is there"
        rendered = RENDERINGS[entity_type].render(state, last.version, last.position, last.recorded_at)
        return decode(rendered)

    def follow(
        self, after_position: int | None = 0, *, kinds: Iterable[str] = (), types: Iterable[str] = ()
    ) -> AsyncIterator[StateChangeEvent]:
        """Every event after a position (None: from now on) as soon as it is recorded, in order and each once, for ever,
        also over outages. Raises CorruptLog.
        """
        chosen = tuple(kinds)
        for kind in chosen:
            check_kind(kind)
        wanted = check_types(types)
        self.platform.questions.asked("follow")
        return follow(self.platform.log, self.platform.signal, after_position, chosen, wanted)
