"""What lists and boards cost where a million tasks are: the first page, the thousandth, a board with its counts."""

import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any

from benchmarks.crowd import fill
from benchmarks.filling import opened
from benchmarks.rows import Row, row
from benchmarks.stage import open_stage
from dora_state.memory import spare_the_collector
from dora_state.state_manager import StateManager
from infrastructure.database import Role, assume, connect, tenant_schema
from projections.lists import Lists
from projections.pages import Page
from projections.rates import RateHistory

NAME = "boards"
TASKS = 1_000_000
RESERVATIONS = 10_000
NOW = datetime(2026, 1, 1, tzinfo=UTC)
PAGE = 50
FAR = 1_000
"""The page that is asked for far back, if there are so many."""
ROUNDS = 15
WITHIN = 10.0
"""Milliseconds."""

Ask = Callable[[str | None], Awaitable[Page]]


async def run(quick: bool) -> list[Row]:
    async with open_stage() as stage, opened(stage) as manager:
        tasks = TASKS // 20 if quick else TASKS
        async with await connect(stage.url) as connection:
            await assume(connection, tenant_schema(manager.platform.settings.tenant), Role.MIGRATOR)
            await fill(connection, tasks, NOW, reservations=RESERVATIONS)
        spare_the_collector()  # as processes do that serve for long
        return await measure(manager, tasks)


async def measure(manager: StateManager, tasks: int) -> list[Row]:
    lists = Lists(manager.platform.read_models, manager.platform.presence, lambda: NOW)
    rows: list[Row] = []
    for case, ask in pages(lists).items():
        rows += await paged(f"{case}, of {tasks:,} tasks", ask)
    for case, counted in boards(lists, manager).items():
        took = [await taken(counted) for _ in range(ROUNDS)]
        rows += told(f"{case}, of {tasks:,} tasks", "", took, WITHIN if case.startswith("board") else None)
    return rows


def pages(lists: Lists) -> dict[str, Ask]:
    def tasks(**only: Any) -> Ask:
        return lambda mark: lists.tasks(**only, mark=mark, limit=PAGE)

    def workflows(**only: Any) -> Ask:
        return lambda mark: lists.workflows(**only, mark=mark, limit=PAGE)

    one, agent, definition = "wf-0000100", "agent-7", "definition-3"
    return {
        "tasks, oldest first": tasks(),
        "newest first": tasks(sort="-created"),
        "last changed first": tasks(sort="-updated"),
        "by priority": tasks(sort="priority"),
        "by deadline": tasks(sort="deadline"),
        "completed": tasks(state="completed", sort="-created"),
        "failed": tasks(state="failed", sort="-updated"),
        "of an agent": tasks(agent_id=agent, sort="-created"),
        "of an agent, last changed first": tasks(agent_id=agent, sort="-updated"),
        "of an agent, failed, of high priority": tasks(agent_id=agent, state="failed", priority="high"),
        "of an agent and a definition": tasks(agent_id=agent, definition_id=definition),
        "of a definition": tasks(definition_id=definition, sort="priority"),
        "of a definition, last changed first": tasks(definition_id=definition, sort="-updated"),
        "of a workflow": tasks(workflow_id=one),
        "overdue": lambda mark: lists.overdue(mark=mark, limit=PAGE),
        "stalled": lambda mark: lists.stalled_tasks(timedelta(hours=1), mark=mark, limit=PAGE),
        "workflows, newest first": workflows(),
        "workflows of a definition, last changed first": workflows(definition_id=definition, sort="-updated"),
        "workflows that failed, by priority": workflows(state="failed", sort="priority"),
        "workflows that are overdue": workflows(overdue=True),
        "reservations": lambda mark: lists.reservations(mark=mark, limit=PAGE),
    }


def boards(lists: Lists, manager: StateManager) -> dict[str, Callable[[], Awaitable[object]]]:
    rates = RateHistory(manager.platform.read_models, lists.now, UTC)
    agent, definition = "agent-7", "definition-3"
    return {
        "board by state": lambda: lists.board("state"),
        "board by agent": lambda: lists.board("agent"),
        "board by definition": lambda: lists.board("definition"),
        "board by workflow": lambda: lists.board("workflow"),
        "board by agent, of high priority": lambda: lists.board("agent", priority="high"),
        "board by state, of an agent and a definition": lambda: lists.board(agent_id=agent, definition_id=definition),
        "board by workflow, of an agent": lambda: lists.board("workflow", agent_id=agent),
        "rates per minute, of a day": lambda: rates.rates("minute", NOW - timedelta(days=1)),
        "rates per hour, of a month": lambda: rates.rates("hour", NOW - timedelta(days=30)),
        "rates per day, of half a year": lambda: rates.rates("day", NOW - timedelta(days=180)),
    }


async def paged(case: str, ask: Ask) -> list[Row]:
    """The first page and the thousandth, or the last where there are fewer."""
    mark: str | None = None
    number = 1
    while number < FAR and (page := await ask(mark)).next is not None:
        mark, number = page.next, number + 1
    rows = told(case, "first page", [await taken(lambda: ask(None)) for _ in range(ROUNDS)], WITHIN)
    return rows + told(case, f"page {number:,}", [await taken(lambda: ask(mark)) for _ in range(ROUNDS)], WITHIN)


def told(case: str, what: str, took: list[float], within: float | None) -> list[Row]:
    names = [f"{what}, {metric}" if what else metric for metric in ("p50", "worst")]
    return [row(NAME, case, names[0], "ms", took, at_most=within), row(NAME, case, names[1], "ms", [max(took)])]


async def taken(work: Callable[[], Awaitable[object]]) -> float:
    begun = time.perf_counter()
    await work()
    return 1000 * (time.perf_counter() - begun)
