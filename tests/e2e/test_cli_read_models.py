"""`audit`, `rebuild` and `dead-letters` as their users run them."""

import asyncio
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any
from uuid import uuid4

import pytest

from domain.log import CommandAppend, NewEvent
from dora_state.settings import load_settings
from dora_state.state_manager import open_state_manager
from infrastructure.migrations import drop_tenant
from tests.support.command_line import CommandLine, lines

TENANT = "read_models"


def command(type: str, actor: str, **data: Any) -> dict[str, Any]:
    return {"type": type, "actor": actor, "data": data}


COMMANDS = [
    command("CreateWorkflow", "ann", workflow_id="w", definition_id="d"),
    command("StartWorkflow", "ann", workflow_id="w"),
    command("AddTask", "bob@bank.example", workflow_id="w", task_id="t", definition_id="step"),
    command("PauseWorkflow", "ann", workflow_id="w"),
    command("PauseWorkflow", "eve", workflow_id="nowhere"),
]


@pytest.fixture(scope="module")
def dora_state(database_url: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    made = CommandLine(
        tmp_path_factory.mktemp("read_models"),
        DORA_STATE_DATABASE_URL=database_url,
        DORA_STATE_REDIS_URL=redis_url,
        DORA_STATE_TENANT=TENANT,
    )
    assert made("submit", "-", given=lines(*COMMANDS)).code == 1
    yield made
    with ThreadPoolExecutor(max_workers=1) as thread:
        thread.submit(asyncio.run, drop_tenant(database_url, TENANT)).result()


def test_audit_names_who_asked_for_something_and_what_for(dora_state: CommandLine) -> None:
    who = dora_state("audit")
    assert who.code == 0
    assert [line.split("  ")[0] for line in who.out.splitlines()] == [
        "ann",
        "bob@bank.example",
        "2 asked for something.",
    ]
    told = dora_state("audit", "ann").out.splitlines()
    assert [re.split(r"Z  |  position", line)[1] for line in told[::2]] == [
        "PauseWorkflow",
        "StartWorkflow",
        "CreateWorkflow",
    ]
    assert told[1] == "    workflow-w: WorkflowPaused"
    (one,) = dora_state("audit", "bob@bank.example", "--json").json_lines
    assert (one["command_type"], one["stream_ids"], one["actor"]) == (
        "AddTask",
        ["task-t", "workflow-w"],
        "bob@bank.example",
    )


def test_audit_goes_on_page_by_page_and_looks_for_what_is_asked(dora_state: CommandLine) -> None:
    first = dora_state("audit", "ann", "--limit", "2", "--json")
    mark = re.search(r"--page (\S+)\.$", first.err.strip())
    assert mark is not None, first.err
    rest = dora_state("audit", "ann", "--page", mark[1], "--json")
    assert [one["command_type"] for one in first.json_lines + rest.json_lines] == [
        "PauseWorkflow",
        "StartWorkflow",
        "CreateWorkflow",
    ]
    since = first.json_lines[0]["recorded_at"]
    assert len(dora_state("audit", "ann", "--since", since, "--json").json_lines) == 1
    assert len(dora_state("audit", "ann", "--until", since, "--command", "StartWorkflow", "--json").json_lines) == 1
    assert "Nothing like that was asked for by eve" in dora_state("audit", "eve").out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("audit", "--limit", "2"), "Whose? Give the actor"),
        (("audit", ""), "Whose? The actor is empty"),
        (("audit", "ann", "--command", "StartTsk"), "the closest is StartTask"),
        (("audit", "ann", "--page", "nonsense"), "That is no page mark"),
        (("audit", "ann", "--since", "yesterday"), "is no ISO 8601 time"),
        (("rebuild", "documents"), "There is no projection documents: name one of states, actions, or all."),
        (("rebuild", "states", "--back", "--anew"), "Going back needs no other option"),
        (("dead-letters", "retry"), "Which ones?"),
    ],
)
def test_what_is_wrong_is_one_sentence(dora_state: CommandLine, arguments: tuple[str, ...], says: str) -> None:
    ended = dora_state(*arguments)
    assert ended.code == 2
    assert says in ended.one_sentence()


def test_rebuild_tells_what_it_did_and_goes_back(dora_state: CommandLine) -> None:
    nothing = dora_state("rebuild", "states", "--back")
    assert nothing.code == 1
    assert "Nothing was kept of the projection states: rebuild it with --keep-old." in nothing.one_sentence()
    assert dora_state("replay", "--check").code == 0
    told = dora_state("rebuild", "all", "--keep-old")
    assert told.code == 0, told
    assert "The projection states was built anew up to position 5: 5 events in" in told.out
    assert "9 rows were compared with those that ran, none differed." in told.out
    assert "Those that ran before are kept as kept_actions_read_models" in told.out
    back = dora_state("rebuild", "states", "--back")
    assert "The projection states is again the one that was kept, brought up to position 5: 0 events in" in back.out
    (report,) = dora_state("rebuild", "actions", "--json").json_lines
    assert (report["position"], report["events"], report["kept_as"]) == (5, 5, None)
    assert report["compared"] == {"compared": 4, "differing": 0, "mended": 0, "named": []}
    assert dora_state("replay", "--check").code == 0


def test_dead_letters_are_listed_shown_and_dropped(dora_state: CommandLine, database_url: str) -> None:
    assert dora_state("dead-letters", "list").out == "Every event was applied.\n"

    async def spoil() -> None:
        settings = load_settings(database_url=database_url, tenant=TENANT)
        async with open_state_manager(settings) as manager:
            event = NewEvent(uuid4(), "task-broken", "TaskScheduled", 1, b'{"at": "2024-01-01T00:00:00Z"}', b"{}")
            await manager.platform.log.append([CommandAppend(uuid4(), {"task-broken": 0}, (event,), b"{}")])
            assert await manager.catch_up()

    with ThreadPoolExecutor(max_workers=1) as thread:
        thread.submit(asyncio.run, spoil()).result()
    listed = dora_state("dead-letters", "list")
    assert (listed.code, listed.out.splitlines()[0].split("  ")[0]) == (1, "task-broken")
    assert "document: none yet" in dora_state("dead-letters", "show", "task-broken").out
    retried = dora_state("dead-letters", "retry", "task-broken")
    assert (retried.code, retried.out.splitlines()[-1]) == (1, "0 of 1 streams applied.")
    refused = dora_state("rebuild", "states")
    assert refused.code == 0, "what had stopped before is no new fault"
    dropped = dora_state("dead-letters", "drop", "task-broken")
    assert (dropped.code, dropped.out.splitlines()[-1]) == (0, "1 of 1 streams dropped.")
    assert dora_state("dead-letters", "show", "task-broken").code == 3
