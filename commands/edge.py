"""The edge: what comes from outside is validated here, once and strictly, and nowhere else.

The form of a submission is a JSON object: `type` and `data`, and beside them `command_id`, `actor`,
`correlation_id`, `causation_id`, `occurred_at`, `expected_version` and `tenant`, all but `actor` optional.
"""

import difflib
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Annotated, Any
from uuid import UUID

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from commands.envelope import Envelope
from commands.messages import COMMANDS, Command
from commands.messages.agent import Heartbeat
from commands.messages.transaction import MOST_COMMANDS, Expected, Transaction
from commands.strict_json import parse_json
from commands.tracing import TRACEPARENT
from commands.wording import invalid
from domain.errors import InvalidInput
from domain.text import visible
from domain.values import Id, Time, iso

MAX_BYTES = 1_048_576
CLOCK_SKEW = timedelta(minutes=1)
"""How far a caller's clock may be ahead of ours before `occurred_at` counts as in the future."""


def _parse_uuid(value: object) -> object:
    if isinstance(value, str):
        try:
            return UUID(value)
        except ValueError:
            raise ValueError("must be a UUID, for example 0190d8a4-7c3e-7b1f-9a52-3f1de6a1c001") from None
    return value


class _Submission(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    type: str
    data: dict[str, Any]
    command_id: Annotated[UUID, BeforeValidator(_parse_uuid)] | None = None
    actor: Id
    correlation_id: Id | None = None
    causation_id: Id | None = None
    occurred_at: Time | None = None
    expected_version: Annotated[int, Field(ge=0, le=2**62)] | None = None
    tenant: Id | None = None


class Edge:
    """Turns submissions to one tenant into envelopes."""

    def __init__(
        self,
        *,
        tenant: str,
        new_id: Callable[[], UUID],
        clock: Callable[[], datetime],
        default_actor: str | None = None,
    ) -> None:
        self._tenant = tenant
        self._new_id = new_id
        self._clock = clock
        self._default_actor = default_actor

    def parse(self, raw: bytes) -> Envelope:
        """One submission as JSON text. Raises InvalidInput that names the field and the reason."""
        if len(raw) > MAX_BYTES:
            raise InvalidInput(
                f"The command has {len(raw)} bytes and the limit is {MAX_BYTES}; send less.",
                bytes=len(raw),
                limit=MAX_BYTES,
            )
        return self.check(parse_json(raw))

    def check(self, value: object) -> Envelope:
        """The same for a value that is parsed already."""
        if not isinstance(value, dict):
            raise InvalidInput('A command is a JSON object with "type" and "data"; this is something else.')
        if self._default_actor is not None and "actor" not in value:
            value = value | {"actor": self._default_actor}
        try:
            submission = _Submission.model_validate(value)
        except ValidationError as error:
            raise invalid(error, _Submission, None) from error
        try:
            command = self._check_command(submission)
        except InvalidInput as error:
            # So that the answer can be matched with what was asked.
            error.facts["type"] = visible(submission.type[:60])
            error.facts["command_id"] = str(submission.command_id) if submission.command_id else None
            raise
        command_id = submission.command_id or self._new_id()
        return Envelope(
            command_id=command_id,
            command=command,
            actor=submission.actor,
            correlation_id=submission.correlation_id or str(command_id),
            causation_id=submission.causation_id,
            occurred_at=submission.occurred_at,
            expected_version=submission.expected_version,
            traceparent=TRACEPARENT.get(),
        )

    def _check_command(self, submission: _Submission) -> Command:
        self._check_circumstances(submission)
        if submission.type == Transaction.type:
            return _check_transaction(submission.data)
        return _check_data(submission.type, submission.data, "data")

    def _check_circumstances(self, submission: _Submission) -> None:
        if submission.tenant is not None and submission.tenant != self._tenant:
            raise InvalidInput(
                f"tenant: the command is for {submission.tenant} and this is {self._tenant}; submit it there.",
                field="tenant",
                tenant=submission.tenant,
            )
        if submission.occurred_at is not None and submission.occurred_at > self._clock() + CLOCK_SKEW:
            raise InvalidInput(
                f"occurred_at: {iso(submission.occurred_at)} lies in the future; say when it happened.",
                field="occurred_at",
                occurred_at=iso(submission.occurred_at),
            )


def _check_data(name: str, data: Mapping[str, Any], within: str) -> Command:
    command_type = COMMANDS.get(name)
    if command_type is None:
        raise _unknown_command(name[:60])
    try:
        return command_type.model_validate(data)
    except ValidationError as error:
        raise invalid(error, command_type, within) from error


class _Step(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    type: str
    data: dict[str, Any]


class _Steps(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    commands: Annotated[list[_Step], Field(min_length=1, max_length=MOST_COMMANDS)]
    expected: Expected = Field(default_factory=dict)


def _check_transaction(data: Mapping[str, Any]) -> Transaction:
    try:
        steps = _Steps.model_validate(data)
    except ValidationError as error:
        raise invalid(error, _Steps, "data", Transaction.type) from error
    commands = []
    for number, step in enumerate(steps.commands):
        place = f"data.commands.{number}"
        if step.type == Heartbeat.type:
            raise InvalidInput(f"{place}: a heartbeat is not recorded; send it by itself.", field=place)
        commands.append(_check_data(step.type, step.data, f"{place}.data"))
    return Transaction(commands=tuple(commands), expected=steps.expected)


def _unknown_command(name: str) -> InvalidInput:
    name = visible(name)
    alike = difflib.get_close_matches(name, COMMANDS)
    advice = f"did you mean {' or '.join(alike)}?" if alike else "docs/rules.md lists the commands."
    return InvalidInput(f'type: there is no command "{name}"; {advice}', field="type")
