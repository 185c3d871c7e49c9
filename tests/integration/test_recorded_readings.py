"""Each command that shows something of the past records who looked, at what, up to which cut, and how much it was."""

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from domain.errors import NotFound
from domain.log import NOW, START, Cut
from dora_state.cli.arguments import Freshness
from dora_state.cli.audit import Asked, actions, actors
from dora_state.cli.diff import diff, diff_everything
from dora_state.cli.export import export
from dora_state.cli.history import history
from dora_state.cli.looking import os_user
from dora_state.cli.output import Output
from dora_state.cli.replay import check, replay
from dora_state.cli.rollback import rollback
from dora_state.cli.show import show
from dora_state.cli.timeline import timeline
from dora_state.cli.trace import trace
from dora_state.settings import Settings
from dora_state.state_manager import open_state_manager
from infrastructure.database import connect
from infrastructure.readings import list_readings
from projections.history import EVERYTHING, HistoryFilter

W1, W2 = Cut(version=1), Cut(version=2)
Look = Callable[[Settings, Output, Path], Awaitable[int]]
SINCE = datetime(2026, 1, 1, tzinfo=UTC)
LOOKS: list[tuple[Look, str, str, dict[str, Any], dict[str, Any], int]] = [
    (lambda s, o, _: history(s, "workflow", "w", NOW, EVERYTHING, o), "history", "workflow w", {}, {}, 2),
    (
        lambda s, o, _: history(
            s,
            "workflow",
            "w",
            W2,
            HistoryFilter(types=frozenset({"WorkflowStarted"}), actor="ann", since=SINCE),
            o,
            newest_first=True,
            limit=5,
        ),
        "history",
        "workflow w",
        {"version": 2},
        {
            "types": ["WorkflowStarted"],
            "actor": "ann",
            "since": "2026-01-01T00:00:00Z",
            "newest_first": True,
            "limit": 5,
        },
        1,
    ),
    (
        lambda s, o, _: show(s, "workflow", "w", W1, Freshness(), o),
        "state",
        "workflow w",
        {"version": 1},
        {},
        1,
    ),
    (lambda s, o, _: timeline(s, "workflow", "w", NOW, None, o), "timeline", "workflow w", {}, {}, 0),
    (
        lambda s, o, _: diff(s, "workflow", "w", W2, NOW, o),
        "diff",
        "workflow w",
        {"from": "v2", "to": "now"},
        {},
        0,
    ),
    (
        lambda s, o, _: diff_everything(s, START, Cut(position=2), True, o),
        "diff",
        "everything",
        {"from": "start", "to": "p2"},
        {"differences": True},
        1,
    ),
    (lambda s, o, _: trace(s, "talk", START, NOW, o), "trace", "talk", {"since": "start", "until": "now"}, {}, 1),
    (
        lambda s, o, _: actions(s, "ann", Asked(SINCE, None, "StartWorkflow", None, 5), o),
        "audit",
        "actor ann",
        {"since": "2026-01-01T00:00:00Z"},
        {"command": "StartWorkflow", "limit": 5},
        1,
    ),
    (lambda s, o, _: actors(s, o), "audit", "actors", {}, {}, 1),
    (
        lambda s, o, _: rollback(s, "w", W1, reason=None, operator=None, workflow_only=True, dry_run=True, output=o),
        "rollback",
        "workflow w",
        {"version": 1},
        {"dry_run": True, "workflow_only": True},
        1,
    ),
    (
        lambda s, o, where: export(s, "jsonl", "w", None, NOW, where / "w.jsonl", o),
        "export",
        "workflow w",
        {"until_position": 2},
        {"format": "jsonl"},
        2,
    ),
    (lambda s, o, _: check(s, NOW, o), "replay", "check", {"until": "now"}, {}, 0),
]


@pytest.fixture
async def settings(database_url: str, tenant: str, tmp_path: Path) -> Settings:
    made = Settings(home=tmp_path, tenant=tenant, database_url=SecretStr(database_url))
    async with open_state_manager(made, default_actor="ann") as manager:
        data = {"workflow_id": "w", "definition_id": "d"}
        assert (await manager.submit({"type": "CreateWorkflow", "data": data})).outcome == "accepted"
        started = {"type": "StartWorkflow", "data": {"workflow_id": "w"}, "correlation_id": "talk"}
        assert (await manager.submit(started)).outcome == "accepted"
    return made


async def test_whoever_looks_at_the_past_is_recorded(
    settings: Settings, database_url: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    for look, *_ in LOOKS:
        await look(settings, Output(as_json=True), tmp_path)
    told = await list_readings(database_url, settings.tenant, limit=100)
    found = [(one.what, one.about, one.cut, one.asked, one.rows) for one in reversed(told)]
    assert found == [tuple(rest) for _, *rest in LOOKS]
    assert {one.actor for one in told} == {os_user()}
    assert {one.credential for one in told} == {"command line"}


async def test_a_replay_into_a_schema_is_recorded(
    settings: Settings, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    schema = f"replay_{settings.tenant}"
    try:
        await replay(settings, NOW, schema, False, Output(as_json=True))
    finally:
        async with await connect(database_url) as connection:
            await connection.execute(f"DROP SCHEMA IF EXISTS {schema} CASCADE".encode())
    (told,) = await list_readings(database_url, settings.tenant, limit=100)
    assert (told.what, told.about, told.rows) == ("replay", f"into {schema}", 2)


async def test_who_looks_for_what_is_not_there_is_recorded_too(settings: Settings, database_url: str) -> None:
    with pytest.raises(NotFound):
        await history(settings, "workflow", "nowhere", NOW, EVERYTHING, Output(as_json=True))
    (told,) = await list_readings(database_url, settings.tenant, limit=100)
    assert (told.about, told.rows) == ("workflow nowhere", 0)


async def test_what_is_now_is_nobodys_past(
    settings: Settings, database_url: str, capsys: pytest.CaptureFixture[str]
) -> None:
    await show(settings, "workflow", "w", NOW, Freshness(), Output(as_json=True))
    assert await list_readings(database_url, settings.tenant, limit=100) == []
