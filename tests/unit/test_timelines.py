"""Tasks over time: what a workflow, a task and an agent went through, in the terminal and as a page."""

import io
import re
from datetime import timedelta
from html.parser import HTMLParser

import pytest
from rich.console import Console

from domain import agent as agents
from domain import task as tasks
from domain import workflow as workflows
from domain.errors import CutOutOfRange, InvalidInput, NotFound
from domain.log import NOW, Cut
from dora_state import timeline_page
from dora_state.cli.views import timeline as view
from dora_state.timeline_page import page
from projections import timelines
from projections.timelines import Timeline, Timelines
from tests.support.stories import at
from tests.support.time_travel import LATER
from tests.support.told_log import START, ToldLog

Told = list[tuple[str, str | None, float, float | None]]


def moved(task_id: str, state: str, agent: str | None = None) -> workflows.WorkflowTaskChanged:
    return workflows.WorkflowTaskChanged.model_validate(
        {"at": at(0), "task_id": task_id, "state": state, "assigned_agent": agent}
    )


def a_workflow() -> ToldLog:
    """Recorded a second apart: t1 fails and is retried with another agent, t2 is added last and waits."""
    log = ToldLog()
    told = [
        workflows.WorkflowCreated(at=at(0), workflow_id="w", definition_id="d", definition_version="1"),
        workflows.WorkflowTaskAdded(at=at(0), task_id="t1", definition_id="d"),
        workflows.WorkflowStarted(at=at(0)),
        moved("t1", "scheduled"),
        moved("t1", "assigned", "ann"),
        moved("t1", "running", "ann"),
        moved("t1", "failed", "ann"),
        moved("t1", "scheduled"),
        moved("t1", "running", "bob"),
        workflows.WorkflowTaskAdded(at=at(0), task_id="t2", definition_id="d"),
        moved("t1", "completed", "bob"),
    ]
    log.tell_all(*(("workflow-w", event) for event in told))
    return log


def segments(timeline: Timeline) -> dict[str, Told]:
    """By task: state, agent, and the seconds since the first event."""

    def since(moment: object) -> float | None:
        return None if moment is None else (moment - timeline.begin).total_seconds()  # type: ignore[operator]  # a time

    return {
        row.task_id: [(one.state, one.agent, since(one.begin) or 0.0, since(one.end)) for one in row.segments]
        for row in timeline.rows
    }


async def test_a_workflows_timeline_shows_each_attempt_with_its_agent() -> None:
    found = await Timelines(a_workflow()).of("workflow", "w", NOW, LATER)
    assert segments(found) == {
        "t1": [
            ("created", None, 1, 3),
            ("scheduled", None, 3, 4),
            ("assigned", "ann", 4, 5),
            ("running", "ann", 5, 6),
            ("scheduled", None, 7, 8),
            ("running", "bob", 8, 10),
        ],
        "t2": [("created", None, 9, None)],
    }
    assert [(row.state, row.agents) for row in found.rows] == [("completed", ["ann", "bob"]), ("created", [])]
    assert [(mark.text, mark.at) for mark in found.marks] == [("started", found.begin + timedelta(seconds=2))]
    assert (found.upto, found.end, found.omitted) == ("now", LATER, 0)


async def test_a_timeline_ends_at_its_cut_or_where_all_is_over() -> None:
    log = a_workflow()
    cut = await Timelines(log).of("workflow", "w", Cut(at=log.events[5].recorded_at + timedelta(seconds=0.5)), LATER)
    assert (cut.upto, cut.end) == ("the cut", log.events[5].recorded_at + timedelta(seconds=0.5))
    assert segments(cut)["t1"][-1] == ("running", "ann", 5, None)
    assert (await Timelines(log).of("workflow", "w", Cut(version=3), LATER)).end == log.events[2].recorded_at
    log.tell(("workflow-w", moved("t2", "cancelled")))
    over = await Timelines(log).of("workflow", "w", NOW, LATER)
    assert (over.upto, over.end) == ("its end", log.events[-1].recorded_at)


async def test_a_task_and_an_agent_have_timelines_and_nothing_else_has() -> None:
    log = ToldLog()
    log.tell(("task-t", tasks.TaskCreated(at=at(0), task_id="t", workflow_id="w", definition_id="d")))
    log.tell(("task-t", tasks.TaskScheduled(at=at(0))))
    log.tell(("agent-a", agents.AgentRegistered(at=at(0), agent_id="a", agent_type="x", max_concurrent_tasks=2)))
    log.tell(
        ("task-t", tasks.TaskAssigned(at=at(0), agent_id="a", reason="r")),
        ("agent-a", agents.AgentSlotTaken(at=at(0), task_id="t", workflow_id="w")),
    )
    log.tell(("task-t", tasks.TaskStarted(at=at(0))), ("agent-a", agents.AgentTaskStarted(at=at(0), task_id="t")))
    log.tell(
        ("task-t", tasks.TaskCompleted(at=at(0))),
        ("agent-a", agents.AgentSlotFreed(at=at(0), task_id="t", outcome="completed")),
    )
    log.tell(("agent-a", agents.AgentSlotTaken(at=at(0), task_id="u", workflow_id="w", started_at=at(0))))
    log.tell(("agent-a", agents.AgentWentOffline(at=at(0), reason="silent")))
    task = await Timelines(log).of("task", "t", NOW, LATER)
    assert segments(task) == {
        "t": [("created", None, 0, 1), ("scheduled", None, 1, 3), ("assigned", "a", 3, 4), ("running", "a", 4, 5)]
    }
    agent = await Timelines(log).of("agent", "a", NOW, LATER)
    assert segments(agent) == {"t": [("assigned", "a", 1, 2), ("running", "a", 2, 3)], "u": [("running", "a", 4, None)]}
    assert [mark.text for mark in agent.marks] == ["offline"]
    with pytest.raises(InvalidInput, match="There is no timeline of a pool"):
        await Timelines(log).of("pool", "p", NOW, LATER)
    with pytest.raises(NotFound):
        await Timelines(log).of("task", "nobody", NOW, LATER)
    with pytest.raises(CutOutOfRange):
        await Timelines(log).of("task", "t", Cut(at=START - timedelta(days=1)), LATER)


