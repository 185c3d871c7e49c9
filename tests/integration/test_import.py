"""`import xes`: small logs, imported whole and held against an oracle that shares no code."""

import gzip
import hashlib
import random
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import orjson
import pytest

from domain.agent import AGENT, AgentSlotFreed
from domain.errors import DoraStateError, InvalidInput
from domain.system import LogImportBegun, LogImportEnded
from infrastructure.xes.errors import XesError
from tests.oracle import raw_xes
from tests.support.importing import Tenant, decoded, expected_facts, shown_at, shown_facts
from tests.support.postgres import connected, value
from tests.support.xes_logs import HEAD, LoggedEvent, LoggedTrace, at, attribute

TRANSITIONS = [
    *("schedule", "start", "start", "Complete", "COMPLETE", "complete", "Suspend", "RESUME", "resume"),
    *("ate_abort", "PI_Abort", "withdraw", "AutoSkip", "manualskip", "reassign", None),
]


@pytest.fixture
def into(tenant: str, tmp_path: Path, database_url: str, redis_url: str) -> Iterator[Tenant]:
    """A fresh tenant to import into."""
    found = Tenant(tenant, tmp_path / "home", database_url, redis_url)
    yield found
    assert not found.scratch.exists(), "an import leaves no files behind"


def random_trace(chance: random.Random, name: str) -> LoggedTrace:
    """Ties within it and with other traces, events out of order, resources missing."""
    events = [
        LoggedEvent(
            activity=chance.choice(["A", "B/#%"]),
            transition=chance.choice(TRANSITIONS),
            time=at(chance.randint(0, 8)),
            resource=chance.choice(["anna", "ben", "no-resource", None]),
            attributes={"amount": chance.randint(1, 9)},
        )
        for _ in range(chance.randint(1, 14))
    ]
    return LoggedTrace(name, tuple(events))


@pytest.mark.parametrize("seed", [1, pytest.param(2, marks=pytest.mark.long)])
async def test_every_workflow_at_every_moment_agrees_with_the_raw_log(into: Tenant, seed: int) -> None:
    chance = random.Random(seed)
    path = into.write(*(random_trace(chance, f"case {number}/{seed}") for number in range(30)))
    report = await into.imports(path)

    raw = raw_xes.load(path)
    totals = raw_xes.totals(raw)
    assert (report.traces, report.events_read) == (30, totals.events)
    unused = sum(report.skipped.values()) + sum(report.other_transitions.values())
    assert report.events_imported == totals.events - unused
    assert report.tasks == totals.tasks
    assert report.workflows == totals.workflows
    assert report.agents == totals.agents_assigned
    assert not any("refused" in reason for reason in report.skipped)
    assert sum(report.other_transitions.values()) == totals.rules["anything else"]
    async with into.manager() as manager:
        for trace_id, times in ((trace_id, set(raw.event_times(trace_id))) for trace_id in raw.trace_ids):
            for moment in times | {time - timedelta(microseconds=1) for time in times}:
                expected = expected_facts(raw_xes.state_at(raw, trace_id, moment))
                assert shown_facts(await shown_at(manager, trace_id, moment), raw) == expected, (trace_id, moment)
            now = shown_facts(dict(await manager.state("workflow", trace_id)), raw)
            assert now == expected_facts(raw_xes.state_at(raw, trace_id, max(times)))


async def test_agents_have_the_capacity_and_capabilities_that_the_log_shows_and_no_more(into: Tenant) -> None:
    chance = random.Random(3)
    path = into.write(*(random_trace(chance, f"case-{number}") for number in range(30)))
    report = await into.imports(path)

    agents: dict[str, object] = {}
    most: dict[str, int] = {}
    for stream_id, event in decoded(await into.log(), "agent"):
        agents[stream_id] = agent = AGENT.evolve(agents.get(stream_id), event)  # type: ignore[arg-type]  # one kind only
        most[stream_id] = max(most.get(stream_id, 0), len(agent.slots))
        assert agent.state == "healthy"
        assert len(agent.slots) <= agent.max_concurrent_tasks
        assert set(agent.capabilities) <= {"A", "B/#%"}
    assert {name: agent.max_concurrent_tasks for name, agent in agents.items()} == most  # type: ignore[attr-defined]  # as above
    assert report.agents == len(agents)
    assert set(agents) == {"agent-anna", "agent-ben", "agent-no-resource", "agent-no-resource-2"}


