"""`list`, `board` and `rates` as their users run them."""

import asyncio
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from infrastructure.migrations import drop_tenant
from tests.support.command_line import CommandLine, Ended, lines

TENANT = "listed"


def commands() -> list[dict[str, Any]]:
    """Two agents, a pool, three workflows with three tasks each: one completed, one running, one to be done."""
    agent = {"agent_type": "analyzer", "max_concurrent_tasks": 5, "state": "healthy", "node_id": "n-1"}
    told: list[tuple[str, dict[str, Any]]] = [
        ("RegisterAgent", agent | {"agent_id": "a-1", "capabilities": ["reading"]}),
        ("RegisterAgent", agent | {"agent_id": "a-2", "capabilities": ["writing"]}),
        ("CreatePool", {"pool_id": "p-1", "total": {"cpu": "64"}}),
        ("Heartbeat", {"agent_id": "a-1"}),
    ]
    for number, priority in enumerate(("high", "medium", "low")):
        workflow = {"workflow_id": f"wf-{number}"}
        due = {"scheduled_completion": "2020-01-01T00:00:00Z"} if number == 1 else {}
        told.append(("CreateWorkflow", workflow | due | {"definition_id": "assessment", "priority": priority}))
        for task in ("x", "y", "z"):
            needs = {"definition_id": f"d-{task}", "resource_requirements": {"cpu": "1"}}
            told.append(("AddTask", workflow | needs | {"task_id": f"{task}-{number}"}))
        told.append(("StartWorkflow", workflow))
        for task in ("x", "y"):
            about = {"task_id": f"{task}-{number}"}
            given = {"agent_id": f"a-{1 + number % 2}", "reason": "test", "pool_id": "p-1"}
            told += [("ScheduleTask", about), ("AssignTask", about | given), ("StartTask", about)]
        told.append(("CompleteTask", {"task_id": f"x-{number}"}))
    return [{"type": name, "data": data, "actor": "tester"} for name, data in told]


