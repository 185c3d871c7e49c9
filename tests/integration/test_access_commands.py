"""What `keys`, `tenants` and `readings` do and say, in the process of the test."""

import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from domain.errors import NotFound
from dora_state.access.api_key import ApiKey, parse_key
from dora_state.access.caller import Caller, CallerRole, Reading
from dora_state.access.recording import open_readings
from dora_state.cli.keys import create_key, list_keys, revoke_key
from dora_state.cli.looking import os_user
from dora_state.cli.output import Output
from dora_state.cli.readings import Asked, list_readings
from dora_state.cli.setup import init
from dora_state.cli.tenants import drop, list_tenants
from dora_state.servers import Servers
from dora_state.settings import Settings
from tests.support.tenants import new_name

JSON, TEXT = Output(as_json=True), Output(as_json=False)
LATER = datetime.now(UTC) + timedelta(days=30)
Told = Callable[[], list[Any]]


@pytest.fixture
def settings(database_url: str, redis_url: str, tenant: str, tmp_path: Path) -> Settings:
    return Settings(home=tmp_path, tenant=tenant, database_url=SecretStr(database_url), redis_url=SecretStr(redis_url))


@pytest.fixture
def told(capsys: pytest.CaptureFixture[str]) -> Told:
    """The JSON lines that were written since it was asked last."""
    return lambda: [json.loads(line) for line in capsys.readouterr().out.splitlines()]


async def new_key(settings: Settings, capsys: pytest.CaptureFixture[str]) -> ApiKey:
    await create_key(settings, "scheduler", CallerRole.ORCHESTRATOR, LATER, TEXT)
    key = parse_key(capsys.readouterr().out.removesuffix("\n"))
    assert key is not None
    return key


async def test_a_key_is_listed_without_its_secret_and_revoked_once(
    settings: Settings, told: Told, capsys: pytest.CaptureFixture[str]
) -> None:
    key = await new_key(settings, capsys)
    await list_keys(settings, JSON)
    (listed,) = told()
    assert (listed["id"], listed["name"], listed["role"]) == (key.id, "scheduler", "orchestrator")
    assert (listed["state"], listed["last_used_at"]) == ("good", None)
    assert listed["created_by"].startswith(f"{os_user()} as ")
    assert key.secret not in json.dumps(listed)
    for _ in range(2):
        await revoke_key(settings, key.id, TEXT)
    first, second = capsys.readouterr().out.splitlines()
    assert first == second
    assert first.startswith(f"Key {key.id} is revoked since ")
    await list_keys(settings, TEXT)
    assert "revoked" in capsys.readouterr().out


async def test_a_key_is_made_and_revoked_only_in_its_own_tenant(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    nowhere = settings.model_copy(update={"tenant": "nowhere"})
    with pytest.raises(NotFound, match="There is no tenant nowhere"):
        await create_key(nowhere, "a", CallerRole.READER, LATER, TEXT)
    with pytest.raises(NotFound, match="has no key abcdefabcdef"):
        await revoke_key(settings, "abcdefabcdef", TEXT)


async def test_tenants_are_made_listed_and_dropped_with_their_keys(
    settings: Settings, told: Told, capsys: pytest.CaptureFixture[str]
) -> None:
    other = settings.model_copy(update={"tenant": new_name()})
    await init(other, TEXT)
    capsys.readouterr()
    await new_key(other, capsys)
    await list_tenants(settings, JSON)
    assert {one["name"]: one["keys"] for one in told()}[other.tenant] == 1
    await list_tenants(settings, TEXT)
    assert other.tenant in capsys.readouterr().out
    await drop(other, TEXT)
    assert capsys.readouterr().out.startswith(f"Tenant {other.tenant} is dropped")
    await list_tenants(settings, JSON)
    assert other.tenant not in {one["name"] for one in told()}
    with pytest.raises(NotFound):
        await drop(other, TEXT)
    await init(other, TEXT)
    capsys.readouterr()
    await list_keys(other, JSON)
    assert [one["state"] for one in told()] == ["revoked"]
    await drop(other, TEXT)


async def test_who_looked_is_listed_page_by_page_of_a_tenant_that_is_gone_too(
    settings: Settings, database_url: str, told: Told, capsys: pytest.CaptureFixture[str]
) -> None:
    gone = settings.model_copy(update={"tenant": new_name()})
    ann = Caller("ann", CallerRole.AUDITOR, gone.tenant, "key abc")
    async with open_readings(Servers(database_url, None, None)) as readings:
        for number in range(3):
            await readings.record(Reading(ann, "history", f"task {number}", {"version": 1}, rows=number))
        await readings.record(Reading(ann, "export", "everything", asked={"format": "csv"}))
    await list_readings(gone, Asked(None, None, None, None, 2), TEXT)
    page = capsys.readouterr()
    lines = page.out.splitlines()
    assert lines[0].endswith('  ann  export of everything  asked for {"format":"csv"}  rows unknown')
    assert lines[1].startswith("    as auditor, by key abc, database login ")
    assert lines[2].endswith('  ann  history of task 2  {"version":1}  2 rows')
    mark = int(page.err.removeprefix("There is more: go on with --page "))
    await list_readings(gone, Asked("ann", None, None, mark, 50), JSON)
    assert [one["about"] for one in told()] == ["task 1", "task 0"]
    await list_readings(gone, Asked("bob", None, None, None, 50), TEXT)
    assert capsys.readouterr().out == "Nobody looked at anything like that.\n"
