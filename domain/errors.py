"""The tree of errors.

Every error carries a stable code for programs, the facts, and one sentence for people that ends with what
to do next. A `Refusal` is an answer of the domain: it is recorded and never retried. A `LogError` comes
from the log's port: adapters map their driver's errors to these and let none of their own through.
"""

from typing import ClassVar


class DoraStateError(Exception):
    """Something went wrong in dora-state."""

    code: ClassVar[str] = "error"

    def __init__(self, message: str | None = None, **facts: object) -> None:
        # No docstring is there to be told under `python -OO`.
        self.message = message or (type(self).__doc__ or self.code).strip().splitlines()[0]
        self.facts = facts
        super().__init__(self.message)


class Refusal(DoraStateError):
    """The domain refused the command."""

    def __init__(self, reason: str, message: str, **facts: object) -> None:
        super().__init__(message, **facts)
        self.reason = reason


class InvalidInput(DoraStateError):
    """What came from outside is not well-formed; nothing was recorded."""

    code = "invalid_input"


class NotFound(DoraStateError):
    """There is nothing of that id."""

    code = "not_found"


class CutOutOfRange(DoraStateError):
    """The log holds nothing at that cut."""

    code = "cut_out_of_range"


class LogError(DoraStateError):
    """The log could not do what was asked."""

    code = "log_error"


class ConflictError(LogError):
    """The stream has moved on since it was read; read it again and decide again."""

    code = "conflict"


class LogUnavailable(LogError):
    """The log can't be reached or is read-only just now; try again later."""

    code = "log_unavailable"


class Archived(LogUnavailable):
    """What was asked for lies in months that are archived; bring the archive back first."""

    code = "archived"


class AppendRejected(LogError):
    """The log refused an append that breaks its rules; nothing was appended."""

    code = "append_rejected"


class ClockAhead(LogError):
    """The last recorded time lies too far ahead of the database's clock; mend the clock, nothing was appended."""

    code = "clock_ahead"


class LogImporting(LogError):
    """The tenant is importing an older log; only the import may append until it has ended."""

    code = "importing"


class CorruptLog(LogError):
    """What is stored can't be understood by this release."""

    code = "corrupt_log"


class LockTimeout(DoraStateError):
    """Another holds the lock, and has not let go in time; try again later."""

    code = "lock_timeout"


class LockDeadlock(DoraStateError):
    """Two wait for locks that the other holds; let go of all of yours, and take them in an agreed order."""

    code = "lock_deadlock"


class LockLost(DoraStateError):
    """The lock was lost, as its holder was not heard of in time; take it again, read again, and decide again."""

    code = "lock_lost"


def without_advice(error: DoraStateError) -> str:
    """What happened, for one who has given no command: the log's advice is for those who have."""
    return error.message.replace(": try again with the same command ids.", ".")
