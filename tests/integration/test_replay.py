"""Replays: read models as of a moment beside all that runs, and the proof that what is kept agrees with the log."""

import asyncio
from collections.abc import AsyncIterator, Mapping
from datetime import UTC, datetime
from functools import partial
from uuid import uuid4

import pytest

from domain.agent import Agent
from domain.errors import CutOutOfRange, InvalidInput
from domain.folding import FOLDER
from domain.log import NOW, CommandAppend, Cut, NewEvent
from domain.snapshots import Snapshot
from dora_state import platform
from dora_state.replaying import begin_check, replay_until
from dora_state.settings import load_settings
from dora_state.state_manager import StateManager, open_state_manager
from infrastructure.database import Connection
from infrastructure.event_store.stretches import digest
from projections.checking import Finding
from projections.documents import RENDERINGS
from projections.projector import Projector
from projections.snapshotter import Snapshotter
from tests.support.postgres import connected

FACTS = ("attempts", "completions", "counts", "task_facets", "task_cells", "rates", "reservations")
COUNTS = ("counts", "task_facets", "task_cells")
Rows = dict[str, list[tuple[object, ...]]]


class BrokenOff(Exception):
    """Somebody has had enough of it."""


class Silent:
    """A progress that nobody watches; breaks off after so many steps."""

    def __init__(self, breaks_after: int | None = None) -> None:
        self._left = breaks_after
        self.totals: dict[str, int | None] = {}

    def begin(self, phase: str, total: int | None) -> None:
        self.totals[phase] = total

    def advance(self, count: int) -> None:
        if self._left is not None:
            self._left -= 1
            if self._left < 0:
                raise BrokenOff

    def end(self) -> None: ...


@pytest.fixture
async def manager(database_url: str, redis_url: str, tenant: str) -> AsyncIterator[StateManager]:
    settings = load_settings(database_url=database_url, redis_url=redis_url, tenant=tenant)
    async with open_state_manager(settings, default_actor="test") as manager:
        yield manager


@pytest.fixture
async def admin(database_url: str, tenant: str) -> AsyncIterator[Connection]:
    async with connected(database_url, tenant) as admin:
        yield admin


@pytest.fixture
async def schema(admin: Connection, tenant: str) -> AsyncIterator[str]:
    name = f"audit_{tenant}"
    yield name
    await admin.execute(f"DROP SCHEMA IF EXISTS {name} CASCADE".encode())


async def give(manager: StateManager, *commands: tuple[str, Mapping[str, object]]) -> None:
    for name, data in commands:
        answer = await manager.submit({"type": name, "data": data})
        assert answer.outcome == "accepted", answer.problem


async def begin(manager: StateManager) -> None:
    await give(
        manager,
        ("RegisterAgent", {"agent_id": "a", "agent_type": "t", "max_concurrent_tasks": 3, "state": "healthy"}),
        ("CreatePool", {"pool_id": "p", "total": {"cpu": "8"}}),
        ("ConfigureSystem", {"environment": "test"}),
    )


async def story(manager: StateManager, number: int) -> None:
    """One workflow with a task, and all that goes with it."""
    workflow, task = {"workflow_id": f"w{number}"}, {"task_id": f"t{number}"}
    needs = {"resource_requirements": {"cpu": "2"}}
    await give(
        manager,
        ("CreateWorkflow", workflow | {"definition_id": "d"}),
        ("StartWorkflow", workflow),
        ("AddTask", workflow | task | needs | {"definition_id": "d"}),
        ("ScheduleTask", task),
        ("AssignTask", task | {"agent_id": "a", "reason": "test", "pool_id": "p"}),
        ("StartTask", task),
        ("ReportProgress", task | {"percentage": 50}),
        ("CompleteTask", task),
    )


async def read_models(connection: Connection, schema: str | None = None) -> Rows:
    """All rows of all read models, but for what depends on when they were written."""
    within = f"{schema}." if schema else ""
    tables = {kind: f"{kind}s" for kind in RENDERINGS} | {name: name for name in FACTS}
    rows = {}
    for kind, table in tables.items():
        cursor = await connection.execute(f"SELECT x::text FROM {within}{table} x ORDER BY 1".encode())
        rows[kind] = [row for row in await cursor.fetchall() if not (kind in COUNTS and row[0].endswith(",0)"))]  # type: ignore[attr-defined]  # text
    return rows


# --- replay --until --into -------------------------------------------------------------------------------------


async def test_a_replay_gives_the_read_models_as_they_were(
    manager: StateManager, admin: Connection, schema: str
) -> None:
    await begin(manager)
    await story(manager, 1)
    await manager.catch_up()
    then, head = await read_models(admin), await manager.platform.log.head()
    await story(manager, 2)
    await give(manager, ("DeregisterAgent", {"agent_id": "a"}))
    await manager.catch_up()
    now = await read_models(admin)
    assert now != then

    report = await replay_until(manager.platform, Cut(at=head.recorded_at), schema, Silent())
    assert (report.until_position, report.events, report.parked) == (head.position, head.position, 0)
    assert await read_models(admin, schema) == then
    assert await read_models(admin) == now, "the running system was disturbed"
    again = await replay_until(manager.platform, Cut(position=head.position), schema, Silent())
    assert again.events == 0


