"""Transactions from outside: commands and states that were changed, decided at one moment and recorded as one."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, cast

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator
from starlette.responses import Response

from commands.envelope import Answer, Envelope
from commands.locks import stream_of
from commands.messages.transaction import MOST_COMMANDS, Version
from commands.messages.workflow import RollBackWorkflow
from commands.strict_json import parse_json
from commands.wording import invalid
from domain.errors import ConflictError, CutOutOfRange, InvalidInput, NotFound
from domain.folding import FOLDER
from domain.log import Cut
from domain.system import SYSTEM_ID
from domain.values import Id, Text
from dora_state.http.answers import answer_response
from dora_state.http.call import Call
from dora_state.http.going_back import looks_back
from dora_state.http.operations import JSON
from dora_state.http.problems import RequestError, as_json
from dora_state.http.submissions import Said, checked
from dora_state.platform import Platform
from dora_state.refusals import CommandRefused
from dora_state.state_manager.kinds import check_kind
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
    """What was changed in a state that was read at a version, as an RFC 7396 merge patch; the system needs no id."""

    kind: Id
    id: str = ""
    version: Version
    changes: dict[str, Any]


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


class TransactionBody(_Model):
    """`expected`: versions by `KIND:ID`, or `system`, that must be current; 0 where there must be nothing."""

    steps: Annotated[list[StepBody], Field(min_length=1, max_length=MOST_COMMANDS)]
    expected: dict[Id, Version] = Field(default_factory=dict)
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
    said, raw = Said.by(call), await call.body()
    if said.expected is not None:
        raise InvalidInput("If-Match: a transaction names versions in `expected`.", field="If-Match")
    try:
        asked = TransactionBody.model_validate(parse_json(raw))
    except ValidationError as error:
        raise invalid(error, TransactionBody, None, "The transaction") from None
    head = await call.manager.platform.log.head()
    about = {"actor": asked.actor, "correlation_id": asked.correlation_id}
    named = {name: value for name, value in about.items() if value is not None}
    transaction = Transaction(_Submitter(call, said), head.position, named, asked.reason)
    for name, version in asked.expected.items():
        transaction.expect(stream_of(f"system:{SYSTEM_ID}" if name == "system" else name), version)
    are_past = [await _take(call, said, transaction, step) for step in asked.steps]
    try:
        answer = await transaction.commit()
    except CommandRefused as refused:
        return answer_response(cast(Answer, refused.answer), said.headers)
    except InvalidInput:
        if any(are_past):
            raise RequestError("command_id_reused", REUSED) from None
        raise
    if answer is None:
        return Response(as_json({"outcome": "unchanged"}), 200, said.headers, JSON)
    return answer_response(answer, said.headers)


async def _take(call: Call, said: Said, transaction: Transaction, step: StepBody) -> bool:
    """Whether it stands on what is past."""
    if step.task_state is not None:
        task = step.task_state
        await transaction.update_task_state(task.task_id, task.state, reason=task.reason, agent_id=task.agent_id)
    elif step.state is not None:
        return await _take_state(call, said, transaction, step.state)
    elif step.type is not None and step.data is not None:
        if step.type == RollBackWorkflow.type:
            await looks_back(call, step.data)
        await transaction.submit(step.type, **step.data)
    return False


async def _take_state(call: Call, said: Said, transaction: Transaction, told: StateStep) -> bool:
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
        state = await read_editable(platform, told.kind, id, Cut(version=told.version) if told.version else Cut())
        state.change(told.changes)
        await transaction.update(state, told.version)
        return is_past
    except (CutOutOfRange, InvalidInput, NotFound):
        if is_past:
            raise RequestError("command_id_reused", REUSED) from None
        raise


async def _has_its_answer(call: Call, said: Said) -> bool:
    return said.command_id is not None and await call.manager.platform.log.find_command(said.command_id) is not None
