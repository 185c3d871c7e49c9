"""What happened: histories, differences, timelines, conversations, exports, and the events themselves."""

import json
from collections.abc import AsyncIterator, Iterable, Mapping
from datetime import datetime
from typing import Any

from domain.errors import NotFound
from dora_state.client.events import follow, state_change
from dora_state.client.paths import path_of, segment, told
from dora_state.client.told import Told, told_of
from dora_state.client.transport import Transport, given, lines_of
from dora_state.state_events import StateChangeEvent


class Past:
    """Part of the client. Cuts of differences are words: `v3`, `p120`, a time, `start` or `now`."""

    _transport: Transport

    async def history(self, kind: str, aggregate_id: str, **only: Any) -> AsyncIterator[Told]:
        """Every version with when, who, why and what changed."""
        async for entry in self._lines(f"{path_of(kind, aggregate_id)}/history", {**only, "stream": True}):
            yield told_of(entry)

    async def get_workflow_history(self, workflow_id: str) -> list[Told]:
        return [entry async for entry in self.history("workflow", workflow_id)]

    async def get_task_history(self, task_id: str) -> list[Told]:
        return [entry async for entry in self.history("task", task_id)]

    async def get_agent_history(self, agent_id: str) -> list[Told]:
        return [entry async for entry in self.history("agent", agent_id)]

    async def get_pool_history(self, pool_id: str) -> list[Told]:
        return [entry async for entry in self.history("pool", pool_id)]

    async def get_system_history(self) -> list[Told]:
        return [entry async for entry in self.history("system", "")]

    async def version(self, kind: str, aggregate_id: str) -> int:
        """The last version that there is; 0 where there is no such thing."""
        try:
            found = await self._transport.get(path_of(kind, aggregate_id), {"consistency": "live"})
        except NotFound:
            return 0
        return int(found["stream_version"])

    async def diff(self, kind: str, aggregate_id: str, begin: str, end: str = "now") -> Told:
        """One aggregate at two cuts. Raises NotFound, CutOutOfRange."""
        found = await self._transport.get(f"{path_of(kind, aggregate_id)}/diff", {"begin": begin, "end": end})
        return _difference(found)

    async def diff_everything(self, begin: str, end: str = "now") -> AsyncIterator[Told]:
        """All that changed between two cuts, by kind and id. Raises CutOutOfRange, InvalidInput."""
        async for found in self._lines("/v1/diff", {"begin": begin, "end": end, "differences": True}):
            yield _difference(found)

    async def timeline(
        self, kind: str, aggregate_id: str, *, version: int | None = None, at_time: datetime | None = None
    ) -> Told:
        """Tasks over time: a workflow's, one, or an agent's. Raises NotFound, CutOutOfRange, InvalidInput."""
        asked = {"version": version, "at": told(at_time)}
        return told_of(await self._transport.get(f"{path_of(kind, aggregate_id)}/timeline", asked))

    async def trace(self, correlation_id: str, begin: str = "start", end: str = "now") -> list[Told]:
        """All that one request caused, causes first, each with its `depth`. Raises NotFound."""
        path = f"/v1/traces/{segment(correlation_id)}"
        found = await self._transport.get(path, {"begin": begin, "end": end})
        return [told_of(one) for one in found["commands"]]

    async def export(self, format: str, **chosen: Any) -> AsyncIterator[bytes]:
        """What was recorded, as `jsonl`, `ocel`, `xes` or `csv`, in pieces."""
        params = given({"format": format, **chosen})
        async with self._transport.stream("GET", "/v1/export", params=params, timeout=None) as response:
            async for piece in response.aiter_bytes():
                yield piece

    async def events(
        self, entity_type: str, entity_id: str, *, up_to_version: int | None = None
    ) -> AsyncIterator[StateChangeEvent]:
        """The events of one aggregate in order. Raises NotFound, CutOutOfRange."""
        async for line in self._lines(f"{path_of(entity_type, entity_id)}/events", {"up_to_version": up_to_version}):
            yield state_change(line)

    async def reconstruct_state_from_events(
        self, entity_type: str, entity_id: str, up_to_version: int | None = None
    ) -> dict[str, Any]:
        """The state that the events give from the first one on, without any snapshot or read model. Raises NotFound,
        CutOutOfRange.
        """
        path = f"{path_of(entity_type, entity_id)}/reconstruction"
        return dict(await self._transport.get(path, {"up_to_version": up_to_version}))

    def follow(
        self, after_position: int | None = 0, *, kinds: Iterable[str] = (), types: Iterable[str] = ()
    ) -> AsyncIterator[StateChangeEvent]:
        """Every event after a position (None: from now on) as soon as it is recorded, in order and each once, also over
        restarts. From long ago on it takes a key that may look at the past.
        """
        return follow(self._transport, after_position, kinds, types)

    async def _lines(self, path: str, asked: Mapping[str, Any]) -> AsyncIterator[dict[str, Any]]:
        async with self._transport.stream("GET", path, params=given(asked), timeout=None) as response:
            async for line in lines_of(response):
                yield json.loads(line)


def _difference(found: Mapping[str, Any]) -> Told:
    sides = {side: told_of(found[side]) for side in ("before", "after") if found[side] is not None}
    return Told({**found, **sides})
