"""What is counted of what a process is asked: each question by what it is, commands that are none, and requests that
nobody could answer."""

from collections.abc import AsyncIterator, Callable, Coroutine
from typing import Any

import httpx
import pytest

from commands.figures import OUTCOMES, TYPES
from domain.errors import LogUnavailable
from domain.log import Cut
from dora_state.access.caller import Caller
from dora_state.http import lock_room
from dora_state.http.app import make_app
from dora_state.http.call import Server
from dora_state.queue import CommandQueue
from dora_state.state_manager import StateManager
from dora_state.watching.registry import registry_of
from dora_state.watching.requests import WatchedRequests
from infrastructure.command_queue import open_broker
from projections.questions import KINDS, TIMED
from tests.support.gathering import until_gathered
from tests.support.http import Asked, KeptReadings, a_workflow, asked_directly
from tests.support.queueing import SOON, consuming, register

pytestmark = pytest.mark.asyncio


@pytest.fixture
async def asked(database_url: str, redis_url: str, tenant: str) -> AsyncIterator[Asked]:
    async with asked_directly(database_url, redis_url, tenant) as asked:
        yield asked


def sample(manager: StateManager, name: str, **labels: str) -> float | None:
    found = registry_of(manager.platform)
    return found.get_sample_value(f"dora_state_{name}", {"tenant": manager.platform.settings.tenant, **labels})


async def all_of(found: AsyncIterator[Any]) -> None:
    async for _ in found:
        pass


OVER_HTTP = {
    "/v1/workflows/w": "projected",
    "/v1/workflows/w?consistency=cached": "cached",
    "/v1/agents/a?consistency=cached": "cached",
    "/v1/workflows/w?consistency=live": "live",
    "/v1/workflows/w?version=1": "past",
    "/v1/system?position=1": "past",
    "/v1/workflows/w/history": "history",
    "/v1/workflows/w/diff?begin=v1": "difference",
    "/v1/workflows/w/timeline": "timeline",
    "/v1/workflows/w/events": "events",
    "/v1/workflows/w/reconstruction": "reconstruction",
    "/v1/diff?begin=p1": "changes",
    "/v1/traces/talk": "trace",
    "/v1/workflows": "list",
    "/v1/tasks": "list",
    "/v1/overdue": "list",
    "/v1/stalled?quiet_for=60": "list",
    "/v1/pending": "list",
    "/v1/agents": "list",
    "/v1/pools": "list",
    "/v1/reservations": "list",
    "/v1/board": "board",
    "/v1/rates?per=hour": "rates",
    "/v1/audit?actor=local": "audit",
    "/v1/actors": "audit",
    "/v1/export?format=jsonl": "export",
}


async def test_each_question_over_http_is_counted_once_by_what_it_is(asked: Asked) -> None:
    await a_workflow(asked, "w")
    await asked.give("RegisterAgent", {"agent_id": "a", "agent_type": "t"}, correlation_id="talk")
    await asked.catch_up()
    for path, kind in OVER_HTTP.items():
        before = dict(asked.manager.platform.questions.counts)
        answer = await asked.get(path)
        assert answer.status_code == 200, (path, answer.text)
        after = asked.manager.platform.questions.counts
        assert {one: after[one] - before[one] for one in KINDS if after[one] != before[one]} == {kind: 1}, path
    assert {*OVER_HTTP.values(), "follow"} == set(KINDS)


IN_PROCESS: dict[str, Callable[[StateManager], Coroutine[Any, Any, Any]]] = {
    "projected": lambda manager: manager.get_workflow_state("w"),
    "cached": lambda manager: manager.state("workflow", "w", consistency="cached"),
    "live": lambda manager: manager.get_workflow("w"),
    "past": lambda manager: manager.get_workflow_state("w", version=1),
    "history": lambda manager: manager.get_workflow_history("w"),
    "difference": lambda manager: manager.diff("workflow", "w", Cut(version=1)),
    "changes": lambda manager: all_of(manager.diff_everything(Cut(position=1))),
    "trace": lambda manager: manager.trace("talk"),
    "timeline": lambda manager: manager.timeline("workflow", "w"),
    "list": lambda manager: manager.pending_tasks(),
    "board": lambda manager: manager.lists.board(),
    "rates": lambda manager: manager.rates("hour"),
    "audit": lambda manager: manager.platform.audits.actors(),
    "events": lambda manager: all_of(manager.events("workflow", "w")),
    "reconstruction": lambda manager: manager.reconstruct_state_from_events("workflow", "w"),
    "export": lambda manager: all_of(manager.export("jsonl")),
    "follow": lambda manager: anext(aiter(manager.follow())),  # type: ignore[arg-type]  # a coroutine, as it awaits
}


