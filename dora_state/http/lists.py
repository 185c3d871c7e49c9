"""Lists by pages, boards, rates, and who did what."""

from dataclasses import asdict
from datetime import timedelta
from typing import Any

from pydantic import Field
from starlette.responses import Response

from domain.pool import DEFAULT_WEIGHTS
from domain.values import Time
from dora_state.http.call import Call
from dora_state.http.operations import JSON
from dora_state.http.parameters import Flag, Limit, Mark, Query, Seconds, Whole, Word
from dora_state.http.problems import as_json
from dora_state.naming import check_command
from projections.pages import DEFAULT_LIMIT, Page


class PageQuery(Query):
    page: Mark | None = Field(None, description="The `next` of the page before; with the same filters and sort.")
    limit: Limit = Field(DEFAULT_LIMIT, description="How many at most.")

    def filters(self) -> dict[str, Any]:
        """What the list is filtered and sorted by, and where its page begins."""
        given = self.model_dump(exclude={"page"}, exclude_none=True)
        chosen = {name: value for name, value in given.items() if value != ()}
        return chosen | {"mark": self.page}


class TasksQuery(PageQuery):
    state: tuple[Word, ...] = Field((), description="Of these states.")
    workflow_id: Word | None = None
    agent_id: Word | None = None
    definition_id: Word | None = None
    priority: tuple[Word, ...] = Field((), description="high, medium, low.")


class SortedTasksQuery(TasksQuery):
    sort: Word = Field("created", description="created, updated, priority or deadline; `-` in front turns it round.")


class StalledQuery(TasksQuery):
    quiet_for: Seconds = Field(300.0, description="Seconds without a word of it.")


class PendingQuery(PageQuery):
    pool_id: Word | None = Field(None, description="By the weights of this pool's priorities.")


class WorkflowsQuery(PageQuery):
    sort: Word | None = Field(
        None, description="created, updated, ended, scheduled_completion, priority or id; `-` turns it round."
    )
    state: tuple[Word, ...] = Field((), description="Of these states.")
    definition_id: Word | None = None
    version: Word | None = Field(None, description="Of this version of the definition.")
    priority: tuple[Word, ...] = Field((), description="high, medium, low.")
    prefix: Word | None = Field(None, description="Ids that begin so.")
    overdue: Flag | None = Field(None, description="Meant to be done by now, and not ended.")
    created_from: Time | None = None
    created_before: Time | None = None
    started_from: Time | None = None
    started_before: Time | None = None
    ended_from: Time | None = None
    ended_before: Time | None = None


class AgentsQuery(PageQuery):
    state: Word | None = None
    agent_type: Word | None = None
    capability: Word | None = None
    node_id: Word | None = None
    free_slots: Whole | None = Field(None, description="At least so many.")
    presence: Word | None = Field(None, description="online, silent or unheard.")


class ReservationsQuery(PageQuery):
    pool_id: Word | None = None
    agent_id: Word | None = None
    task_id: Word | None = None
    expires_before: Time | None = None


class BoardQuery(TasksQuery):
    by: Word = Field("state", description="state, agent, definition, priority or workflow.")
    priority: Word | None = None  # type: ignore[assignment]  # a board is of one or of all


class RatesQuery(Query):
    per: Word = Field("hour", description="minute, hour or day.")
    begin: Time | None = None
    end: Time | None = None
    agent_id: Word | None = None


class AuditQuery(PageQuery):
    actor: Word = Field(description="Whose doings.")
    since: Time | None = Field(None, description="Only what was recorded from then on.")
    until: Time | None = Field(None, description="Only what was recorded up to then.")
    command: Word | None = Field(None, description="Only commands of this type.")


class ActorsQuery(Query):
    after: str = Field("", max_length=255, description="The last name of the page before.")
    limit: Limit = DEFAULT_LIMIT


async def list_workflows(call: Call) -> Response:
    return _page(await call.manager.lists.workflows(**call.query(WorkflowsQuery).filters()))


async def list_tasks(call: Call) -> Response:
    return _page(await call.manager.lists.tasks(**call.query(SortedTasksQuery).filters()))


async def list_overdue(call: Call) -> Response:
    return _page(await call.manager.lists.overdue(**call.query(TasksQuery).filters()))


async def list_stalled(call: Call) -> Response:
    asked = call.query(StalledQuery).filters()
    quiet_for = timedelta(seconds=asked.pop("quiet_for"))
    return _page(await call.manager.lists.stalled_tasks(quiet_for, **asked))


async def list_pending(call: Call) -> Response:
    asked = call.query(PendingQuery)
    weights: Any = DEFAULT_WEIGHTS
    if asked.pool_id is not None:
        pool = await call.manager.state("pool", asked.pool_id)
        weights = pool["allocation_policies"]["priority_weights"]
    found = await call.manager.lists.pending_tasks(weights=weights, mark=asked.page, limit=asked.limit)
    return _page(found)


async def list_agents(call: Call) -> Response:
    return _page(await call.manager.lists.agents(**call.query(AgentsQuery).filters()))


async def list_pools(call: Call) -> Response:
    asked = call.query(PageQuery)
    return _page(await call.manager.lists.pools(mark=asked.page, limit=asked.limit))


async def list_reservations(call: Call) -> Response:
    return _page(await call.manager.lists.reservations(**call.query(ReservationsQuery).filters()))


async def get_board(call: Call) -> Response:
    return _answer(asdict(await call.manager.lists.board(**call.query(BoardQuery).filters())))


async def get_rates(call: Call) -> Response:
    asked = call.query(RatesQuery)
    return _answer({"items": await call.manager.rates(asked.per, asked.begin, asked.end, agent_id=asked.agent_id)})


async def get_audit(call: Call) -> Response:
    asked = call.query(AuditQuery)
    command = None if asked.command is None else check_command(asked.command)
    found = await call.manager.platform.audits.actions(
        asked.actor,
        since=asked.since,
        until=asked.until,
        command_type=command,
        mark=asked.page,
        limit=asked.limit,
    )
    await call.looks_at("audit", f"actor {asked.actor}", {"since": asked.since, "until": asked.until}, len(found.items))
    return _answer({"items": found.items, "next": found.next})


async def list_actors(call: Call) -> Response:
    asked = call.query(ActorsQuery)
    found = await call.manager.platform.audits.actors(after=asked.after, limit=asked.limit + 1)
    following = found[asked.limit - 1].actor if len(found) > asked.limit else None
    page = found[: asked.limit]
    await call.looks_at("audit", "actors", {}, len(page))
    return _answer({"items": page, "next": following})


def _page(page: Page) -> Response:
    return _answer({"items": page.items, "next": page.next})


def _answer(value: object) -> Response:
    return Response(as_json(value), 200, {"Cache-Control": "private, no-store"}, JSON)
