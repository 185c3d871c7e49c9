"""Metrics of a process: what it counts of its commands, and what is gathered of its house."""

import asyncio
import json
import logging
import socket
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.request import urlopen

import httpx
import pytest
from prometheus_client import CollectorRegistry

from domain.errors import LockTimeout
from dora_state.health import servers
from dora_state.platform import Platform, open_platform
from dora_state.settings import load_settings
from dora_state.state_manager import StateManager
from dora_state.watching import gathering, serving
from dora_state.watching.registry import registry_of
from dora_state.watching.serving import MetricsNotServed, metrics_served, serve_metrics
from infrastructure.storage import storage
from tests.support.between import Between
from tests.support.gathering import until_gathered
from tests.support.working import Workers

WORKFLOW = {"type": "CreateWorkflow", "actor": "me", "data": {"workflow_id": "wf-1", "definition_id": "assessment"}}


@pytest.fixture
async def platform(database_url: str, redis_url: str, tenant: str) -> AsyncIterator[Platform]:
    settings = load_settings(database_url=database_url, redis_url=redis_url, tenant=tenant)
    async with open_platform(settings) as platform:
        yield platform


async def gathered(platform: Platform) -> CollectorRegistry:
    """The metrics, once health and sizes were gathered."""
    registry = registry_of(platform)
    await until_gathered(platform)
    return registry


async def served(port: int) -> str:
    """What is served there, once it is."""
    for _ in range(500):
        try:
            with await asyncio.to_thread(urlopen, f"http://127.0.0.1:{port}/metrics", timeout=10) as page:
                return str(page.read().decode())
        except OSError:
            await asyncio.sleep(0.02)
    raise AssertionError("nothing was served")


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


async def test_commands_are_counted_by_type_and_outcome_with_their_events_groups_and_durations(
    platform: Platform, tenant: str
) -> None:
    manager, registry = StateManager(platform), registry_of(platform)
    first = await manager.submit(WORKFLOW)
    await manager.submit({**WORKFLOW, "command_id": str(first.command_id)})
    await manager.submit({"type": "StartWorkflow", "actor": "me", "data": {"workflow_id": "wf-none"}})

    def count(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"dora_state_{name}", {"tenant": tenant, **labels})

    assert count("commands_total", type="CreateWorkflow", outcome="accepted") == 2
    assert count("commands_total", type="StartWorkflow", outcome="refused") == 1
    assert count("commands_repeated_total") == 1
    assert count("appended_events_total") == 1
    assert count("command_seconds_count") == 3
    assert count("append_seconds_count") == count("group_commands_count") == 3
    assert count("group_commands_sum") == 3
    assert count("queue_commands") == 0
    assert count("queue_limit") == platform.settings.queue_size
    assert (count("pool_requests_total", pool="writer") or 0) > 0


async def test_a_command_that_finds_the_queue_full_is_counted(platform: Platform, tenant: str) -> None:
    platform.bus.queue_size = 0
    registry = registry_of(platform)
    await StateManager(platform).submit(WORKFLOW)
    assert registry.get_sample_value("dora_state_commands_busy_total", {"tenant": tenant}) == 1


async def test_locks_are_counted_by_how_they_were_waited_for(platform: Platform, tenant: str) -> None:
    manager, registry = StateManager(platform, default_actor="me"), registry_of(platform)
    await manager.submit(WORKFLOW)

    def count(name: str, **labels: str) -> float | None:
        return registry.get_sample_value(f"dora_state_{name}", {"tenant": tenant, **labels})

    async with manager.exclusive_lock("workflow:wf-1"):
        assert count("locks_held") == 1
        with pytest.raises(LockTimeout):
            async with StateManager(platform).exclusive_lock("workflow:wf-1", timeout=0.01):
                pass
    assert count("locks_total", outcome="taken") == 1
    assert count("locks_total", outcome="timeout") == 1
    assert count("locks_total", outcome="deadlock") == count("locks_lost_total") == count("locks_held") == 0
    assert (count("lock_wait_seconds_count") or 0) >= 1


async def test_health_sizes_and_memory_are_told_once_somebody_asks_for_metrics(platform: Platform, tenant: str) -> None:
    await StateManager(platform).submit(WORKFLOW)
    assert platform.gathered.health is None
    registry = await gathered(platform)

    def told(name: str, **labels: str) -> float:
        value = registry.get_sample_value(f"dora_state_{name}", {"tenant": tenant, **labels})
        assert value is not None, name
        return value

    assert told("database_bytes") > 1_000_000
    assert told("log_position") == 1
    assert told("projection_behind_events", projection="states") == 1
    assert told("projection_halted", projection="states") == 0
    assert told("dead_letters") == 0
    assert told("months_ahead_seconds") > 28 * 86_400
    assert abs(told("clock_offset_seconds")) < 2
    assert told("database_commits_total") > 0
    assert told("cache_used_bytes") > 0
    assert told("health", check="months") == 0
    month = f"{platform.gathered.health.timestamp:%Y-%m}" if platform.gathered.health else ""
    assert told("log_bytes", month=month) > 0
    assert told("table_bytes", table="workflows") > 0
    assert (registry.get_sample_value("process_resident_memory_bytes") or 0) > 10_000_000


async def test_all_partitions_of_a_tenant_are_months_and_no_table_is_told_twice(platform: Platform) -> None:
    sizes = await storage(platform.projector_pool)
    assert not [name for name in sizes.tables if name.startswith("events_")]
    assert len(sizes.months) >= 3


