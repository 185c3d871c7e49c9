"""Lists, boards, rates, and what happened."""

import json
from collections.abc import AsyncIterator, Iterable
from datetime import datetime
from typing import Any
from urllib.parse import quote

from dora_state.client.events import follow
from dora_state.client.paths import path_of, told
from dora_state.client.transport import Transport, given
from dora_state.state_events import StateChangeEvent


class Past:
    """Part of the client."""

    _transport: Transport

    async def all_of(self, what: str, **asked: Any) -> AsyncIterator[dict[str, Any]]:
        """All of a list, page by page: `workflows`, `tasks`, `overdue`, `stalled`, `pending`, `agents`, `pools` or
        `reservations`, with its filters.
        """
        page: str | None = None
        while True:
            found = await self._transport.get(f"/v1/{what}", {**asked, "page": page})
            for item in found["items"]:
                yield item
            page = found["next"]
            if page is None:
                return

    async def board(self, by: str = "state", **only: Any) -> dict[str, Any]:
        return dict(await self._transport.get("/v1/board", {"by": by, **only}))

    async def rates(self, per: str, begin: datetime | None = None, end: datetime | None = None) -> list[dict[str, Any]]:
        found = await self._transport.get("/v1/rates", {"per": per, "begin": told(begin), "end": told(end)})
        return [dict(one) for one in found["items"]]

    async def history(self, kind: str, aggregate_id: str, **asked: Any) -> AsyncIterator[dict[str, Any]]:
        """Every version with when, who, why and what changed."""
        params = given({**asked, "stream": True})
        path = f"{path_of(kind, aggregate_id)}/history"
        async with self._transport.stream("GET", path, params=params, timeout=None) as response:
            async for line in response.aiter_lines():
                yield json.loads(line)

    async def get_workflow_history(self, workflow_id: str) -> list[dict[str, Any]]:
        return [entry async for entry in self.history("workflow", workflow_id)]

    async def diff(self, kind: str, aggregate_id: str, begin: str, end: str = "now") -> dict[str, Any]:
        """One aggregate at two cuts: `v3`, `p120`, a time, `start` or `now`."""
        asked = {"begin": begin, "end": end}
        return dict(await self._transport.get(f"{path_of(kind, aggregate_id)}/diff", asked))

    async def trace(self, correlation_id: str) -> list[dict[str, Any]]:
        """All that one request caused, causes first."""
        found = await self._transport.get(f"/v1/traces/{quote(correlation_id, safe='')}", {})
        return [dict(one) for one in found["commands"]]

    async def export(self, format: str, **chosen: Any) -> AsyncIterator[bytes]:
        """What was recorded, as `jsonl`, `ocel`, `xes` or `csv`, in pieces."""
        params = given({"format": format, **chosen})
        async with self._transport.stream("GET", "/v1/export", params=params, timeout=None) as response:
            async for piece in response.aiter_bytes():
                yield piece

    def follow(
        self, after_position: int | None = 0, *, kinds: Iterable[str] = (), types: Iterable[str] = ()
    ) -> AsyncIterator[StateChangeEvent]:
        """Every event after a position (None: from now on) as soon as it is recorded, in order and each once, also over
        restarts. From long ago on it takes a key that may look at the past.
        """
        return follow(self._transport, after_position, kinds, types)

    async def health_check(self) -> dict[str, Any]:
        """`overall`, `checks` by name, `timestamp`; also where something is unhealthy."""
        response = await self._transport.ask("GET", "/health")
        return dict(response.json())
