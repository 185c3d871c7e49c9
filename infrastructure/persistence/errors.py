"""From the driver's errors and the house's to the library's: the one place where they turn."""

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg
from eventsourcing.persistence import (
    DatabaseError,
    DataError,
    IntegrityError,
    InterfaceError,
    InternalError,
    NotSupportedError,
    OperationalError,
    PersistenceError,
    ProgrammingError,
)
from psycopg_pool import PoolClosed, PoolTimeout, TooManyRequests

from domain.errors import AppendRejected, DoraStateError
from infrastructure.embedded import EmbeddedServerError

_BY_STATE: tuple[tuple[str, type[PersistenceError]], ...] = (  # SQLSTATEs; the first that fits counts
    ("DS001", ProgrammingError),
    ("DS002", ProgrammingError),
    ("DS006", ProgrammingError),
    ("DS", OperationalError),
    ("22", DataError),
    ("23", IntegrityError),
    ("25006", OperationalError),
    ("0A", NotSupportedError),
    ("25", InternalError),
    ("3F", ProgrammingError),
    ("42", ProgrammingError),
    ("XX", InternalError),
)
_BY_CLASS: tuple[tuple[type[psycopg.Error], type[PersistenceError]], ...] = (  # the driver's own, without a SQLSTATE
    (psycopg.InterfaceError, InterfaceError),
    (psycopg.DataError, DataError),
    (psycopg.IntegrityError, IntegrityError),
    (psycopg.NotSupportedError, NotSupportedError),
    (psycopg.ProgrammingError, ProgrammingError),
    (psycopg.InternalError, InternalError),
    (psycopg.OperationalError, OperationalError),
)
_NOT_SET_UP = ("3F000", "42P01", "42883")
_LOST = ("08", "57P")


class ConnectionLost(OperationalError):
    """The connection broke: it is not known whether what was sent has been done."""


def to_library(error: psycopg.Error | DoraStateError | EmbeddedServerError | UnicodeError) -> PersistenceError:
    """What an error means to those who use the library."""
    match error:
        case UnicodeError():
            return DataError(f"Text that is not Unicode can't be stored: {error}.")
        case AppendRejected():
            return DataError(str(error))
        case DoraStateError() | EmbeddedServerError():
            return OperationalError(str(error))
        case PoolClosed():
            return InterfaceError("The store is closed: construct the application anew.")
        case PoolTimeout() | TooManyRequests():
            return OperationalError(f"No connection to PostgreSQL was free in time: {error}.")
    state = error.sqlstate or ""
    reason = " ".join((error.diag.message_primary or str(error)).split()).rstrip(".")
    if state in _NOT_SET_UP:
        return ProgrammingError(f"{reason}: if the schema is not set up, run once without CREATE_TABLE=no.")
    if isinstance(error, psycopg.OperationalError) and (not state or state.startswith(_LOST)):
        return ConnectionLost(f"The connection to PostgreSQL was lost: {reason}.")
    kinds = [kind for prefix, kind in _BY_STATE if state.startswith(prefix)]
    kinds += [kind for driver, kind in _BY_CLASS if isinstance(error, driver)]
    return (kinds or [DatabaseError])[0](f"{reason}.")


@contextmanager
def library_errors() -> Iterator[None]:
    """Let no error but the library's through."""
    try:
        yield
    except (psycopg.Error, DoraStateError, EmbeddedServerError, UnicodeError) as error:
        raise to_library(error) from error
