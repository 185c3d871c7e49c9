"""What a command travels in, and what comes back."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Literal
from uuid import UUID

from commands.messages import Command
from commands.messages.transaction import Transaction
from domain.record import record

ANY_VERSIONS: Mapping[str, int] = {}
Outcome = Literal["accepted", "unchanged", "refused", "invalid", "conflict", "failed"]


@record
class Envelope:
    """A command with who asks for it, why, and as what.

    `command_id` is the idempotency key: the same id gets the first answer for ever. `occurred_at` is what
    the caller says and may lie in the past. `expected_version` is that of the aggregate which the command
    names. `note` goes into the metadata of the events (an import marks with it what it inferred). `tokens` are
    those of the locks that the caller holds. `traceparent` names the request that it is a part of (tracing.py).
    """

    command_id: UUID
    command: Command
    actor: str
    correlation_id: str
    causation_id: str | None = None
    occurred_at: datetime | None = None
    expected_version: int | None = None
    note: Mapping[str, object] | None = None
    tokens: tuple[int, ...] = ()
    traceparent: str | None = None

    @property
    def expected(self) -> Mapping[str, int]:
        """All versions that the caller takes for current, by stream."""
        if self.expected_version is not None:
            return {self.command.stream_id: self.expected_version}
        return self.command.expected if isinstance(self.command, Transaction) else ANY_VERSIONS


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a command was not accepted: a stable code, one sentence, the facts."""

    code: str
    message: str
    facts: Mapping[str, object] = field(default_factory=dict)


@record
class Answer:
    """What became of a command.

    accepted: events were appended. unchanged: there was nothing new to record. refused: the domain said no,
    for ever. invalid: not well-formed, not recorded. conflict: the expected version is not the current one,
    not recorded. failed: the log could not take it now, try again. `versions` are those of the streams that
    were written. `repeated` says that the command id was known and this is its first answer.
    """

    command_id: UUID | None
    type: str | None
    outcome: Outcome
    versions: Mapping[str, int] = field(default_factory=dict)
    position: int | None = None
    recorded_at: datetime | None = None
    problem: Problem | None = None
    repeated: bool = False

    @property
    def ok(self) -> bool:
        return self.outcome in ("accepted", "unchanged")
