"""`keys`, `tenants` and `readings` as their users run them, and that whoever looks at the past is recorded."""

import asyncio
import re
import subprocess
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from psycopg.conninfo import make_conninfo

from dora_state.access.api_key import parse_key
from dora_state.cli.looking import os_user
from infrastructure.migrations import drop_tenant
from tests.support.command_line import ROOT, CommandLine, lines

TENANT = "access"
COMMANDS = [
    {"type": "CreateWorkflow", "actor": "ann", "data": {"workflow_id": "w", "definition_id": "d"}},
    {"type": "StartWorkflow", "actor": "ann", "data": {"workflow_id": "w"}},
]


def command_line(home: Path, database_url: str, redis_url: str) -> CommandLine:
    return CommandLine(
        home, DORA_STATE_DATABASE_URL=database_url, DORA_STATE_REDIS_URL=redis_url, DORA_STATE_TENANT=TENANT
    )


@pytest.fixture(scope="module")
def dora_state(database_url: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    made = command_line(tmp_path_factory.mktemp("access"), database_url, redis_url)
    assert made("submit", "-", given=lines(*COMMANDS)).code == 0
    yield made
    with ThreadPoolExecutor(max_workers=1) as thread:
        thread.submit(asyncio.run, drop_tenant(database_url, TENANT)).result()


def test_a_key_is_printed_alone_and_once(dora_state: CommandLine) -> None:
    made = dora_state("keys", "create", "scheduler", "--role", "orchestrator", "--expires", "30d")
    key = parse_key(made.out.removesuffix("\n"))
    assert key is not None
    assert re.fullmatch(
        f"Key {key.id} of scheduler may work as orchestrator on tenant {TENANT} until .*Z; keep it safe, as it is not"
        " shown again.\n",
        made.err,
    )
    listed = dora_state("keys", "list")
    assert key.id in listed.out
    assert key.secret not in listed.out + listed.err


@pytest.mark.parametrize(
    ("arguments", "code", "says"),
    [
        (("keys", "create", "a", "--role", "admin"), 2, "There is no role 'admin' for keys"),
        (("tenants", "drop", TENANT), 2, f"for good: if so, add --yes {TENANT}"),
    ],
)
def test_what_is_wrong_is_one_sentence(
    dora_state: CommandLine, arguments: tuple[str, ...], code: int, says: str
) -> None:
    ended = dora_state(*arguments)
    assert (ended.code, ended.out) == (code, "")
    assert says in ended.one_sentence()


def test_who_looked_is_listed(dora_state: CommandLine) -> None:
    assert dora_state("show", "workflow", "w", "--version", "2").code == 0
    listed = dora_state("readings", "--limit", "1", "--actor", os_user())
    assert 'state of workflow w  {"version":2}  1 row\n' in listed.out
    assert "    as operator, by command line, database login " in listed.out


def test_nothing_of_the_past_is_shown_where_it_can_not_be_recorded(
    dora_state: CommandLine, database_url: str, redis_url: str, tmp_path: Path
) -> None:
    read_only = make_conninfo(database_url, options="-c default_transaction_read_only=on")
    ended = command_line(tmp_path, read_only, redis_url)("history", "workflow", "w")
    assert (ended.code, ended.out) == (4, "")
    assert "so that nothing is shown" in ended.one_sentence()


def test_the_command_line_does_without_what_only_a_server_needs() -> None:
    modules = "app, show, history, diff, trace, export, replay, keys, tenants, readings"
    code = (
        f"import sys; from dora_state.cli import {modules}; from dora_state.settings import load_settings;"
        "load_settings(); sys.exit(bool({'jwt', 'cryptography.hazmat', 'urllib3'} & set(sys.modules)))"
    )
    assert subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=False, timeout=60).returncode == 0
