"""Pessimistic locks: one has a stream to oneself, and everybody else's commands on it are not appended meanwhile."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from commands.streams import KINDS, check_stream
from domain.all_events import AGGREGATES
from domain.errors import InvalidInput
from domain.text import visible

NO_LOCK = 0
"""A token that no lock has: what is submitted under it is answered `lock_lost`."""


@dataclass(slots=True)
class Lock:
    """What one holds. `token` rises from holder to holder of a stream; the log refuses one that no longer counts.

    `is_lost` is known some seconds late; what counts is what the log says.
    """

    stream_id: str
    token: int
    is_lost: bool = False


@dataclass(frozen=True, slots=True)
class Claim:
    """Who wants a stream to himself. `owner` alone may use the token from outside; without one, nobody may.

    `holds` are the tokens of what he has already, `party` is a name by which more of that is found: so those who wait
    for each other are. With `hold_seconds` the lock ends so many seconds later, unless it is renewed.
    """

    stream_id: str
    holder: str
    owner: str | None = None
    party: str | None = None
    holds: tuple[int, ...] = ()
    hold_seconds: float | None = None


@dataclass(frozen=True, slots=True)
class Waiter:
    """Who waits for a lock, in which process."""

    name: str
    process: str
    since: datetime


@dataclass(frozen=True, slots=True)
class HeldLock:
    """A lock that somebody holds in a process, until `held_until` at least; `waiters`: the next one first."""

    stream_id: str
    holder: str
    token: int
    process: str
    since: datetime
    held_until: datetime
    waiters: tuple[Waiter, ...]


class Locks(Protocol):
    async def take(self, claim: Claim, timeout: float) -> Lock:
        """Wait for a stream, `timeout` seconds at most, and have it until it is let go of.

        An outage is waited out within the time. Raises LockTimeout, LockDeadlock; LogUnavailable where it lasts.
        """
        ...

    async def let_go(self, lock: Lock) -> None:
        """Raises nothing: where it can't be said now, it is said later, or seen by others."""
        ...

    async def renew(self, token: int) -> datetime:
        """Until when it is held now. Raises LockLost."""
        ...

    async def release(self, token: int) -> None:
        """Let go of what is held under a token, in whichever process."""
        ...

    async def owners(self, tokens: Sequence[int]) -> Mapping[int, str | None]:
        """Whose those tokens are that count, or did."""
        ...

    async def held(self) -> list[HeldLock]: ...


def stream_of(name: str) -> str:
    """The stream that `KIND:ID` names. Raises InvalidInput."""
    if not isinstance(name, str):
        raise InvalidInput("The name of a lock must be text: write a kind, a colon and an id.", field="name")
    kind, _, aggregate_id = name.partition(":")
    try:
        return check_stream(f"{kind}-{aggregate_id}")
    except ValueError as error:
        fault = str(error) if kind in AGGREGATES and aggregate_id else f"write a kind ({KINDS}), a colon and an id"
        raise InvalidInput(f"There is no lock {name[:80]!r}: {fault}.", lock=visible(name[:80])) from None
