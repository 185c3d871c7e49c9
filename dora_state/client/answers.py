"""What became of a command, as the server tells it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any
from uuid import UUID

from domain.errors import DoraStateError


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a command was not accepted: a stable code, one sentence, the facts."""

    code: str
    message: str
    facts: Mapping[str, Any] = field(default_factory=dict)

    @staticmethod
    def of(told: Mapping[str, Any]) -> "Problem":
        return Problem(told["code"], told["detail"], told["facts"])


@dataclass(frozen=True, slots=True)
class Answer:
    """As in process: `outcome` is accepted, unchanged, refused, invalid, conflict or failed."""

    command_id: UUID | None
    type: str | None
    outcome: str
    versions: Mapping[str, int]
    position: int | None
    recorded_at: datetime | None
    problem: Problem | None
    repeated: bool

    @property
    def ok(self) -> bool:
        return self.outcome in ("accepted", "unchanged")

    @staticmethod
    def invalid(error: DoraStateError) -> "Answer":
        """Of what could not even be sent, or read."""
        problem = Problem(error.code, error.message, error.facts)
        return Answer(None, None, "invalid", {}, None, None, problem, repeated=False)

    @staticmethod
    def of(told: Mapping[str, Any]) -> "Answer":
        """Of an answer that stands alone, in an array, or with a problem."""
        answer = told.get("answer", told)
        problem = told if "answer" in told else told["problem"]
        recorded_at = answer["recorded_at"]
        return Answer(
            command_id=None if answer["command_id"] is None else UUID(answer["command_id"]),
            type=answer["type"],
            outcome=answer["outcome"],
            versions=answer["versions"],
            position=answer["position"],
            recorded_at=None if recorded_at is None else datetime.fromisoformat(recorded_at),
            problem=None if problem is None else Problem.of(problem),
            repeated=answer["repeated"],
        )
