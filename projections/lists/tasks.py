"""Tasks: the board's cards, what stalls, what is overdue, what is to be done next."""

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any, TypedDict, Unpack, get_args

from domain.errors import InvalidInput
from domain.pool import DEFAULT_WEIGHTS
from domain.task import PENDING, TaskState
from domain.values import Priority
from projections.documents import task as tasks
from projections.documents.values import Document, decode
from projections.lists.asking import PRIORITIES, Asking, checked, chosen
from projections.lists.walks import Order, order_of, place_of, walks
from projections.pages import DEFAULT_LIMIT, Page, bounded, fingerprint, fitting, page_of
from projections.ports import StoredDocument
from projections.questions import counted

STATES: tuple[str, ...] = get_args(TaskState)
SORTS = {"created": "created_at", "updated": "updated_at", "priority": "created_at", "deadline": "deadline"}
IN_HAND = ("assigned", "running")


class TaskFilter(TypedDict, total=False):
    """What tasks are found by, in any combination; None lets everything through. Of states there may be several."""

    state: str | Sequence[str] | None
    workflow_id: str | None
    agent_id: str | None
    definition_id: str | None
    priority: str | Sequence[str] | None


FILTERS = frozenset(TaskFilter.__annotations__)


class TaskLists(Asking):
    """Pages of tasks, without their audit trails.

    All raise InvalidInput, and InvalidPage for a mark of something else.
    """

    @counted("list")
    async def tasks(
        self, *, sort: str = "created", mark: str | None = None, limit: int = DEFAULT_LIMIT, **only: Unpack[TaskFilter]
    ) -> Page:
        """Sorted by `created`, `updated`, `priority` (the heaviest first, then by age) or `deadline`.

        `-` in front turns it round. By deadline there are only running tasks that have one.
        """
        given = checked(only, FILTERS)
        order = order_of("Tasks", sort, SORTS, DEFAULT_WEIGHTS)
        if order.key == "deadline":
            return await self._running("deadline", order, given, mark, limit)
        states = chosen("state", given.get("state"), STATES)
        return await self._walked("tasks", order, states, given, mark, limit, {})

    @counted("list")
    async def overdue(self, *, mark: str | None = None, limit: int = DEFAULT_LIMIT, **only: Unpack[TaskFilter]) -> Page:
        """Running past their deadline, the longest first."""
        order = Order("deadline", False, {})
        return await self._running("overdue", order, checked(only, FILTERS), mark, limit, due=self._clock())

    @counted("list")
    async def stalled_tasks(
        self, quiet_for: timedelta, *, mark: str | None = None, limit: int = DEFAULT_LIMIT, **only: Unpack[TaskFilter]
    ) -> Page:
        """Running past their deadline, or in an agent's hands with nothing heard of them for so long.

        The quietest come first.
        """
        given = checked(only, FILTERS)
        states = [state for state in chosen("state", given.get("state"), STATES) if state in IN_HAND]
        now = self._clock()
        try:
            quiet = {"quiet_since": now - quiet_for, "now": now}
        except OverflowError:
            raise InvalidInput("Nothing can be stalled for longer than there are years; give less.") from None
        order = Order("updated_at", False, {})
        return await self._walked(f"stalled {quiet_for}", order, states, given, mark, limit, quiet)

    @counted("list")
    async def pending_tasks(
        self,
        *,
        weights: Mapping[Priority, int] = DEFAULT_WEIGHTS,
        mark: str | None = None,
        limit: int = DEFAULT_LIMIT,
    ) -> Page:
        """What is to be done next in running workflows: by the weight of its priority, then by age."""
        chosen("priority", list(weights), PRIORITIES)
        order = order_of("Tasks", "priority", SORTS, DEFAULT_WEIGHTS | dict(weights))
        states = [state for state in STATES if state in PENDING]
        question = f"pending {sorted(order.ranks.items())}"
        return await self._walked(question, order, states, {}, mark, limit, {"of_running_workflows": True})

    async def _walked(
        self,
        question: str,
        order: Order,
        states: Sequence[str],
        given: Mapping[str, Any],
        mark: str | None,
        limit: int,
        besides: Mapping[str, Any],
    ) -> Page:
        priorities = chosen("priority", given.get("priority"), PRIORITIES)
        asked = fingerprint(question, order.key, order.descending, order.ranks, _others(given), states, priorities)
        facts = {"quiet_since": None, "now": None, "of_running_workflows": False} | dict(besides) | _others(given)
        found = await self._store.documents(
            "task",
            "lists/tasks",
            order.words,
            **walks(order, states, priorities, place_of(mark, asked)),
            **facts,
            limit=bounded(limit) + 1,
        )
        return page_of(self._shown(found), fitting(found, limit), lambda task: order.mark(asked, task, "task_id"))

    async def _running(
        self, question: str, order: Order, given: Mapping[str, Any], mark: str | None, limit: int, due: Any = None
    ) -> Page:
        if "running" not in chosen("state", given.get("state"), STATES):
            raise InvalidInput(
                "Only running tasks have a deadline to be sorted by; leave the state out, or sort otherwise."
            )
        priorities = chosen("priority", given.get("priority"), PRIORITIES)
        asked = fingerprint(question, order.descending, _others(given), priorities)
        place = place_of(mark, asked)
        found = await self._store.documents(
            "task",
            "lists/running_tasks",
            order.words,
            priorities=priorities,
            from_at=place.at if place else order.start,
            from_id=place.id if place else "",
            due=due,
            **_others(given),
            limit=bounded(limit) + 1,
        )
        return page_of(self._shown(found), fitting(found, limit), lambda task: order.mark(asked, task, "task_id"))

    def _shown(self, found: Sequence[StoredDocument]) -> list[Document]:
        now = self._clock()
        return [tasks.as_of(decode(document.body), now) for document in found]


def _others(given: Mapping[str, Any]) -> dict[str, str | None]:
    return {name: given.get(name) for name in ("workflow_id", "agent_id", "definition_id")}
