"""What a driver's error means to those who use the log, in words and facts."""

import psycopg
import pytest
from psycopg import pq

from domain.errors import AppendRejected, Archived, ClockAhead, LogError, LogImporting, LogUnavailable
from infrastructure.event_store.errors import domain_errors, to_domain


def error(state: str, message: str = "it is so.", detail: str | None = None) -> psycopg.Error:
    """As the driver makes it of what the server says; of states of ours it knows no class."""
    said = {
        pq.DiagnosticField.SQLSTATE: state.encode(),
        pq.DiagnosticField.MESSAGE_PRIMARY: message.encode(),
        pq.DiagnosticField.MESSAGE_DETAIL: None if detail is None else detail.encode(),
    }
    try:
        kind = psycopg.errors.lookup(state)
    except KeyError:
        kind = psycopg.DatabaseError
    made = kind(info={int(field): value for field, value in said.items()})
    made.sqlstate = state
    return made


def test_what_is_archived_is_told_with_what_can_be_read() -> None:
    told = to_domain(error("DS007", "events of 2024-01 are archived"))
    assert (type(told), told.facts) == (Archived, {"reason": "events of 2024-01 are archived", "sqlstate": "DS007"})
    assert told.message == "Can't read the log there: events of 2024-01 are archived; bring the archive back first."
    detail = '{"last_position": 7, "last_recorded_at": "2024-01-31T23:59:59.5+00:00"}'
    told = to_domain(error("DS007", "events of 2024-01 are archived", detail))
    assert told.message == (
        "Can't read the log there: events of 2024-01 are archived; what came after position 7,"
        " 2024-01-31T23:59:59.500000Z, can be read; bring the archive back for the rest."
    )
    assert told.facts["last_position"] == 7


@pytest.mark.parametrize(
    ("stored", "told"),
    [
        ('"2024-01-31T23:59:59.5+00:00"', "2024-01-31T23:59:59.500000Z"),
        ('"2024-01-31T23:59:59.5+01:00"', "2024-01-31T23:59:59.5+01:00"),
        ('"what ends in +00:00"', "what ends in +00:00"),
        ("5", 5),
        ("null", None),
    ],
)
def test_times_are_shown_alike_everywhere(stored: str, told: object) -> None:
    found = to_domain(error("DS005", "ahead", f'{{"clock": {stored}}}'))
    assert type(found) is ClockAhead
    assert found.facts == {"clock": told, "sqlstate": "DS005"}


@pytest.mark.parametrize("detail", [None, "no JSON", "[1]", "7"])
def test_a_detail_of_the_server_itself_is_no_fact(detail: str | None) -> None:
    assert to_domain(error("DS003", "importing", detail)).facts == {"sqlstate": "DS003"}


def test_a_clock_and_an_import_are_named() -> None:
    told = to_domain(error("DS005", "x", '{"clock": "2024-01-01T00:00:00+00:00", "last_recorded_at": "later"}'))
    assert told.message == (
        "The last event was recorded at later, but the database's clock says 2024-01-01T00:00:00Z: mend the"
        " clock; nothing was appended."
    )
    told = to_domain(error("DS003", "x", '{"import_id": "i"}'))
    assert (type(told), told.facts["import_id"]) == (LogImporting, "i")
    assert told.message == ("The tenant is importing (import i): only that import may append until it has ended.")


@pytest.mark.parametrize(
    ("found", "kind", "begins"),
    [
        (error("3F000"), LogUnavailable, "The tenant is not set up"),
        (error("42P01"), LogUnavailable, "The tenant is not set up"),
        (error("42883"), LogUnavailable, "The tenant is not set up"),
        (error("53200"), LogUnavailable, "PostgreSQL has no memory left for it (it is so):"),
        (error("08006"), LogUnavailable, "The log can't do it just now (it is so):"),
        (error("25006"), LogUnavailable, "The log can't do it just now"),
        (error("25P03"), LogUnavailable, "The log can't do it just now"),
        (error("40001"), LogUnavailable, "The log can't do it just now"),
        (error("53100"), LogUnavailable, "The log can't do it just now"),
        (error("55P03"), LogUnavailable, "The log can't do it just now"),
        (error("57P01"), LogUnavailable, "The log can't do it just now"),
        (error("58030"), LogUnavailable, "The log can't do it just now"),
        (error("XX000"), LogUnavailable, "The log can't do it just now"),
        (
            error("DS002", "append is refused:  so it\nis. "),
            AppendRejected,
            "The log refused it: append is refused: so it is.",
        ),
        (error("23505"), AppendRejected, "The log refused it: it is so."),
        (psycopg.OperationalError("gone."), LogUnavailable, "The log can't be reached (gone): try again"),
        (psycopg.DataError("no such date"), AppendRejected, "The log refused what it was given: no such date."),
    ],
    ids=lambda one: getattr(one, "sqlstate", None) or getattr(one, "__name__", "words"),
)
def test_each_is_what_the_caller_can_do_about_it(found: psycopg.Error, kind: type[LogError], begins: str) -> None:
    told = to_domain(found)
    assert type(told) is kind
    assert told.message.startswith(begins)
    assert told.facts["sqlstate"] == (found.sqlstate or "")


def test_a_reason_is_told_as_it_is_but_for_its_full_stop() -> None:
    assert to_domain(error("23505", "There is one X.")).message == "The log refused it: There is one X."
    told = to_domain(error("42P01", "relation events is not there."))
    assert told.facts == {"sqlstate": "42P01", "reason": "relation events is not there"}


def test_no_error_of_the_driver_gets_through_but_the_one_that_is_known() -> None:
    with pytest.raises(LogUnavailable) as told, domain_errors(but=psycopg.errors.UniqueViolation):
        raise error("57P01")
    assert isinstance(told.value.__cause__, psycopg.Error)
    with pytest.raises(psycopg.errors.UniqueViolation), domain_errors(but=psycopg.errors.UniqueViolation):
        raise error("23505")
    with pytest.raises(LogUnavailable), domain_errors():
        raise error("57P01")
