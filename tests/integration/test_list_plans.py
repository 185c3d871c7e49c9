"""How lists are found among many rows, as EXPLAIN tells it: by indexes, and no more looked at than a page may need."""

from collections.abc import AsyncIterator, Iterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import combinations
from typing import Any, NamedTuple

import pytest

from benchmarks.crowd import fill
from infrastructure import read_models
from infrastructure.database import Role
from infrastructure.pools import open_pool
from infrastructure.read_models import PostgresReadModels
from projections.documents.agent import Presence
from projections.lists import Lists
from projections.lists import tasks as task_lists
from projections.lists import workflows as workflow_lists
from projections.ports import NO_WORDS, StoredDocument
from projections.rates import RateHistory
from tests.support.postgres import connected

NOW = datetime(2026, 1, 1, tzinfo=UTC)
TASKS, WORKFLOWS, RESERVATIONS = 40_000, 15_000, 10_000
LIMIT = 10
WALKS = 8 * 3
PAGE = WALKS * (LIMIT + 1)
"""So many rows a page is merged from at most, if no filter stands beside the walks."""
OF_OTHERS = {"tasks_completed", "workflows_active", "workflows_completed", "reservations_pkey"}
"""Indexes by which rates are told, the worker finds what is due, and the projector what it has written."""
LARGE = {"tasks", "workflows", "attempts", "completions", "rates", "reservations", "task_facets"}


class Together(NamedTuple):
    """How many filters are given at once."""

    of_tasks: int
    of_workflows: int


@dataclass
class Plan:
    question: str
    root: Mapping[str, Any]

    def nodes(self) -> Iterator[Mapping[str, Any]]:
        waiting = [self.root]
        while waiting:
            node = waiting.pop()
            yield node
            waiting += node.get("Plans", [])

    @property
    def scanned(self) -> set[str]:
        """Tables that were read from one end to the other."""
        return {node["Relation Name"] for node in self.nodes() if node["Node Type"] == "Seq Scan"}

    @property
    def sorted(self) -> int:
        """The most rows that went into one sort."""
        sorts = [node for node in self.nodes() if node["Node Type"] in ("Sort", "Incremental Sort")]
        return max((_rows(node["Plans"][0]) for node in sorts), default=0)

    @property
    def looked_at(self) -> int:
        """The most rows that one part looked at."""
        scans = [node for node in self.nodes() if "Scan" in node["Node Type"] and "Relation Name" in node]
        removed = ("Rows Removed by Filter", "Rows Removed by Index Recheck")
        return max(_rows(node) + sum(_loops(node, name) for name in removed) for node in scans)


def _rows(node: Mapping[str, Any]) -> int:
    return _loops(node, "Actual Rows")


def _loops(node: Mapping[str, Any], name: str) -> int:
    return int(node.get(name, 0) * node["Actual Loops"])


@dataclass
class Explained(PostgresReadModels):
    """Read models that note how each question was answered."""

    pool: Any
    plans: list[Plan] = field(default_factory=list)
    used: set[str] = field(default_factory=set)

    def __post_init__(self) -> None:
        super().__init__(self.pool)

    async def _rows(
        self, name: str, facts: dict[str, Any], words: Mapping[str, str] = NO_WORDS, *, prepare: bool = False
    ) -> list[Any]:
        await self._explain(name, facts, words)
        return await super()._rows(name, facts, words)

    async def documents(
        self, kind: str, question: str, words: Mapping[str, str] = NO_WORDS, /, **facts: Any
    ) -> list[StoredDocument]:
        await self._explain(question, facts, words)
        return await super().documents(kind, question, words, **facts)

    async def _explain(self, name: str, facts: dict[str, Any], words: Mapping[str, str]) -> None:
        explain = b"EXPLAIN (ANALYZE, TIMING OFF, FORMAT JSON) " + read_models._query(name, words)
        async with self.pool.connection() as connection:
            ((told,),) = await (await connection.execute(explain, facts, prepare=False)).fetchall()
        plan = Plan(name, told[0]["Plan"])
        self.plans.append(plan)
        self.used |= {node["Index Name"] for node in plan.nodes() if "Index Name" in node}

    def told(self) -> list[Plan]:
        plans, self.plans = self.plans, []
        return plans


class Nobody:
    async def of(self, agent_ids: object) -> dict[str, Presence]:
        return {}


@asynccontextmanager
async def crowd(database_url: str, tenant: str) -> AsyncIterator[Explained]:
    async with connected(database_url, tenant, Role.MIGRATOR) as connection:
        await fill(connection, TASKS, NOW, workflows=WORKFLOWS, tasks_shown=1, reservations=RESERVATIONS)
    async with await open_pool(database_url, tenant, Role.PROJECTOR, min_size=1, max_size=2) as pool:
        yield Explained(pool)


def some_of(filters: Mapping[str, Any], most: int) -> Iterator[dict[str, Any]]:
    for count in range(most + 1):
        for names in combinations(filters, count):
            yield {name: filters[name] for name in names}