async def test_of_very_many_tasks_the_last_ones_are_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(timelines, "MOST_ROWS", 3)
    log = ToldLog()
    log.tell(("agent-a", agents.AgentRegistered(at=at(0), agent_id="a", agent_type="x", max_concurrent_tasks=9)))
    for number in range(5):
        log.tell(("agent-a", agents.AgentSlotTaken(at=at(0), task_id=f"t{number}", workflow_id="w")))
    found = await Timelines(log).of("agent", "a", NOW, LATER)
    assert ([row.task_id for row in found.rows], found.omitted) == (["t2", "t3", "t4"], 2)
    assert "2 earlier tasks are left out." in drawn(found)
    assert "2 earlier tasks are left out." in page(found)


def drawn(timeline: Timeline, width: int = 80) -> str:
    console = Console(file=io.StringIO(), width=width, force_terminal=False)
    for part in view.parts(timeline):
        console.print(part)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


async def test_the_terminal_shows_who_ran_what_when_and_where_the_cut_is() -> None:
    log = a_workflow()
    found = await Timelines(log).of("workflow", "w", Cut(version=11), LATER)
    told = drawn(found)
    assert max(map(len, told.splitlines())) <= 80
    first, second = [line for line in told.splitlines() if line.startswith("t")][:2]
    assert first.endswith("│ completed 3 s bob")
    bar = first.split(" ", 1)[1].split("│")[0].rstrip()
    assert [sign for place, sign in enumerate(bar) if sign != (bar[place - 1] if place else None)] == [
        " ", "·", "░", "█", " ", "·", "█",
    ]  # fmt: skip
    assert second.split("│")[0].endswith("·")
    assert "to the cut at 2024-01-17 10:00:11Z, 10 s" in told
    assert "▲" in told
    for width in (40, 200):
        assert "completed" in drawn(found, width)


async def test_the_page_needs_nothing_from_elsewhere_and_acts_on_nothing_that_it_is_told() -> None:
    log = ToldLog()
    evil = '"><script>alert(1)</script>&'
    log.tell(
        ("workflow-w", workflows.WorkflowCreated(at=at(0), workflow_id=evil, definition_id="d", definition_version="1"))
    )
    log.tell(("workflow-w", workflows.WorkflowTaskAdded(at=at(0), task_id=evil, definition_id="d")))
    log.tell(("workflow-w", moved(evil, "running", evil)))
    log.tell(("workflow-w", moved(evil, "failed", evil)))
    made = page(await Timelines(log).of("workflow", "w", NOW, LATER))
    tags: set[str] = set()
    sources: list[str] = []

    class Looking(HTMLParser):
        def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
            tags.add(tag)
            sources.extend(name for name, _ in attrs if name in ("src", "href") or name.startswith("on"))

    Looking().feed(made)
    assert "script" not in tags
    assert tags >= {"svg", "rect", "line", "title"}
    assert sources == []
    assert "://" not in made
    assert made.count("failed") == 3, "at the end of the bar, beside it, and in the table"


async def test_the_page_tells_all_that_it_draws_in_a_table_too() -> None:
    found = await Timelines(a_workflow()).of("workflow", "w", Cut(version=11), LATER)
    made = page(found)
    cells = re.findall("<td>(.*?)</td>", made)
    rows = [tuple(cells[place : place + 3]) for place in range(0, len(cells), 5)]
    assert [row for row in rows if row[0] == "t1"] == [
        ("t1", "created", ""),
        ("t1", "scheduled", ""),
        ("t1", "assigned", "ann"),
        ("t1", "running", "ann"),
        ("t1", "scheduled", ""),
        ("t1", "running", "bob"),
        ("t1", "completed", ""),
    ]
    assert [row for row in rows if row[0] == "t2"] == [("t2", "created", "")]
    assert "started 2024-01-17 10:00:03Z" in made
    assert ">10:00:04</text>" in made, "there are moments to read the bars by"


def test_the_page_can_be_read_in_light_and_in_dark() -> None:
    def light(colour: str) -> float:
        parts = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
        linear = [part / 12.92 if part <= 0.04045 else ((part + 0.055) / 1.055) ** 2.4 for part in parts]
        return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]

    def contrast(one: str, other: str) -> float:
        darker, lighter = sorted((light(one), light(other)))
        return (lighter + 0.05) / (darker + 0.05)

    for colour in timeline_page.COLOURS:
        assert contrast(colour, "#ffffff") >= 4.5, "names of agents are white on it"
        assert contrast(colour, "#14191f") >= 3
    for scheme, paper in ((timeline_page._LIGHT, "#ffffff"), (timeline_page._DARK, "#14191f")):
        named = dict(re.findall(r"--(\w+):(#\w{6})", scheme))
        assert min(contrast(named["ink"], paper), contrast(named["soft"], paper)) >= 4.5
        assert contrast(named["edge"], paper) >= 3
