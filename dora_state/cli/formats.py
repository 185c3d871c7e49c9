"""How values look to people: times, durations, states, bars."""

import sys
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
from rich.console import Console, ConsoleOptions, RenderResult
from rich.measure import Measurement
from rich.padding import Padding
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
_ON_ONE_LINE = frozenset(
    {
        *("start", "end", "took", "state", "when", "from", "to", "began", "ended", "expected", "expires"),
        *("created", "changed", "deadline", "due", "priority", "done", "reserved"),
    }
)
_VERY_WIDE = 10_000
_INDENT, _GAP, _NARROWEST = 2, 2, 8
MAX_JSON = 400


def when(value: str | datetime | None, *, fraction: bool = False) -> str:
    """A moment in UTC, to the second or, with a fraction, to the microsecond."""
    if value is None:
        return NOTHING
    moment = datetime.fromisoformat(value) if isinstance(value, str) else value
    text = moment.astimezone(UTC).isoformat(sep=" ", timespec="microseconds").removesuffix("+00:00")
    seconds, _, rest = text.partition(".")
    return f"{seconds}.{rest}Z" if fraction and rest.strip("0") else f"{seconds}Z"


def by_whom(actor: str, authenticated: str | None, credential: str | None) -> str:
    """In whose name something was done, and who sent it by which key or token, where that was to be shown."""
    if authenticated is None:
        return actor
    by = f" ({credential})" if credential is not None else ""
    return f"{actor}, sent by {authenticated}{by}"


def lasting(seconds: float | None) -> str:
    """A duration with two units at most."""
    if seconds is None:
        return NOTHING
    if 0 < seconds < 0.001:
        return "< 1 ms"
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
    """A plain table whose cells fold rather than lose something; times and the like stay on one line."""
    made = Table(title=title, title_justify="left", box=None, padding=(0, 1), pad_edge=False, title_style="bold")
    for column in columns:
        made.add_column(column, overflow="fold", header_style="dim", no_wrap=column in _ON_ONE_LINE)
    return made


class Listing:
    """Things by their ids, as a table; where that would be too wide, each id has a line of its own above the rest.

    So that ids can be read and copied whole, whatever their length.
    """

    def __init__(self, *columns: str, title: str | None = None) -> None:
        self._columns = columns
        self._title = title
        self._rows: list[tuple[Text, ...]] = []

    def add_row(self, *cells: str | Text) -> None:
        self._rows.append(tuple(Text(cell) if isinstance(cell, str) else cell for cell in cells))

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        whole = table(*self._columns, title=self._title)
        for row in self._rows:
            whole.add_row(*row)
        if Measurement.get(console, options.update(width=_VERY_WIDE), whole).maximum <= options.max_width:
            yield whole
            return
        if self._title is not None:
            yield Text(self._title, style="bold")
        widths = self._widths(options.max_width - _INDENT)
        yield Text(self._columns[0], style="dim")
        yield self._below([Text(name, style="dim") for name in self._columns[1:]], widths)
        for id, *rest in self._rows:
            yield Text(id.plain, overflow="fold")
            yield self._below(rest, widths)

    def _widths(self, room: int) -> list[int]:
        """Of all columns but the first; what is too much is taken from the widest that may fold."""
        rows = [[Text(name) for name in self._columns], *self._rows]
        widths = [max(row[place].cell_len for row in rows) for place in range(1, len(self._columns))]
        folding = [place for place, name in enumerate(self._columns[1:]) if name not in _ON_ONE_LINE]
        while folding and sum(widths) + _GAP * (len(widths) - 1) > room:
            widest = max(folding, key=widths.__getitem__)
            if widths[widest] <= _NARROWEST:
                break
            widths[widest] -= 1
        return widths

    def _below(self, cells: Sequence[Text], widths: Sequence[int]) -> Padding:
        grid = Table.grid(padding=(0, _GAP, 0, 0))
        for width in widths:
            grid.add_column(width=width, overflow="fold")
        grid.add_row(*cells)
        return Padding(grid, (0, 0, 0, _INDENT))


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
