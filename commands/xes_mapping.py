"""How the events of an XES log become steps on workflows, tasks and agents; bookkeeping only.

A trace is a workflow, a work item a task, a resource an agent. The mapping knows which items of a trace are
open and nothing else, so running it alone over a log tells what the import will do: that is how the capacity
of each agent is known before the first task is assigned, and how an import that was cut short goes on.
"""

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Literal, NamedTuple, Protocol

from pydantic import TypeAdapter, ValidationError

from commands.recorded_traces import AgentProfile, RecordedEvent, RecordedTrace, UnreadableTrace, begins, recorded_in
from domain.interchange import EVENT
from domain.values import Id

Operation = Literal["create", "start", "complete", "suspend", "resume", "cancel"]
CANCELLING = frozenset({"ate_abort", "pi_abort", "withdraw", "autoskip", "manualskip"})
NOBODY = "no-resource"
MAX_NAMES = 20
"""How many different odd transitions are named; the rest is counted as "other"."""
MAX_NAME_LENGTH = 80
EXAMPLES = 5
_ID: TypeAdapter[str] = TypeAdapter(Id)


class LoggedEvent(Protocol):
    """What the mapping reads of an event, in the order of the log's times."""

    @property
    def trace_id(self) -> str: ...
    @property
    def activity(self) -> str | None: ...
    @property
    def transition(self) -> str | None: ...
    @property
    def resource(self) -> str | None: ...
    @property
    def attributes(self) -> Mapping[str, Any]: ...
    @property
    def last_of_trace(self) -> bool: ...


class Step(NamedTuple):
    """What one event does: operations on one task, by one agent. None at all is possible.

    In a trace that dora-state exported (`ours`), what was `recorded` by a command, and the agents that it `takes`;
    `told` says that the event is of use, with what was recorded or beside another that has it.
    """

    operations: tuple[Operation, ...] = ()
    task_id: str | None = None
    activity: str = ""
    agent_id: str | None = None
    ours: bool = False
    told: bool = False
    recorded: tuple[RecordedEvent, ...] = ()
    takes: tuple[str, ...] = ()

    @property
    def inferred(self) -> bool:
        """The log shows only the last of the operations; the ones before it must have happened too."""
        return len(self.operations) > 1


@dataclass(slots=True)
class _Item:
    number: int
    task_id: str
    resource: str | None = None
    suspended: bool = False


@dataclass(slots=True)
class _Items:
    """The open work items of one activity in one trace, oldest first."""

    created: int = 0
    scheduled: list[_Item] = field(default_factory=list)
    running: list[_Item] = field(default_factory=list)


