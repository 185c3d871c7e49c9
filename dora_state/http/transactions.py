"""Transactions from outside: commands and states that were changed, decided at one moment and recorded as one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, cast

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator
from starlette.responses import Response

from commands.envelope import Answer, Envelope
from commands.messages.transaction import MOST_COMMANDS, MOST_EXPECTED, Version
from commands.messages.transaction import Transaction as Command
from commands.messages.workflow import RollBackWorkflow
from commands.streams import KINDS, check_stream
from commands.strict_json import parse_sound_json
from commands.wording import invalid
from domain.all_events import AGGREGATES
from domain.errors import ConflictError, CutOutOfRange, InvalidInput, NotFound
from domain.folding import FOLDER
from domain.log import START, AlreadyRecorded, Cut
from domain.system import SYSTEM, SYSTEM_ID
from domain.values import Id, Text
from dora_state.http.answers import answer_response
from dora_state.http.call import Call
from dora_state.http.going_back import looks_back
from dora_state.http.problems import RequestError
from dora_state.http.submissions import Said, checked
from dora_state.naming import check_kind
from dora_state.platform import Platform
from dora_state.refusals import CommandRefused
from dora_state.states import EditableState
from dora_state.transactions import Transaction, read_editable

REUSED = "The command id was used before, for a transaction with other content; take a fresh id for each command."


class _Model(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)


class TaskStateStep(_Model):
    """Bring a task to a state; `agent_id` is for `assigned`."""

    task_id: Id
    state: Id
    reason: Text | None = None
    agent_id: Id | None = None


class StateStep(_Model):
    """What was changed in a state that was read at a version, as an RFC 7396 merge patch; the system needs no id.
    Where a state comes again in the same transaction: what was changed since the step before."""

    kind: Id
    id: Id | None = None
    version: Version
    changes: dict[str, Any]

    @model_validator(mode="after")
    def _named(self) -> "StateStep":
        if self.id is None and self.kind != SYSTEM.category:
            raise ValueError("id must be given, but for the system")
        return self


class StepBody(_Model):
    """A command (`type` and `data`), or one of the other two."""

    type: Id | None = None
    data: dict[str, Any] | None = None
    task_state: TaskStateStep | None = None
    state: StateStep | None = None

    @model_validator(mode="after")
    def _one(self) -> "StepBody":
        is_command = self.type is not None and self.data is not None
        if [is_command, self.task_state is not None, self.state is not None].count(True) != 1 or (
            not is_command and (self.type is not None or self.data is not None)
        ):
            raise ValueError("a step is a command (type and data), a task_state or a state")
        return self


def _stream(name: str) -> str:
    """That `KIND:ID` names. Raises ValueError."""
    kind, _, aggregate_id = (f"{name}:{SYSTEM_ID}" if name == SYSTEM.category else name).partition(":")
    if kind not in AGGREGATES or not aggregate_id:
        raise ValueError(f"names nothing; write a kind ({KINDS}), a colon and an id")
    return check_stream(f"{kind}-{aggregate_id}")


def _named(name: str) -> str:
    _stream(name)
    return name


Name = Annotated[str, AfterValidator(_named)]


class TransactionBody(_Model):
    """`expected`: versions by `KIND:ID`, or `system`, that must be current; 0 where there must be nothing.

    Without steps, only these are checked.
    """

    steps: Annotated[list[StepBody], Field(max_length=MOST_COMMANDS)]
    expected: Annotated[dict[Name, Version], Field(max_length=MOST_EXPECTED)] = Field(default_factory=dict)
    actor: Id | None = None
    reason: Text | None = None
    correlation_id: Id | None = None


@dataclass(frozen=True, slots=True)
class _Submitter:
    """Who sends it stands in the envelope, as with any command."""

    call: Call
    said: Said

    @property
    def platform(self) -> Platform:
        return self.call.manager.platform

    def parse(self, submission: Mapping[str, object]) -> Envelope:
        return checked(self.call, dict(submission), self.said)

    async def submit(self, submission: Envelope) -> Answer:
        return await self.call.manager.submit(submission)


async def commit_transaction(call: Call) -> Response:
    said, raw = await Said.by(call), await call.body()
    if said.expected is not None:
        raise InvalidInput("If-Match: a transaction names versions in `expected`.", field="If-Match")
    try:
        asked = TransactionBody.model_validate(parse_sound_json(raw))
    except ValidationError as error:
        raise invalid(error, TransactionBody, None, "The transaction") from None
    if not asked.steps and not asked.expected:
        raise InvalidInput("steps: must not be empty, unless expected names versions to be checked.", field="steps")
    about = {"actor": asked.actor, "correlation_id": asked.correlation_id}
    named = {name: value for name, value in about.items() if value is not None}
    known = None if said.command_id is None else await call.manager.platform.log.find_command(said.command_id)
    begun = Cut(position=await _begun_at(call, known))
    transaction = Transaction(_Submitter(call, said), begun, named, asked.reason)
    for name, version in asked.expected.items():
        transaction.expect(_stream(name), version)
    are_past: list[bool] = []
    handed: dict[str, EditableState] = {}
    try:
        are_past = [await _take(call, said, transaction, step, handed) for step in asked.steps]
        answer = await transaction.commit()
    except (NotFound, CutOutOfRange):
        if known is not None:  # the first one found it
            raise RequestError("command_id_reused", REUSED) from None
        raise
    except CommandRefused as refused:
        return answer_response(cast(Answer, refused.answer), said.headers)
    except InvalidInput:
        if any(are_past):
            raise RequestError("command_id_reused", REUSED) from None
        raise
    return answer_response(answer or Answer(said.command_id, Command.type, "unchanged"), said.headers)


async def _begun_at(call: Call, known: AlreadyRecorded | None) -> int:
    """Where the log is; where it was before, for what was decided already: so its steps read what they read then, and
    it is the same command again, which gets its first answer."""
    log = call.manager.platform.log
    if known is None:
        return (await log.head()).position
    if known.first_position is None:
        return await log.position_at(known.recorded_at)
    return known.first_position - 1


async def _take(
    call: Call, said: Said, transaction: Transaction, step: StepBody, handed: dict[str, EditableState]
) -> bool:
    """Whether it stands on what is past. `handed`: the states of the steps before, by their streams."""
    if step.task_state is not None:
        task = step.task_state
        await transaction.update_task_state(task.task_id, task.state, reason=task.reason, agent_id=task.agent_id)
    elif step.state is not None:
        return await _take_state(call, said, transaction, step.state, handed)
    elif step.type is not None and step.data is not None:
        if step.type == RollBackWorkflow.type:
            await looks_back(call, step.data)
        await transaction.submit(step.type, **step.data)
    return False


async def _take_state(
    call: Call, said: Said, transaction: Transaction, told: StateStep, handed: dict[str, EditableState]
) -> bool:
    """A change is held against the state as it is. What was is the past, and not to be told by what is wrong with a
    change: an earlier version is a conflict, or has its first answer.
    """
    check_kind(told.kind)
    platform, id = call.manager.platform, told.id or SYSTEM_ID
    stream_id = FOLDER.aggregates[told.kind].stream_id(id)
    current = await platform.log.stream_version(stream_id)
    is_past = current not in (0, told.version)
    if is_past and not await _has_its_answer(call, said):
        raise ConflictError(
            f"{stream_id} is at version {current}, not at {told.version}; read it again and decide again.",
            stream_id=stream_id,
            expected=told.version,
            actual=current,
        )
    try:
        state = handed.get(stream_id)
        if state is None:
            state = await read_editable(platform, told.kind, id, Cut(version=told.version) if told.version else START)
            handed[stream_id] = state
        state.change(told.changes)
        await transaction.update(state, told.version)
        return is_past
    except (CutOutOfRange, InvalidInput, NotFound):
        if is_past:
            raise RequestError("command_id_reused", REUSED) from None
        raise


async def _has_its_answer(call: Call, said: Said) -> bool:
    return said.command_id is not None and await call.manager.platform.log.find_command(said.command_id) is not None
