"""Transactions: what is done within one is decided at one moment and recorded as one, or not at all."""

from collections.abc import Mapping
from typing import Any, Protocol

from commands.envelope import Answer, Envelope
from commands.messages.transaction import Transaction as TransactionCommand
from commands.work import Loaded
from domain.errors import ConflictError, CutOutOfRange, InvalidInput, NotFound
from domain.folding import FOLDER
from domain.log import NOW, Cut
from domain.system import SYSTEM_ID
from domain.values import MAX_ID_LENGTH
from dora_state.editing import EditableState, Plan, plan
from dora_state.editing.changes import NO_REASON, Step, told_value
from dora_state.editing.said import check_said
from dora_state.handing_back import TakingBack, require_same
from dora_state.naming import check_named, check_stream
from dora_state.platform import Platform, now
from dora_state.refusals import TransactionEnded, require_done
from dora_state.states import require_editable
from projections.documents import RENDERINGS
from projections.documents.system import unheard_of
from projections.documents.values import decode, encode


class Submitter(Protocol):
    """What a transaction asks of a StateManager."""

    @property
    def platform(self) -> Platform: ...

    def parse(self, submission: Mapping[str, object]) -> Envelope: ...

    async def submit(self, submission: Envelope) -> Answer: ...


class Transaction(TakingBack):
    """Made by `StateManager.transaction()`. Reads are as of its beginning; what was read is checked at the commit.

    Leaving the block commits, unless that was done; leaving it by an exception appends nothing.
    """

    def __init__(self, manager: Submitter, begun: Cut, about: Mapping[str, object], reason: str | None) -> None:
        """`begun` is where the log was then."""
        self._manager = manager
        self._begun = begun
        self._about = about
        self._reason = reason
        self._steps: list[Step] = []
        self._expected: dict[str, int] = {}
        self._required: set[str] = set()
        """Streams whose versions the caller said, and did not only read: they are checked where nothing is done too."""
        self._handed: dict[str, tuple[EditableState, Plan]] = {}
        """By stream, what was handed back."""
        self._ended = False
        self.answer: Answer | None = None
        """Of the commit."""

    # --- reading --------------------------------------------------------------------------------------------

    async def get(self, kind: str, aggregate_id: str) -> EditableState:
        """The state as of the beginning, to be changed and handed back.

        Raises NotFound, and CutOutOfRange for what began since; that it was not there is checked at the commit too.
        """
        self._require_open()
        try:
            state = await read_editable(self._manager.platform, kind, aggregate_id, self._begun)
        except (NotFound, CutOutOfRange):
            self._expect(_stream_id(kind, aggregate_id), 0)
            raise
        self._expect(_stream_id(kind, aggregate_id), state["stream_version"])
        return state

    async def get_workflow(self, workflow_id: str) -> EditableState:
        return await self.get("workflow", workflow_id)

    async def get_task(self, task_id: str) -> EditableState:
        return await self.get("task", task_id)

    async def get_agent(self, agent_id: str) -> EditableState:
        return await self.get("agent", agent_id)

    async def get_pool(self, pool_id: str) -> EditableState:
        return await self.get("pool", pool_id)

    async def get_system(self) -> EditableState:
        return await self.get("system", SYSTEM_ID)

    def expect(self, stream_id: str, version: int) -> None:
        """A stream must be at this version at the commit; 0: it must not be there. Raises InvalidInput."""
        self._require_open()
        check_stream(stream_id)
        self._expect(stream_id, version)
        self._required.add(stream_id)

    # --- changing -------------------------------------------------------------------------------------------

    async def submit(self, type: str, /, **data: object) -> None:
        """Add a command by its name, to be decided at the commit: `await txn.submit("StartTask", task_id="t1")`."""
        self._require_open()
        self._steps.append(Step(type, {name: told_value(value) for name, value in data.items()}))

    async def update_task_state(
        self, task_id: str, state: str, *, reason: str | None = None, agent_id: str | None = None
    ) -> None:
        """Bring a task to a state by the command that does so. `agent_id` is for `assigned`."""
        match str(state):
            case "completed":
                await self.submit("CompleteTask", task_id=task_id)
            case "running":
                await self.submit("StartTask", task_id=task_id)
            case "failed":
                await self.submit("FailTask", task_id=task_id, error=self._why(reason))
            case "cancelled":
                await self.submit("CancelTask", task_id=task_id, reason=self._why(reason))
            case "timed_out":
                await self.submit("TimeOutTask", task_id=task_id)
            case "assigned" if agent_id is not None:
                await self.submit("AssignTask", task_id=task_id, agent_id=agent_id, reason=self._why(reason))
            case "scheduled":
                before = (await self.get_task(task_id))["state"]
                name = "RetryTask" if before in ("failed", "timed_out") else "ScheduleTask"
                await self.submit(name, task_id=task_id)
            case "assigned":
                raise InvalidInput("To whom? Give agent_id with the state assigned.", field="agent_id")
            case _:
                raise InvalidInput(f"No command brings a task to {str(state)[:MAX_ID_LENGTH]!r}.", field="state")

    async def set_task_outputs(self, task_id: str, outputs: Mapping[str, object]) -> None:
        await self.submit("RecordOutputs", task_id=task_id, outputs=dict(outputs))

    async def update(self, state: EditableState, expected_version: int | None = None) -> None:
        """Hand back a state; also where nothing was changed in it, it must be current at the commit.

        It may be changed further and handed back again: what it says in the end must be so. Raises InvalidInput for
        what no command can say.
        """
        self._require_open()
        require_editable(state)
        stream_id = _stream_id(state.kind, state.id)
        earlier = self._handed.get(stream_id)
        if earlier is not None:
            require_same(earlier[0], state)
        planned = plan(state, self._reason, earlier and earlier[1])
        version = state.original["stream_version"] if expected_version is None else expected_version
        self.expect(stream_id, version)
        self._steps += planned.steps
        self._handed[stream_id] = state, planned

    # --- the end --------------------------------------------------------------------------------------------

    async def commit(self) -> Answer | None:
        """Decide and record all of it. None where there was nothing to do.

        Raises OptimisticLockException where something that was read has changed since, CommandRefused that names the
        command, InvalidInput where something was changed in a state that will be otherwise.
        """
        self._require_open()
        self._ended = True
        if not self._steps:
            await self._require_current()
            self._hold_said_against({})
            return None
        envelope = self._envelope()
        if any(planned.said for _, planned in self._handed.values()) and await self._is_new(envelope):
            await self._check_said(envelope)
        self.answer = require_done(await self._manager.submit(envelope))
        return self.answer

    @property
    def is_open(self) -> bool:
        return not self._ended

    def _envelope(self) -> Envelope:
        commands = [{"type": step.type, "data": dict(step.data)} for step in self._steps]
        data = {"commands": commands, "expected": self._expected}
        return self._manager.parse({**self._about, "type": TransactionCommand.type, "data": data})

    async def _is_new(self, envelope: Envelope) -> bool:
        """What was decided under this id stays as it was answered, whatever follows by now."""
        return await self._manager.platform.log.find_command(envelope.command_id) is None

    async def _require_current(self) -> None:
        """What the commit checks, where there is nothing to commit."""
        current = await self._manager.platform.log.stream_versions(sorted(self._required))
        for stream_id in self._required:
            expected, actual = self._expected[stream_id], current.get(stream_id, 0)
            if actual != expected:
                raise ConflictError(
                    f"{stream_id} is at version {actual}, not at {expected}; read it again and decide again.",
                    stream_id=stream_id,
                    expected=expected,
                    actual=actual,
                )

    async def _check_said(self, envelope: Envelope) -> None:
        """What is said to follow is held against a decision that is only tried; that what it stands on has not changed
        is what the commit itself sees to.
        """
        decision = await self._manager.platform.new_decider().decide(envelope, now())
        if decision.problem is None and decision.unexpected is None:  # else the commit says why
            self._hold_said_against(decision.work.left)

    def _hold_said_against(self, left: Mapping[str, Loaded[Any]]) -> None:
        """`left` is what the commands change."""
        for stream_id, (state, planned) in self._handed.items():
            found = left.get(stream_id)
            follows = state.original
            if found is not None:
                follows = decode(RENDERINGS[state.kind].render(found.state, found.version, 0, now()))
            check_said(state.kind, planned.said, follows)

    def _expect(self, stream_id: str, version: int) -> None:
        known = self._expected.setdefault(stream_id, version)
        if known != version:
            raise ConflictError(
                f"{stream_id} was at version {known} when this transaction read it, and not at {version}; read it"
                " within the transaction.",
                stream_id=stream_id,
                expected=version,
                actual=known,
            )

    def _why(self, reason: str | None) -> str:
        return reason or self._reason or NO_REASON

    def _require_open(self) -> None:
        if self._ended:
            raise TransactionEnded()


def _stream_id(kind: str, aggregate_id: str) -> str:
    return FOLDER.aggregates[kind].stream_id(SYSTEM_ID if kind == "system" else aggregate_id)


async def read_editable(platform: Platform, kind: str, aggregate_id: str, cut: Cut = NOW) -> EditableState:
    """A state folded from the log, as a caller may change it. Raises InvalidInput, NotFound, CutOutOfRange."""
    check_named(kind, aggregate_id)
    if kind != "system":
        return EditableState(kind, await platform.queries.state_at(kind, aggregate_id, cut))
    # Its counts are of read models, and no command changes them.
    folded = await FOLDER.at(platform.log, _stream_id(kind, aggregate_id), cut)
    if folded.state is None or folded.place is None:
        return EditableState(kind, decode(encode(unheard_of(now()))))
    place = folded.place
    rendered = RENDERINGS[kind].render(folded.state, place.version, place.position, place.recorded_at)
    return EditableState(kind, decode(rendered))