@pytest.fixture(scope="module")
def dora_state(database_url: str, redis_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[CommandLine]:
    made = CommandLine(
        tmp_path_factory.mktemp("lists"),
        DORA_STATE_DATABASE_URL=database_url,
        DORA_STATE_REDIS_URL=redis_url,
        DORA_STATE_TENANT=TENANT,
        COLUMNS="100",
    )
    ended = made("submit", "-", given=lines(*commands()))
    assert ended.code == 0, ended
    yield made
    with ThreadPoolExecutor(max_workers=1) as thread:
        thread.submit(asyncio.run, drop_tenant(database_url, TENANT)).result()


def ids(ended: Ended, key: str) -> list[str]:
    assert ended.code == 0, ended
    return [item[key] for item in ended.json_lines]


def test_tasks_are_listed_for_people_on_a_hundred_columns(dora_state: CommandLine) -> None:
    ended = dora_state("list", "tasks", "--state", "running", "--sort", "-created")
    assert ended.code == 0
    heading, *rows, last = ended.out.splitlines()
    assert heading.split() == ["task", "state", "priority", "workflow", "definition", "agent", "created"]
    assert [row.split()[:6] for row in rows] == [
        [f"y-{number}", "running", priority, f"wf-{number}", "d-y", f"a-{1 + number % 2}"]
        for number, priority in ((2, "low"), (1, "medium"), (0, "high"))
    ]
    assert last == "3 tasks"
    assert max(map(len, ended.out.splitlines())) <= 100


@pytest.mark.parametrize(
    ("asked", "key", "expected"),
    [
        ("tasks --agent a-1 --state completed --state running", "task_id", "x-0 y-0 x-2 y-2"),
        ("tasks --definition d-z --sort priority", "task_id", "z-0 z-1 z-2"),
        ("tasks --workflow wf-1 --priority medium --priority high", "task_id", "x-1 y-1 z-1"),
        ("tasks --stalled 0 --agent a-2", "task_id", "y-1"),
        ("tasks --sort deadline", "task_id", ""),
        ("workflows", "workflow_id", "wf-2 wf-1 wf-0"),
        ("workflows --overdue", "workflow_id", "wf-1"),
        ("workflows --prefix wf- --priority high --version 1.0.0", "workflow_id", "wf-0"),
        ("workflows --sort -priority --limit 2", "workflow_id", "wf-2 wf-1"),
        ("agents --capability writing --free-slots 4 --node n-1", "agent_id", "a-2"),
        ("agents --presence unheard --type analyzer", "agent_id", "a-2"),
        ("pools", "resource_pool_id", "p-1"),
        ("reservations --agent a-1", "task_id", "y-0 y-2"),
        ("reservations --task y-1 --pool p-1", "task_id", "y-1"),
    ],
)
def test_lists_give_what_was_asked_for(dora_state: CommandLine, asked: str, key: str, expected: str) -> None:
    assert sorted(ids(dora_state("list", *asked.split(), "--json"), key)) == sorted(expected.split())


def test_a_list_goes_on_with_the_mark_that_it_gave(dora_state: CommandLine) -> None:
    told: list[str] = []
    asked = ["list", "tasks", "--sort", "priority", "--limit", "4", "--json"]
    page: list[str] = []
    for _ in range(3):
        ended = dora_state(*asked, *page)
        told += ids(ended, "task_id")
        if not ended.err:
            break
        page = ["--page", ended.err.split()[-1]]
    assert told == [f"{task}-{number}" for number in range(3) for task in "xyz"]


def test_people_see_what_is_reserved_and_who_is_there(dora_state: CommandLine) -> None:
    ended = dora_state("list", "agents")
    assert ended.code == 0, ended.err
    agents = ended.out
    assert [row.split()[:7] for row in agents.splitlines()[1:3]] == [
        ["a-1", "healthy", "analyzer", "n-1", "2", "of", "5"],
        ["a-2", "healthy", "analyzer", "n-1", "1", "of", "5"],
    ]
    assert "s ago  2, never  y-0 +1" in agents
    assert "unheard" in agents
    assert "p-1   4.69 %" in dora_state("list", "pools").out
    assert "cpu 1      never" in dora_state("list", "reservations").out
    assert dora_state("list", "tasks", "--agent", "nobody").out == "There are no tasks like that.\n"
    assert dora_state("list", "workflows", "--overdue").out.splitlines()[0].split()[-1] == "due"


def test_a_board_counts_by_what_it_is_asked(dora_state: CommandLine) -> None:
    assert dora_state("board", "--by", "agent").out.splitlines() == [
        "agent   created  running  completed  all",
        "nobody        3        -          -    3",
        "a-1           -        2          2    4",
        "a-2           -        1          1    2",
        "all           3        3          3    9",
    ]
    by_state = dora_state("board", "--priority", "high").out.splitlines()
    assert by_state[1].split() == ["created", "1", "███████░░░░░░░░░░░░░", "33.3", "%"]
    assert by_state[-1].split() == ["all", "3"]
    board = dora_state("board", "--by", "workflow", "--state", "running", "--limit", "2", "--json").json
    assert [column["value"] for column in board["columns"]] == ["wf-0", "wf-1"]
    assert (board["total"], board["counts"]) == (3, {"running": 3})
    rest = dora_state("board", "--by", "workflow", "--state", "running", "--page", board["next"])
    assert rest.out.splitlines()[1].split() == ["wf-2", "1", "1"]


def test_rates_tell_of_hours_also_of_those_in_which_nothing_ended(dora_state: CommandLine) -> None:
    told = dora_state("rates", "--json").json_lines
    assert len(told) == 25
    assert sum(hour["tasks_completed"] for hour in told) == 3
    assert set(told[0]) == {
        *("begin", "end", "tasks_completed", "tasks_failed", "tasks_timed_out", "tasks_cancelled"),
        *("workflows_completed", "error_rate", "average_response_time", "average_execution_time"),
    }
    past = dora_state("rates", "--per", "day", "--from", "2020-01-01T00:00:00Z", "--to", "2020-01-03T00:00:00Z").out
    assert [row.split() for row in past.splitlines()[1:]] == [
        ["2020-01-01", "00:00:00Z", *("-" * 8)],
        ["2020-01-02", "00:00:00Z", *("-" * 8)],
    ]


@pytest.mark.parametrize(
    ("asked", "said"),
    [
        ("list tasks --sort age", "Tasks are not sorted by 'age': use one of created, updated, priority, deadline"),
        ("list tasks --overdue --stalled 3", "What is stalled includes what is overdue: give one of"),
        ("list tasks --overdue --sort created", "What is overdue or stalled has an order of its own: leave out --sort"),
        ("list tasks --stalled nan", "--stalled is a number of seconds from 0 to a billion, not nan"),
        ("list tasks --limit 0", "--limit counts from 1, so 0 is none"),
        ("list workflows --page nonsense", "That is no page mark which an earlier answer gave"),
        ("list workflows --ended-from now", "--ended-from: 'now' is no ISO 8601 time"),
        ("rates --per minute --from 2020-01-01T00:00:00Z", "more than 1,500 minutes: ask for less time at once"),
        ("rates --from tomorrow", "--from: 'tomorrow' is no ISO 8601 time"),
    ],
)
def test_what_is_wrong_is_said_in_one_sentence(dora_state: CommandLine, asked: str, said: str) -> None:
    ended = dora_state(*asked.split())
    assert ended.code == 2, ended
    assert said in ended.one_sentence()