async def test_a_cut_within_a_command_replays_up_to_the_command_before(
    manager: StateManager, admin: Connection, schema: str
) -> None:
    await begin(manager)
    await story(manager, 1)
    head = (await manager.platform.log.head()).position
    report = await replay_until(manager.platform, Cut(position=head - 1), schema, Silent())
    assert report.until_position < head - 1
    cursor = await admin.execute(f"SELECT state FROM {schema}.tasks".encode())
    assert await cursor.fetchall() == [("running",)]


async def test_a_replay_that_was_cut_short_goes_on(
    manager: StateManager, admin: Connection, schema: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    await begin(manager)
    for number in range(3):
        await story(manager, number)
    await manager.catch_up()
    monkeypatch.setattr(platform, "Projector", partial(Projector, batch_size=10))
    with pytest.raises(BrokenOff):
        await replay_until(manager.platform, NOW, schema, Silent(breaks_after=1))
    cursor = await admin.execute(f"SELECT finished_at FROM {schema}.replay".encode())
    assert await cursor.fetchall() == [(None,)]
    rest = Silent()
    report = await replay_until(manager.platform, NOW, schema, rest)
    assert 0 < (rest.totals["replay states"] or 0) < report.until_position
    assert await read_models(admin, schema) == await read_models(admin)


async def test_a_schema_that_is_not_for_this_is_refused(
    manager: StateManager, admin: Connection, schema: str, tenant: str
) -> None:
    await begin(manager)
    await admin.execute(f"CREATE SCHEMA {schema}".encode())
    with pytest.raises(InvalidInput, match=f"The schema {schema} exists, and no replay made it"):
        await replay_until(manager.platform, NOW, schema, Silent())
    with pytest.raises(InvalidInput, match="no replay made it"):
        await replay_until(manager.platform, NOW, schema, Silent(), anew=True)
    await admin.execute(f"DROP SCHEMA {schema}".encode())
    await replay_until(manager.platform, Cut(position=1), schema, Silent())
    with pytest.raises(InvalidInput, match=f"is for tenant {tenant} as of position 1, not for {tenant} as of 3"):
        await replay_until(manager.platform, Cut(position=3), schema, Silent())
    report = await replay_until(manager.platform, Cut(position=3), schema, Silent(), anew=True)
    assert report.events == 3
    for name in ("public", "pg_x", "tenant_x", "dora_state_control", "Audit", "a b", "", 'a"b', "1a", "a" * 51):
        with pytest.raises(InvalidInput, match="is no name for a replay's schema"):
            await replay_until(manager.platform, NOW, name, Silent())
    with pytest.raises(CutOutOfRange, match="The log ends at position 3, before 4"):
        await replay_until(manager.platform, Cut(position=4), f"{schema}_b", Silent())
    with pytest.raises(CutOutOfRange, match="The log begins at 20"):
        await replay_until(manager.platform, Cut(at=datetime(2020, 1, 1, tzinfo=UTC)), f"{schema}_b", Silent())


# --- replay --check --------------------------------------------------------------------------------------------


async def findings(manager: StateManager, cut: Cut = NOW) -> list[Finding]:
    return [finding async for finding in await begin_check(manager.platform, cut, Silent())]


@pytest.fixture
async def checked(manager: StateManager, monkeypatch: pytest.MonkeyPatch) -> StateManager:
    """Some stories, with snapshots every five events, which all agree."""
    from projections import checking

    monkeypatch.setattr(checking, "SPACING", 5)
    await begin(manager)
    for number in range(3):
        await story(manager, number)
    await manager.catch_up()
    log, store = manager.platform.log, manager.platform.snapshotter._store
    assert await Snapshotter(log, store, spacing=5).catch_up() > 5
    assert await findings(manager) == []
    return manager


@pytest.mark.parametrize(
    ("spoil", "what", "about", "says"),
    [
        ("UPDATE workflows SET document = '{}' WHERE id = 'w1'", "document", "workflow-w1", "not what its events"),
        ("DELETE FROM tasks WHERE id = 't1'", "document", "task-t1", "there is none"),
        (
            "INSERT INTO pools SELECT 'q', position, state, next_expiry, 1, 1, 1, 1, 1, 1, document FROM pools",
            "document",
            "pool-q",
            "the log knows no such stream",
        ),
        ("UPDATE tasks SET deadline = now() WHERE id = 't1'", "columns", "task-t1", "is found by something else"),
        ("UPDATE workflows SET priority = 'low' WHERE id = 'w1'", "columns", "workflow-w1", "is found by"),
        (
            "UPDATE tasks SET document = jsonb_set(document::jsonb, '{created_at}', '\"x\"')::json WHERE id = 't1'",
            "columns",
            "task-t1",
            "is found by something else",
        ),
        (
            "UPDATE tasks SET document = jsonb_set(document::jsonb, '{position}', '\"a\"')::json WHERE id = 't1'",
            "columns",
            "task-t1",
            "is found by something else",
        ),
        (
            r"""UPDATE tasks SET document = replace(document::text, '"task_id"', '"z":"\u0000","task_id"')::json
            WHERE id = 't1'""",
            "document",
            "task-t1",
            "is not what its events",
        ),
        (
            "UPDATE pools SET document = jsonb_set(document::jsonb, '{reservations}', '{}')::json",
            "document",
            "pool-p",
            "is not what its events",
        ),
        ("UPDATE agents SET available_slots = 9", "columns", "agent-a", "is found by something else"),
        ("UPDATE pools SET next_expiry = now()", "columns", "pool-p", "is found by something else"),
        ("UPDATE counts SET count = count + 1 WHERE kind = 'agent'", "count", "agent healthy", "2 were counted"),
        (
            "UPDATE task_facets SET count = 7 WHERE facet = 'workflow' AND value = 'w1' AND state = 'completed'",
            "count",
            "task of workflow w1 completed",
            "7 were counted, and there are 1",
        ),
        ("DELETE FROM task_cells WHERE state = 'completed'", "count", "task of a d medium completed", "0 were counted"),
        (
            "INSERT INTO reservations SELECT id, 'r', NULL, NULL, '{}', now(), now() FROM pools",
            "reservations",
            "pool-p",
            "are not those of its document",
        ),
        (
            "UPDATE rates SET execution_time = execution_time + 1",
            "rates",
            "the minute from 20",
            "not what its attempts",
        ),
        ("DELETE FROM attempts WHERE task_id = 't2'", "attempts", "task-t2", "{} are kept, and its events tell of"),
        (
            "UPDATE snapshots SET state = '\\x7b7d' WHERE stream_id = 'agent-a' AND version = 5",
            "snapshot",
            "agent-a",
            "the one at version 5 was spoiled",
        ),
    ],
)
async def test_what_does_not_agree_is_named(
    checked: StateManager, admin: Connection, spoil: str, what: str, about: str, says: str
) -> None:
    await admin.execute(spoil.encode())
    found = await findings(checked)
    named = [one for one in found if one.what == what and one.about.startswith(about)]
    assert any(says in one.says for one in named), found


async def test_a_snapshot_of_another_state_is_found_however_well_it_is_made(
    checked: StateManager, admin: Connection
) -> None:
    """Somebody who can write may change a state and its digest; the fold tells."""
    stream_id, codec = "agent-a", FOLDER.codec("agent-a")
    folded = await FOLDER.at(checked.platform.log, stream_id, Cut(version=5))
    assert folded.place is not None
    assert isinstance(folded.state, Agent)
    folded.state.completed += 70
    forged = Snapshot(folded.place, codec.to_bytes(folded.state))
    about = (forged.state, digest(stream_id, codec.stamp, forged), stream_id)
    await admin.execute(b"UPDATE snapshots SET state = %s, digest = %s WHERE stream_id = %s AND version = 5", about)
    assert [(one.what, one.about, one.says) for one in await findings(checked)] == [
        ("snapshot", stream_id, "the one at version 5 is not what its events give")
    ]
    cut = Cut(position=folded.place.whole_position)
    told = [(one.what, one.about) for one in await findings(checked, cut)]
    assert told == [("snapshot", stream_id), ("fold", stream_id)]


async def test_a_stream_that_can_not_be_folded_is_named_and_the_rest_is_compared(checked: StateManager) -> None:
    broken = NewEvent(uuid4(), "task-t1", "TaskStarted", 1, b'{"at": "never"}', b"{}")
    version = await checked.platform.log.stream_version("task-t1")
    await checked.platform.log.append([CommandAppend(uuid4(), {"task-t1": version}, (broken,), b"")])
    found = await findings(checked)
    assert {(one.what, one.about) for one in found} >= {("stream", "task-t1")}
    assert all(one.about == "task-t1" for one in found)
    said = next(one.says for one in found if one.what == "stream")
    assert said.startswith(f"it can't be folded at version {version + 1} (A stored event TaskStarted")


async def test_checking_a_running_system_finds_nothing_and_disturbs_nothing(checked: StateManager) -> None:
    async def work() -> None:
        for number in range(10, 25):
            await story(checked, number)

    working = asyncio.create_task(work())
    rounds = 0
    while not working.done():
        assert await findings(checked) == []
        rounds += 1
    await working
    assert rounds > 1
    assert await findings(checked) == []
