"""Where the way of events into the read models is told to."""

from collections.abc import Sequence
from typing import Protocol

from domain.log import RecordedEvent


class BatchTracing(Protocol):
    """Is told of batches; must not raise, and be quick."""

    def applied(self, projection: str, records: Sequence[RecordedEvent], since: int) -> None:
        """These events are in the read models, as of now; they were read at `since`, in nanoseconds of Unix time."""
        ...


class NobodyAsks:
    def applied(self, projection: str, records: Sequence[RecordedEvent], since: int) -> None:
        return None


NOBODY_ASKS = NobodyAsks()
