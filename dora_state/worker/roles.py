"""What a worker may be asked to do; jobs of a role spread over all workers that have it."""

from collections.abc import Iterable
from enum import StrEnum

from domain.errors import InvalidInput


class WorkerRole(StrEnum):
    PROJECTOR = "projector"
    """Keeps the read models up with the log, or waits to take over from the worker that does."""
    SNAPSHOTS = "snapshots"
    """Takes the snapshots that are due."""
    MONTHS = "months"
    """Makes the log's months ahead."""
    REBUILD = "rebuild"
    """Builds projections anew whose version has changed, if the settings want that."""
    CHORES = "chores"
    """Gives the commands that time asks for."""
    QUEUE = "queue"
    """Carries out the commands that come by the queue."""


EVERY_ROLE = tuple(WorkerRole)


def roles_of(names: Iterable[str]) -> tuple[WorkerRole, ...]:
    """The roles of these names, each once and in their own order; all if none is named. Raises InvalidInput."""
    named = set(names)
    unknown = sorted(named - set(WorkerRole))
    if unknown:
        raise InvalidInput(f"There is no role {unknown[0]!r}: use one of {', '.join(WorkerRole)}.", role=unknown[0])
    return tuple(role for role in WorkerRole if role in named) or EVERY_ROLE
