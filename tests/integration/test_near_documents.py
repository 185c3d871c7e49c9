"""Documents kept in a process: shared and frozen, and fresh as soon as it hears of a change."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import orjson
import pytest

from domain import agent as a
from domain import task as t
from domain import workflow as w
from infrastructure.hot_copies import Keys
from projections.documents.values import decode
from projections.errors import NotProjectedYet
from projections.reading import Consistency
from tests.support.near_reader import NearReader, eventually, listening, near_reader
from tests.support.read_side import ReadSide, read_side
from tests.support.stories import at, finished_task, full_agent, full_stories, pending_task


@pytest.fixture
async def side(database_url: str, tenant: str, redis_url: str) -> AsyncIterator[ReadSide]:
    async with read_side(database_url, tenant, redis_url) as side:
        side.log.tell_all(*full_stories(), *finished_task("done"))
        await side.project()
        yield side


@pytest.fixture
async def reader(side: ReadSide, redis_url: str) -> AsyncIterator[NearReader]:
    async with near_reader(side, redis_url) as reader:
        await listening(reader)
        yield reader


@pytest.mark.parametrize(
    ("kind", "id"), [("workflow", "wf-1"), ("task", "done"), ("task", "task-1"), ("pool", "compute-pool-primary")]
)
async def test_what_is_kept_is_what_the_read_models_have(
    side: ReadSide, reader: NearReader, kind: str, id: str
) -> None:
    kept = await reader.filled(kind, id)
    plain = await side.queries().show(kind, id)
    assert kept == plain
    assert decode(orjson.dumps(kept)) == plain
    with pytest.raises(TypeError, match="can't be changed"):
        kept["state"] = "forged"


async def test_what_is_kept_is_not_asked_for_again(reader: NearReader) -> None:
    await reader.filled("workflow", "wf-1")
    asked, hits = reader.store.asked["workflow", "wf-1"], reader.near.figures.hits
    for _ in range(10):
        await reader.cached("workflow", "wf-1")
    assert reader.store.asked["workflow", "wf-1"] == asked
    assert reader.near.figures.hits == hits + 10
    assert reader.queries.peek("workflow", "wf-1") is await reader.cached("workflow", "wf-1")


async def test_a_running_task_tells_its_time_so_far(side: ReadSide, reader: NearReader) -> None:
    """What depends on the moment is not kept, and does not freeze."""
    side.now = at(100)
    before = (await reader.filled("task", "task-1"))["execution_metrics"]["execution_time"]
    side.now = at(160)
    assert (await reader.cached("task", "task-1"))["execution_metrics"]["execution_time"] == before + 60


async def test_an_agent_tells_its_presence_of_now(side: ReadSide, reader: NearReader) -> None:
    agent_id = "policy-analyzer-001"
    await reader.cached("agent", agent_id)
    await eventually(lambda: _is_kept(reader, "agent", agent_id))
    side.presence.heard(agent_id, at(500), {"cpu_percent": 42.0}, 3)
    await side.presence.flush()
    document = await reader.cached("agent", agent_id)
    assert document["last_heartbeat"] == (await side.queries().agent(agent_id))["last_heartbeat"]
    assert document["resource_usage"]["cpu_percent"] == 42.0
    assert document == await side.queries().agent(agent_id)


async def _is_kept(reader: NearReader, kind: str, id: str) -> bool:
    await reader.cached(kind, id)
    return reader.near.peek(kind, id) is not None


async def test_the_system_tells_its_counts_of_now(side: ReadSide, reader: NearReader) -> None:
    before = await reader.cached("system", "platform")
    side.log.tell(*pending_task("one-more", 1))
    await side.project()
    assert (await reader.cached("system", "platform"))["pending_tasks"] == before["pending_tasks"] + 1


async def test_a_change_is_heard_of_by_another_process(side: ReadSide, reader: NearReader) -> None:
    await reader.filled("task", "task-1")
    side.log.tell(("task-task-1", t.TaskCompleted(at=at(400))))
    await side.project()
    await eventually(lambda: _has_state(reader, "task", "task-1", "completed"))


async def _has_state(reader: NearReader, kind: str, id: str, state: str) -> bool:
    document = await reader.cached(kind, id)
    return bool(document["state"] == state)


async def test_when_a_task_changes_its_workflow_and_its_agent_are_fresh(side: ReadSide, reader: NearReader) -> None:
    """SPEC, Cache Invalidation: what its functions would invalidate is another document, which changes itself."""
    agent_id = "policy-analyzer-001"
    for kind, id in (("task", "task-1"), ("workflow", "wf-1"), ("agent", agent_id)):
        await reader.cached(kind, id)
        await eventually(lambda kind=kind, id=id: _is_kept(reader, kind, id))  # type: ignore[misc]
    side.log.tell(
        ("task-task-1", t.TaskCompleted(at=at(400))),
        ("workflow-wf-1", w.WorkflowTaskChanged(at=at(400), task_id="task-2", state="completed", end_time=at(400))),
        (f"agent-{agent_id}", a.AgentSlotFreed(at=at(400), task_id="task-3", outcome="completed", execution_time=9)),
    )
    await side.project()

    async def fresh() -> bool:
        workflow, agent = await reader.cached("workflow", "wf-1"), await reader.cached("agent", agent_id)
        return bool(
            (await reader.cached("task", "task-1"))["state"] == "completed"
            and workflow["tasks"]["task-2"]["state"] == "completed"
            and agent["performance_metrics"]["tasks_completed"] == 2
        )

    await eventually(fresh)


async def test_when_an_agent_changes_its_tasks_are_fresh(side: ReadSide, reader: NearReader) -> None:
    """SPEC, Cache Invalidation: an agent that goes has its tasks unassigned, by events of theirs."""
    agent_id = "policy-analyzer-001"
    await reader.filled("task", "task-1")
    side.log.tell(
        (f"agent-{agent_id}", a.AgentWentOffline(at=at(400), reason="silent")),
        ("task-task-1", t.TaskFailed(at=at(400), error="its agent went offline")),
    )
    await side.project()
    await eventually(lambda: _has_state(reader, "task", "task-1", "failed"))
    await eventually(lambda: _has_state(reader, "agent", agent_id, "offline"))


async def test_what_was_read_before_a_change_is_not_kept_after_it(side: ReadSide, reader: NearReader) -> None:
    """The change is heard of while the reader is still on its way with what it read."""
    ticket = reader.near.ticket("task", "task-1")
    old = await reader.cached("task", "task-1")
    changes = reader.near._changes.copy()
    side.log.tell(("task-task-1", t.TaskCompleted(at=at(400))))
    await side.project()

    async def heard() -> bool:
        return reader.near._changes != changes

    await eventually(heard)
    assert ticket is not None
    reader.near.put("task", "task-1", old, ticket)
    assert reader.near.peek("task", "task-1") is None


async def test_a_thousand_readers_of_a_cold_key_make_one_query(side: ReadSide, reader: NearReader) -> None:
    await side.hot.clear()
    await side.hot.begin(len(side.log.events), 0)
    looks = reader.meter.levels["l2"].misses
    asked: tuple[Consistency, ...] = ("projected", "cached")
    for consistency in asked:
        reader.store.asked.clear()
        found = await asyncio.gather(
            *(reader.queries.show("pool", "compute-pool-primary", consistency=consistency) for _ in range(1_000))
        )
        assert all(one == found[0] for one in found)
        assert reader.store.asked["pool", "compute-pool-primary"] <= 1
    assert reader.meter.levels["l2"].misses <= looks + len(asked), "more than one looked for all"


async def test_a_leader_who_is_cancelled_fails_nobody_else(side: ReadSide, reader: NearReader) -> None:
    await side.hot.clear()
    reader.store.gate.clear()
    readers = [asyncio.create_task(reader.cached("workflow", "wf-1")) for _ in range(10)]
    await reader.store.entered.wait()
    readers[0].cancel()
    readers[3].cancel()
    await asyncio.sleep(0)
    reader.store.gate.set()
    found = await asyncio.gather(*readers, return_exceptions=True)
    assert [isinstance(one, asyncio.CancelledError) for one in found].count(True) == 2
    assert sum(isinstance(one, dict) and one["state"] == "failed" for one in found) == 8
    assert reader.store.asked["workflow", "wf-1"] == 2, "another has asked in its place, for all"


async def test_who_asks_after_a_change_gets_it_whoever_is_on_the_way(side: ReadSide, reader: NearReader) -> None:
    await side.hot.clear()
    reader.store.gate.clear()
    early = asyncio.create_task(reader.queries.show("task", "task-1"))
    await reader.store.entered.wait()
    side.log.tell(("task-task-1", t.TaskCompleted(at=at(400))))
    await side.project()
    late = asyncio.create_task(reader.queries.show("task", "task-1"))
    await asyncio.sleep(0)
    reader.store.gate.set()
    await early
    assert (await late)["state"] == "completed"


@pytest.mark.parametrize("which", ["hearing", "asking"])
async def test_when_either_connection_is_lost_nothing_is_kept_until_changes_are_heard_again(
    side: ReadSide, reader: NearReader, which: str
) -> None:
    await reader.filled("workflow", "wf-1")
    clients: Any = await side.redis.client_list()
    mine = [one for one in clients if (int(one["redir"]) > 0) or one["sub"] == "1"]
    (lost,) = [one for one in mine if (one["sub"] == "1") == (which == "hearing") and _is_of(one, mine)][:1]
    flushed = reader.near.figures.flushed
    await side.redis.client_kill_filter(_id=lost["id"])

    async def flushed_and_back() -> bool:
        return reader.near.figures.flushed > flushed + 1 and reader.tracking.listening

    await eventually(flushed_and_back)
    assert reader.near.peek("workflow", "wf-1") is None
    await side.hot.tend(len(side.log.events), None)
    await listening(reader)
    await reader.filled("workflow", "wf-1")
    side.log.tell(("workflow-wf-1", w.WorkflowTaskChanged(at=at(500), task_id="task-5", state="running")))
    await side.project()

    async def fresh() -> bool:
        return bool((await reader.cached("workflow", "wf-1"))["tasks"]["task-5"]["state"] == "running")

    await eventually(fresh)


def _is_of(one: Any, all: list[Any]) -> bool:
    """Others may be tracking on this server: ours is the youngest."""
    return bool(int(one["id"]) >= max(int(other["id"]) for other in all) - 1)


async def test_what_nobody_keeps_is_not_believed_here_either(side: ReadSide, reader: NearReader) -> None:
    """Whoever changes the copies may be unable to reach Redis, which this process can."""
    await reader.filled("workflow", "wf-1")
    reader.near.kept(0)
    assert reader.near.peek("workflow", "wf-1") is None
    await side.hot.begin(len(side.log.events), 0)
    await listening(reader)


async def test_other_tables_empty_what_is_kept(side: ReadSide, reader: NearReader) -> None:
    await reader.filled("workflow", "wf-1")
    await side.hot.turn(len(side.log.events))

    async def gone() -> bool:
        return reader.near.peek("workflow", "wf-1") is None

    await eventually(gone)
    await reader.cached("workflow", "wf-1")
    assert reader.near.count == 0, "nothing is kept until a projector begins"


async def test_a_flushed_database_empties_what_is_kept(side: ReadSide, reader: NearReader) -> None:
    await reader.filled("workflow", "wf-1")
    reader.tracking._told(None)
    assert reader.near.count == 0


async def test_what_is_asked_for_lives_longer_and_what_is_not_goes(side: ReadSide, reader: NearReader) -> None:
    keys = Keys(side.tenant)
    asked, alone = keys.document("workflow", "wf-1"), keys.document("pool", "compute-pool-primary")
    assert 890 < await side.redis.ttl(alone) <= 900
    await _age(side, asked, 600)
    await _age(side, alone, 600)
    await reader.queries.show("workflow", "wf-1")
    await reader.use.tell()
    assert 1_790 < await side.redis.ttl(asked) <= 1_800
    assert await side.redis.ttl(alone) <= 300
    await reader.queries.show("workflow", "wf-1")
    await reader.use.tell()
    assert await side.redis.ttl(asked) <= 1_800, "not before the second half of its life"
    assert (await side.hot.get("workflow", "wf-1")).body is not None


async def _age(side: ReadSide, name: str, seconds: int) -> None:
    """As if a copy had been made so long ago."""
    held: Any = await side.redis.get(name)
    dies = int(held[48:58]) - seconds
    await side.redis.setrange(name, 48, f"{dies:010d}".encode())
    await side.redis.expireat(name, dies)


async def test_a_change_leaves_a_copy_the_life_that_it_has_earned(side: ReadSide, reader: NearReader) -> None:
    name = Keys(side.tenant).document("task", "task-1")
    await _age(side, name, 600)
    await reader.queries.show("task", "task-1")
    await reader.use.tell()
    side.log.tell(("task-task-1", t.TaskProgressed(at=at(400), percentage=70.0)))
    await side.project()
    assert 1_790 < await side.redis.ttl(name) <= 1_800


async def test_what_is_kept_near_counts_as_asked_for(side: ReadSide, reader: NearReader) -> None:
    await reader.filled("workflow", "wf-1")
    await reader.use.tell()
    for _ in range(100):
        await reader.cached("workflow", "wf-1")
    await reader.cached("pool", "compute-pool-primary")
    await reader.use.tell()
    assert (await reader.use.most_asked())[0] == ("workflow", "wf-1")
    score: Any = await side.redis.zscore(Keys(side.tenant).asked, "workflow:wf-1")
    assert score >= 100


async def test_what_was_asked_most_is_forgotten_by_halves(side: ReadSide, reader: NearReader) -> None:
    keys = Keys(side.tenant)
    await reader.cached("workflow", "wf-1")
    await reader.use.tell()
    await side.redis.zadd(keys.asked, {"workflow:wf-1": 100.0})
    await side.redis.unlink(keys.decayed)
    await reader.cached("pool", "compute-pool-primary")
    await reader.use.tell()
    assert await side.redis.zscore(keys.asked, "workflow:wf-1") == 50.0


async def test_a_process_begins_with_what_was_asked_most(side: ReadSide, reader: NearReader, redis_url: str) -> None:
    for kind, id in (("workflow", "wf-1"), ("pool", "compute-pool-primary")):
        await reader.filled(kind, id)
    await reader.use.tell()
    async with near_reader(side, redis_url) as other:
        await listening(other)
        assert await other.use.warm(other.hot, await other.use.most_asked()) == 2
        assert other.near.peek("workflow", "wf-1") == await side.queries().workflow("wf-1")


async def test_kept_documents_take_no_more_than_they_may(side: ReadSide, redis_url: str) -> None:
    for number in range(40):
        side.log.tell_all(*full_agent(f"agent-{number}"))
    await side.project()
    async with near_reader(side, redis_url, capacity=100_000) as reader:
        await listening(reader)
        for number in range(40):
            await reader.cached("agent", f"agent-{number}")
            await reader.cached("agent", "agent-0")
            assert reader.near.figures.bytes <= 100_000
        assert reader.near.figures.evicted > 0
        assert reader.near.peek("agent", "agent-0") is not None, "what is asked for stays"


async def test_a_position_is_waited_for(side: ReadSide, reader: NearReader) -> None:
    side.log.tell(("task-task-1", t.TaskCompleted(at=at(400))))
    end = len(side.log.events)
    asked: tuple[Consistency, ...] = ("cached", "projected")
    for consistency in asked:
        with pytest.raises(NotProjectedYet, match=f"at position {end - 1} and {end} was asked for"):
            await reader.queries.show("task", "task-1", min_position=end, consistency=consistency)
    waiting = asyncio.create_task(reader.queries.show("task", "task-1", min_position=end, patience=30))
    await asyncio.sleep(0.05)
    await side.project()
    assert (await waiting)["state"] == "completed"
    kept = await reader.queries.show("task", "task-1", min_position=end, consistency="cached")
    assert kept["state"] == "completed"


async def test_a_position_that_does_not_come_is_told_after_the_time(side: ReadSide, reader: NearReader) -> None:
    end = len(side.log.events)
    with pytest.raises(NotProjectedYet) as told:
        await reader.queries.show("task", "task-1", min_position=end + 1, patience=0.05)
    assert told.value.facts["position"] == end


async def test_live_is_the_fold_also_where_the_read_models_lag(side: ReadSide, reader: NearReader) -> None:
    side.log.tell(("task-task-1", t.TaskCompleted(at=at(400))))
    end = len(side.log.events)
    assert (await reader.queries.show("task", "task-1", consistency="live"))["state"] == "completed"
    live = await reader.queries.show("task", "task-1", consistency="live", min_position=end)
    assert live["state"] == "completed"
    with pytest.raises(NotProjectedYet):
        await reader.queries.show("task", "task-1", consistency="live", min_position=end + 1)


async def test_without_redis_cached_is_what_the_read_models_have(side: ReadSide) -> None:
    from projections.cache_ports import NoHotCopies

    queries = side.queries(NoHotCopies())
    assert await queries.show("task", "done", consistency="cached") == await side.queries().task("done")


async def test_metrics_tell_of_each_level(side: ReadSide, reader: NearReader) -> None:
    from prometheus_client import generate_latest

    from infrastructure.metrics import ReadCollector, new_registry

    await side.hot.clear()
    await side.hot.begin(len(side.log.events), 0)
    await reader.filled("workflow", "wf-1")
    await reader.cached("workflow", "wf-1")
    told = generate_latest(new_registry(ReadCollector(side.tenant, reader.meter, reader.near))).decode()
    figures = dict(line.rsplit(" ", 1) for line in told.splitlines() if not line.startswith("#"))
    labels = f'tenant="{side.tenant}"'
    for level in ("l1", "l2", "l3"):
        assert float(figures[f'dora_state_reads_total{{level="{level}",outcome="hit",{labels}}}']) >= 1
        assert float(figures[f'dora_state_read_seconds_count{{level="{level}",{labels}}}']) >= 1
    assert float(figures[f'dora_state_reads_total{{level="l2",outcome="miss",{labels}}}']) == 1
    assert float(figures[f"dora_state_l1_bytes{{{labels}}}"]) > 1_000
    assert float(figures[f'dora_state_read_bytes_total{{level="l3",{labels}}}']) > 100