class XesMapping:
    """Feed it the events in order; it answers with steps, and counts and names what it can't use.

    Of a trace whose id is not usable nothing may be imported; the events are counted here.
    """

    def __init__(self, nobody: str = NOBODY) -> None:
        self.skipped: Counter[str] = Counter()
        self.examples: dict[str, list[str]] = {}
        self.transitions: Counter[str] = Counter()
        self.agents: dict[str, AgentProfile] = {}
        self._nobody = nobody
        self._cases: dict[str, dict[str, _Items]] = {}
        self._ours: dict[str, RecordedTrace] = {}

    def step(self, event: LoggedEvent) -> Step:
        """What this event does."""
        ours = self._ours.get(event.trace_id) or self._begins_ours(event)
        return self._foreign_step(event) if ours is None else self._own_step(ours, event)

    def _begins_ours(self, event: LoggedEvent) -> RecordedTrace | None:
        """One of ours that can't be read, as a later release may have written it, is not guessed at either."""
        if event.trace_id in self._cases or not usable(event.trace_id):
            return None
        try:
            if not begins(event.trace_id, event.attributes):
                return None
        except UnreadableTrace:
            pass  # its first step says so
        ours = self._ours[event.trace_id] = RecordedTrace(self.agents)
        return ours

    def _own_step(self, ours: RecordedTrace, event: LoggedEvent) -> Step:
        if event.last_of_trace:
            del self._ours[event.trace_id]
        if ours.given_up:
            return self._skip_own("event after one of dora-state that can't be read", event)
        try:
            recorded = recorded_in(event.trace_id, event.attributes)
        except UnreadableTrace:
            ours.given_up = True
            return self._skip_own("event of dora-state that can't be read", event)
        if not recorded and EVENT not in event.attributes:
            return self._skip_own("event that dora-state did not record", event)
        return Step(ours=True, told=True, recorded=recorded, takes=ours.follow(recorded))

    def _skip_own(self, reason: str, event: LoggedEvent) -> Step:
        self._skip(reason, event)
        return Step(ours=True)

    def _foreign_step(self, event: LoggedEvent) -> Step:
        case = self._cases.setdefault(event.trace_id, {})
        if event.last_of_trace:
            del self._cases[event.trace_id]
        activity, resource = event.activity, event.resource
        agent_id = resource or self._nobody
        if not usable(event.trace_id):
            return self._skip("event of a trace whose id is no usable name", event)
        if activity is None:
            return self._skip("event without an activity", event)
        if not usable(activity) or (resource and not usable(resource)):
            return self._skip("event whose activity or resource is no usable name", event)
        items = case.setdefault(activity, _Items())
        found = self._operate(items, event)
        if found is None:
            return Step()
        operations, item = found
        if item is None:
            items.created += 1
            number = items.created
            item = _Item(number, f"{escape(event.trace_id)}/{escape(activity)}#{number}")
            if not usable(item.task_id):
                return self._skip("event whose trace and activity are too long together for a task's id", event)
        self._move(items, item, operations, resource, activity, agent_id)
        return Step(operations, item.task_id, activity, agent_id)

    def _operate(self, items: _Items, event: LoggedEvent) -> tuple[tuple[Operation, ...], _Item | None] | None:
        """The table of the mapping: which operations, on which open item; None for a new item."""
        transition = event.transition or "none"
        if transition == "schedule":
            return ("create",), None
        if transition == "start" or (transition == "resume" and not _suspended(items)):
            return (("start",), items.scheduled[0]) if items.scheduled else (("create", "start"), None)
        if transition == "complete":
            if items.running:
                own = [item for item in items.running if item.resource == event.resource]
                return ("complete",), (own or items.running)[0]
            if items.scheduled:
                return ("start", "complete"), items.scheduled[0]
            return ("create", "start", "complete"), None
        if transition == "suspend":
            going = [item for item in items.running if not item.suspended]
            if going:
                return ("suspend",), going[0]
            self._skip("suspend without a running item that is not suspended", event)
            return None
        if transition == "resume":
            return ("resume",), _suspended(items)[0]
        if transition in CANCELLING:
            still_open = sorted(items.scheduled + items.running, key=lambda item: item.number)
            if still_open:
                return ("cancel",), still_open[0]
            self._skip(f"{transition.replace('_', ' ')} without an open item", event)
            return None
        name = _short(transition)
        known = name in self.transitions or len(self.transitions) < MAX_NAMES
        self.transitions[name if known else "other"] += 1
        return None

    def _move(
        self,
        items: _Items,
        item: _Item,
        operations: Iterable[Operation],
        resource: str | None,
        activity: str,
        agent_id: str,
    ) -> None:
        """Keep the books: which items are open, and how many slots each agent needs at once."""
        for operation in operations:
            match operation:
                case "create":
                    items.scheduled.append(item)
                case "start":
                    items.scheduled.remove(item)
                    item.resource = resource
                    items.running.append(item)
                    items.running.sort(key=lambda one: one.number)
                    agent = self.agents.setdefault(agent_id, AgentProfile())
                    agent.capabilities.add(activity)
                    agent.take()
                case "complete" | "cancel":
                    if item in items.running:
                        items.running.remove(item)
                        self.agents[item.resource or self._nobody].busy -= 1
                    else:
                        items.scheduled.remove(item)
                case "suspend" | "resume":
                    item.suspended = operation == "suspend"

    def _skip(self, reason: str, event: LoggedEvent) -> Step:
        self.skipped[reason] += 1
        named = self.examples.setdefault(reason, [])
        if len(named) < EXAMPLES:
            what = f"{_short(event.activity)} of " if event.activity else ""
            named.append(f'{what}trace "{_short(event.trace_id)}"')
        return Step()


def _suspended(items: _Items) -> list[_Item]:
    return [item for item in items.running if item.suspended]


def _short(name: str) -> str:
    return name if len(name) <= MAX_NAME_LENGTH else f"{name[: MAX_NAME_LENGTH - 3]}..."


def escape(name: str) -> str:
    """So that no two pairs of trace and activity can give one task id."""
    return name.replace("%", "%25").replace("/", "%2F").replace("#", "%23")


@lru_cache(maxsize=4096)
def usable(name: str) -> bool:
    """Whether a name of the log can be an id here, by the rule of all ids."""
    try:
        _ID.validate_python(name, strict=True)
    except ValidationError:
        return False
    return True


def name_for_nobody(resources: Iterable[str] | Mapping[str, object]) -> str:
    """An id for who did what no resource is named for; one that no resource has."""
    taken = set(resources)
    name, number = NOBODY, 1
    while name in taken:
        number += 1
        name = f"{NOBODY}-{number}"
    return name
