"""Rebuilds: a projection is built beside the one that runs, compared, and switched to, while everybody goes on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from functools import partial
from typing import Any

import pytest

from domain.errors import LogUnavailable, NotFound
from domain.log import NOW
from dora_state import platform
from dora_state.rebuilding import RebuildReport, Wish, building, go_back, outdated, rebuild
from dora_state.replaying import begin_check
from dora_state.servers import quiet
from dora_state.state_manager import StateManager, open_state_manager
from dora_state.worker.jobs import rebuild_outdated
from dora_state.worker.workplace import Workplace
from infrastructure import rebuilds
from infrastructure.database import Connection
from infrastructure.hot_copies import Keys
from infrastructure.migrations import drop_tenant, migrate
from infrastructure.rebuilds import rebuilding as rebuilding_alone
from infrastructure.rebuilds import schemas_beside
from projections.documents import RENDERINGS
from projections.documents.values import Document
from projections.errors import CheckpointMoved, CheckpointNotInLog, ProjectionChanged, RebuildRefused
from projections.projection import ACTIONS, PROJECTIONS, STATES, Projection
from projections.projector import Projector
from tests.integration.test_replay import BrokenOff, Silent, admin, begin, give, manager, read_models, story
from tests.support.postgres import connected, rows, value

__all__ = ["admin", "manager"]

PLAIN = Wish()


@asynccontextmanager
async def projecting(manager: StateManager) -> AsyncIterator[None]:
    """What a worker does, while the block runs."""
    stop = asyncio.Event()
    running = [asyncio.create_task(runner.run(stop)) for runner in manager.platform.runners]
    try:
        yield
    finally:
        stop.set()
        await asyncio.gather(*running)


async def until_copied(manager: StateManager) -> None:
    """Until there is a copy in Redis of the document that is broken."""
    platform = manager.platform
    assert platform.redis is not None
    await platform.redis.delete(Keys(platform.settings.tenant).document("task", "t1"))
    async with asyncio.timeout(20):
        while (await manager.platform.hot.get("task", "t1", 0)).body != b"{}":
            with suppress(KeyError):
                await manager.state("task", "t1")
            await asyncio.sleep(0.05)


async def tell(manager: StateManager, stories: int) -> int:
    await begin(manager)
    for number in range(stories):
        await story(manager, number)
    return await project(manager)


async def project(manager: StateManager) -> int:
    """All projections up to the log's end, by runners that then let go."""
    head = (await manager.platform.log.head()).position
    for runner in manager.platform.runners:
        await runner.catch_up(head, 30)
        await runner.release()
    return head


async def rebuild_one(manager: StateManager, projection: Projection, progress: Silent, wish: Wish) -> RebuildReport:
    (report,) = [one async for one in rebuild(manager.platform, [projection], progress, wish)]
    return report


async def go_back_to_kept(manager: StateManager, *projections: Projection) -> RebuildReport:
    reports = [one async for one in go_back(manager.platform, projections, Silent())]
    return reports[-1]


async def require_sound(manager: StateManager) -> None:
    """Everything that is kept agrees with the log."""
    checking = await begin_check(manager.platform, NOW, Silent())
    assert [finding async for finding in checking] == []


async def actions(connection: Connection) -> list[tuple[object, ...]]:
    return await rows(connection, "SELECT position, actor, command_type, recorded_at FROM actions ORDER BY position")


async def generation(connection: Connection, projection: Projection = STATES) -> object:
    return await value(connection, "SELECT generation FROM checkpoints WHERE name = %s", projection.name)


async def schemas(connection: Connection, tenant: str) -> list[object]:
    """What stands beside a tenant's own schema."""
    query = "SELECT nspname::text FROM pg_namespace WHERE nspname = ANY (%s) ORDER BY 1"
    return [name for (name,) in await rows(connection, query, [*schemas_beside(tenant), f"swap_states_{tenant}"])]


async def test_what_is_built_anew_is_what_ran_and_nothing_is_left_beside_it(
    manager: StateManager, admin: Connection, tenant: str
) -> None:
    head = await tell(manager, 3)
    before, done = await read_models(admin), await actions(admin)
    assert len(done) > 20
    for projection in PROJECTIONS.values():
        report = await rebuild_one(manager, projection, Silent(), PLAIN)
        assert (report.position, report.events, report.parked, report.kept_as) == (head, head, 0, None)
        assert report.compared is not None
        assert (report.compared.differing, report.compared.named) == (0, [])
        assert report.compared.compared >= 7
        assert await generation(admin, projection) == 1
    assert await read_models(admin) == before
    assert await actions(admin) == done
    assert await schemas(admin, tenant) == []
    await require_sound(manager)