async def test_health_that_can_not_be_asked_for_is_asked_again(
    platform: Platform, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(gathering, "HEALTH_SECONDS", 0.01)
    asked, again = [0], asyncio.Event()

    async def health() -> None:
        asked[0] += 1
        if asked[0] > 2:
            again.set()
        raise OSError("no more files")

    held = gathering.Gathered()
    held.wanted.set()
    with caplog.at_level(logging.CRITICAL, logger="dora_state.watching.gathering"):
        async with gathering.gathering(held, health, lambda: storage(platform.projector_pool)):  # type: ignore[arg-type]
            await again.wait()
    assert held.health is None


class Slow:
    """Asked for something, and takes a moment to leave."""

    def __init__(self) -> None:
        self.asked, self.has_left = asyncio.Event(), False

    async def __call__(self, *_: object, **__: object) -> None:
        self.asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            await asyncio.sleep(0.05)
            self.has_left = True


async def test_who_ends_while_figures_are_gathered_leaves_nothing_open() -> None:
    async def sizes() -> None:
        await asyncio.Event().wait()

    health, held = Slow(), gathering.Gathered()
    held.wanted.set()
    async with gathering.gathering(held, health, sizes):  # type: ignore[arg-type]
        await health.asked.wait()
    assert health.has_left


async def test_who_ends_while_health_is_asked_for_leaves_nothing_open(
    platform: Platform, monkeypatch: pytest.MonkeyPatch
) -> None:
    cache = Slow()
    monkeypatch.setattr(servers, "cache_vitals", cache)
    asking = asyncio.create_task(platform.health.check())
    await cache.asked.wait()
    asking.cancel()
    await asyncio.gather(asking, return_exceptions=True)
    assert cache.has_left


async def test_a_process_without_an_http_server_serves_its_metrics_itself(platform: Platform) -> None:
    settings = platform.settings.model_copy(update={"metrics_port": free_port()})
    object.__setattr__(platform, "settings", settings)
    stop = asyncio.Event()
    task = asyncio.create_task(serve_metrics(platform, stop))
    body = await served(settings.metrics_port or 0)
    stop.set()
    await task
    assert "# TYPE dora_state_commands_total counter" in body
    with pytest.raises(OSError, match="refused"):
        await asyncio.to_thread(urlopen, f"http://127.0.0.1:{settings.metrics_port}/", timeout=10)


async def readiness(port: int) -> tuple[int, dict[str, str]]:
    """What the port of metrics says of it."""
    async with httpx.AsyncClient(timeout=30) as client:
        answer = await client.get(f"http://127.0.0.1:{port}/health/ready")
    return answer.status_code, answer.json()


async def test_beside_its_metrics_a_process_says_whether_it_is_ready_also_while_its_database_hangs(
    tmp_path: Path, database_url: str, redis_url: str, tenant: str
) -> None:
    port = free_port()
    async with Between(database_url, tmp_path).serving() as between:
        settings = load_settings(database_url=between.url, redis_url=redis_url, tenant=tenant, metrics_port=port)
        async with open_platform(settings) as platform, metrics_served(platform):
            assert await readiness(port) == (200, {"status": "ready"})
            with between.hanging():
                while (found := await readiness(port))[0] == 200:  # what was known a second ago
                    pass
                assert found == (503, {"status": "not ready", "reason": "The log can't be written to just now."})
                assert "dora_state_commands_total" in await served(port)
            while (await readiness(port))[0] != 200:  # until the database has answered again
                pass


async def test_a_process_whose_loop_hangs_is_not_ready(platform: Platform, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(serving, "PATIENCE", 0.05)
    port = free_port()
    settings = platform.settings.model_copy(update={"metrics_port": port})
    object.__setattr__(platform, "settings", settings)
    async with metrics_served(platform):
        with ThreadPoolExecutor(max_workers=1) as thread:
            asked = thread.submit(httpx.get, f"http://127.0.0.1:{port}/health/ready", timeout=30)
            assert asked.result().status_code == 503  # which holds up the loop until there is an answer
        assert (await readiness(port))[0] == 200


async def test_a_port_that_is_taken_is_told_in_one_sentence(platform: Platform) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = taken.getsockname()[1]
        object.__setattr__(platform, "settings", platform.settings.model_copy(update={"metrics_port": port}))
        with pytest.raises(MetricsNotServed, match=f"127.0.0.1, port {port} .*DORA_STATE_METRICS_PORT"):
            await serve_metrics(platform, asyncio.Event())


async def test_a_worker_serves_its_metrics_and_logs_a_json_object_a_line(
    tmp_path: Path, database_url: str, redis_url: str, tenant: str
) -> None:
    port = free_port()
    settings = {"LOG": "json", "METRICS_PORT": str(port)}
    workers = Workers(tmp_path / "home", database_url, redis_url, tenant, **settings)
    with workers() as worker:
        body = await served(port)
        assert f'dora_state_projected_events_total{{projection="states",tenant="{tenant}"}}' in body
        ended = worker.end()
    lines = [json.loads(line) for line in ended.err.splitlines()]
    assert ended.code == 0
    assert {line["tenant"] for line in lines} == {tenant}
    assert any("is running" in line["message"] and line["level"] == "info" for line in lines)
