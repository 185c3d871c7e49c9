"""Workflows: with filters, sorted, by pages."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, TypedDict, Unpack, get_args

from domain.pool import DEFAULT_WEIGHTS
from domain.workflow import OPEN, WorkflowState
from projections.documents.values import decode
from projections.lists.asking import PRIORITIES, Asking, checked, chosen
from projections.lists.walks import Order, order_of, place_of, walks
from projections.pages import DEFAULT_LIMIT, Page, bounded, fingerprint, fitting, keys_of, marked, page_of
from projections.questions import counted

STATES: tuple[str, ...] = get_args(WorkflowState)
SORTS = {
    "created": "created_at",
    "updated": "updated_at",
    "ended": "ended_at",
    "priority": "created_at",
    "scheduled_completion": "scheduled_completion",
}
LAST_SIGN = "\U0010ffff"


class WorkflowFilter(TypedDict, total=False):
    """What workflows are found by, in any combination; None lets everything through. Of states there may be several.

    Ranges include their beginning and not their end. `overdue`: meant to be done by now, and not ended.
    """

    state: str | Sequence[str] | None
    definition_id: str | None
    version: str | None
    priority: str | Sequence[str] | None
    prefix: str | None
    overdue: bool
    created_from: datetime | None
    created_before: datetime | None
    started_from: datetime | None
    started_before: datetime | None
    ended_from: datetime | None
    ended_before: datetime | None


FILTERS = frozenset(WorkflowFilter.__annotations__)
_OTHERS = (
    *("definition_id", "version", "prefix", "created_from", "created_before"),
    *("started_from", "started_before", "ended_from", "ended_before"),
)


class WorkflowLists(Asking):
    @counted("list")
    async def workflows(
        self,
        *,
        sort: str | None = None,
        mark: str | None = None,
        limit: int = DEFAULT_LIMIT,
        **only: Unpack[WorkflowFilter],
    ) -> Page:
        """Sorted by `created`, `updated`, `ended`, `scheduled_completion`, `priority` (the heaviest first, then by
        age) or `id`; `-` turns it round. Those that have not ended, or need not be done by a time, are not in a list
        sorted by that.

        Without a sort: by what is asked for, an id's beginning, what is overdue or when they ended; else the newest
        first. Raises InvalidInput, and InvalidPage for a mark of something else.
        """
        given = checked(only, FILTERS)
        sort = sort or natural_sort(given)
        states = chosen("state", given.get("state"), STATES)
        if given.get("overdue"):
            states = [state for state in states if state in OPEN]
        priorities = chosen("priority", given.get("priority"), PRIORITIES)
        order = order_of("Workflows", sort, SORTS | {"id": "id"}, DEFAULT_WEIGHTS)
        asked = fingerprint("workflows", sort, states, priorities, given.get("overdue"), _others(given))
        facts = self._facts(given) | {"limit": bounded(limit) + 1}
        if sort.removeprefix("-") == "id":
            return await self._by_id(sort, asked, states, priorities, mark, facts)
        found = await self._store.documents(
            "workflow",
            "lists/workflows",
            order.words,
            **walks(order, states, priorities, place_of(mark, asked)),
            **facts,
        )
        items = [decode(document.body) for document in found]
        return page_of(items, fitting(found, limit), lambda one: order.mark(asked, one, "workflow_id"))

    async def _by_id(
        self,
        sort: str,
        asked: str,
        states: Sequence[str],
        priorities: Sequence[str],
        mark: str | None,
        facts: Mapping[str, Any],
    ) -> Page:
        keys = keys_of(mark, asked, 1)
        found = await self._store.documents(
            "workflow",
            "lists/workflows_by_id",
            Order("id", sort.startswith("-"), {}).words,
            states=states,
            priorities=priorities,
            from_id=keys[0] if keys else None,
            **facts,
        )
        items = [decode(document.body) for document in found]
        return page_of(items, fitting(found, facts["limit"] - 1), lambda one: marked(asked, one["workflow_id"]))

    def _facts(self, given: Mapping[str, Any]) -> dict[str, Any]:
        prefix = given.get("prefix")
        return _others(given) | {
            # No id that begins so is behind this one, in the order of their bytes.
            "after_prefix": None if prefix is None else prefix + LAST_SIGN,
            "overdue_at": self._clock() if given.get("overdue") else None,
        }


def _others(given: Mapping[str, Any]) -> dict[str, Any]:
    return {name: given.get(name) for name in _OTHERS}


def natural_sort(given: Mapping[str, Any]) -> str:
    """By what workflows are sorted where nobody says: by what is asked for."""
    if given.get("prefix") is not None:
        return "id"
    if given.get("overdue"):
        return "scheduled_completion"
    ended = given.get("ended_from") or given.get("ended_before")
    return "-ended" if ended else "-created"