async def test_commands_projectors_and_readers_go_on_meanwhile(
    manager: StateManager, admin: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    await tell(manager, 4)
    monkeypatch.setattr(building, "NEARLY", 10)
    over = asyncio.Event()

    async def write() -> int:
        number = 0
        while not over.is_set():
            await story(manager, 100 + number)
            number += 1
        return number

    async def read() -> int:
        reads = 0
        while not over.is_set():
            for number in range(4):
                document = await manager.state("workflow", f"w{number}")
                assert (document["workflow_id"], len(document["tasks"])) == (f"w{number}", 1)
                reads += 1
        return reads

    async with projecting(manager):
        everybody = [asyncio.create_task(write()), asyncio.create_task(read())]
        for turn in range(1, 5):
            report = await rebuild_one(manager, STATES, Silent(), PLAIN)
            assert await generation(admin) == turn
            assert report.compared is not None
            assert report.compared.differing == 0
        await rebuild_one(manager, ACTIONS, Silent(), PLAIN)
        over.set()
        assert all(await asyncio.gather(*everybody)), "somebody did nothing"
    head = await project(manager)
    assert (await manager.platform.projector.checkpoint()).position == head
    assert await value(admin, "SELECT count(*) FROM commands WHERE last_position IS NOT NULL") == len(
        await actions(admin)
    )
    await require_sound(manager)


async def test_a_rebuild_that_was_cut_short_goes_on(
    manager: StateManager, admin: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = await tell(manager, 3)
    monkeypatch.setattr(platform, "Projector", partial(Projector, batch_size=10))
    with pytest.raises(BrokenOff):
        await rebuild_one(manager, STATES, Silent(breaks_after=1), PLAIN)
    assert await generation(admin) == 0
    rest = Silent()
    await rebuild_one(manager, STATES, rest, PLAIN)
    assert 0 < (rest.totals["build states"] or 0) < head
    await require_sound(manager)

    with pytest.raises(BrokenOff):
        await rebuild_one(manager, STATES, Silent(breaks_after=1), PLAIN)
    whole = Silent()
    await rebuild_one(manager, STATES, whole, Wish(anew=True))
    assert whole.totals["build states"] == head


async def test_differences_are_named_and_only_switched_to_when_they_are_accepted(
    manager: StateManager, admin: Connection
) -> None:
    await tell(manager, 2)
    await rows(admin, "UPDATE tasks SET document = '{}' WHERE id = 't1' RETURNING id")
    await rows(admin, "DELETE FROM workflows WHERE id = 'w0' RETURNING id")
    await rows(admin, "DELETE FROM attempts WHERE task_id = 't0' RETURNING position")
    await rows(admin, "UPDATE agents SET available_slots = 77 RETURNING id")
    await rows(admin, "UPDATE task_facets SET count = count + 1 RETURNING value")
    with pytest.raises(
        RebuildRefused, match=r"5 of \d+ rows differ from those that run \(workflow-w0 \(only rebuilt\)"
    ):
        await rebuild_one(manager, STATES, Silent(), PLAIN)
    assert await generation(admin) == 0, "it was switched to"
    async with projecting(manager):
        await until_copied(manager)
        report = await rebuild_one(manager, STATES, Silent(), Wish(accept_differences=True))
        assert (await manager.state("task", "t1"))["task_id"] == "t1", "a copy of the old tables is believed"
    assert report.events == 0, "what was built is not used"
    assert report.compared is not None
    assert report.compared.differing == 5
    await require_sound(manager)


async def test_a_document_that_had_stopped_goes_on_and_one_that_stops_is_not_switched_to(
    manager: StateManager, admin: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    await tell(manager, 1)
    await give(manager, ("CreateWorkflow", {"workflow_id": "x", "definition_id": "d"}))
    rendering, broken = RENDERINGS["workflow"], asyncio.Event()

    def stored(state: Any) -> Document:
        if broken.is_set():
            raise ValueError("a fault of this release")
        return rendering.stored(state)

    monkeypatch.setitem(RENDERINGS, "workflow", replace(rendering, stored=stored))
    broken.set()
    await project(manager)
    assert await value(admin, "SELECT count(*) FROM dead_letters") == 1
    broken.clear()
    report = await rebuild_one(manager, STATES, Silent(), PLAIN)
    assert report.compared is not None
    assert (report.compared.mended, report.compared.differing, report.parked) == (1, 0, 0)
    await require_sound(manager)

    broken.set()
    with pytest.raises(RebuildRefused, match=r"of 2 streams an event could not be applied \(workflow-[wx]0?"):
        await rebuild_one(manager, STATES, Silent(), PLAIN)
    broken.clear()
    await require_sound(manager)


async def test_what_is_kept_can_be_gone_back_to(manager: StateManager, admin: Connection, tenant: str) -> None:
    await tell(manager, 2)
    with pytest.raises(RebuildRefused, match="Nothing was kept of the projection states"):
        await go_back_to_kept(manager, STATES)
    await admin.execute("COMMENT ON TABLE tasks IS 'the first'")
    report = await rebuild_one(manager, STATES, Silent(), Wish(keep_old=True))
    assert report.kept_as == f"kept_states_{tenant}"
    assert await schemas(admin, tenant) == [report.kept_as]
    await story(manager, 7)
    more = await project(manager) - report.position

    back = await go_back_to_kept(manager, STATES)
    assert back.events == more, "it was not brought up"
    assert await value(admin, "SELECT obj_description('tasks'::regclass)") == "the first"
    assert await generation(admin) == 2
    await require_sound(manager)
    await go_back_to_kept(manager, STATES)
    assert await value(admin, "SELECT obj_description('tasks'::regclass)") is None
    await rows(admin, f"UPDATE kept_states_{tenant}.checkpoints SET version = 0 RETURNING 1")
    with pytest.raises(RebuildRefused, match="of version 0, and this release has version 1"):
        await go_back_to_kept(manager, STATES)


async def test_all_are_gone_back_to_or_none(manager: StateManager, admin: Connection) -> None:
    await tell(manager, 1)
    for projection in PROJECTIONS.values():
        await rebuild_one(manager, projection, Silent(), Wish(keep_old=True))
    before = await generation(admin)
    await rows(admin, f"UPDATE kept_actions_{manager.platform.settings.tenant}.checkpoints SET version = 0 RETURNING 1")
    with pytest.raises(RebuildRefused, match="What was kept of the projection actions is of version 0"):
        await go_back_to_kept(manager, STATES, ACTIONS)
    assert await generation(admin) == before, "one of them was switched"


async def test_an_automatic_rebuild_is_broken_off_when_the_worker_leaves_and_gone_on_with_later(
    manager: StateManager, admin: Connection, monkeypatch: pytest.MonkeyPatch
) -> None:
    await tell(manager, 1)
    await rows(admin, "UPDATE checkpoints SET version = 0 RETURNING 1")
    settings = manager.platform.settings.model_copy(update={"rebuild": "auto"})
    place = Workplace(replace(manager.platform, settings=settings), manager, manager.lists, asyncio.Event(), quiet)
    paused = asyncio.Event()

    async def pause(*_: object) -> None:
        paused.set()
        await asyncio.Event().wait()

    with monkeypatch.context() as patched:
        patched.setattr(building.Building, "run_up_to", pause)
        job = asyncio.create_task(rebuild_outdated(place))
        await paused.wait()
        place.stop.set()
        await job
    assert await outdated(manager.platform) == [STATES, ACTIONS]

    place.stop.clear()
    await rebuild_outdated(place)
    assert await outdated(manager.platform) == []
    await require_sound(manager)


@pytest.mark.parametrize(
    ("version", "advice"), [(0, "build it anew with `dora-state rebuild states`"), (9, "leave it to the workers")]
)
async def test_a_projection_of_another_version_is_left_alone(
    manager: StateManager, admin: Connection, version: int, advice: str
) -> None:
    await tell(manager, 1)
    assert await outdated(manager.platform) == []
    await rows(admin, "UPDATE checkpoints SET version = %s WHERE name = 'states' RETURNING 1", version)
    await story(manager, 5)
    with pytest.raises(ProjectionChanged, match=advice):
        await manager.platform.projector.run_once()
    with pytest.raises(NotFound):
        await manager.state("workflow", "w5")
    assert await outdated(manager.platform) == ([STATES] if version == 0 else [])
    if version == 0:
        report = await rebuild_one(manager, STATES, Silent(), PLAIN)
        assert report.compared is None, "other versions are not to be equal"
        assert await manager.state("workflow", "w5")
        await require_sound(manager)


async def test_a_checkpoint_that_is_not_in_the_log_is_refused_until_it_is_rebuilt(
    manager: StateManager, admin: Connection
) -> None:
    head = await tell(manager, 1)
    moves = {
        "ahead": "position = position + 100",
        "of another log": "recorded_at = recorded_at - interval '1 second'",
        "within a command": "position = position - 1",
    }
    for move in moves.values():
        await rows(admin, f"UPDATE checkpoints SET {move} WHERE name = 'states' RETURNING 1")
        with pytest.raises(CheckpointNotInLog, match=rf"ends at {head} .* `dora-state rebuild states`"):
            await manager.platform.projector.run_once()
        assert (await rebuild_one(manager, STATES, Silent(), PLAIN)).position == head
        await require_sound(manager)


async def test_one_rebuild_of_a_projection_at_a_time(manager: StateManager, database_url: str, tenant: str) -> None:
    await tell(manager, 1)
    async with rebuilding_alone(database_url, tenant, STATES):
        with pytest.raises(RebuildRefused, match="Another process is rebuilding the projection states"):
            await rebuild_one(manager, STATES, Silent(), PLAIN)
        await rebuild_one(manager, ACTIONS, Silent(), PLAIN)


async def test_readers_who_hold_on_to_the_tables_go_first(
    manager: StateManager, admin: Connection, database_url: str, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    head = await tell(manager, 1)
    monkeypatch.setattr(building, "SWITCHES", 2)
    async with connected(database_url, tenant) as reader:
        async with reader.transaction():
            await rows(reader, "SELECT count(*) FROM tasks")
            with pytest.raises(LogUnavailable, match="Others hold on to the tables of the projection states"):
                await rebuild_one(manager, STATES, Silent(), PLAIN)
            assert await generation(admin) == 0
            await story(manager, 3)  # the projector was let go on
            await project(manager)
        assert (await rebuild_one(manager, STATES, Silent(), PLAIN)).position > head
    await require_sound(manager)


async def test_what_is_not_ours_is_not_touched_and_what_is_goes_with_its_tenant(
    manager: StateManager, admin: Connection, database_url: str, tenant: str
) -> None:
    await tell(manager, 1)
    await admin.execute(f"CREATE SCHEMA next_states_{tenant}".encode())
    with pytest.raises(RebuildRefused, match="that no rebuild made"):
        await rebuild_one(manager, STATES, Silent(), PLAIN)
    await admin.execute(f"DROP SCHEMA next_states_{tenant}".encode())
    await rebuild_one(manager, STATES, Silent(), Wish(keep_old=True))
    await drop_tenant(database_url, tenant)
    assert await schemas(admin, tenant) == []
    await migrate(database_url, tenant)


async def test_a_runner_that_has_the_old_tables_in_mind_writes_nothing_into_the_new(
    manager: StateManager, admin: Connection
) -> None:
    await tell(manager, 1)
    await give(manager, ("CreateWorkflow", {"workflow_id": "late", "definition_id": "d"}))
    runner = manager.platform.projector
    await runner.run_once()
    async with open_state_manager(manager.platform.settings, default_actor="test") as other:
        await rebuild_one(other, STATES, Silent(), PLAIN)
    await give(manager, ("StartWorkflow", {"workflow_id": "late"}))
    with pytest.raises(CheckpointMoved, match="generation 1, term"):
        await runner.run_once()
    await runner.catch_up((await manager.platform.log.head()).position, 10)
    await runner.release()
    await require_sound(manager)


async def test_a_reader_of_what_was_built_is_waited_for_and_nobody_else_waits(
    manager: StateManager, admin: Connection, database_url: str, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await tell(manager, 1)
    monkeypatch.setattr(building, "SWITCHES", 2)
    turns: list[int] = []
    monkeypatch.setattr(type(manager.platform.hot), "turn", lambda _, position: turns.append(position))
    unpatched = building.Building.switch

    async def while_it_is_read(self: building.Building, *asked: Any, **more: Any) -> int:
        async with connected(database_url, tenant) as reader, reader.transaction():
            await rows(reader, f"SELECT count(*) FROM {self.rebuild.next}.systems")
            async with connected(database_url, tenant) as another:
                await another.execute("SET lock_timeout TO '100ms'")
                switching = asyncio.create_task(unpatched(self, *asked, **more))
                while not switching.done():
                    await rows(another, "SELECT count(*) FROM tasks")  # at once, or refused
                    await asyncio.sleep(0.01)
                return await switching

    with monkeypatch.context() as patched:
        patched.setattr(building.Building, "switch", while_it_is_read)
        with pytest.raises(LogUnavailable, match="Others hold on to the tables of the projection states"):
            await rebuild_one(manager, STATES, Silent(), PLAIN)
    assert turns == [], "Redis was told of a switch that can't be"


async def test_a_reader_and_the_switch_that_wait_for_each_other_are_told_apart_and_it_is_tried_again(
    manager: StateManager, database_url: str, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await tell(manager, 1)
    monkeypatch.setattr(rebuilds, "PATIENCE", "5s")
    monkeypatch.setattr(rebuilds, "LONGER_PATIENCE", "5s")
    unpatched = rebuilds.Switch._lock
    waited: list[str] = []

    async with connected(database_url, tenant) as reader:

        async def read() -> None:
            """Reads tables in another order than the switch locks them in."""
            try:
                async with reader.transaction():
                    await reader.execute("SET LOCAL deadlock_timeout TO '1h'")
                    await rows(reader, "SELECT count(*) FROM tasks")
                    await asyncio.sleep(0.5)
                    await rows(reader, "SELECT count(*) FROM workflows")
            finally:
                waited.append("read")

        async def lock(self: rebuilds.Switch, schema: str) -> None:
            if schema == self._tenant and not waited:
                waited.append("reading")
                reading.append(asyncio.create_task(read()))
                await asyncio.sleep(0.2)
            await unpatched(self, schema)

        reading: list[asyncio.Task[None]] = []
        monkeypatch.setattr(rebuilds.Switch, "_lock", lock)
        await rebuild_one(manager, STATES, Silent(), PLAIN)
        await asyncio.gather(*reading)
    assert waited == ["reading", "read"]
    await require_sound(manager)


async def test_what_is_left_for_the_switch_may_take_its_time(
    manager: StateManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    await tell(manager, 1)
    unpatched = building.Building._compare_rest

    async def slowly(self: building.Building, until: int) -> Any:
        await asyncio.sleep(3)  # longer than a transaction may stand idle
        return await unpatched(self, until)

    monkeypatch.setattr(building.Building, "_compare_rest", slowly)
    await rebuild_one(manager, STATES, Silent(), PLAIN)
    await require_sound(manager)


async def test_what_came_while_it_was_compared_is_applied_before_the_switch(
    manager: StateManager, monkeypatch: pytest.MonkeyPatch
) -> None:
    await tell(manager, 1)
    monkeypatch.setattr(building, "NEARLY", 0)
    unpatched, left = building.Building.compare, []

    async def compare(self: building.Building, progress: Silent) -> None:
        await unpatched(self, progress)
        await story(manager, 8)
        await project(manager)

    async def switch(self: building.Building, *_: object, **__: object) -> int:
        left.append((await self.rebuild.running()).position - await self.reached())
        raise BrokenOff

    monkeypatch.setattr(building.Building, "compare", compare)
    monkeypatch.setattr(building.Building, "switch", switch)
    with pytest.raises(BrokenOff):
        await rebuild_one(manager, STATES, Silent(), PLAIN)
    assert left == [0]


async def test_views_of_others_are_not_dropped_unawares(manager: StateManager, admin: Connection, tenant: str) -> None:
    await tell(manager, 1)
    await admin.execute(f"CREATE VIEW report_{tenant} AS SELECT id FROM tasks".encode())
    with pytest.raises(RebuildRefused, match=rf"\(tenant_{tenant}.report_{tenant}\): drop them first"):
        await rebuild_one(manager, STATES, Silent(), PLAIN)
    await rebuild_one(manager, ACTIONS, Silent(), PLAIN)
    await admin.execute(f"DROP VIEW report_{tenant}".encode())
    await rebuild_one(manager, STATES, Silent(), PLAIN)
