"""The agents with their presence and what is held for them, pools, and the reservations of all pools."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, TypedDict, Unpack, get_args

import orjson

from domain.agent import AgentState
from projections.documents import agent as agents
from projections.documents.values import Document, decode, iso
from projections.lists.asking import Asking, checked, chosen
from projections.pages import DEFAULT_LIMIT, Page, bounded, fingerprint, fitting, keys_of, mark_time, marked, page_of
from projections.queries import RATE_WINDOW
from projections.questions import counted

STATES: tuple[str, ...] = get_args(AgentState)
PRESENCES = ("online", "silent", "unheard")
RESERVATIONS_SHOWN = 100
"""So many reservations at most are shown with an agent, those that expire first."""


class AgentFilter(TypedDict, total=False):
    """What agents are found by, in any combination; None lets everything through. `free_slots`: at least so many."""

    state: str | None
    agent_type: str | None
    capability: str | None
    node_id: str | None
    free_slots: int | None
    presence: str | None


class ReservationFilter(TypedDict, total=False):
    """What active reservations are found by, in any combination; None lets everything through."""

    pool_id: str | None
    agent_id: str | None
    task_id: str | None
    expires_before: datetime | None


AGENT_FILTERS = frozenset(AgentFilter.__annotations__)
RESERVATION_FILTERS = frozenset(ReservationFilter.__annotations__)


class FleetLists(Asking):
    """All raise InvalidInput, and InvalidPage for a mark of something else."""

    @counted("list")
    async def agents(self, *, mark: str | None = None, limit: int = DEFAULT_LIMIT, **only: Unpack[AgentFilter]) -> Page:
        """By id, with two keys besides: `presence` (`status` online, silent or unheard, and `seconds` since the last
        heartbeat) and `reservations` that are held for it, what expires first in front.
        """
        given = checked(only, AGENT_FILTERS)
        for name, known in (("state", STATES), ("presence", PRESENCES)):
            if name in given:
                chosen(name, given[name], known)
        asked = fingerprint("agents", given)
        keys = keys_of(mark, asked, 1)
        found = await self._store.documents(
            "agent",
            "lists/agents",
            **{name: given.get(name) for name in AGENT_FILTERS},
            online_since=self._clock() - self._silence,
            mark_id=keys[0] if keys else None,
            limit=bounded(limit) + 1,
        )
        items = [decode(document.body) for document in found]
        page = page_of(items, fitting(found, limit), lambda agent: marked(asked, agent["agent_id"]))
        return Page(await self._with_presence(page.items), page.next)

    @counted("list")
    async def pools(self, *, mark: str | None = None, limit: int = DEFAULT_LIMIT) -> Page:
        """By id, with two keys besides: `active_reservations`, how many there are, and `next_expiry`, when the first
        expires.
        """
        asked = fingerprint("pools")
        keys = keys_of(mark, asked, 1)
        found = await self._store.documents(
            "pool", "pools", mark_id=keys[0] if keys else None, limit=bounded(limit) + 1
        )
        items = [_with_expiry(decode(document.body)) for document in found]
        return page_of(items, fitting(found, limit), lambda pool: marked(asked, pool["resource_pool_id"]))

    @counted("list")
    async def reservations(
        self, *, mark: str | None = None, limit: int = DEFAULT_LIMIT, **only: Unpack[ReservationFilter]
    ) -> Page:
        """The active ones of all pools, what expires first in front and what never does at the end."""
        given = checked(only, RESERVATION_FILTERS)
        asked = fingerprint("reservations", given)
        keys = keys_of(mark, asked, 3)
        at, pool_id, id = keys or ("-infinity", "", "")
        if at not in ("-infinity", "infinity"):
            at = mark_time(at).isoformat()
        rows = await self._store.rows(
            "lists/reservations",
            **{name: given.get(name) for name in RESERVATION_FILTERS},
            from_at=at,
            from_pool=pool_id,
            from_id=id,
            limit=bounded(limit) + 1,
        )
        return page_of(
            [_reservation(row) for row in rows],
            bounded(limit),
            lambda one: marked(asked, one["expires_at"] or "infinity", one["resource_pool_id"], one["reservation_id"]),
        )

    async def _with_presence(self, documents: list[Document]) -> list[Document]:
        ids = [document["agent_id"] for document in documents]
        now = self._clock()
        presence = await self._presence.of(ids)
        completed = await self._store.completed_by(ids, now - RATE_WINDOW, now)
        held = await self._held_by(ids)
        minutes = RATE_WINDOW / timedelta(minutes=1)
        shown = []
        for id, document in zip(ids, documents, strict=True):
            whole = agents.as_of(document, presence.get(id), round(completed.get(id, 0) / minutes, 3))
            shown.append(whole | {"presence": self._presence_of(whole, now), "reservations": held.get(id, [])})
        return shown

    def _presence_of(self, document: Document, now: datetime) -> Document:
        heard = document["last_heartbeat"]
        if heard is None:
            return {"status": "unheard", "seconds": None}
        since = now - datetime.fromisoformat(heard)
        return {"status": "online" if since <= self._silence else "silent", "seconds": max(since.total_seconds(), 0.0)}

    async def _held_by(self, agent_ids: Sequence[str]) -> dict[str, list[Document]]:
        held: dict[str, list[Document]] = {}
        for row in await self._store.rows("lists/held_by", agent_ids=list(agent_ids), each=RESERVATIONS_SHOWN):
            reservation = _reservation(row)
            held.setdefault(reservation["agent_id"], []).append(reservation)
        return held


def _with_expiry(pool: Document) -> Document:
    expiries = [held["expires_at"] for held in pool["reservations"] if held["expires_at"] is not None]
    soonest = min(expiries, key=datetime.fromisoformat, default=None)
    return pool | {"active_reservations": len(pool["reservations"]), "next_expiry": soonest}


def _reservation(row: tuple[Any, ...]) -> Document:
    pool_id, id, task_id, agent_id, resources, created_at, expires_at = row
    return {
        "reservation_id": id,
        "resource_pool_id": pool_id,
        "task_id": task_id,
        "agent_id": agent_id,
        "resources": orjson.loads(resources),
        "created_at": iso(created_at),
        "expires_at": iso(expires_at),
        "state": "active",
    }
