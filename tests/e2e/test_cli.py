"""The command line as its users run it, on real servers in a fresh home."""

import gzip
import json
import os
import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from infrastructure.embedded import EmbeddedServers
from tests.support.command_line import CommandLine, Ended, finish, lines
from tests.support.homes import furnish

COMMANDS: list[dict[str, Any]] = [
    {
        "type": "RegisterAgent",
        "data": {"agent_id": "a-1", "agent_type": "analyzer", "max_concurrent_tasks": 2, "state": "healthy"},
    },
    {"type": "CreatePool", "data": {"pool_id": "p-1", "total": {"cpu": "10", "memory": "40G"}}},
    {
        "type": "CreateWorkflow",
        "data": {"workflow_id": "wf-1", "definition_id": "assessment", "dependencies": ["manual-approval"]},
    },
    {
        "type": "AddTask",
        "data": {
            "workflow_id": "wf-1",
            "task_id": "t-1",
            "definition_id": "analysis",
            "resource_requirements": {"cpu": "2", "memory": "4G"},
        },
    },
    {"type": "AddTask", "data": {"workflow_id": "wf-1", "task_id": "t-2", "definition_id": "gap", "requires": ["t-1"]}},
    {"type": "StartWorkflow", "data": {"workflow_id": "wf-1"}, "actor": "alice"},
    {"type": "ScheduleTask", "data": {"task_id": "t-1"}},
    {
        "type": "AssignTask",
        "data": {"task_id": "t-1", "agent_id": "a-1", "reason": "capability_match", "pool_id": "p-1"},
    },
    {"type": "StartTask", "data": {"task_id": "t-1"}},
    {"type": "Heartbeat", "data": {"agent_id": "a-1", "usage": {"cpu_percent": 65.2}, "queue_size": 1}},
    {"type": "ReportProgress", "data": {"task_id": "t-1", "percentage": 60}},
]

