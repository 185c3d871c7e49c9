"""Lists, boards and rates."""

from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from dora_state.client.paths import told
from dora_state.client.told import Told, told_of
from dora_state.client.transport import Transport


@dataclass(frozen=True, slots=True)
class Page:
    """Some documents, and the mark with which the next page is asked for; None on the last page."""

    items: list[dict[str, Any]]
    next: str | None


class Lists:
    """By pages: `mark` is the `next` of the page before. Raises InvalidInput for a filter that there is not."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    async def workflows(self, **only: Any) -> Page:
        return await self._page("workflows", only)

    async def tasks(self, **only: Any) -> Page:
        return await self._page("tasks", only)

    async def overdue(self, **only: Any) -> Page:
        return await self._page("overdue", only)

    async def stalled_tasks(self, quiet_for: timedelta, **only: Any) -> Page:
        return await self._page("stalled", {"quiet_for": f"{quiet_for.total_seconds():f}", **only})

    async def pending_tasks(self, **only: Any) -> Page:
        """`pool_id`: by the weights of this pool's priorities."""
        return await self._page("pending", only)

    async def agents(self, **only: Any) -> Page:
        return await self._page("agents", only)

    async def pools(self, **only: Any) -> Page:
        return await self._page("pools", only)

    async def reservations(self, **only: Any) -> Page:
        return await self._page("reservations", only)

    async def board(self, by: str = "state", *, mark: str | None = None, **only: Any) -> Told:
        found = await self._transport.get("/v1/board", {"by": by, "page": mark, **only})
        return Told({**found, "columns": [Told(column) for column in found["columns"]]})

    async def _page(self, what: str, only: dict[str, Any]) -> Page:
        asked = {"page" if name == "mark" else name: value for name, value in only.items()}
        found = await self._transport.get(f"/v1/{what}", asked)
        return Page(found["items"], found["next"])


class Listing:
    """Part of the client."""

    _transport: Transport

    @property
    def lists(self) -> Lists:
        return Lists(self._transport)

    async def all_of(self, what: str, **only: Any) -> AsyncIterator[dict[str, Any]]:
        """All of a list, page by page: `workflows`, `tasks`, `overdue`, `stalled`, `pending`, `agents`, `pools` or
        `reservations`, with its filters.
        """
        mark: str | None = None
        while True:
            found = await self._transport.get(f"/v1/{what}", {**only, "page": mark})
            for item in found["items"]:
                yield item
            mark = found["next"]
            if mark is None:
                return

    async def pending_tasks(self, *, pool_id: str | None = None, limit: int = 100) -> list[dict[str, Any]]:
        """What is to be done next in running workflows: by the weight of its priority in a pool, then by age."""
        return (await self.lists.pending_tasks(pool_id=pool_id, limit=limit)).items

    async def rates(
        self, per: str, begin: datetime | None = None, end: datetime | None = None, *, agent_id: str | None = None
    ) -> list[Told]:
        """What ended in each `minute`, `hour` or `day` up to now, or from and to a moment; of all or of one agent."""
        asked = {"per": per, "begin": told(begin), "end": told(end), "agent_id": agent_id}
        return [told_of(one) for one in (await self._transport.get("/v1/rates", asked))["items"]]
