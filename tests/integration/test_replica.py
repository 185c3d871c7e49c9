"""A real streaming replica: what is asked of it, and what is not while it is behind, stopped or none at all."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager
from typing import Any

import orjson
import pytest

from domain.errors import InvalidInput
from domain.log import Cut
from dora_state.health.replica import judge_sight
from dora_state.settings import load_settings
from dora_state.state_manager import StateManager, open_state_manager
from infrastructure.database import Role
from infrastructure.migrations import drop_tenant, migrate
from infrastructure.pools import open_pool
from infrastructure.replica import Replica, Sight, open_replica
from tests.support.replica import Pair, pair
from tests.support.tenants import new_name

pytestmark = pytest.mark.timeout(240)


@pytest.fixture(scope="module")
def both() -> Iterator[Pair]:
    with pair() as both:
        yield both


@pytest.fixture
async def bank(both: Pair) -> AsyncIterator[str]:
    name = new_name()
    await migrate(both.primary_url, name)
    yield name
    await drop_tenant(both.primary_url, name)


@asynccontextmanager
async def opened(both: Pair, bank: str, lag: float = 60.0) -> AsyncIterator[tuple[StateManager, Replica]]:
    """With a replica that may be far behind, unless a test says otherwise."""
    settings = load_settings(
        database_url=both.primary_url, read_database_url=both.replica_url, read_lag=lag, tenant=bank
    )
    async with open_state_manager(settings, default_actor="test") as manager:
        replica = manager.platform.replica
        assert replica is not None
        yield manager, replica


async def until(holds: Callable[[], bool | Awaitable[bool]]) -> None:
    for _ in range(2000):
        found = holds()
        if found if isinstance(found, bool) else await found:
            return
        await asyncio.sleep(0.01)
    raise AssertionError("it did not come to that")


async def create(manager: StateManager, *ids: str) -> int:
    """Give workflows, and bring the read models of the primary up; gives the last one's position."""
    position = 0
    for id in ids:
        data = {"workflow_id": id, "definition_id": "assessment"}
        answer = await manager.submit({"type": "CreateWorkflow", "data": data})
        assert answer.position is not None
        position = answer.position
    assert await manager.catch_up()
    return position


async def shown_by(manager: StateManager, replica: Replica, position: int) -> None:
    """Once the replica shows the read models up to there."""

    async def shows() -> bool:
        rows = await replica.reader._rows("log_head")
        return replica.usable and int(rows[0][0]) >= position and await listed(manager) != []

    await until(shows)


async def listed(manager: StateManager) -> list[str]:
    page = await manager.lists.workflows(sort="id")
    return [str(one["workflow_id"]) for one in page.items]


async def exported(manager: StateManager) -> list[int]:
    text = b"".join([piece async for piece in manager.export("jsonl")])
    lines = [orjson.loads(line) for line in text.splitlines()]
    return [line["position"] for line in lines if "position" in line]


async def test_lists_history_and_exports_are_asked_of_the_replica(both: Pair, bank: str) -> None:
    async with opened(both, bank) as (manager, replica):
        await shown_by(manager, replica, await create(manager, "wf-1"))
        with both.paused():
            asked = replica.asked
            await create(manager, "wf-2")
            assert await listed(manager) == ["wf-1"]  # as of a moment ago, as the settings allow
            assert [one.version async for one in manager.history("workflow", "wf-1")] == [1]
            assert replica.asked > asked
        await until(lambda: replica.usable)

        async def caught_up() -> bool:
            return await listed(manager) == ["wf-1", "wf-2"]

        await until(caught_up)
        asked = replica.asked
        assert await exported(manager) == [1, 2]
        assert replica.asked > asked
        assert replica.fell_back == 0


async def test_what_is_asked_for_up_to_a_position_a_version_or_a_time_is_never_less(both: Pair, bank: str) -> None:
    async with opened(both, bank) as (manager, replica):
        await shown_by(manager, replica, await create(manager, "wf-1"))
        with both.paused():
            position = await create(manager, "wf-2")
            answer = await manager.submit({"type": "StartWorkflow", "data": {"workflow_id": "wf-1"}})
            assert answer.recorded_at is not None
            assert await manager.catch_up()
            document = await manager.state("workflow", "wf-2", min_position=position)
            assert document["workflow_id"] == "wf-2"
            for cut in (Cut(position=answer.position), Cut(version=2), Cut(at=answer.recorded_at)):
                entries = [one.version async for one in manager.history("workflow", "wf-1", cut=cut)]
                assert entries == [1, 2], cut
                assert (await manager.state("workflow", "wf-1", cut=cut))["state"] == "running"
            difference = await manager.diff("workflow", "wf-1", Cut(version=1), Cut(version=2))
            assert difference is not None
            assert await exported(manager) == list(range(1, (answer.position or 0) + 1))
            assert replica.usable