XES = """<?xml version="1.0" encoding="UTF-8"?>
<log xes.version="1.0"><trace><string key="concept:name" value="c1"/>
<event><string key="concept:name" value="A"/><string key="org:resource" value="r1"/>
<string key="lifecycle:transition" value="start"/>
<date key="time:timestamp" value="2012-01-01T10:00:00+00:00"/></event>
<event><string key="concept:name" value="A"/><string key="org:resource" value="r1"/>
<string key="lifecycle:transition" value="complete"/>
<date key="time:timestamp" value="2012-02-01T11:00:00+00:00"/></event>
<event><string key="concept:name" value="B"/></event></trace></log>"""


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A fresh home whose servers stay up from test to test, as they would beside a worker."""
    path = furnish(tmp_path_factory.mktemp("cli") / "h")
    with EmbeddedServers(path):
        yield path


@pytest.fixture(scope="module")
def dora_state(home: Path) -> CommandLine:
    return CommandLine(home)


@pytest.fixture(scope="module")
def submitted(dora_state: CommandLine) -> Ended:
    """The story of COMMANDS, told once."""
    return dora_state("submit", "-", "--json", "--actor", "tester", given=lines(*COMMANDS))


def test_maintain_makes_the_months_that_are_missing_and_no_tenant(dora_state: CommandLine) -> None:
    nobody = dora_state("--tenant", "nobody", "maintain")
    assert nobody.code == 3
    assert "There is no tenant nobody" in nobody.one_sentence()
    assert dora_state("--tenant", "kept", "init").code == 0
    assert "nothing to do" in dora_state("--tenant", "kept", "maintain").out
    assert dora_state("--tenant", "kept", "maintain", "--json").json == {"tenant": "kept", "months": [], "snapshots": 0}


def test_init_says_what_it_made_and_then_that_there_is_nothing_to_do(dora_state: CommandLine) -> None:
    first = dora_state("--tenant", "fresh", "init", "--json").json
    assert first["tenant"] == "fresh"
    assert first["changed"] is True
    assert len(first["months"]) == 3
    again = dora_state("--tenant", "fresh", "init")
    assert again == Ended(0, "Tenant fresh is set up; there is nothing to do.\n", "")


def test_each_submitted_command_is_answered_in_order(submitted: Ended) -> None:
    assert submitted.code == 0
    answers = submitted.json_lines
    assert [answer["line"] for answer in answers] == list(range(1, len(COMMANDS) + 1))
    assert [answer["type"] for answer in answers] == [command["type"] for command in COMMANDS]
    assert {answer["outcome"] for answer in answers} == {"accepted"}
    assert answers[3]["versions"] == {"workflow-wf-1": 2, "task-t-1": 1}
    assert submitted.err == f"{len(COMMANDS)} commands: {len(COMMANDS)} accepted.\n"


@pytest.mark.usefixtures("submitted")
@pytest.mark.parametrize(
    ("asked", "key", "value", "words"),
    [
        (("workflow", "wf-1"), "workflow_id", "wf-1", ["Workflow wf-1  running", "manual-approval", "t-2   created"]),
        (("task", "t-1"), "task_id", "t-1", ["60 %", "a-1 since", "cpu 2, memory 4G of pool p-1", "task_created"]),
        (("agent", "a-1"), "agent_id", "a-1", ["1 of 2 taken", "65.2 %"]),
        (("pool", "p-1"), "resource_pool_id", "p-1", ["CPU cores", "20 %", "a-1"]),
        (("system",), "active_workflows", 1, ["1 active", "1 running, 1 pending"]),
    ],
)
def test_show_has_each_kind_for_people_and_for_programs(
    dora_state: CommandLine, asked: tuple[str, ...], key: str, value: object, words: list[str]
) -> None:
    for_programs = dora_state("show", *asked, "--json")
    assert (for_programs.code, for_programs.err) == (0, "")
    assert for_programs.json[key] == value
    for_people = dora_state("show", *asked)
    assert for_people.code == 0
    assert all(word in for_people.out for word in words), for_people.out
    assert max(map(len, for_people.out.splitlines())) <= 80


@pytest.mark.parametrize("consistency", ["cached", "projected", "live"])
def test_show_is_as_fresh_as_asked(dora_state: CommandLine, submitted: Ended, consistency: str) -> None:
    position = submitted.json_lines[-1]["position"] or max(one["position"] or 0 for one in submitted.json_lines)
    asked = ("show", "workflow", "wf-1", "--min-position", str(position), "--json")
    brought_up = dora_state(*asked)
    assert (brought_up.code, brought_up.err) == (0, "")
    fresh = dora_state(*asked, "--consistency", consistency)
    assert (fresh.code, fresh.err) == (0, "")
    assert fresh.json == brought_up.json


@pytest.mark.usefixtures("submitted")
@pytest.mark.parametrize("more", [(), ("--consistency", "projected"), ("--consistency", "live")])
def test_show_says_how_far_it_is_where_that_is_not_far_enough(dora_state: CommandLine, more: tuple[str, ...]) -> None:
    ended = dora_state("show", "workflow", "wf-1", "--min-position", "1000000", "--wait", "0.1", *more)
    assert (ended.code, ended.out) == (4, "")
    assert "and 1000000 was asked for; try again." in ended.err


@pytest.mark.usefixtures("submitted")
def test_show_tells_the_past_by_version_position_and_time(dora_state: CommandLine, submitted: Ended) -> None:
    at_version = dora_state("show", "workflow", "wf-1", "--version", "3", "--json").json
    assert at_version["state"] == "created"
    added = submitted.json_lines[4]
    at_position = dora_state("show", "workflow", "wf-1", "--position", str(added["position"]), "--json").json
    at_time = dora_state("show", "workflow", "wf-1", "--at", added["recorded_at"], "--json").json
    assert at_version == at_position == at_time


@pytest.mark.usefixtures("submitted")
def test_what_is_not_there_ends_with_3(dora_state: CommandLine) -> None:
    for arguments, word in [
        (("show", "workflow", "nope"), "There is no workflow nope"),
        (("history", "agent", "nope"), "There is no agent nope"),
        (("show", "workflow", "wf-1", "--version", "99"), "versions 1 to"),
        (("show", "workflow", "wf-1", "--at", "2020-01-01T00:00:00+01:00"), "began at"),
        (("rollback", "workflow", "nope", "--to-version", "1", "--dry-run"), "nope"),
    ]:
        ended = dora_state(*arguments)
        assert ended.code == 3, arguments
        assert ended.out == ""
        assert word in ended.one_sentence()


@pytest.mark.usefixtures("submitted")
def test_diff_tells_what_changed_of_one_or_of_everything(dora_state: CommandLine, submitted: Ended) -> None:
    one = dora_state("diff", "workflow", "wf-1", "3", "now", "--json").json
    assert (one["before"]["version"], one["before"]["document"]["state"]) == (3, "created")
    assert one["after"]["document"]["state"] == "running"
    assert {"op": "replace", "path": "/state", "value": "running"} in one["patch"]
    told = dora_state("diff", "workflow", "wf-1", "v3", "now").out
    assert told.startswith("workflow wf-1: v3 of ")
    assert "  state: created -> running\n" in told
    assert "workflow wf-1: not there -> v1 of" in dora_state("diff", "workflow", "wf-1", "start", "1").out

    created = submitted.json_lines[2]
    assert created["type"] == "CreateWorkflow"
    everything = dora_state("diff", "system", created["recorded_at"], "now", "--json").json_lines
    assert ("workflow", "wf-1", False) in {(one["kind"], one["id"], one["appeared"]) for one in everything}
    assert ("task", "t-1", True) in {(one["kind"], one["id"], one["appeared"]) for one in everything}
    assert all(one.keys() & {"patch"} == set() for one in everything)
    told = dora_state("diff", "system", f"p{created['position']}", "now", "--differences").out
    assert "workflow wf-1  changed  v1 -> " in told
    assert "    state: created -> running\n" in told
    assert "task: 2 appeared" in told.splitlines()[-1]
    assert dora_state("diff", "system", "now", "now").out == "Nothing changed.\n"


@pytest.mark.usefixtures("submitted")
def test_trace_shows_what_one_request_caused(dora_state: CommandLine) -> None:
    first = dora_state("history", "task", "t-1", "--limit", "1", "--json").json_lines[0]
    about = {"correlation_id": "the-request", "causation_id": "elsewhere"}
    caused = {"correlation_id": "the-request", "causation_id": "0190d8a4-7c3e-7b1f-9a52-3f1de6a1c042"}
    commands = (
        {"type": "CreateWorkflow", "data": {"workflow_id": "wf-traced", "definition_id": "d"}} | about,
        {"type": "StartWorkflow", "data": {"workflow_id": "wf-traced"}} | caused,
    )
    commands[0]["command_id"] = caused["causation_id"]
    assert dora_state("submit", "-", "--actor", "ann", given=lines(*commands)).code == 0
    told = dora_state("trace", "the-request").out.splitlines()
    assert told[0].startswith("CreateWorkflow  ")
    assert told[0].endswith(", by ann, caused by elsewhere")
    assert told[2].startswith("    StartWorkflow  ")
    assert told[3].endswith("WorkflowStarted  workflow-wf-traced v2")
    found = dora_state("trace", "the-request", "--since", f"p{first['position']}", "--json").json
    assert [one["depth"] for one in found["commands"]] == [0, 1]
    assert dora_state("trace", "the-request").err == ""
    terminal, stderr = os.openpty()
    process = dora_state.start("trace", "the-request", stderr=stderr)
    os.close(stderr)
    assert finish(process).out.splitlines() == told
    assert b"trace" in os.read(terminal, 100_000), "no bar on a terminal"
    os.close(terminal)
    ended = dora_state("trace", "nobody-asked")
    assert (ended.code, "Nothing with the correlation id nobody-asked" in ended.one_sentence()) == (3, True)


@pytest.mark.usefixtures("submitted")
def test_history_has_pages_filters_and_cuts(dora_state: CommandLine) -> None:
    def told(*options: str) -> list[int]:
        return [one["version"] for one in dora_state("history", "workflow", "wf-1", "--json", *options).json_lines]

    everything = told()
    assert told("--newest-first") == everything[::-1]
    assert told("--limit", "2") == everything[:2]
    assert told("--after", "2", "--limit", "2") == everything[2:4]
    assert told("--version", "3") == [1, 2, 3]
    assert told("--type", "WorkflowCreated", "--type", "WorkflowTaskAdded") == [1, 2, 3]
    ended = dora_state("history", "workflow", "wf-1", "--actor", "nobody")
    assert (ended.code, ended.out, ended.err) == (
        0,
        "",
        "No version of workflow wf-1 is like that; it has versions 1 to 7.\n",
    )
    for cut in (("--version", "99"), ("--position", "9999"), ("--at", "2020-01-01T00:00:00Z")):
        ended = dora_state("history", "workflow", "wf-1", *cut)
        assert (ended.code, ended.out) == (3, "")
        assert "; ask for " in ended.one_sentence()


@pytest.mark.usefixtures("submitted")
def test_a_timeline_is_drawn_told_and_written(dora_state: CommandLine, tmp_path: Path) -> None:
    drawn = dora_state("show", "workflow", "wf-1", "--timeline").out
    assert drawn.startswith("Workflow wf-1\n")
    assert any(line.startswith("t-1 ") and line.endswith(" a-1") for line in drawn.splitlines()), drawn
    told = dora_state("history", "agent", "a-1", "--timeline", "--json").json
    assert [row["task_id"] for row in told["rows"]] == ["t-1"]
    file = tmp_path / "timeline.html"
    written = dora_state("show", "workflow", "wf-1", "--html", str(file))
    assert (written.code, written.out) == (0, "")
    assert "<svg" in file.read_text()
    nowhere = dora_state("show", "workflow", "wf-1", "--html", str(tmp_path / "none" / "x.html"))
    assert (nowhere.code, "can't be written" in nowhere.one_sentence()) == (2, True)
    assert "There is no timeline of a pool" in dora_state("show", "pool", "p-1", "--timeline").one_sentence()


@pytest.mark.usefixtures("submitted")
def test_replay_makes_a_schema_as_of_a_moment_and_checks_what_is_kept(
    dora_state: CommandLine, submitted: Ended
) -> None:
    created = submitted.json_lines[2]
    told = dora_state("replay", "--until", created["recorded_at"], "--into", "audit_e2e")
    assert told.code == 0
    assert f"position {created['position']}.\n" in told.out
    report = dora_state("replay", "--until", f"p{created['position']}", "--into", "audit_e2e", "--json").json
    assert (report["until_position"], report["events"]) == (created["position"], 0)
    other = dora_state("replay", "--into", "audit_e2e")
    assert other.code == 2
    assert "have it made again with --anew" in other.one_sentence()
    checked = dora_state("replay", "--check")
    assert (checked.code, checked.out.splitlines()[-1]) == (0, "All agree.")
    last = dora_state("replay", "--check", "--until", f"p{created['position']}", "--json").json_lines[-1]
    assert (last["position"], last["findings"]) == (created["position"], 0)


def test_who_only_asks_makes_no_tenant(dora_state: CommandLine) -> None:
    for arguments in (
        ("show", "workflow", "x"),
        ("show", "system"),
        ("history", "system"),
        ("rollback", "workflow", "x", "--to-version", "1", "--dry-run"),
        ("rollback", "workflow", "x", "--to-version", "1", "--reason", "r", "--operator", "o"),
    ):
        ended = dora_state("--tenant", "nonesuch", *arguments)
        assert ended.code == 3
        assert "There is no tenant nonesuch" in ended.one_sentence()
    assert "not set up" in dora_state("--tenant", "nonesuch", "health", "--json").json["checks"]["database"]["message"]


def test_a_system_that_nothing_is_known_of_has_no_history(dora_state: CommandLine) -> None:
    dora_state("--tenant", "silent", "init")
    for asked in (("history", "system"), ("show", "system", "--version", "1")):
        ended = dora_state("--tenant", "silent", *asked)
        assert ended.code == 3
        assert "Nothing has been recorded of the system yet" in ended.one_sentence()


@pytest.mark.usefixtures("submitted")
def test_history_lists_every_version_with_its_patch(dora_state: CommandLine) -> None:
    entries = dora_state("history", "workflow", "wf-1", "--json").json_lines
    assert [entry["version"] for entry in entries] == list(range(1, len(entries) + 1))
    started = next(entry for entry in entries if entry["type"] == "WorkflowStarted")
    assert started["actor"] == "alice"
    assert {"op": "replace", "path": "/state", "value": "running"} in started["patch"]
    told = dora_state("history", "workflow", "wf-1").out
    assert "state: created -> running" in told
    assert "by alice" in told


def test_a_rollback_can_be_tried_and_then_done(dora_state: CommandLine) -> None:
    create = {"type": "CreateWorkflow", "data": {"workflow_id": "wf-back", "definition_id": "d"}}
    amend = {"type": "AmendWorkflow", "data": {"workflow_id": "wf-back", "context": {"note": "wrong"}}}
    assert dora_state("submit", "-", given=lines(create, amend)).code == 0
    back = ("rollback", "workflow", "wf-back", "--to-version", "1")

    tried = dora_state(*back, "--dry-run", "--json").json
    assert tried["problem"] is None
    assert tried["patch"] == [{"op": "remove", "path": "/context/note"}]
    assert "Nothing was recorded" in dora_state(*back, "--dry-run").out
    for incomplete in (("--reason", "wrong"), ("--reason", "", "--operator", "")):
        refused = dora_state(*back, *incomplete)
        assert refused.code == 2
        assert "give both" in refused.one_sentence()

    done = dora_state(*back, "--reason", "wrong note", "--operator", "bob", "--json")
    assert (done.code, done.json["outcome"]) == (0, "accepted")
    assert dora_state("show", "workflow", "wf-back", "--json").json["context"] == {}
    last = dora_state("history", "workflow", "wf-back", "--json").json_lines[-1]
    assert (last["version"], last["actor"], last["reason"]) == (3, "bob", "wrong note")
    assert "    rolled back to version 1, operator bob\n" in dora_state("history", "workflow", "wf-back").out


def test_a_dry_run_tells_in_words_what_happens_to_tasks_and_agents(dora_state: CommandLine) -> None:
    agent = {"agent_id": "a-back", "agent_type": "t", "state": "healthy"}
    commands = [
        {"type": "RegisterAgent", "data": agent},
        {"type": "CreateWorkflow", "data": {"workflow_id": "wf-eff", "definition_id": "d"}},
        {"type": "AddTask", "data": {"workflow_id": "wf-eff", "task_id": "t-eff", "definition_id": "d"}},
        {"type": "StartWorkflow", "data": {"workflow_id": "wf-eff"}},
        {"type": "ScheduleTask", "data": {"task_id": "t-eff"}},
        {"type": "AssignTask", "data": {"task_id": "t-eff", "agent_id": "a-back", "reason": "r"}},
    ]
    assert dora_state("submit", "-", given=lines(*commands)).code == 0
    back = ("rollback", "workflow", "wf-eff", "--to-version", "2", "--dry-run")
    told = dora_state(*back).out
    assert "agent a-back: gives back the slot of task t-eff" in told
    assert "task t-eff: goes back to created" in told
    for_programs = dora_state(*back, "--json")
    assert "agent a-back: AgentSlotFreed (task_id=t-eff, outcome=rolled_back)" in for_programs.json["effects"]
    for made_up in ("preview", "dry run"):
        assert made_up not in for_programs.out


@pytest.mark.usefixtures("submitted")
def test_a_full_or_closed_stdout_is_one_sentence(dora_state: CommandLine) -> None:
    with open("/dev/full", "wb") as full:
        for arguments in (("show", "workflow", "wf-1"), ("history", "workflow", "wf-1", "--json"), ("health",)):
            ended = finish(dora_state.start(*arguments, stdout=full))
            assert ended.code == 74
            assert "can't be written" in ended.one_sentence()


@pytest.mark.usefixtures("submitted")
def test_a_rollback_that_is_refused_ends_with_1_and_says_why(dora_state: CommandLine) -> None:
    back = ("rollback", "workflow", "wf-1", "--to-version", "2", "--workflow-only")
    for arguments in ((*back, "--dry-run"), (*back, "--reason", "r", "--operator", "o")):
        ended = dora_state(*arguments)
        assert ended.code == 1
        assert "t-" in ended.one_sentence()


def test_an_import_is_told_and_can_be_asked_about(dora_state: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "log.xes"
    file.write_text(XES)
    imported = dora_state("--tenant", "imported", "import", "xes", str(file), "--json")
    assert imported.code == 0
    report = imported.json
    assert (report["traces"], report["events_imported"], report["skipped"]) == (1, 2, {"event without time": 1})
    state = dora_state("--tenant", "imported", "show", "task", "c1/A#1", "--at", "2012-01-15T00:00:00Z", "--json").json
    assert (state["state"], state["assigned_agent"]["agent_id"]) == ("running", "r1")
    again = dora_state("--tenant", "imported", "import", "xes", str(file))
    assert again.code == 1
    assert "not empty" in again.one_sentence()


def test_an_import_is_told_to_people_too(dora_state: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "log.xes.gz"
    file.write_bytes(gzip.compress(XES.encode()))
    told = dora_state("--tenant", "imported_too", "import", "xes", str(file))
    assert (told.code, told.err) == (0, "")
    for words in ("traces           1", "1 completed", "2012-01, 2012-02", "event without time"):
        assert words in told.out
    assert max(map(len, told.out.splitlines())) <= 80


def test_a_broken_log_is_one_sentence(dora_state: CommandLine, tmp_path: Path) -> None:
    file = tmp_path / "broken.xes.gz"
    file.write_bytes(gzip.compress(XES.encode())[:60])
    ended = dora_state("--tenant", "broken", "import", "xes", str(file))
    assert ended.code == 2
    assert "broken.xes.gz" in ended.one_sentence()


@pytest.mark.usefixtures("submitted")
def test_health_tells_of_each_check(dora_state: CommandLine) -> None:
    for_programs = dora_state("health", "--json")
    report = for_programs.json
    # Memory and disk are this machine's own matter.
    ours = {name: check["status"] for name, check in report["checks"].items() if name not in ("memory", "disk")}
    assert set(ours.values()) == {"healthy"}, report
    assert list(report["checks"])[:5] == ["database", "cache", "transactions", "memory", "disk"]
    assert for_programs.code == {"healthy": 0, "warning": 1, "unhealthy": 4}[report["status"]]
    assert report["checks"]["projection"]["figures"]["lag_positions"] == 0
    for_people = dora_state("health").out
    assert "PostgreSQL 18" in for_people
    assert max(map(len, for_people.splitlines())) <= 80


def test_health_of_a_tenant_that_is_not_set_up_says_so_and_makes_nothing(dora_state: CommandLine) -> None:
    for _ in range(2):
        ended = dora_state("--tenant", "never_made", "health", "--json")
        assert ended.code == 4
        assert "dora-state --tenant never_made init" in ended.json["checks"]["database"]["message"]


@pytest.mark.usefixtures("submitted")
def test_a_reader_that_leaves_is_no_error(dora_state: CommandLine) -> None:
    for arguments in (("history", "workflow", "wf-1"), ("show", "workflow", "wf-1", "--json"), ("--help",)):
        read_end, write_end = os.pipe()
        os.close(read_end)
        with open(write_end, "wb") as nobody:
            ended = finish(dora_state.start(*arguments, stdout=nobody))
        assert (ended.code, ended.err) == (0, ""), arguments


def test_the_worker_ends_when_it_is_told_to(dora_state: CommandLine) -> None:
    worker = dora_state.start("worker")
    assert worker.stderr is not None
    assert b"is running" in worker.stderr.readline()
    ended = finish(worker, signal.SIGTERM)
    assert (ended.code, ended.out) == (0, "")


def test_the_workers_words_are_there_for_programs_too(dora_state: CommandLine) -> None:
    worker = dora_state.start("worker", "--json")
    assert worker.stdout is not None
    word = json.loads(worker.stdout.readline())
    assert "is running" in word["says"]
    assert word["at"].endswith("Z")
    assert finish(worker, signal.SIGTERM) == Ended(0, "", "")
