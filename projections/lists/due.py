"""What the worker has to act on, by ids."""

from datetime import datetime, timedelta

from domain.text import require_id
from projections.lists.asking import Asking


class DueLists(Asking):
    async def overdue_tasks(self, limit: int = 1_000) -> list[str]:
        """The ids of running tasks whose time limit has passed."""
        return await self._store.ids("overdue_tasks", now=self._clock(), limit=limit)

    async def pools_due(self, limit: int = 1_000) -> list[str]:
        """The ids of pools of which a reservation has expired."""
        return await self._store.ids("pools_due", now=self._clock(), limit=limit)

    async def silent_agents(self, since: datetime, limit: int = 1_000) -> list[str]:
        """The ids of agents thought to be there that have sent heartbeats, and of which nothing was heard since."""
        return await self._store.ids("silent_agents", since=since, limit=limit)

    async def heard_since(self, agent_id: str, since: datetime) -> bool:
        """Whether it has sent a heartbeat after that. Raises InvalidInput."""
        require_id("agent_id", agent_id)
        presence = (await self._presence.of([agent_id])).get(agent_id)
        return presence is not None and presence.last_heartbeat > since

    async def overlong_workflows(self, longest: timedelta, limit: int = 1_000) -> list[str]:
        """The ids of active workflows that were started that long ago."""
        return await self._store.ids("overlong_workflows", before=self._clock() - longest, limit=limit)
