"""A world in memory to drive commands through the real decider, committer and log port.

given / when / then by commands: `accept`, `unchanged` and `refuse` do one and see what it came to. Nothing in
here waits, so that tests need no event loop.
"""

from collections.abc import Coroutine, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID, uuid4

from commands.committer import Committer
from commands.decider import Decider
from commands.envelope import Answer, Envelope
from commands.messages import Command
from commands.messages import agent as agents
from commands.messages import pool as pools
from commands.messages import task as tasks
from commands.messages import workflow as workflows
from commands.preparing import Preparer
from commands.work import Loaded, Telemetry
from domain.agent import AGENT, Agent
from domain.aggregate import Aggregate, Event
from domain.all_events import AGGREGATES
from domain.log import RecordedEvent
from domain.pool import POOL, Pool
from domain.system import SYSTEM, SYSTEM_ID, System
from domain.task import TASK, Task
from domain.workflow import ACTIVE, WORKFLOW, Workflow
from tests.support.log import decode
from tests.support.memory_log import MemoryEventLog

BEGINNING = datetime(2024, 1, 17, 10, 0, tzinfo=UTC)
T = TypeVar("T")


def at_once(work: Coroutine[Any, Any, T]) -> T:
    """The result of a coroutine that never waits."""
    try:
        work.send(None)
    except StopIteration as done:
        return done.value  # type: ignore[no-any-return]  # StopIteration carries what the coroutine returns
    raise AssertionError("it waits for something")


def envelope(command: Command, *, command_id: UUID | None = None, expected: int | None = None) -> Envelope:
    return Envelope(command_id or uuid4(), command, "tester", "conversation-1", expected_version=expected)


class Clock:
    """Stands still unless told to move."""

    def __init__(self, now: datetime = BEGINNING) -> None:
        self.now = now

    def __call__(self) -> datetime:
        return self.now

    def pass_(self, seconds: float) -> datetime:
        self.now += timedelta(seconds=seconds)
        return self.now


class Presence:
    """Keeps what heartbeats told."""

    def __init__(self) -> None:
        self.heard: list[Telemetry] = []

    async def record(self, heartbeats: Sequence[Telemetry]) -> None:
        self.heard.extend(heartbeats)


