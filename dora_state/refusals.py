"""Answers of what was not done, as exceptions; in process and over HTTP alike."""

from collections.abc import Mapping
from typing import Protocol, TypeVar

from domain.errors import ConflictError, DoraStateError


class AnyProblem(Protocol):
    @property
    def code(self) -> str: ...

    @property
    def message(self) -> str: ...

    @property
    def facts(self) -> Mapping[str, object]: ...


class AnyAnswer(Protocol):
    """What became of a command, whoever says it."""

    @property
    def outcome(self) -> str: ...

    @property
    def ok(self) -> bool: ...

    @property
    def problem(self) -> AnyProblem | None: ...


A = TypeVar("A", bound=AnyAnswer)


class TransactionEnded(DoraStateError):
    """The transaction was committed already; begin another."""

    code = "transaction_ended"


class CommandRefused(DoraStateError):
    """What was asked for was not done; nothing was recorded but the refusal."""

    code = "refused"

    def __init__(self, answer: AnyAnswer) -> None:
        self.answer = answer
        problem = answer.problem
        super().__init__(None if problem is None else problem.message, **({} if problem is None else problem.facts))
        self.reason = answer.outcome if problem is None else problem.code


def require_done(answer: A) -> A:
    """The answer of what was done. Raises OptimisticLockException (a ConflictError) and CommandRefused."""
    if answer.ok:
        return answer
    if answer.outcome == "conflict" and answer.problem is not None:
        raise ConflictError(answer.problem.message, **answer.problem.facts)
    raise CommandRefused(answer)