TASK_FILTERS = {
    "state": "failed",
    "agent_id": "agent-7",
    "definition_id": "definition-3",
    "priority": "high",
    "workflow_id": "wf-0000100",
}
WORKFLOW_FILTERS: dict[str, Any] = {
    "state": "failed",
    "definition_id": "definition-3",
    "priority": "high",
    "version": "1.2",
    "prefix": "wf-00012",
    "overdue": True,
    "created_from": NOW - timedelta(days=9),
    "started_before": NOW - timedelta(days=50),
    "ended_from": NOW - timedelta(days=7),
}
"""States and values of which there are few, so that a page is not full by what comes first."""


@pytest.mark.parametrize("together", [Together(2, 1), pytest.param(Together(5, 2), marks=pytest.mark.long)], ids=str)
async def test_every_list_is_found_by_indexes_whatever_filters_and_sort(
    database_url: str, tenant: str, together: Together
) -> None:
    async with crowd(database_url, tenant) as store:
        lists = Lists(store, Nobody(), lambda: NOW)
        await _tasks(store, lists, together.of_tasks)
        await _workflows(store, lists, together.of_workflows)
        await _others(store, lists, together.of_tasks)
        async with connected(database_url, tenant) as admin:
            found = await admin.execute("SELECT indexname FROM pg_indexes WHERE schemaname = current_schema()")
            indexes = {str(name) for (name,) in await found.fetchall()}
            listed = {name for name in indexes if name.startswith(("tasks_", "workflows_", "reservations_"))}
            assert listed - OF_OTHERS <= store.used, "an index that no list goes by only costs"
            # And that what is held against the plans can fail:
            await admin.execute("DROP INDEX tasks_by_creation, workflows_by_creation")
        with pytest.raises(AssertionError):
            await _tasks(store, lists, together.of_tasks)
        with pytest.raises(AssertionError):
            await _workflows(store, lists, together.of_workflows)


async def _tasks(store: Explained, lists: Lists, together: int) -> None:
    sizes = {"agent_id": TASKS // 60, "definition_id": TASKS // 35, "workflow_id": 80}
    for only in some_of(TASK_FILTERS, together):
        # A page looks at no more than the walks need, or at all tasks of the one that is asked for.
        bound = max(PAGE, min([sizes[name] for name in only if name in sizes], default=0))
        for sort in [sort for name in task_lists.SORTS for sort in (name, f"-{name}")]:
            if "deadline" in sort and "state" in only:
                continue
            page = await lists.tasks(**only, sort=sort, limit=LIMIT)
            if page.next is not None:
                await lists.tasks(**only, sort=sort, limit=LIMIT, mark=page.next)
            for plan in store.told():
                about = (only, sort, plan)
                assert not plan.scanned & LARGE, about
                assert plan.sorted <= bound, about
                assert plan.looked_at <= bound, about
        if "state" not in only:
            for stalled in (lists.stalled_tasks(timedelta(hours=2), **only, limit=LIMIT), lists.overdue(**only)):
                await stalled
            for plan in store.told():
                assert not plan.scanned & LARGE, (only, plan)
                # There are no more in an agent's hands.
                assert plan.looked_at <= TASKS * 0.012, (only, plan)


async def _workflows(store: Explained, lists: Lists, together: int) -> None:
    sizes = {"definition_id": WORKFLOWS // 35, "created_from": WORKFLOWS // 18, "ended_from": WORKFLOWS // 18}
    for only in some_of(WORKFLOW_FILTERS, together):
        # Where the sort is another, those of a definition or of a range may be taken together and sorted.
        bound = max([PAGE, *(sizes.get(name, 0) for name in only)])
        sorts = [sort for name in (*workflow_lists.SORTS, "id") for sort in (name, f"-{name}")]
        for sort in (None, *sorts):
            page = await lists.workflows(**only, sort=sort, limit=LIMIT)
            if page.next is not None:
                await lists.workflows(**only, sort=sort, limit=LIMIT, mark=page.next)
            for plan in store.told():
                about = (only, sort, plan)
                assert not plan.scanned & LARGE, about
                assert plan.sorted <= bound, about
                if only.keys() <= {"state", "definition_id", "priority"} and sort not in ("id", "-id"):
                    assert plan.looked_at <= bound, about


async def _others(store: Explained, lists: Lists, together: int) -> None:
    whose = {"pool_id": "pool-1", "agent_id": "agent-7", "task_id": "task-000000021"}
    for only in some_of(whose | {"expires_before": NOW + timedelta(hours=1)}, 4):
        await lists.reservations(**only, limit=LIMIT)
    for by in ("state", "agent", "definition", "priority", "workflow"):
        for only in some_of(TASK_FILTERS, together):
            await lists.board(by, **only, limit=LIMIT)
    await lists.agents(limit=LIMIT)
    rates = RateHistory(store, lists.now, UTC)
    for per in ("minute", "hour", "day"):
        await rates.rates(per)
        await rates.rates(per, agent_id="agent-7")
    for plan in store.told():
        assert not plan.scanned & LARGE, plan