class World:
    """One writer to a log in memory. A second world on the same log is another process."""

    def __init__(
        self,
        log: MemoryEventLog | None = None,
        clock: Clock | None = None,
        cache_size: int = 1000,
        retries: Sequence[float] = (),
    ) -> None:
        self.clock = clock or Clock()
        self.log = log or MemoryEventLog(self.clock)
        self.shared = False  # does another process write to this log?
        self.presence = Presence()
        self.decider = Decider(self.log, self, cache_size=cache_size)
        self.committer = Committer(
            self.log,
            self.decider,
            self.presence,
            Preparer(tenant="bank", new_id=uuid4),
            clock=self.clock,
            retries=retries,
        )
        self._folded: dict[str, Loaded[Any]] = {}
        self._seen = 0

    # --- when ---------------------------------------------------------------------------------------------

    def commit(self, *envelopes: Envelope) -> list[Answer]:
        """One group."""
        return at_once(self.committer.commit(envelopes))

    def do(self, command: Command, **about: Any) -> Answer:
        return self.commit(envelope(command, **about))[0]

    def given(self, *commands: Command) -> None:
        """Each is accepted; a second passes between them."""
        for command in commands:
            self.accept(command)
            self.clock.pass_(1)

    # --- then ---------------------------------------------------------------------------------------------

    def accept(self, command: Command, **about: Any) -> list[Event]:
        """It is accepted, with one append for all; gives its events."""
        before = len(self.log.events)
        answer = self.do(command, **about)
        assert (answer.outcome, answer.problem) == ("accepted", None)
        recorded = self.log.events[before:]
        assert [event.following for event in recorded] == list(range(len(recorded)))[::-1]
        assert answer.versions == {event.stream_id: event.version for event in recorded}
        assert answer.position == len(self.log.events)
        return [decode(event) for event in recorded]

    def unchanged(self, command: Command, **about: Any) -> None:
        """There was nothing new to record, and the answer is kept."""
        before = list(self.log.events)
        given = envelope(command, **about)
        (answer,) = self.commit(given)
        assert (answer.outcome, answer.problem, answer.versions, answer.position) == ("unchanged", None, {}, None)
        assert self.log.events == before
        assert given.command_id in self.log.commands

    def refuse(self, command: Command, reason: str, **about: Any) -> Answer:
        """It is refused for this reason, in one sentence; nothing happened, and the answer is kept."""
        before = list(self.log.events)
        given = envelope(command, **about)
        (answer,) = self.commit(given)
        assert answer.outcome == "refused"
        assert answer.problem is not None
        assert answer.problem.code == reason, answer.problem
        assert answer.problem.message.endswith(".")
        assert self.log.events == before
        assert given.command_id in self.log.commands
        return answer

    # --- what there is ------------------------------------------------------------------------------------

    def find(self, aggregate: Aggregate[Any], aggregate_id: str) -> Any:
        """The aggregate, folded from the log; None if there is none."""
        found = self.everything().get(aggregate.stream_id(aggregate_id))
        return found.state if found else None

    def stream(self, stream_id: str) -> list[RecordedEvent]:
        return [event for event in self.log.events if event.stream_id == stream_id]

    def types(self, stream_id: str) -> list[str]:
        return [event.type for event in self.stream(stream_id)]

    def workflow(self, workflow_id: str = "wf") -> Workflow:
        return self._there(WORKFLOW, workflow_id)  # type: ignore[no-any-return]  # the aggregate says which

    def task(self, task_id: str) -> Task:
        return self._there(TASK, task_id)  # type: ignore[no-any-return]  # the aggregate says which

    def agent(self, agent_id: str = "agent") -> Agent:
        return self._there(AGENT, agent_id)  # type: ignore[no-any-return]  # the aggregate says which

    def pool(self, pool_id: str = "pool") -> Pool:
        return self._there(POOL, pool_id)  # type: ignore[no-any-return]  # the aggregate says which

    def system(self) -> System:
        return self._there(SYSTEM, SYSTEM_ID)  # type: ignore[no-any-return]  # the aggregate says which

    def _there(self, aggregate: Aggregate[Any], aggregate_id: str) -> Any:
        state = self.find(aggregate, aggregate_id)
        assert state is not None, f"no {aggregate.category} {aggregate_id}"
        return state

    def everything(self) -> dict[str, Loaded[Any]]:
        """All aggregates by stream, folded from the log; what is handed out never changes."""
        for event in self.log.events[self._seen :]:
            before = self._folded.get(event.stream_id)
            aggregate = AGGREGATES[event.stream_id.partition("-")[0]]
            state = before.state.copy() if before and before.state is not None else None
            self._folded[event.stream_id] = Loaded(event.version, aggregate.evolve(state, decode(event)))
        self._seen = len(self.log.events)
        return self._folded.copy()

    def of_kind(self, aggregate: Aggregate[Any]) -> dict[str, Any]:
        """All aggregates of a kind by id."""
        prefix = f"{aggregate.category}-"
        return {
            stream_id.removeprefix(prefix): one.state
            for stream_id, one in self.everything().items()
            if stream_id.startswith(prefix)
        }

    async def active_workflows(self) -> int:
        return sum(one.state in ACTIVE for one in self.of_kind(WORKFLOW).values())


# --- given ------------------------------------------------------------------------------------------------


def create_workflow(workflow_id: str = "wf", **more: Any) -> Command:
    return workflows.CreateWorkflow(workflow_id=workflow_id, definition_id="assessment", **more)


def add_task(task_id: str, workflow_id: str = "wf", **more: Any) -> Command:
    return workflows.AddTask(workflow_id=workflow_id, task_id=task_id, definition_id="analysis", **more)


def assign(task_id: str, agent_id: str = "agent", **more: Any) -> Command:
    return tasks.AssignTask(task_id=task_id, agent_id=agent_id, reason="capability_match", **more)


def register_agent(agent_id: str = "agent", slots: int = 5, **more: Any) -> Command:
    return agents.RegisterAgent(
        agent_id=agent_id, agent_type="analyzer", max_concurrent_tasks=slots, **{"state": "healthy", **more}
    )


def create_pool(pool_id: str = "pool", cpu: str = "10", **more: Any) -> Command:
    return pools.CreatePool(pool_id=pool_id, total={"cpu": cpu}, **more)


def running_world(*task_ids: str, **workflow: Any) -> World:
    """A running workflow `wf` with these tasks scheduled, each in need of 2 cpu; an `agent` and a `pool`."""
    world = World()
    world.given(create_workflow(**workflow), register_agent(), create_pool())
    for task_id in task_ids:
        world.given(add_task(task_id, resource_requirements={"cpu": "2"}), tasks.ScheduleTask(task_id=task_id))
    world.given(workflows.StartWorkflow(workflow_id="wf"))
    return world


def start(world: World, *task_ids: str, agent_id: str = "agent", pool_id: str | None = "pool", **more: Any) -> None:
    """Assign and start tasks."""
    for task_id in task_ids:
        world.given(assign(task_id, agent_id, pool_id=pool_id, **more), tasks.StartTask(task_id=task_id))
