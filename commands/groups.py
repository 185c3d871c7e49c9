"""Commands that wait for their answers, and the groups in which they are appended."""

from collections.abc import Callable
from dataclasses import dataclass, field

from commands.envelope import Answer, Envelope
from commands.preparing import Prepared
from commands.tracing import Span
from commands.work import Telemetry
from domain.errors import LogError
from domain.log import CommandAppend

MAX_GROUP_BYTES = 8 * 1024 * 1024
"""Of events: a larger group goes as it is, and no other command joins it."""


@dataclass(slots=True)
class Pending:
    """A command that waits for its answer. `settled` is called once, with the answer or with why there is none."""

    envelope: Envelope
    settled: Callable[[Answer | LogError], None]
    losses: int = 0
    single: bool = False
    """It goes into a group of its own: one that it was in was refused, and nobody knows for whom."""
    told: bool = False
    """Its submitter knows, if only that it may come again: nothing more is told, nor decided for it."""
    ours: bool = False
    """It is decided here, whoever has the turn: another process was asked too. Its id was not known before that."""
    span: Span | None = None
    repeats: list["Pending"] = field(default_factory=list)
    """Of the same command id, submitted meanwhile: decided when this one is answered."""


class Group:
    """Commands that are appended together. A full one takes no more; `resent` tells that an answer was lost."""

    __slots__ = ("bytes", "full", "members", "resent", "telemetry", "unrecorded")

    def __init__(self) -> None:
        self.members: list[tuple[Pending, Prepared]] = []
        self.unrecorded: list[Pending] = []
        """Accepted heartbeats: answered, and no row in the log."""
        self.telemetry: list[Telemetry] = []
        self.bytes = 0
        self.full = False
        self.resent = False

    def __len__(self) -> int:
        return len(self.members) + len(self.unrecorded)

    def add(self, pending: Pending, prepared: Prepared) -> None:
        self.members.append((pending, prepared))
        self.bytes += sum([len(event.data) for event in prepared.append.events])
        self.full = pending.single or self.bytes > MAX_GROUP_BYTES

    @property
    def appends(self) -> list[CommandAppend]:
        return [prepared.append for _, prepared in self.members]
