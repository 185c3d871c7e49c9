"""Events over HTTP: each once and in order, whatever is restarted, by one reader of the log for all who listen."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest
import pytest_asyncio

from domain.errors import LogUnavailable
from dora_state.health import readiness
from dora_state.http import events, feed
from dora_state.http.feed import TOO_SLOW, Subscription
from dora_state.http.limits import Limits
from dora_state.http.wanted import Wanted
from tests.support.between import Between
from tests.support.event_source import EventSource
from tests.support.http import Asked, a_workflow, asked_by_port, fresh
from tests.support.tenants import lent

pytestmark = pytest.mark.asyncio(loop_scope="module")


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def tenant_of_all(database_url: str) -> AsyncIterator[str]:
    async with lent(database_url) as tenant:
        yield tenant


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def asked(database_url: str, redis_url: str, tenant_of_all: str) -> AsyncIterator[Asked]:
    async with asked_by_port(database_url, redis_url, tenant_of_all) as asked:
        yield asked


async def sooner_or_later(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110  # nobody tells
            await asyncio.sleep(0.01)


async def recorded(asked: Asked, after: int = 0) -> list[int]:
    head = (await asked.manager.platform.log.head()).position
    return list(range(after + 1, head + 1))


async def test_what_was_recorded_and_what_comes_is_told_in_order_and_each_once(asked: Asked) -> None:
    begin = (await asked.manager.platform.log.head()).position
    await a_workflow(asked, fresh("before"), tasks=2)
    source = EventSource(asked.client, f"/v1/events?after_position={begin}")
    async with source.listening():
        await source.until(lambda: len(source.messages) >= 6)
        await a_workflow(asked, fresh("after"), tasks=2)
        await source.until(lambda: len(source.messages) >= 12)
    assert source.positions == await recorded(asked, begin)
    assert {"stream_id", "version", "type", "data", "metadata", "recorded_at"} <= source.messages[0].keys()
    assert source.opened == 1


async def test_without_a_place_only_what_comes_is_told(asked: Asked) -> None:
    wf = fresh("wf")
    await a_workflow(asked, wf)
    source = EventSource(asked.client, f"/v1/events?id={wf}")
    async with source.listening():
        await source.until(lambda: bool(source.opened))
        await sooner_or_later(lambda: any(asked.server.feed._subscriptions.values()))
        await asked.give("PauseWorkflow", {"workflow_id": wf})
        await source.until(lambda: bool(source.messages))
    assert [one["type"] for one in source.messages] == ["WorkflowPaused"]


FILTERS: dict[str, Callable[[dict[str, Any], str], bool]] = {
    "kind=task": lambda one, wf: one["stream_id"].startswith("task-"),
    "kind=task&kind=workflow&type=WorkflowStarted": lambda one, wf: one["type"] == "WorkflowStarted",
    "type=TaskCreated&type=WorkflowCreated": lambda one, wf: one["type"] in ("TaskCreated", "WorkflowCreated"),
    "id=WF": lambda one, wf: one["stream_id"] == f"workflow-{wf}",
    "id=WF&kind=task": lambda one, wf: False,
    "correlation_id=WF": lambda one, wf: one["metadata"]["correlation_id"] == wf,
    "correlation_id=WF&kind=task": lambda one, wf: (
        one["metadata"]["correlation_id"] == wf and one["stream_id"].startswith("task-")
    ),
}


@pytest.mark.parametrize("query", FILTERS)
async def test_filters_say_the_same_of_what_was_missed_and_of_what_comes(asked: Asked, query: str) -> None:
    begin = (await asked.manager.platform.log.head()).position
    wf, other, last = fresh("wf"), fresh("other"), fresh("last")
    path = "/v1/events?" + query.replace("WF", wf) + f"&after_position={begin}"
    live, everything = EventSource(asked.client, path), EventSource(asked.client, f"/v1/events?after_position={begin}")
    async with live.listening(), everything.listening():
        await live.until(lambda: bool(live.opened))
        for id in (wf, other):
            task = {"workflow_id": id, "task_id": f"{id}-0", "definition_id": "d"}
            create = {"workflow_id": id, "definition_id": "d"}
            for name, data in (("CreateWorkflow", create), ("AddTask", task), ("StartWorkflow", {"workflow_id": id})):
                await asked.give(name, data, correlation_id=id)
        # Some that every filter lets through, so that it is known when the others have been told.
        for name, data in (
            ("CreateWorkflow", {"workflow_id": last, "definition_id": "d"}),
            ("AddTask", {"workflow_id": last, "task_id": f"{last}-0", "definition_id": "d"}),
        ):
            await asked.give(name, data)
        end = (await asked.manager.platform.log.head()).position
        await everything.until(lambda: everything.positions[-1:] == [end])
        wanted = [one for one in everything.messages if FILTERS[query](one, wf)]
        await live.until(lambda: len(live.messages) >= len(wanted))
    assert [one["position"] for one in wanted] == live.positions
    missed = EventSource(asked.client, path)
    async with missed.listening():
        await missed.until(lambda: len(missed.messages) >= len(wanted) and bool(missed.opened))
    assert missed.positions == live.positions


async def test_a_command_is_never_divided(asked: Asked) -> None:
    begin = (await asked.manager.platform.log.head()).position
    wf = fresh("wf")
    commands = [{"type": "CreateWorkflow", "data": {"workflow_id": wf, "definition_id": "d"}}]
    commands += [
        {"type": "AddTask", "data": {"workflow_id": wf, "task_id": f"{wf}-{n}", "definition_id": "d"}}
        for n in range(99)
    ]
    subscription = Subscription(Wanted())
    asked.server.feed.enter(subscription)
    pieces = [piece async for piece in asked.server.feed.missed(subscription, begin)]
    await asked.client.post("/v1/commands", json=commands)
    told = 0
    while told < len(await recorded(asked, begin)):
        piece = await subscription.take(10)
        assert piece
        pieces.append(piece)
        told = b"".join(pieces).count(b"id: ")
    asked.server.feed.close(subscription)
    for piece in pieces:
        last = json.loads(piece.rstrip().rsplit(b"data: ", 1)[1])
        assert last["following"] == 0


async def test_the_last_event_id_wins_over_the_address_and_must_be_in_the_log(asked: Asked) -> None:
    await a_workflow(asked, fresh("wf"))
    head = (await asked.manager.platform.log.head()).position
    source = EventSource(asked.client, "/v1/events?after_position=0")
    source.last_id = str(head - 2)
    async with source.listening():
        await source.until(lambda: len(source.messages) >= 2)
    assert source.positions[:2] == [head - 1, head]
    beyond = await asked.get("/v1/events", headers={"Last-Event-ID": str(head + 1_000)})
    assert (beyond.status_code, beyond.json()["code"]) == (404, "cut_out_of_range")
    nonsense = await asked.get("/v1/events", headers={"Last-Event-ID": "x"})
    assert nonsense.json()["facts"]["field"] == "Last-Event-ID"


async def test_who_is_cut_off_before_the_first_event_knows_where_it_was(asked: Asked) -> None:
    await a_workflow(asked, fresh("wf"))
    head = (await asked.manager.platform.log.head()).position
    source = EventSource(asked.client, "/v1/events")
    async with source.listening():
        await source.until(lambda: bool(source.last_id))
    assert (source.last_id, source.messages) == (str(head), [])


async def test_heartbeats_are_comments_that_move_the_last_id(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events, "HEARTBEAT_SECONDS", 0.05)
    source = EventSource(asked.client, f"/v1/events?id={fresh('nobody')}&after_position=0")
    async with source.listening():
        await a_workflow(asked, fresh("wf"))
        head = (await asked.manager.platform.log.head()).position
        await source.until(lambda: source.last_id == str(head))
    assert source.messages == []
    assert ": still there" in source.comments


async def test_a_stream_survives_restarts_of_the_server_without_a_gap_or_a_repeat(
    database_url: str, redis_url: str, tenant_of_all: str
) -> None:
    """The client stays, the server ends and comes back at the same address, and commands go on meanwhile."""
    async with asked_by_port(database_url, redis_url, tenant_of_all) as asked:
        port, begin = int(asked.client.base_url.port or 0), (await asked.manager.platform.log.head()).position
    async with httpx.AsyncClient() as client:
        source = EventSource(client, f"http://127.0.0.1:{port}/v1/events?after_position={begin}")
        async with source.listening():
            for turn in range(3):
                async with asked_by_port(database_url, redis_url, tenant_of_all, port=port) as asked:
                    await source.until(lambda: len(source.statuses) > turn)  # noqa: B023  # waited for here
                    await a_workflow(asked, fresh(f"turn{turn}"), tasks=2)  # and leave without waiting for it
            async with asked_by_port(database_url, redis_url, tenant_of_all, port=port) as asked:
                wanted = await recorded(asked, begin)
                await source.until(lambda: len(source.messages) >= len(wanted))
    assert source.positions == wanted
    assert source.opened >= 4
    assert {one["reason"] for one in source.ends} == {"leaving"}


async def test_the_database_may_go_away_and_come_back(
    database_url: str, redis_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Meanwhile commands and reads are 503; nothing that was acknowledged is lost, and streams go on."""
    monkeypatch.setattr(readiness, "KNOWN_SECONDS", 0.0)
    acknowledged = []
    async with (
        Between(database_url, tmp_path).serving() as between,
        lent(database_url) as tenant,
        asked_by_port(between.url, redis_url, tenant, limits=Limits(answer_seconds=0.7)) as asked,
    ):
        source = EventSource(asked.client, "/v1/events?after_position=0")
        async with source.listening():
            acknowledged.append(await a_workflow_sooner_or_later(asked))
            await between.cut()
            refused = await asked.give("CreateWorkflow", {"workflow_id": fresh("wf"), "definition_id": "d"})
            read = await asked.get("/v1/workflows", params={"prefix": "wf"})
            ready = await asked.get("/health/ready")
            assert [one.status_code for one in (refused, read, ready)] == [503, 503, 503]
            assert all("Retry-After" in one.headers for one in (refused, read, ready))
            assert (await asked.get("/health/live")).status_code == 200
            between.mend()
            acknowledged.append(await a_workflow_sooner_or_later(asked))
            wanted = await recorded(asked)
            await source.until(lambda: len(source.messages) >= len(wanted))
        created = {one["stream_id"].removeprefix("workflow-") for one in source.messages}
        assert set(acknowledged) <= created
        assert source.positions == await recorded(asked)
        assert source.opened == 1


