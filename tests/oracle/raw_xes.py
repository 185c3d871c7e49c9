"""What a raw XES log says of its traces at any moment: an oracle that shares no code with the project.

It reads the file with the standard library alone and applies the mapping of `import xes` (a trace is a
workflow, a work item a task, a resource an agent) in memory, one trace at a time, so that what the project
shows of an imported log can be held against it. Agents do not matter for the state of a task, so a trace's
own events, in order of time and then of the file, are all that a replay needs. It is one file on purpose,
though a long one: whoever doubts it reads it alone.

`python tests/oracle/raw_xes.py PATH` prints the totals that the import's report must agree with.
"""

import gzip
import random
import sys
import xml.etree.ElementTree as ET
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from enum import Enum
from functools import cached_property
from pathlib import Path
from typing import Final, Literal


class NoResource(Enum):
    """The type of `NO_RESOURCE`: no text, so that it never equals a resource of the log."""

    AGENT = "the one agent of all events without a resource"


# Whoever compares checks that the id found in its place is always the same one and none of the resources.
NO_RESOURCE: Final = NoResource.AGENT

Agent = str | NoResource
TaskState = Literal["scheduled", "running", "completed", "cancelled"]
CANCELLING = frozenset({"ate_abort", "pi_abort", "withdraw", "autoskip", "manualskip"})

DUPLICATE_TRACE = "trace of an id seen before"
WITHOUT_TIME = "event without a time"
IN_THE_FUTURE = "event in the future"


@dataclass(frozen=True, slots=True)
class RawEvent:
    """An event that counts: it has a time (kept in UTC) that is not in the future."""

    trace_id: str
    at: datetime
    activity: str
    transition: str  # in lower case; "" where the log has none
    agent: Agent


@dataclass(frozen=True)
class RawLog:
    """All traces of a log, by id in the order of the file; each one's events are in order of time."""

    traces: Mapping[str, list[RawEvent]]
    events_read: int  # those that are skipped, and those of skipped traces, included
    skipped: Mapping[str, int]

    @property
    def trace_ids(self) -> list[str]:
        return list(self.traces)

    @cached_property
    def resources(self) -> set[str]:
        """The resources that the events that count name, whether they ever got a task or not."""
        return {event.agent for event in self.events() if isinstance(event.agent, str)}

    def event_times(self, trace_id: str) -> list[datetime]:
        """One time for each event of the trace, rising, equal ones repeated."""
        return [event.at for event in self.traces[trace_id]]

    def events(self) -> Iterator[RawEvent]:
        """All events that count, trace by trace."""
        for trace in self.traces.values():
            yield from trace


@dataclass(slots=True)
class ExpectedTask:
    """A task as it must be shown; `suspended` is no state of its own, the task runs on."""

    state: TaskState
    created_at: datetime
    scheduled_at: datetime
    assigned_agent: Agent | None = None
    start_time: datetime | None = None
    end_time: datetime | None = None
    suspended: bool = False


@dataclass(frozen=True, slots=True)
class Expected:
    """A workflow as it must be shown at a moment."""

    workflow_state: Literal["running", "completed"]
    created_at: datetime
    started_at: datetime
    completed_at: datetime | None
    tasks: Mapping[str, ExpectedTask]


