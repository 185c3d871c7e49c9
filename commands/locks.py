"""Pessimistic locks: one has a stream to oneself, and everybody else's commands on it are not appended meanwhile."""

from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from commands.streams import KINDS, check_stream
from commands.wording import visible
from domain.all_events import AGGREGATES
from domain.errors import InvalidInput


@dataclass(slots=True)
class Lock:
    """What one holds. `token` rises from holder to holder of a stream; the log refuses one that no longer counts.

    `is_lost` is known some seconds late; what counts is what the log says.
    """

    stream_id: str
    token: int
    is_lost: bool = False


@dataclass(frozen=True, slots=True)
class Waiter:
    """A session that waits for a lock, by the number that the server gives it."""

    pid: int
    name: str
    since: datetime | None


@dataclass(frozen=True, slots=True)
class HeldLock:
    """A lock that somebody holds, until `held_until` at least, and who waits for it."""

    stream_id: str
    holder: str
    token: int
    pid: int
    since: datetime
    held_until: datetime
    waiters: tuple[Waiter, ...]


class LockSession(Protocol):
    """What one holds at a time: who holds a stream and waits for another does so in one session."""

    def hold(self, stream_id: str, timeout: float) -> AbstractAsyncContextManager[Lock]:
        """Wait for a stream, `timeout` seconds at most, and have it until the block ends.

        Raises LockTimeout, LockDeadlock, LogUnavailable; LockLost at the end, where it was lost meanwhile.
        """
        ...


class Locks(Protocol):
    def session(self, holder: str) -> AbstractAsyncContextManager[LockSession]: ...

    async def release(self, token: int) -> None:
        """Let go of what is held under a token, by whichever process."""
        ...

    async def held(self) -> list[HeldLock]: ...


def stream_of(name: str) -> str:
    """The stream that `KIND:ID` names. Raises InvalidInput."""
    kind, _, aggregate_id = name.partition(":")
    try:
        return check_stream(f"{kind}-{aggregate_id}")
    except ValueError as error:
        fault = str(error) if kind in AGGREGATES and aggregate_id else f"write a kind ({KINDS}), a colon and an id"
        raise InvalidInput(f"There is no lock {name[:80]!r}: {fault}.", lock=visible(name[:80])) from None
