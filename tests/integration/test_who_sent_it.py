"""Who was authenticated is shown beside the actor in whose name something was done, wherever what happened is told."""

import csv
import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest

from domain.log import NOW, START
from dora_state.access.caller import CallerRole
from dora_state.access.opening import open_access
from dora_state.cli.audit import Asked, actions
from dora_state.cli.history import history
from dora_state.cli.keys import create_key
from dora_state.cli.output import Output
from dora_state.cli.trace import trace
from dora_state.http.app import make_app
from dora_state.http.serving import make_server
from dora_state.settings import load_settings
from dora_state.state_manager import StateManager, open_state_manager
from projections.history import EVERYTHING

TEXT = Output(as_json=False)
COMMANDS = [
    {"type": "CreateWorkflow", "data": {"workflow_id": "w", "definition_id": "d"}},
    {"type": "AddTask", "data": {"workflow_id": "w", "task_id": "t", "definition_id": "d"}},
]


@pytest.fixture
async def manager(database_url: str, redis_url: str, tenant: str) -> AsyncIterator[StateManager]:
    settings = load_settings(database_url=database_url, redis_url=redis_url, tenant=tenant)
    async with open_state_manager(settings) as manager:
        yield manager


@pytest.fixture
async def client(manager: StateManager, capsys: pytest.CaptureFixture[str]) -> AsyncIterator[httpx.AsyncClient]:
    """By the key of `conductor`, which has sent the commands in the name of `scheduler`."""
    later, settings = datetime.now(UTC) + timedelta(days=1), manager.platform.settings
    await create_key(settings, "conductor", CallerRole.OPERATOR, later, TEXT)
    headers = {"Authorization": f"Bearer {capsys.readouterr().out.strip()}"}
    async with open_access(settings, manager.platform.servers) as access:
        server = make_server(manager, access)
        transport = httpx.ASGITransport(make_app(server))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1", headers=headers) as client:
            sent = [one | {"actor": "scheduler", "correlation_id": "talk"} for one in COMMANDS]
            assert (await client.post("/v1/commands", json=sent)).status_code == 207
            assert await manager.catch_up(everything=True)
            yield client


@pytest.fixture
def credential(client: httpx.AsyncClient) -> str:
    return f"key {client.headers['Authorization'].split('_')[1]}"


def who(told: dict[str, Any]) -> tuple[Any, ...]:
    return told["actor"], told["authenticated"], told["credential"]


async def test_over_http(client: httpx.AsyncClient, credential: str) -> None:
    async def get(path: str) -> Any:
        answer = await client.get(path)
        assert answer.status_code == 200, answer.text
        return answer.json()

    found = [
        *(await get("/v1/workflows/w/history"))["items"],
        *(await get("/v1/traces/talk"))["commands"],
        *(await get("/v1/audit?actor=scheduler"))["items"],
        *(await get("/v1/tasks/t"))["audit_trail"],
    ]
    assert len(found) >= 7
    assert {who(one) for one in found} == {("scheduler", "conductor", credential)}


@pytest.mark.parametrize("format", ["jsonl", "csv", "ocel", "xes"])
async def test_in_exports(client: httpx.AsyncClient, credential: str, format: str) -> None:
    export = (await client.get("/v1/export", params={"format": format})).text
    wanted = ("scheduler", "conductor", credential)
    match format:
        case "jsonl":
            assert {who(json.loads(line)["metadata"]) for line in export.splitlines()} == {wanted}
        case "csv":
            assert {who(row) for row in csv.DictReader(export.splitlines())} == {wanted}
        case "ocel":
            for event in json.loads(export)["events"]:
                assert who({one["name"]: one["value"] for one in event["attributes"]}) == wanted
        case _:
            assert 'key="dora:authenticated" value="conductor"' in export
            assert f'key="dora:credential" value="{credential}"' in export


async def test_on_the_command_line(
    client: httpx.AsyncClient, manager: StateManager, credential: str, capsys: pytest.CaptureFixture[str]
) -> None:
    settings = manager.platform.settings
    capsys.readouterr()
    for telling in (
        history(settings, "workflow", "w", NOW, EVERYTHING, TEXT),
        trace(settings, "talk", START, NOW, TEXT),
        actions(settings, "scheduler", Asked(None, None, None, None, None), TEXT),
    ):
        await telling
        assert f"by scheduler, sent by conductor ({credential})" in capsys.readouterr().out


async def test_what_needed_no_key_names_its_actor_alone(
    manager: StateManager, capsys: pytest.CaptureFixture[str]
) -> None:
    await manager.submit(COMMANDS[0] | {"actor": "ann"})
    capsys.readouterr()
    await history(manager.platform.settings, "workflow", "w", NOW, EVERYTHING, TEXT)
    told = capsys.readouterr().out
    assert "by ann\n" in told
    assert "sent by" not in told
