"""Who asked for what: a row a command, found by actor without looking through what others did."""

from collections.abc import AsyncIterator
from datetime import timedelta
from itertools import groupby
from typing import Any

import orjson
import pytest

from domain.log import NOW, CommandAppend, NewEvent
from dora_state.platform import new_id
from dora_state.replaying import begin_check
from dora_state.settings import load_settings
from dora_state.state_manager import StateManager, open_state_manager
from infrastructure import sql
from infrastructure.actions import PostgresActions
from infrastructure.database import Connection
from projections.actions import ActionsRunner
from projections.audits import AuditedAction
from projections.errors import InvalidPage
from projections.pages import encode_mark
from tests.integration.test_replay import Silent, admin, begin, story
from tests.support.postgres import rows

__all__ = ["admin"]


@pytest.fixture
async def manager(database_url: str, redis_url: str, tenant: str) -> AsyncIterator[StateManager]:
    settings = load_settings(database_url=database_url, redis_url=redis_url, tenant=tenant)
    async with open_state_manager(settings, default_actor="ann") as manager:
        yield manager


def runner(manager: StateManager, batch_size: int) -> ActionsRunner:
    pool = manager.platform.projector_pool
    return ActionsRunner(manager.platform.log, PostgresActions(pool, pool), batch_size=batch_size)


async def project(manager: StateManager, batch_size: int = 1_000) -> None:
    running = runner(manager, batch_size)
    await running.catch_up((await manager.platform.log.head()).position, 30)
    await running.release()


async def recorded(manager: StateManager) -> list[dict[str, Any]]:
    """Each command as the log itself tells of it."""
    events = await manager.platform.log.read_log(after_position=0, limit=10_000)
    found = []
    for last, group in groupby(events, key=lambda event: event.position + event.following):
        command = list(group)
        told = orjson.loads(command[0].metadata)
        found.append(
            {name: told.get(name) for name in ("actor", "command_type", "command_id", "correlation_id")}
            | {"position": last, "first_position": command[0].position, "recorded_at": command[0].recorded_at}
            | {"stream_ids": tuple(dict.fromkeys(event.stream_id for event in command))}
            | {"event_types": tuple(dict.fromkeys(event.type for event in command))}
        )
    return found


async def all_of(manager: StateManager, actor: str, **options: Any) -> list[AuditedAction]:
    """Page by page."""
    found, mark = [], None
    while True:
        page = await manager.platform.audits.actions(actor, mark=mark, **options)
        found += page.items
        if (mark := page.next) is None:
            return found


@pytest.mark.parametrize("batch_size", [1, 7, 1_000])
async def test_every_command_that_changed_something_is_there_once(manager: StateManager, batch_size: int) -> None:
    await begin(manager)
    await story(manager, 1)
    await project(manager, batch_size)
    await story(manager, 2)
    refused = await manager.submit({"type": "StartTask", "data": {"task_id": "t1"}})
    assert refused.outcome == "refused"
    await manager.submit({"type": "CancelWorkflow", "actor": "bob", "data": {"workflow_id": "w1"}})
    await manager.submit({"type": "CreateWorkflow", "actor": "bob", "data": {"workflow_id": "b", "definition_id": "d"}})
    await project(manager, batch_size)
    told = await recorded(manager)
    for actor in ("ann", "bob"):
        found = await all_of(manager, actor, limit=3)
        expected = [command for command in reversed(told) if command["actor"] == actor]
        assert [{name: getattr(action, name) for name in expected[0]} for action in found] == expected
    assert [one.actor for one in await manager.platform.audits.actors()] == ["ann", "bob"]
    assert [one.actor for one in await manager.platform.audits.actors(after="ann")] == ["bob"]