async def test_so_is_each_within_the_process_and_what_is_answered_in_one_piece_is_timed(asked: Asked) -> None:
    await a_workflow(asked, "w")
    await asked.give("RegisterAgent", {"agent_id": "a", "agent_type": "t"}, correlation_id="talk")
    await asked.catch_up()
    manager = asked.manager
    assert [sample(manager, "questions_total", kind=kind) for kind in KINDS] == [0] * len(KINDS)
    for kind in KINDS:
        await IN_PROCESS[kind](manager)
        assert sample(manager, "questions_total", kind=kind) == 1, kind
    assert [sample(manager, "questions_total", kind=kind) for kind in KINDS] == [1] * len(KINDS)
    assert [sample(manager, "question_seconds_count", kind=kind) for kind in TIMED] == [1] * len(TIMED)


async def test_every_outcome_of_every_type_is_there_before_it_happens(asked: Asked) -> None:
    for type in TYPES:
        for outcome in OUTCOMES:
            assert sample(asked.manager, "commands_total", type=type, outcome=outcome) == 0


async def test_what_is_no_command_is_counted_by_whichever_way_it_comes(
    asked: Asked, redis_url: str, tenant: str
) -> None:
    manager, invalid = asked.manager, {"outcome": "invalid"}
    await manager.submit({"type": "CreateWorkflow", "data": {}, "actor": "a"})
    await asked.give("CreateWorkflow", {})
    await asked.client.post("/v1/commands", json=[{"type": "Fly", "data": {}}, {"type": "CreateWorkflow", "data": {}}])
    assert sample(manager, "commands_total", type="CreateWorkflow", **invalid) == 3
    assert sample(manager, "commands_total", type="unknown", **invalid) == 1
    async with open_broker(redis_url, tenant) as broker:
        queue = CommandQueue(broker)
        async with consuming(broker, manager.submit):
            answer = await queue.answer(await queue.send({"type": "Fly", "data": {}, "actor": "a"}), SOON)
    assert answer is not None
    assert (answer.outcome, sample(manager, "commands_total", type="unknown", **invalid)) == ("invalid", 2)


class NobodyCanTell:
    """An authenticator whose database is away."""

    async def caller(self, authorization: str | None) -> Caller:
        raise LogUnavailable("The keys can't be looked up.")

    def remembered(self, authorization: str | None) -> Caller | None:
        return None


async def test_what_http_could_not_answer_is_counted_also_where_nobody_is_let_in(asked: Asked) -> None:
    platform = asked.manager.platform
    app = WatchedRequests(
        make_app(Server(asked.manager, NobodyCanTell(), KeptReadings())), platform.traces, platform.requests
    )
    assert sample(asked.manager, "http_unavailable_total", method="POST") == 0
    transport = httpx.ASGITransport(app)
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        statuses = [
            (await client.post("/v1/commands", json=register(1))).status_code,
            (await client.get("/v1/workflows/w")).status_code,
        ]
    assert statuses == [503, 503]
    assert sample(asked.manager, "http_unavailable_total", method="POST") == 1
    assert sample(asked.manager, "http_unavailable_total", method="GET") == 1


async def test_a_server_that_says_it_is_not_well_has_answered(asked: Asked) -> None:
    figures = asked.manager.platform.requests
    figures.answered("GET", "/health/ready", 503, 0.1)
    figures.answered("GET", "/v1/tasks", 503, 0.1)
    assert sample(asked.manager, "http_unavailable_total", method="GET") == 1


async def test_a_lock_for_which_there_is_no_room_is_no_command_that_could_not_be_taken(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock_room, "MOST_LOCKS", 0)
    platform = asked.manager.platform
    app = WatchedRequests(make_app(asked.server), platform.traces, platform.requests)
    async with httpx.AsyncClient(transport=httpx.ASGITransport(app), base_url="http://127.0.0.1") as client:
        answer = await client.post("/v1/locks", json={"name": "workflow:w"})
    assert (answer.status_code, answer.json()["code"]) == (503, "too_many_locks")
    assert sample(asked.manager, "http_requests_total", method="POST", route="/v1/locks", status="503") == 1
    assert sample(asked.manager, "http_unavailable_total", method="POST") == 0


async def test_who_takes_nothing_from_the_queue_tells_how_it_is_too(asked: Asked, redis_url: str, tenant: str) -> None:
    async with open_broker(redis_url, tenant) as broker:
        await CommandQueue(broker).send(register(1))
        assert sample(asked.manager, "queue_waiting") is None
        await until_gathered(asked.manager.platform)
        assert sample(asked.manager, "queue_waiting") == 1
        assert sample(asked.manager, "queue_dead") == 0
        await broker.client.delete(broker.keys.waiting, broker.keys.messages)