async def test_a_replica_that_is_further_behind_than_allowed_is_left_alone_until_it_has_caught_up(
    both: Pair, bank: str
) -> None:
    async with opened(both, bank, lag=0.2) as (manager, replica):
        await shown_by(manager, replica, await create(manager, "wf-1"))
        with both.paused():
            await create(manager, "wf-2")
            await until(lambda: not replica.usable)
            assert await listed(manager) == ["wf-1", "wf-2"]
            found = (await manager.platform.health.check()).checks["replica"]
            assert (found.status, "behind" in found.message) == ("warning", True)
        await until(lambda: replica.usable)
        assert (await manager.platform.health.check()).checks["replica"].status == "healthy"


async def test_a_replica_that_is_gone_is_noticed_by_nobody_who_asks_and_is_used_once_it_is_back(
    both: Pair, bank: str
) -> None:
    async with opened(both, bank) as (manager, replica):
        await shown_by(manager, replica, await create(manager, "wf-1"))
        both.stop()
        try:
            assert await listed(manager) == ["wf-1"]
            assert [one.version async for one in manager.history("workflow", "wf-1")] == [1]
            assert await exported(manager) == [1]
            await until(lambda: not replica.usable)
            found = (await manager.platform.health.check()).checks["replica"]
            assert (found.status, "questions go to the primary" in found.message) == ("warning", True)
            async with opened(both, bank) as (late, away):  # one that begins meanwhile
                assert await listed(late) == ["wf-1"]
                assert not away.usable
                both.start()
                await until(lambda: away.usable)
        finally:
            both.start()
        await until(lambda: replica.usable)


async def test_a_replica_that_hangs_holds_up_nobody_for_long(both: Pair, bank: str) -> None:
    async with opened(both, bank) as (manager, replica):
        await shown_by(manager, replica, await create(manager, "wf-1"))
        with both.frozen():
            assert [one.version async for one in manager.history("workflow", "wf-1")] == [1]
            assert not replica.usable
            assert await listed(manager) == ["wf-1"]
        await until(lambda: replica.usable)


async def test_who_only_asks_goes_on_while_the_primary_is_away(both: Pair, bank: str) -> None:
    async with opened(both, bank) as (manager, replica):
        await shown_by(manager, replica, await create(manager, "wf-1"))
        with both.without_primary():
            await until(lambda: replica.primary_away and replica.usable)
            assert await listed(manager) == ["wf-1"]
            assert (await manager.state("workflow", "wf-1"))["state"] == "created"
            assert [one.version async for one in manager.history("workflow", "wf-1")] == [1]
            assert (await manager.state("workflow", "wf-1", cut=Cut(version=1)))["state"] == "created"
            assert await exported(manager) == [1]
        await until(lambda: not replica.primary_away and replica.usable)


async def test_a_server_that_follows_another_primary_is_never_read(both: Pair, bank: str, database_url: str) -> None:
    await migrate(database_url, bank)
    try:
        async with (
            await open_pool(database_url, bank, Role.PROJECTOR) as primary,
            open_replica(primary, both.replica_url, bank, 60.0, 1) as replica,
        ):
            fault = "belongs to another primary: correct DORA_STATE_READ_DATABASE_URL"
            await until(lambda: replica.trouble == fault)
    finally:
        await drop_tenant(database_url, bank)


async def test_the_primary_itself_may_be_named(both: Pair, bank: str) -> None:
    async with (
        await open_pool(both.primary_url, bank, Role.PROJECTOR) as primary,
        open_replica(primary, both.primary_url, bank, 60.0, 1) as replica,
    ):
        assert replica.usable
        assert replica.lag == 0.0


@pytest.mark.parametrize(
    ("sight", "status", "word"),
    [
        (Sight(True, True, 5, 100, 0), "healthy", "0.0 MB behind"),
        (Sight(True, True, 5, 100, None), "healthy", "answers"),
        (Sight(True, False, 5, 100, 0), "warning", "goes its own way"),
        (Sight(False, True, 5, 100, 0), "warning", "another primary"),
        ("PostgreSQL is away; start it.", "warning", "PostgreSQL is away"),
    ],
)
def test_how_a_replica_is_judged(sight: Any, status: str, word: str) -> None:
    found = judge_sight(sight)
    assert (found.status, word in found.message) == (status, True)


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"read_database_url": "postgresql://replica/state"}, "READ_DATABASE_URL without a database URL"),
        (
            {"database_url": "postgresql://primary/state", "read_database_url": "postgresql://u:p@ss:secret@replica"},
            "DORA_STATE_READ_DATABASE_URL is no PostgreSQL URL",
        ),
        ({"database_url": "postgresql://primary/state", "read_lag": 0}, "DORA_STATE_READ_LAG"),
    ],
)
def test_settings_of_a_replica_are_checked(settings: dict[str, Any], word: str) -> None:
    with pytest.raises(InvalidInput, match=word) as refused:
        load_settings(**settings)
    assert "secret" not in str(refused.value)
