"""What an export costs, by format, and whether its memory stays."""

from collections.abc import Iterator
from datetime import UTC, datetime

from benchmarks.filling import append, new_event, opened
from benchmarks.rows import Row, row
from benchmarks.stage import Stage
from benchmarks.watching import Memory
from domain import task as tasks
from domain import workflow as workflows
from domain.agent import AgentRegistered
from domain.aggregate import Event
from domain.log import CommandAppend
from dora_state.exporting import begin_export
from dora_state.platform import new_id
from infrastructure.event_store import PostgresEventLog
from projections.exports import FORMATS

NAME = "time"
TASKS = 5
AT = datetime(2024, 1, 17, 10, tzinfo=UTC)
Told = tuple[str, Event]


async def exports(stage: Stage, events: int) -> list[Row]:
    """Of workflows of five tasks each, one after the other."""
    rows: list[Row] = []
    async with opened(stage) as manager:
        cases = events // sum(map(len, case(0)))
        await tell_cases(manager.platform.log, cases)
        for format in FORMATS:
            chosen = await begin_export(manager.platform, format)
            memory = Memory(chosen.selection.until)
            report, seconds = await memory.timed(chosen.into(_nowhere, memory))
            what = f"export as {format} of {report.events:,} events"
            rows += [
                row(NAME, what, "events", "a second", [report.events / seconds]),
                row(NAME, what, "memory in the last quarter, against the second", "MB", *memory.quarters, at_most=1.05),
            ]
    return rows


def _nowhere(data: bytes) -> None:
    """Written at once."""


async def tell_cases(log: PostgresEventLog, cases: int, at_once: int = 10_000) -> None:
    agent = ("agent-a", AgentRegistered(at=AT, agent_id="a", agent_type="bench"))
    group = [_command([agent], {})]
    for number in range(cases):
        versions: dict[str, int] = {}
        group += [_command(command, versions) for command in case(number)]
        if len(group) >= at_once:
            await append(log, group)
            group = []
    await append(log, group)


def _command(told: list[Told], versions: dict[str, int]) -> CommandAppend:
    expected = {stream_id: versions.get(stream_id, 0) for stream_id, _ in told}
    for stream_id, _ in told:
        versions[stream_id] = versions.get(stream_id, 0) + 1
    return CommandAppend(new_id(), expected, tuple(new_event(*one) for one in told), b"{}")


def case(number: int) -> Iterator[list[Told]]:
    """The commands of one workflow's life: 33 with 58 events."""
    workflow_id, stream = f"w{number}", f"workflow-w{number}"
    context = {"amount": number, "customer": f"c{number % 1000}"}
    yield [
        (
            stream,
            workflows.WorkflowCreated(
                at=AT, workflow_id=workflow_id, definition_id="loan", definition_version="1", context=context
            ),
        )
    ]
    yield [(stream, workflows.WorkflowStarted(at=AT))]
    for place in range(TASKS):
        task_id = f"{workflow_id}/{place}"
        created = tasks.TaskCreated(at=AT, task_id=task_id, workflow_id=workflow_id, definition_id=f"step {place}")
        added = workflows.WorkflowTaskAdded(at=AT, task_id=task_id, definition_id=f"step {place}")
        yield [(stream, added), (f"task-{task_id}", created)]
        steps: list[tuple[str, Event]] = [
            ("scheduled", tasks.TaskScheduled(at=AT)),
            ("assigned", tasks.TaskAssigned(at=AT, agent_id="a", reason="bench")),
            ("running", tasks.TaskStarted(at=AT)),
            ("running", tasks.TaskProgressed(at=AT, percentage=50.0)),
            ("completed", tasks.TaskCompleted(at=AT, outputs={"score": 0.5})),
        ]
        for state, event in steps:
            changed = workflows.WorkflowTaskChanged.model_validate({"at": AT, "task_id": task_id, "state": state})
            own = [(f"task-{task_id}", event)]
            yield own if isinstance(event, tasks.TaskProgressed) else [*own, (stream, changed)]
    yield [(stream, workflows.WorkflowCompleted(at=AT))]