async def a_workflow_sooner_or_later(asked: Asked) -> str:
    """As clients are told to: the same command, with the same id."""
    wf, key = fresh("wf"), {"Idempotency-Key": str(uuid4())}
    async with asyncio.timeout(30):
        while True:
            answer = await asked.give("CreateWorkflow", {"workflow_id": wf, "definition_id": "d"}, headers=key)
            if answer.status_code == 200:
                return wf
            assert answer.status_code == 503
            await asyncio.sleep(0.05)


async def test_a_log_that_can_not_be_read_for_a_while_costs_nothing(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    await a_workflow(asked, fresh("wf"))
    read_log, refusals = asked.manager.platform.log.read_log, [3]

    async def sometimes(**asked_for: Any) -> Any:
        if refusals[0]:
            refusals[0] -= 1
            raise LogUnavailable()
        return await read_log(**asked_for)

    monkeypatch.setattr(asked.manager.platform.log, "read_log", sometimes)
    source = EventSource(asked.client, "/v1/events?after_position=0")
    async with source.listening():
        wanted = await recorded(asked)
        await source.until(lambda: len(source.messages) >= len(wanted))
    assert source.positions == wanted
    assert refusals == [0]


async def test_who_reads_slower_than_events_come_is_let_go_with_a_word(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(feed, "MOST_WAITING", 2_000)
    subscription = Subscription(Wanted())
    told = events._messages(asked.server.feed, subscription, (await asked.manager.platform.log.head()).position)
    assert (await anext(told)).startswith(b"retry: ")
    following = asyncio.ensure_future(anext(told))
    await asyncio.sleep(0)
    for _ in range(4):  # while nobody takes them
        await a_workflow(asked, fresh("wf"), tasks=2)
    await sooner_or_later(lambda: subscription.ended is not None)
    rest = [await following] + [piece async for piece in told]
    assert subscription.ended == TOO_SLOW
    assert rest[-1].startswith(b'event: end\ndata: {"reason":"too_slow"')
    assert asked.server.feed.streams == 0


async def test_more_streams_than_there_may_be_are_told_to_come_again(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asked.server, "limits", Limits(streams=0))
    answer = await asked.get("/v1/events")
    assert (answer.status_code, answer.json()["code"]) == (503, "too_many_streams")
    assert answer.headers["Retry-After"] == "5"


async def test_a_client_that_goes_away_leaves_nothing_behind_and_the_log_is_read_for_nobody(asked: Asked) -> None:
    source = EventSource(asked.client, "/v1/events")
    async with source.listening():
        await source.until(lambda: bool(source.opened))
        assert asked.server.feed.streams == 1
    await sooner_or_later(lambda: asked.server.feed.streams == 0)
    assert not any(asked.server.feed._subscriptions.values())


async def test_many_streams_are_fed_by_one_reader(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    begin = (await asked.manager.platform.log.head()).position
    subscriptions = [Subscription(Wanted(id=fresh("nobody"))) for _ in range(199)] + [Subscription(Wanted())]
    for one in subscriptions:
        asked.server.feed.enter(one)
        assert [piece async for piece in asked.server.feed.missed(one, begin)] == []
    read_log, reads = asked.manager.platform.log.read_log, []

    async def counted(**asked_for: Any) -> Any:
        reads.append(asked_for)
        return await read_log(**asked_for)

    monkeypatch.setattr(asked.manager.platform.log, "read_log", counted)
    await a_workflow(asked, fresh("wf"))
    assert await subscriptions[-1].take(10)
    for one in subscriptions:
        asked.server.feed.close(one)
    assert 1 <= len(reads) <= 8
