"""The driver's errors of a database that is away, as our own."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg_pool import PoolClosed, PoolTimeout, TooManyRequests

from projections.errors import ReadModelsUnavailable

_UNAVAILABLE = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    psycopg.errors.InternalError_,  # a full quota, among others
    PoolClosed,
    PoolTimeout,
    TooManyRequests,
)


@contextmanager
def available() -> Iterator[None]:
    """Raises ReadModelsUnavailable instead; and CancelledError for a cancellation that was lost on the way.

    psycopg_pool waits for a connection by `asyncio.wait_for`, which on Python 3.11 loses a cancellation that comes
    when the connection does. The task has counted it all the same: it is cancelled as soon as we hear of that.
    """
    task = asyncio.current_task()
    before = task.cancelling() if task is not None else 0
    try:
        yield
        if task is not None and task.cancelling() > before:
            raise asyncio.CancelledError
    except psycopg.errors.UndefinedTable as error:
        raise ReadModelsUnavailable(
            "The tenant is not set up, or is just being set up anew; run `dora-state init` if nobody else does it."
        ) from error
    except _UNAVAILABLE as error:
        primary = error.diag.message_primary if isinstance(error, psycopg.Error) else None
        reason = " ".join((primary or str(error)).split()).rstrip(".")
        raise ReadModelsUnavailable(
            f"The read models can't be reached ({reason}); try again when the database is there and set up."
        ) from error