async def test_attributes_become_context_inputs_and_outputs(into: Tenant) -> None:
    events = (
        LoggedEvent("A", "schedule", at(0), "anna", {"asked": True}),
        LoggedEvent("A", "start", at(1), "anna", {"room": 1}),
        LoggedEvent("A", "complete", at(2), "anna", {"score": 0.5, "when": at(0)}),
        LoggedEvent("B", "complete", at(3), None, {"amount": 7}),
    )
    await into.imports(into.write(LoggedTrace("case", events, {"AMOUNT_REQ": 20000, "priority": "high"})))

    async with into.manager() as manager:
        workflow = await manager.state("workflow", "case")
        a, b = [await manager.state("task", name) for name in ("case/A#1", "case/B#1")]
        anna, nobody = [await manager.state("agent", name) for name in ("anna", "no-resource")]
    assert workflow["context"] == {"AMOUNT_REQ": 20000, "priority": "high"}
    assert workflow["definition_id"] == "log"
    assert (a["inputs"], a["outputs"]) == ({"asked": True}, {"room": 1, "score": 0.5, "when": "2011-10-01T00:00:00Z"})
    assert (b["inputs"], b["outputs"]) == ({"amount": 7}, {"amount": 7})
    assert workflow["tasks"]["case/B#1"]["outputs"] == {"amount": 7}
    # A took a second; B a moment that nobody measured, which is no time to take an average of.
    assert anna["performance_metrics"]["average_execution_time"] == 1.0
    assert nobody["performance_metrics"]["average_execution_time"] is None
    assert nobody["performance_metrics"]["tasks_completed"] == 1


async def test_what_is_inferred_says_so_and_nothing_else_does(into: Tenant) -> None:
    events = [
        *(("A", "schedule"), ("A", "start"), ("A", "suspend"), ("A", "resume"), ("A", "complete")),
        *(("B", "start"), ("B", "withdraw"), ("C", "schedule"), ("C", "complete"), ("D", "complete"), ("E", "resume")),
    ]
    trace = LoggedTrace("case", tuple(LoggedEvent(name, step, at(n)) for n, (name, step) in enumerate(events)))
    report = await into.imports(into.write(trace))

    assert report.inferred == 4
    log = await into.log()
    inferred = {event.recorded_at for event in log if orjson.loads(event.metadata).get("inferred")}
    assert inferred == {at(5), at(8), at(9), at(10)}
    freed = [event for _, event in decoded(log, "agent") if isinstance(event, AgentSlotFreed)]
    assert [(event.outcome, event.execution_time) for event in freed] == [
        ("completed", 3.0),  # A, suspended meanwhile
        ("cancelled", None),
        ("completed", None),  # C, at once
        ("completed", None),  # D, of one moment
    ]
    async with into.manager() as manager:
        trail = [entry.type async for entry in manager.history("task", "case/A#1")]
        assert trail.count("TaskProgressed") == 2
        assert (await manager.state("task", "case/A#1", live=True))["state"] == "completed"
        assert (await manager.state("workflow", "case"))["state"] == "running"  # E is open


async def test_the_log_lies_in_its_past_and_the_system_tells_that_it_was_imported(into: Tenant) -> None:
    path = into.write(LoggedTrace("case", tuple(LoggedEvent("A", "complete", at(n)) for n in range(3))))
    begun = datetime.now(UTC)
    report = await into.imports(path)

    log = await into.log()
    assert report.events_recorded == len(log)
    assert all(at(0) <= event.recorded_at <= at(2) for event in log)
    assert all(orjson.loads(event.data)["at"][:10] == "2011-10-01" for event in log)
    told = [event for _, event in decoded(log, "system")]
    first, last = told
    assert isinstance(first, LogImportBegun)
    assert isinstance(last, LogImportEnded)
    assert (first.file_name, first.sha256) == ("log.xes", hashlib.sha256(path.read_bytes()).hexdigest())
    assert begun <= first.imported_at <= last.imported_at <= datetime.now(UTC)
    counts: dict[str, object] = {"traces": 1, "events_read": 3, "events_imported": 3, "inferred": 3, "skipped": {}}
    counts["other_transitions"] = {}
    assert last.counts == counts
    assert log[0].stream_id == log[-1].stream_id == "system-platform"
    assert report.months == ("2011-10",)


