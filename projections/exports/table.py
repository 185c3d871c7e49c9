"""CSV: an event on each row, with what it concerns, for spreadsheets and process mining. RFC 4180, UTF-8."""

import csv
import io
from collections.abc import Iterable

from domain import values
from projections.exports.links import Linked

COLUMNS = (
    "position",
    "recorded_at",
    "occurred_at",
    "workflow_id",
    "task_id",
    "activity",
    "event",
    "agent_id",
    "pool_id",
    "actor",
    "reason",
    "command",
    "stream_id",
    "version",
    "event_id",
    "command_id",
    "correlation_id",
    "causation_id",
    "authenticated",
    "credential",
    "data",
)
_WHY_AND_BY_WHOM = ("command_id", "correlation_id", "causation_id", "authenticated", "credential")
_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def header() -> bytes:
    return _rows([COLUMNS])


def rows(page: Iterable[Linked]) -> bytes:
    return _rows(map(_row, page))


def _row(one: Linked) -> tuple[str, ...]:
    record, metadata = one.record, one.metadata
    return (
        str(record.position),
        values.iso(record.recorded_at),
        *map(
            _plain,
            (
                metadata.get("occurred_at"),
                one.workflow_id,
                one.task_id,
                one.activity,
                record.type,
                one.agent_id,
                one.pool_id,
                metadata.get("actor"),
                one.reason,
                metadata.get("command_type"),
                record.stream_id,
            ),
        ),
        str(record.version),
        str(record.event_id),
        *(_plain(metadata.get(name)) for name in _WHY_AND_BY_WHOM),
        record.data.decode(),
    )


def _plain(value: object) -> str:
    """Text that a spreadsheet would take for a formula, and carry out, gets an apostrophe before it."""
    text = "" if value is None else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _rows(rows: Iterable[tuple[str, ...]]) -> bytes:
    text = io.StringIO()
    csv.writer(text).writerows(rows)
    return text.getvalue().encode()
