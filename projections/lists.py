"""Lists of documents: what operators and orchestrators look through, and what the worker has to act on."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from itertools import groupby

from domain.pool import DEFAULT_WEIGHTS
from domain.values import Priority
from projections.documents import agent as agents
from projections.documents import task as tasks
from projections.documents.values import Document, decode
from projections.errors import InvalidPage
from projections.pages import DEFAULT_LIMIT, Page, bounded, decode_mark, encode_mark, mark_time
from projections.ports import Clock, PresenceBoard, ReadModelStore, StoredDocument
from projections.queries import RATE_WINDOW


class Lists:
    """Pages of documents. Tasks come without their audit trails."""

    def __init__(self, store: ReadModelStore, presence: PresenceBoard, clock: Clock) -> None:
        self._store = store
        self._presence = presence
        self._clock = clock

    def now(self) -> datetime:
        return self._clock()

    async def workflows(
        self,
        *,
        state: str | None = None,
        definition_id: str | None = None,
        priority: str | None = None,
        created_from: datetime | None = None,
        created_before: datetime | None = None,
        mark: str | None = None,
        limit: int = DEFAULT_LIMIT,
    ) -> Page:
        """Newest first."""
        at, last_id = _place(mark)
        found = await self._store.documents(
            "workflows",
            state=state,
            definition_id=definition_id,
            priority=priority,
            created_from=created_from,
            created_before=created_before,
            mark_at=at,
            mark_id=last_id,
            limit=bounded(limit) + 1,
        )
        items = [decode(document.body) for document in found]
        return _page(items, bounded(limit), "created_at", "workflow_id")

    async def tasks(
        self,
        *,
        workflow_id: str | None = None,
        agent_id: str | None = None,
        state: str | None = None,
        definition_id: str | None = None,
        priority: str | None = None,
        mark: str | None = None,
        limit: int = DEFAULT_LIMIT,
    ) -> Page:
        """Oldest first."""
        at, last_id = _place(mark)
        found = await self._store.documents(
            "tasks",
            workflow_id=workflow_id,
            agent_id=agent_id,
            state=state,
            definition_id=definition_id,
            priority=priority,
            mark_at=at,
            mark_id=last_id,
            limit=bounded(limit) + 1,
        )
        return _page(self._tasks(found), bounded(limit), "created_at", "task_id")

    async def pending_tasks(
        self,
        *,
        weights: Mapping[Priority, int] = DEFAULT_WEIGHTS,
        mark: str | None = None,
        limit: int = DEFAULT_LIMIT,
    ) -> Page:
        """What is to be done next: by the weight of its priority, then by age."""
        weights = DEFAULT_WEIGHTS | dict(weights)
        size = bounded(limit)
        from_weight, at, last_id = _weighted_place(mark)
        items: list[Document] = []
        heaviest = sorted(weights, key=lambda priority: -weights[priority])
        for weight, group in groupby(heaviest, key=lambda priority: weights[priority]):
            if from_weight is not None and weight > from_weight:
                continue
            place = (at, last_id) if weight == from_weight else (None, None)
            items += await self._pending(list(group), place, size + 1 - len(items))
            if len(items) > size:
                break
        if len(items) <= size:
            return Page(items, None)
        last = items[size - 1]
        mark_weight = str(weights[last["priority"]])
        return Page(items[:size], encode_mark(mark_weight, last["created_at"], last["task_id"]))

    async def stalled_tasks(self, quiet_for: timedelta, limit: int = DEFAULT_LIMIT) -> list[Document]:
        """Running past their deadline, or in an agent's hands with nothing heard of them for so long."""
        now = self._clock()
        found = await self._store.documents("stalled_tasks", now=now, quiet_since=now - quiet_for, limit=bounded(limit))
        return self._tasks(found)

    async def agents(
        self,
        *,
        state: str | None = None,
        agent_type: str | None = None,
        mark: str | None = None,
        limit: int = DEFAULT_LIMIT,
    ) -> Page:
        """By id, with their presence."""
        keys = decode_mark(mark, 1)
        found = await self._store.documents(
            "agents",
            state=state,
            agent_type=agent_type,
            mark_id=keys[0] if keys else None,
            limit=bounded(limit) + 1,
        )
        items = await self._with_presence([decode(document.body) for document in found])
        return _page(items, bounded(limit), "agent_id")

    async def pools(self, *, mark: str | None = None, limit: int = DEFAULT_LIMIT) -> Page:
        """By id."""
        keys = decode_mark(mark, 1)
        found = await self._store.documents("pools", mark_id=keys[0] if keys else None, limit=bounded(limit) + 1)
        items = [decode(document.body) for document in found]
        return _page(items, bounded(limit), "resource_pool_id")

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
        """Whether it has sent a heartbeat after that."""
        presence = (await self._presence.of([agent_id])).get(agent_id)
        return presence is not None and presence.last_heartbeat > since

    async def overlong_workflows(self, longest: timedelta, limit: int = 1_000) -> list[str]:
        """The ids of active workflows that were started that long ago."""
        return await self._store.ids("overlong_workflows", before=self._clock() - longest, limit=limit)

    def _tasks(self, found: Sequence[StoredDocument]) -> list[Document]:
        now = self._clock()
        return [tasks.as_of(decode(document.body), now) for document in found]

    async def _pending(
        self, priorities: Sequence[Priority], place: tuple[datetime | None, str | None], limit: int
    ) -> list[Document]:
        """Those of equal weight, by age."""
        found: list[Document] = []
        for priority in priorities:
            documents = await self._store.documents(
                "pending_tasks", priority=priority, mark_at=place[0], mark_id=place[1], limit=limit
            )
            found += self._tasks(documents)
        found.sort(key=lambda task: (datetime.fromisoformat(task["created_at"]), task["task_id"]))
        return found[:limit]

    async def _with_presence(self, documents: list[Document]) -> list[Document]:
        ids = [document["agent_id"] for document in documents]
        now = self._clock()
        presence = await self._presence.of(ids)
        completed = await self._store.completed_by(ids, now - RATE_WINDOW, now)
        minutes = RATE_WINDOW / timedelta(minutes=1)
        return [
            agents.as_of(document, presence.get(id), round(completed.get(id, 0) / minutes, 3))
            for id, document in zip(ids, documents, strict=True)
        ]


def _place(mark: str | None) -> tuple[datetime | None, str | None]:
    keys = decode_mark(mark, 2)
    return (mark_time(keys[0]), keys[1]) if keys else (None, None)


def _weighted_place(mark: str | None) -> tuple[int | None, datetime | None, str | None]:
    keys = decode_mark(mark, 3)
    if keys is None:
        return None, None, None
    if not keys[0].isdigit():
        raise InvalidPage(mark=mark)
    return int(keys[0]), mark_time(keys[1]), keys[2]


def _page(items: list[Document], size: int, *keys: str) -> Page:
    """A page of what was asked for with one more than fits on it."""
    if len(items) <= size:
        return Page(items, None)
    last = items[size - 1]
    return Page(items[:size], encode_mark(*(last[key] for key in keys)))
