"""What the driver's errors and ours become for those who use the library."""

import psycopg
import pytest
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
from psycopg_pool import PoolClosed, PoolTimeout

from domain.errors import AppendRejected, LogUnavailable
from infrastructure.persistence.errors import ConnectionLost, library_errors, to_library


def _with_state(state: str) -> psycopg.Error:
    class Known(psycopg.DatabaseError):
        sqlstate = state

    return Known("what happened")


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        ("DS002", ProgrammingError),
        ("DS003", OperationalError),
        ("DS007", OperationalError),
        ("22003", DataError),
        ("23505", IntegrityError),
        ("25006", OperationalError),
        ("25P02", InternalError),
        ("0A000", NotSupportedError),
        ("42501", ProgrammingError),
        ("XX000", InternalError),
        ("ZZ999", DatabaseError),
    ],
)
def test_a_sqlstate_tells_the_kind_of_error(state: str, expected: type[PersistenceError]) -> None:
    error = to_library(_with_state(state))

    assert type(error) is expected
    assert str(error) == "what happened."


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (psycopg.OperationalError("server closed the connection unexpectedly"), ConnectionLost),
        (psycopg.errors.AdminShutdown("terminating connection"), ConnectionLost),
        (psycopg.errors.QueryCanceled("canceled"), OperationalError),
        (psycopg.errors.DeadlockDetected("deadlock"), OperationalError),
        (psycopg.InterfaceError("cursor is closed"), InterfaceError),
        (psycopg.ProgrammingError("can't adapt"), ProgrammingError),
        (psycopg.DataError("a NUL byte"), DataError),
        (PoolTimeout("after 30 s"), OperationalError),
        (PoolClosed("closed"), InterfaceError),
        (AppendRejected("no id of a stream"), DataError),
        (LogUnavailable("not there"), OperationalError),
    ],
)
def test_an_error_without_one_is_told_by_its_class(error: psycopg.Error, expected: type[PersistenceError]) -> None:
    assert type(to_library(error)) is expected


def test_only_errors_of_the_library_come_out() -> None:
    with pytest.raises(DataError), library_errors():
        "\ud800".encode()
    with pytest.raises(KeyError), library_errors():
        raise KeyError