async def test_they_are_found_by_time_and_by_type(manager: StateManager) -> None:
    await begin(manager)
    await story(manager, 1)
    await story(manager, 2)
    await project(manager)
    everything = await all_of(manager, "ann")
    middle = everything[len(everything) // 2].recorded_at
    since = await all_of(manager, "ann", since=middle, limit=2)
    until = await all_of(manager, "ann", until=middle, limit=2)
    assert since == [one for one in everything if one.recorded_at >= middle]
    assert until == [one for one in everything if one.recorded_at <= middle]
    assert await all_of(manager, "ann", since=middle + timedelta(microseconds=1), until=middle) == []
    started = await all_of(manager, "ann", command_type="StartTask", limit=1)
    assert [{"task-t1", "task-t2"} & set(one.stream_ids or ()) for one in started] == [{"task-t2"}, {"task-t1"}]
    assert {one.command_type for one in started} == {"StartTask"}
    for mark in ("x", "WyJ4Il0", "WyItMSJd", encode_mark("9" * 5_000)):
        with pytest.raises(InvalidPage):
            await manager.platform.audits.actions("ann", mark=mark)


@pytest.mark.parametrize(
    "metadata",
    [b"", b"{", b"[]", b"null", b'{"actor": 1, "command_type": null}', b'{"actor": "a\\u0000b", "command_type": []}'],
)
async def test_what_is_not_told_in_a_way_to_be_understood_is_unknown(manager: StateManager, metadata: bytes) -> None:
    events = (NewEvent(new_id(), "task-x", "Whatever", 9, b"{}", metadata),)
    await manager.platform.log.append([CommandAppend(new_id(), {"task-x": 0}, events, b"{}")])
    await project(manager)
    (action,) = await all_of(manager, "unknown")
    assert (action.position, action.stream_ids, action.event_types) == (1, ("task-x",), ("Whatever",))
    assert (action.command_type, action.occurred_at, action.command_id) == ("unknown", None, None)


async def test_a_check_finds_what_is_not_as_the_log_tells(manager: StateManager, admin: Connection) -> None:
    await begin(manager)
    await story(manager, 1)
    await project(manager)
    checking = await begin_check(manager.platform, NOW, Silent())
    assert [finding async for finding in checking] == []
    first, second, third, *_ = await rows(admin, "SELECT position FROM actions ORDER BY position")
    await admin.execute("DELETE FROM actions WHERE position = %s", first)
    await admin.execute("UPDATE actions SET actor = 'eve' WHERE position = %s", second)
    await admin.execute("UPDATE actions SET position = 100000 WHERE position = %s", third)
    checking = await begin_check(manager.platform, NOW, Silent())
    found = [(finding.what, finding.about, finding.says) async for finding in checking]
    assert found == [
        ("action", f"position {first[0]}", "there is none"),
        ("action", f"position {second[0]}", "it is not what the log tells"),
        ("action", f"position {third[0]}", "there is none"),
    ]


async def test_no_question_looks_through_what_others_did(admin: Connection) -> None:
    await admin.execute(
        """
        INSERT INTO actions
        SELECT n, now(), 'actor ' || n % 3, CASE WHEN n % 5000 = 0 THEN 'Rare' ELSE 'Usual' END
        FROM generate_series(1, 60000) AS n
        """
    )
    await admin.execute("VACUUM ANALYZE actions")
    far_back = {"actor": "actor 1", "after": 0, "before": 20_000, "command_type": None, "limit": 51}
    questions: list[tuple[str, dict[str, Any]]] = [
        ("by_actor", far_back),
        ("by_actor", far_back | {"actor": "nobody"}),
        ("by_actor", far_back | {"before": 2**63 - 1, "command_type": "Rare"}),
        ("actors", {"after": "", "limit": 50}),
    ]
    for name, facts in questions:
        query = b"EXPLAIN (ANALYZE, BUFFERS, FORMAT JSON) " + sql.load(f"actions/{name}")
        ((plan,),) = await (await admin.execute(query, facts, prepare=False)).fetchall()
        assert touched(plan[0]["Plan"]) <= 200, (name, facts)  # type: ignore[index]  # JSON


def touched(plan: dict[str, Any]) -> int:
    """Blocks that a plan looked at."""
    return int(plan["Shared Hit Blocks"] + plan["Shared Read Blocks"])
