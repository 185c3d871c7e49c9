"""The driver's errors of a database that is away, as our own."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from psycopg_pool import PoolClosed, PoolTimeout, TooManyRequests

from projections.errors import ReadModelsUnavailable

_UNAVAILABLE = (
    psycopg.OperationalError,
    psycopg.InterfaceError,
    PoolClosed,
    PoolTimeout,
    TooManyRequests,
)


@contextmanager
def available() -> Iterator[None]:
    """Raises ReadModelsUnavailable instead."""
    try:
        yield
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