async def test_afterwards_the_tenant_is_live_and_tells_todays_times(into: Tenant) -> None:
    await into.imports(into.write(LoggedTrace("case", (LoggedEvent("A", "start", at(0)),))))
    async with into.manager() as manager:
        assert await manager.platform.log.importing() is None
        answer = await manager.submit(
            {"type": "CompleteTask", "actor": "test", "data": {"task_id": "case/A#1", "outputs": {}}}
        )
        assert answer.ok
        assert answer.recorded_at is not None
        assert abs(answer.recorded_at - datetime.now(UTC)) < timedelta(minutes=1)


async def test_what_cannot_be_imported_is_skipped_counted_and_named(into: Tenant) -> None:
    good = LoggedEvent("A", "complete", at(0))
    deep = "".join("<container key='c'>" for _ in range(40)) + "</container>" * 40
    path = into.write(
        LoggedTrace(None, (good,)),
        LoggedTrace("twice", (good,)),
        LoggedTrace("twice", (good, good)),
        LoggedTrace(" blank", (good,)),
        LoggedTrace("holes", (good, LoggedEvent(time=None), LoggedEvent(time=datetime(2999, 1, 1, tzinfo=UTC)))),
        LoggedTrace("odd", (good, LoggedEvent(None), LoggedEvent("B", "suspend"), LoggedEvent("B", "reassign"))),
        LoggedTrace("deep", (LoggedEvent("A", "complete", at(1), "zoe", {"kept": 1, "nel": "a\x85b"}),)),
    )
    text = path.read_text(encoding="utf-8")
    path.write_text(text.replace(attribute("kept", 1), attribute("kept", 1) + deep), encoding="utf-8")
    report = await into.imports(path)

    assert report.skipped == {
        "trace repeated": 1,
        "event of skipped trace": 2,
        "event without time": 1,
        "event in future": 1,
        "event of a trace whose id is no usable name": 1,
        "event without an activity": 1,
        "suspend without a running item that is not suspended": 1,
        "attribute that can't be kept": 2,
    }
    assert set(report.examples) == set(report.skipped) - {"event of skipped trace"}
    assert '"deep"' in report.examples["attribute that can't be kept"][0]
    assert report.other_transitions == {"reassign": 1}
    assert (report.traces, report.events_read, report.agents) == (7, 13, 2)
    skipped = sum(count for reason, count in report.skipped.items() if reason.startswith(("event", "suspend")))
    assert report.events_imported == 13 - skipped - report.other_transitions["reassign"] == 5
    assert report.workflows == {"completed": 5}
    async with into.manager() as manager:
        (told,) = (await manager.get_system_state())["imports"]
        for key in ("events_imported", "skipped", "other_transitions"):
            assert told["counts"][key] == getattr(report, key)
        for name in ("trace-1", "twice", "holes", "odd", "deep"):
            assert (await manager.state("workflow", name))["state"] == "completed"
        assert (await manager.state("task", "deep/A#1"))["outputs"] == {"kept": 1}


async def test_months_between_that_have_no_events_are_not_made(into: Tenant) -> None:
    times = [datetime(year, 5, 31, 23, 59, 59, 999999, tzinfo=UTC) for year in (1, 1600, 1970, 2011)]
    trace = LoggedTrace("long", tuple(LoggedEvent("A", "complete", time) for time in times))
    report = await into.imports(into.write(trace))
    assert report.months == ("0001-05", "1600-05", "1970-05", "2011-05")
    assert report.tasks == {"completed": 4}
    async with into.manager() as manager:
        for number, time in enumerate(times, 1):
            for moment, tasks in ((time, number), (time + timedelta(days=300), number)):
                found = await shown_at(manager, "long", moment)
                assert found is not None
                assert len(found["tasks"]) == tasks
    async with connected(into.database_url, into.name) as connection:
        assert await value(connection, "SELECT count(*) FROM months WHERE ends_at < '2011-07-01'") == 4


