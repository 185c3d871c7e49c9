"""Slots and reservations: what a task takes when it is assigned, and what becomes of it."""

from datetime import datetime
from fractions import Fraction
from typing import Any

from tests.models.house.floor import Floor
from tests.models.house.rooms import KINDS, Agent, Amounts, Pool, Refused, Reservation, Slot, Task, exact, refuse


class Holdings(Floor):
    def why_unable(self, agent: Agent, task: Task) -> dict[str, bool]:
        return {
            "agent_unable": agent.state not in ("healthy", "degraded"),
            "agent_deregistered": agent.state == "deregistered",
            "capability_missing": not set(task.capabilities) <= set(agent.capabilities),
            "agent_full": len(agent.slots) >= agent.slots_at_most,
        }

    def take(self, task_id: str, agent_id: str, pool_id: str | None, expires_at: datetime | None) -> str | None:
        """A slot and, where the task wants something of a pool, a reservation; gives its id."""
        task, agent = self.task(task_id), self.agent(agent_id)
        reasons = {reason for reason, holds in self.why_unable(agent, task).items() if holds}
        reservation_id = None
        if pool_id is not None and pool_id not in self.rooms.pools:
            reasons.add("unknown_id")
        elif pool_id is not None and task.wants:
            reservation_id = self.next_reservation()
            wanted = Reservation(task.wants, task_id, agent_id, self.now, expires_at)
            reasons |= self.reserve_in(pool_id, reservation_id, wanted)
        if reasons:
            raise Refused(*reasons)
        self.change_agent(agent_id, slots={**agent.slots, task_id: Slot(task.workflow_id, task.priority)})
        return reservation_id

    def reserve_in(self, pool_id: str, reservation_id: str, wanted: Reservation) -> set[str]:
        """The reasons why not."""
        pool = self.pool(pool_id)
        self.change_pool(pool_id, reservations={**pool.reservations, reservation_id: wanted})
        reasons = {"pool_exhausted"} if self.pool(pool_id).lends_too_much else set()
        if wanted.expires_at is not None and wanted.expires_at <= self.now:
            reasons.add("reservation_in_the_past")
        return reasons

    def let_go(self, task_id: str, outcome: str, seconds: float | None = None) -> None:
        """Its slot and its reservation are free again; the agent's record counts how it ended."""
        task = self.task(task_id)
        assert task.agent_id is not None
        agent = self.agent(task.agent_id)
        started = agent.slots[task_id].started_at is not None
        changed: dict[str, Any] = {"slots": {one: slot for one, slot in agent.slots.items() if one != task_id}}
        if outcome == "completed":
            changed |= {"completed": agent.completed + 1, "times": (*agent.times, seconds)}
        if outcome == "failed" and started:
            changed["failed"] = agent.failed + 1
        self.change_agent(task.agent_id, **changed)
        self.release(task)
        self.change_task(task_id, pool_id=None, reservation_id=None, deadline=None, estimate=None)

    def release(self, task: Task) -> None:
        if task.pool_id is not None and task.reservation_id is not None:
            left = {**self.pool(task.pool_id).reservations}
            left.pop(task.reservation_id, None)  # it has expired
            self.change_pool(task.pool_id, reservations=left)

    def unassign(self, task_id: str) -> None:
        self.let_go(task_id, "unassigned")
        self.change_task(task_id, state="scheduled", agent_id=None, assigned_at=None, reason=None)

    # --- pools by themselves --------------------------------------------------------------------------------

    def create_pool(self, told: Any) -> None:
        refuse(pool_exists=told.pool_id in self.rooms.pools)
        weights = {"high": 10, "medium": 5, "low": 1, **told.priority_weights}
        self.rooms.pools[told.pool_id] = Pool(_total(told.total), _ratios(told.overcommit), weights)

    def resize_pool(self, told: Any) -> None:
        self.change_pool(told.pool_id, total=_total(told.total))
        refuse(pool_exhausted=self.pool(told.pool_id).lends_too_much)

    def change_policies(self, told: Any) -> None:
        pool = self.pool(told.pool_id)
        ratios, weights = _ratios(pool.ratios | told.overcommit), pool.weights | told.priority_weights
        self.change_pool(told.pool_id, ratios=ratios, weights=weights)
        refuse(pool_exhausted=self.pool(told.pool_id).lends_too_much)

    def reserve(self, told: Any) -> None:
        wanted = Reservation({**told.resources}, None, told.agent_id, self.now, told.expires_at)
        reasons = self.reserve_in(told.pool_id, self.next_reservation(), wanted)
        if reasons:
            raise Refused(*reasons)

    def release_reservation(self, told: Any) -> None:
        reservations = self.pool(told.pool_id).reservations
        if told.reservation_id in reservations:
            refuse(reservation_of_task=reservations[told.reservation_id].task_id is not None)
            left = {one: held for one, held in reservations.items() if one != told.reservation_id}
            self.change_pool(told.pool_id, reservations=left)


def _total(told: Amounts) -> dict[str, Fraction]:
    return {kind: exact(told.get(kind, "0")) for kind in KINDS}


def _ratios(told: dict[str, Any]) -> dict[str, Fraction]:
    return {kind: Fraction(str(told.get(kind, 1))) for kind in KINDS}
