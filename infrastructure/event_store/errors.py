"""From SQLSTATEs to the domain's errors: the one place where the driver's errors end."""

import json
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import datetime

import psycopg
from psycopg_pool import PoolClosed, PoolTimeout, TooManyRequests

from domain.errors import AppendRejected, Archived, ClockAhead, LogError, LogImporting, LogUnavailable
from domain.values import iso

_NOT_SET_UP = ("3F000", "42P01", "42883")
_OUT_OF_MEMORY = "53200"
_NOT_NOW = ("08", "25006", "25P03", "40", "53", "55P03", "57", "58", "XX")


def _facts(error: psycopg.Error) -> dict[str, object]:
    try:
        facts = json.loads(error.diag.message_detail or "{}")
    except ValueError:
        facts = {}
    return {str(name): _in_utc(value) for name, value in facts.items()} if isinstance(facts, dict) else {}


def _in_utc(value: object) -> object:
    """Connections are in UTC. PostgreSQL leaves out the zeros at a fraction's end; times are shown alike everywhere."""
    if isinstance(value, str) and value.endswith("+00:00"):
        with suppress(ValueError):
            return iso(datetime.fromisoformat(value))
    return value


def _archived(reason: str, facts: dict[str, object]) -> Archived:
    """What is archived, and what of the log can still be read."""
    left = "bring the archive back first"
    if "last_position" in facts:
        after = f"position {facts['last_position']}, {facts['last_recorded_at']}"
        left = f"what came after {after}, can be read; bring the archive back for the rest"
    return Archived(f"Can't read the log there: {reason}; {left}.", reason=reason, **facts)


def to_domain(error: psycopg.Error) -> LogError:
    """What a driver's error means to those who use the log, with the facts that came in its DETAIL."""
    state = error.sqlstate or ""
    reason = " ".join((error.diag.message_primary or str(error)).split()).rstrip(".")
    facts = _facts(error) | {"sqlstate": state}
    match state:
        case "DS003":
            return LogImporting(
                f"The tenant is importing (import {facts.get('import_id')}): only that import may append until it"
                " has ended.",
                **facts,
            )
        case "DS005":
            return ClockAhead(
                f"The last event was recorded at {facts.get('last_recorded_at')}, but the database's clock says"
                f" {facts.get('clock')}: mend the clock; nothing was appended.",
                **facts,
            )
        case "DS007":
            return _archived(reason, facts)
    if isinstance(error, PoolClosed | PoolTimeout | TooManyRequests) or not state:
        if isinstance(error, psycopg.OperationalError):
            return LogUnavailable(f"The log can't be reached ({reason}): try again with the same command ids.", **facts)
        return AppendRejected(f"The log refused what it was given: {reason}.", **facts)
    if state in _NOT_SET_UP:
        facts["reason"] = reason
        return LogUnavailable("The tenant is not set up, or is just being made anew: run `dora-state init`.", **facts)
    if state == _OUT_OF_MEMORY:
        return LogUnavailable(
            f"PostgreSQL has no memory left for it ({reason}): raise its max_locks_per_transaction if that is"
            " shared memory, and try again with the same command ids.",
            **facts,
        )
    if state.startswith(_NOT_NOW):
        return LogUnavailable(f"The log can't do it just now ({reason}): try again with the same command ids.", **facts)
    return AppendRejected(f"The log refused it: {reason}.", **facts)


@contextmanager
def domain_errors(but: type[psycopg.Error] | None = None) -> Iterator[None]:
    """Let no error of the driver through, but for one that the caller knows what to do about."""
    try:
        yield
    except psycopg.Error as error:
        if but is not None and isinstance(error, but):
            raise
        raise to_domain(error) from error