BAD: dict[str, tuple[bytes, str]] = {
    "entities": (b'<!DOCTYPE log [<!ENTITY a "b">]><log/>', "document type"),
    "external entity": (b'<!DOCTYPE log SYSTEM "http://127.0.0.1/x"><log/>', "document type"),
    "broken gzip": (gzip.compress(b"<log>" + b" " * 100_000)[:60] + b"\x00" * 40, "gzip"),
    "ends early": (HEAD.encode() + b"<trace>", "ends before it is closed"),
    "gzip that ends early": (gzip.compress(HEAD.encode() * 100)[:-12], "breaks off"),
    "empty file": (b"", ""),
    "empty log": (b"<log/>", "no event that can be imported"),
    "no usable event": ((HEAD + LoggedTrace("a", (LoggedEvent(time=None),)).xml() + "</log>").encode(), "no event"),
    "no usable id": ((HEAD + LoggedTrace(" a", (LoggedEvent(),)).xml() + "</log>").encode(), "no event"),
}


@pytest.mark.parametrize("name", BAD)
async def test_a_log_that_is_none_is_refused_and_the_tenant_stays_empty_and_usable(into: Tenant, name: str) -> None:
    content, says = BAD[name]
    path = into.write(name="bad.xes")
    path.write_bytes(content)
    with pytest.raises((XesError, InvalidInput)) as refused:
        await into.imports(path)
    assert says in refused.value.message
    assert "\n" not in refused.value.message
    assert not into.scratch.exists()

    assert await into.log() == []
    assert not await into.importing()
    good = into.write(LoggedTrace("case", (LoggedEvent(),)), name="good.xes")
    assert (await into.imports(good)).workflows == {"completed": 1}


async def test_what_fails_before_anything_is_recorded_leaves_a_tenant_that_is_live(
    into: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(self: object, begin: object, end: object) -> list[str]:
        raise RuntimeError("no months today")

    monkeypatch.setattr("infrastructure.event_store.PostgresEventLog.ensure_months", fails)
    path = into.write(LoggedTrace("case", (LoggedEvent(),)))
    with pytest.raises(RuntimeError):
        await into.imports(path)
    assert not await into.importing()
    monkeypatch.undo()
    assert (await into.imports(path)).workflows == {"completed": 1}


@pytest.mark.parametrize("resume", ["new", "continue", "anew"])
async def test_a_tenant_that_is_not_empty_is_refused_and_keeps_what_it_has(into: Tenant, resume: str) -> None:
    path = into.write(LoggedTrace("case", (LoggedEvent(),)))
    await into.imports(path)
    before = await into.log()
    with pytest.raises(DoraStateError, match=r"is not empty.*the whole import of log\.xes.*--tenant") as refused:
        await into.imports(path, resume)  # type: ignore[arg-type]  # a Resume
    assert refused.value.code == "import_refused"
    assert await into.log() == before


async def test_a_tenant_that_only_refused_something_is_not_empty_either(into: Tenant) -> None:
    path = into.write(LoggedTrace("case", (LoggedEvent(),)))
    async with into.manager() as manager:
        answer = await manager.submit({"type": "StartWorkflow", "actor": "test", "data": {"workflow_id": "none"}})
        assert answer.outcome == "refused"
    with pytest.raises(DoraStateError, match="is not empty, commands were answered there"):
        await into.imports(path)
    assert not await into.importing()


async def test_names_of_files_may_be_anything(into: Tenant) -> None:
    path = into.write(LoggedTrace("case", (LoggedEvent(),)), name=" a\nb.xes")
    await into.imports(path)
    async with into.manager() as manager:
        assert (await manager.state("workflow", "case"))["definition_id"] == "a?b"
