"""How values look to people: times, durations, states, bars."""

import sys
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

import orjson
from rich.table import Table
from rich.text import Text

STATE_STYLES = {
    "running": "cyan",
    "completed": "green",
    "healthy": "green",
    "ok": "green",
    "failed": "red",
    "timed_out": "red",
    "unhealthy": "red",
    "critical": "red",
    "offline": "red",
    "paused": "yellow",
    "degraded": "yellow",
    "warning": "yellow",
    "cancelled": "dim",
    "deregistered": "dim",
}
NOTHING = "-"
MAX_JSON = 400


def when(value: str | datetime | None, *, fraction: bool = False) -> str:
    """A moment in UTC, to the second or, with a fraction, to the microsecond."""
    if value is None:
        return NOTHING
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    text = moment.astimezone(UTC).isoformat(sep=" ", timespec="microseconds").removesuffix("+00:00")
    seconds, _, rest = text.partition(".")
    return f"{seconds}.{rest}Z" if fraction and rest.strip("0") else f"{seconds}Z"


def lasting(seconds: float | None) -> str:
    """A duration with two units at most."""
    if seconds is None:
        return NOTHING
    if seconds < 60:
        return f"{seconds:.3g} s" if seconds < 10 else f"{seconds:.0f} s"
    minutes, rest = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest:02d} s"
    hours, minutes = divmod(minutes, 60)
    if hours < 48:
        return f"{hours} h {minutes:02d} min"
    days, hours = divmod(hours, 24)
    return f"{days} d {hours:02d} h"


def between(begin: str | None, end: str | None) -> str:
    """How long it was from one moment of a document to another."""
    if begin is None or end is None:
        return NOTHING
    return lasting((datetime.fromisoformat(end) - datetime.fromisoformat(begin)).total_seconds())


def state(value: str) -> Text:
    return Text(value, style=STATE_STYLES.get(value, ""))


def bar(percentage: float, width: int = 20) -> Text:
    """Filled to the percentage; what is beyond 100 (overcommitted) shows as full and red."""
    filled = max(0, min(width, round(width * percentage / 100)))
    if percentage > 0:
        filled = max(filled, 1)
    style = "red" if percentage > 100 else "cyan"
    full, empty = _bar_signs()
    return Text.assemble((full * filled, style), (empty * (width - filled), "dim"), f" {percentage:g} %")


def _bar_signs() -> tuple[str, str]:
    """What this terminal can show."""
    try:
        "█░".encode(getattr(sys.stdout, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return "#", "."
    return "█", "░"


def number(value: float | None, unit: str = "") -> str:
    if value is None:
        return NOTHING
    return f"{value:,}{unit}" if isinstance(value, int) else f"{value:,.6g}{unit}"


def names(values: Any) -> str:
    return ", ".join(str(value) for value in values) or NOTHING


def compact(value: Any) -> str:
    """JSON on one line, cut where it gets long."""
    text = orjson.dumps(value).decode()
    return text if len(text) <= MAX_JSON else f"{text[: MAX_JSON - 1]}…"


def facts(rows: Mapping[str, Any]) -> Table:
    """Names and values, one a line; what is None is left out."""
    grid = Table.grid(padding=(0, 2))
    grid.add_column(style="dim", no_wrap=True)
    grid.add_column(overflow="fold")
    for name, value in rows.items():
        if value is not None:
            grid.add_row(name, value)
    return grid


def table(*columns: str, title: str | None = None) -> Table:
    """A plain table whose cells fold rather than lose something."""
    made = Table(title=title, title_justify="left", box=None, padding=(0, 1), pad_edge=False, title_style="bold")
    for column in columns:
        made.add_column(column, overflow="fold", header_style="dim")
    return made


def heading(kind: str, id: str, condition: str | None = None) -> Text:
    told = Text.assemble((f"{kind} ", "bold"), (id, "bold"))
    if condition is not None:
        told.append("  ")
        told.append_text(state(condition))
    return told


def as_of(document: Mapping[str, Any]) -> str | None:
    """Which event a document includes last."""
    if not document.get("stream_version"):
        return None
    at = when(document["recorded_at"], fraction=True)
    return f"version {document['stream_version']}, position {document['position']}, {at}"