@dataclass(slots=True)
class Replay:
    """The tasks of one trace after the events applied so far, and how often each rule was used."""

    trace_id: str
    tasks: dict[str, list[ExpectedTask]] = field(default_factory=dict)  # by activity, oldest first
    rules: Counter[str] = field(default_factory=Counter)

    def apply(self, event: RawEvent) -> None:
        match event.transition:
            case "schedule":
                self._create(event)
                self.rules["schedule: a new task"] += 1
            case "start":
                self._start(event, "start")
            case "complete":
                self._complete(event)
            case "suspend":
                self._suspend(event)
            case "resume":
                self._resume(event)
            case transition if transition in CANCELLING:
                self._cancel(event)
            case _:
                self.rules["anything else"] += 1

    def by_id(self) -> dict[str, ExpectedTask]:
        return {
            f"{escaped(self.trace_id)}/{escaped(activity)}#{k}": task
            for activity, tasks in self.tasks.items()
            for k, task in enumerate(tasks, start=1)
        }

    def has_open_task(self) -> bool:
        return any(is_open(task) for tasks in self.tasks.values() for task in tasks)

    def _create(self, event: RawEvent) -> ExpectedTask:
        task = ExpectedTask("scheduled", created_at=event.at, scheduled_at=event.at)
        self.tasks.setdefault(event.activity, []).append(task)
        return task

    def _in_state(self, event: RawEvent, state: TaskState) -> list[ExpectedTask]:
        return [task for task in self.tasks.get(event.activity, []) if task.state == state]

    def _start(self, event: RawEvent, rule: str) -> None:
        scheduled = self._in_state(event, "scheduled")
        begin(scheduled[0] if scheduled else self._create(event), event)
        self.rules[f"{rule}: {'a scheduled task' if scheduled else 'an inferred task'}"] += 1

    def _complete(self, event: RawEvent) -> None:
        running = self._in_state(event, "running")
        own = [task for task in running if task.assigned_agent == event.agent]
        scheduled = self._in_state(event, "scheduled")
        if own:
            task, what = own[0], "a running task of its resource"
        elif running:
            task, what = running[0], "a running task of another resource"
        elif scheduled:
            task, what = begin(scheduled[0], event), "a scheduled task, at once"
        else:
            task, what = begin(self._create(event), event), "a task of one moment"
        end(task, "completed", event)
        self.rules[f"complete: {what}"] += 1

    def _suspend(self, event: RawEvent) -> None:
        """Each suspend takes a task that is not suspended yet, so that each can be resumed."""
        going = [task for task in self._in_state(event, "running") if not task.suspended]
        if going:
            going[0].suspended = True
        self.rules[f"suspend: {'a running task' if going else 'nothing to suspend'}"] += 1

    def _resume(self, event: RawEvent) -> None:
        suspended = [task for task in self._in_state(event, "running") if task.suspended]
        if suspended:
            suspended[0].suspended = False
            self.rules["resume: a suspended task"] += 1
        else:
            self._start(event, "resume, as start")

    def _cancel(self, event: RawEvent) -> None:
        still_open = [task for task in self.tasks.get(event.activity, []) if is_open(task)]
        if still_open:
            end(still_open[0], "cancelled", event)
        self.rules[f"{event.transition}: {'an open task' if still_open else 'nothing to cancel'}"] += 1


def begin(task: ExpectedTask, event: RawEvent) -> ExpectedTask:
    task.state, task.assigned_agent, task.start_time = "running", event.agent, event.at
    return task


def end(task: ExpectedTask, state: Literal["completed", "cancelled"], event: RawEvent) -> None:
    task.state, task.end_time, task.suspended = state, event.at, False


def is_open(task: ExpectedTask) -> bool:
    return task.state in ("scheduled", "running")


def escaped(name: str) -> str:
    """The name without the two characters that part a task's id; `%` too, so that no two names clash."""
    return name.replace("%", "%25").replace("/", "%2F").replace("#", "%23")


def state_at(log: RawLog, trace_id: str, moment: datetime) -> Expected | None:
    """The trace's workflow after all events up to and at `moment` (with a zone); None before the first.

    Raises KeyError for a trace that the log lacks.
    """
    events = log.traces[trace_id]
    if not events or moment < events[0].at:
        return None
    replay = Replay(trace_id)
    for event in events:
        if event.at <= moment:
            replay.apply(event)
    begun, last = events[0].at, events[-1].at
    completed = moment >= last and not replay.has_open_task()
    return Expected(
        workflow_state="completed" if completed else "running",
        created_at=begun,
        started_at=begun,
        completed_at=last if completed else None,
        tasks=replay.by_id(),
    )


def random_pairs(log: RawLog, n: int, seed: int) -> list[tuple[str, datetime]]:
    """`n` different pairs of trace and moment, each at an event's time or a microsecond before it.

    Traces with many events come up more often: they have more moments. A moment before a trace's first
    event, when there is no workflow yet, can be among them. Raises ValueError if the log has fewer pairs.
    """
    events = dict.fromkeys((event.trace_id, event.at) for event in log.events())
    before = timedelta(microseconds=1)
    pairs = dict.fromkeys((trace, moment) for trace, at in events for moment in (at, at - before))
    return random.Random(seed).sample(list(pairs), n)


def load(path: str | Path, now: datetime | None = None) -> RawLog:
    """The whole log, plain or gzipped, in memory; events later than `now` (the clock's) are left out."""
    latest = now or datetime.now(UTC)
    traces: dict[str, list[RawEvent]] = {}
    skipped: Counter[str] = Counter()
    events_read = 0
    for number, element in enumerate(trace_elements(Path(path)), start=1):
        trace_id = attributes(element).get("concept:name") or f"trace-{number}"
        event_elements = [child for child in element if local_name(child) == "event"]
        events_read += len(event_elements)
        if trace_id in traces:
            skipped[DUPLICATE_TRACE] += 1
            continue
        events = events_that_count(trace_id, event_elements, latest, skipped)
        traces[trace_id] = sorted(events, key=lambda event: event.at)  # stable: the file's order breaks ties
    return RawLog(traces, events_read, skipped)


def trace_elements(path: Path) -> Iterator[ET.Element]:
    """Each trace once it is read to its end; what was read before is let go."""
    with path.open("rb") as probe:
        gzipped = probe.read(2) == b"\x1f\x8b"
    with gzip.open(path, "rb") if gzipped else path.open("rb") as file:
        steps = ET.iterparse(file, events=("start", "end"))
        _, root = next(steps)
        for step, element in steps:
            if step == "end" and local_name(element) == "trace":
                yield element
                root.clear()


def events_that_count(
    trace_id: str, elements: Iterable[ET.Element], latest: datetime, skipped: Counter[str]
) -> Iterator[RawEvent]:
    for element in elements:
        found = attributes(element)
        at = time_of(found.get("time:timestamp", ""))
        if at is None:
            skipped[WITHOUT_TIME] += 1
        elif at > latest:
            skipped[IN_THE_FUTURE] += 1
        else:
            transition = found.get("lifecycle:transition", "").lower()
            agent = found.get("org:resource") or NO_RESOURCE
            yield RawEvent(trace_id, at, found.get("concept:name", ""), transition, agent)


def attributes(element: ET.Element) -> dict[str, str]:
    """The element's own attributes; those nested in one of them say something of it alone."""
    return {child.get("key", ""): child.get("value", "") for child in element if local_name(child) != "event"}


def local_name(element: ET.Element) -> str:
    return element.tag.rpartition("}")[2]


def time_of(text: str) -> datetime | None:
    """The time in UTC; None for one that cannot be read or lacks a zone."""
    try:
        at = datetime.fromisoformat(text)
        return at.astimezone(UTC) if at.tzinfo else None
    except (ValueError, OverflowError):
        return None


@dataclass(frozen=True, slots=True)
class Totals:
    """What the import's report must say; `rules` says how often each line of the mapping was used."""

    traces: int
    events_read: int
    events: int
    workflows: Mapping[str, int]  # by final state; a trace of which no event counts is no workflow
    tasks: Mapping[str, int]  # by final state
    agents: int  # resources of events, and one more if any event has none
    agents_assigned: int  # those of them that ever got a task
    skipped: Mapping[str, int]
    rules: Mapping[str, int]


def totals(log: RawLog) -> Totals:
    workflows: Counter[str] = Counter()
    tasks: Counter[str] = Counter()
    rules: Counter[str] = Counter()
    assigned: set[Agent] = set()
    for trace_id, events in log.traces.items():
        replay = Replay(trace_id)
        for event in events:
            replay.apply(event)
        if events:
            workflows["running" if replay.has_open_task() else "completed"] += 1
        rules += replay.rules
        for task in replay.by_id().values():
            tasks[task.state] += 1
            if task.assigned_agent is not None:
                assigned.add(task.assigned_agent)
    return Totals(
        traces=len(log.traces),
        events_read=log.events_read,
        events=sum(len(events) for events in log.traces.values()),
        workflows=workflows,
        tasks=tasks,
        agents=len({event.agent for event in log.events()}),
        agents_assigned=len(assigned),
        skipped=log.skipped,
        rules=rules,
    )


def lines(found: Totals) -> Iterator[str]:
    yield f"{found.traces:>9,} traces"
    yield f"{found.events_read:>9,} events read, {found.events:,} of them counted"
    yield f"{found.agents:>9,} agents, {found.agents_assigned:,} of them with a task"
    parts = [("workflow", found.workflows), ("task", found.tasks), ("skipped", found.skipped)]
    for title, counts in [*parts, ("rule", found.rules)]:
        for name, count in sorted(counts.items()):
            yield f"{count:>9,} {title}: {name}"


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit("usage: python tests/oracle/raw_xes.py PATH")
    print("\n".join(lines(totals(load(sys.argv[1])))))
