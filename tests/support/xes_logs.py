"""XES logs for tests: small ones from traces, and large ones as copies of a given one."""

import gzip
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import IO, TypeAlias
from xml.sax.saxutils import quoteattr

from infrastructure.xes.reader import XesEvent, XesTrace, read_xes
from infrastructure.xes.source import XesSource

Plain: TypeAlias = str | int | float | bool | datetime

HEAD = (
    '<?xml version="1.0" encoding="UTF-8"?>\n<log xes.version="1.0" xmlns="http://www.xes-standard.org/">\n'
    '<extension name="Concept" prefix="concept" uri="http://www.xes-standard.org/concept.xesext"/>\n'
    '<global scope="event"><string key="concept:name" value="UNKNOWN"/></global>\n'
    '<classifier name="Activity" keys="concept:name"/>\n<string key="about" value="a log for tests"/>\n'
)
TAIL = "</log>\n"
_ELEMENTS = {bool: "boolean", int: "int", float: "float", datetime: "date"}


@dataclass(frozen=True)
class LoggedEvent:
    """An event of a log to write; what is None is left out. `time` may be any text."""

    activity: str | None = "A"
    transition: str | None = "complete"
    time: datetime | str | None = datetime(2011, 10, 1, tzinfo=UTC)
    resource: str | None = None
    attributes: Mapping[str, Plain] = field(default_factory=dict)

    def xml(self) -> str:
        known = {
            "org:resource": self.resource,
            "lifecycle:transition": self.transition,
            "concept:name": self.activity,
        }
        time = "" if self.time is None else attribute("time:timestamp", self.time, "date")
        return f"<event>{attributes_xml({**known, **self.attributes})}{time}</event>\n"


@dataclass(frozen=True)
class LoggedTrace:
    """A trace of a log to write."""

    trace_id: str | None
    events: tuple[LoggedEvent, ...] = ()
    attributes: Mapping[str, Plain] = field(default_factory=dict)

    def xml(self) -> str:
        events = "".join(event.xml() for event in self.events)
        return f"<trace>{attributes_xml({'concept:name': self.trace_id, **self.attributes})}\n{events}</trace>\n"


def attribute(key: str, value: Plain, kind: str | None = None) -> str:
    """An attribute element, of the kind that the value's type tells."""
    text = value.isoformat() if isinstance(value, datetime) else str(value)
    return f"<{kind or _ELEMENTS.get(type(value), 'string')} key={quoteattr(key)} value={quoteattr(text)}/>"


def attributes_xml(attributes: Mapping[str, Plain | None]) -> str:
    return "".join(attribute(key, value) for key, value in attributes.items() if value is not None)


def xes(*traces: LoggedTrace) -> str:
    """The text of a log."""
    return HEAD + "".join(trace.xml() for trace in traces) + TAIL


def at(seconds: float, start: datetime = datetime(2011, 10, 1, tzinfo=UTC)) -> datetime:
    """So long after October 2011 began."""
    return start + timedelta(seconds=seconds)


def multiply_log(source: Path, target: Path, times: int, *, apart: timedelta = timedelta(days=180)) -> None:
    """Write a gzipped log of `times` copies of a log whose attributes are plain.

    Copy k has ids that end in `-k` (from 0), and all its times lie k x `apart` earlier, never in the future.
    One trace is in memory at a time.
    """
    with gzip.open(target, "wt", compresslevel=1, encoding="utf-8") as file:
        file.write(HEAD)
        for copy in range(times):
            _write_copy(file, source, f"-{copy}", apart * copy)
        file.write(TAIL)


def _write_copy(file: IO[str], source: Path, suffix: str, earlier: timedelta) -> None:
    events: list[LoggedEvent] = []
    with XesSource(source) as opened:
        for item in read_xes(opened):
            if isinstance(item, XesEvent):
                time = item.time - earlier if item.time is not None else None
                plain = dict(_plain(item.attributes.items(), earlier))
                events.append(LoggedEvent(item.activity, item.transition, time, item.resource, plain))
            elif isinstance(item, XesTrace):
                name = None if item.trace_id is None else item.trace_id + suffix
                plain = dict(_plain(item.attributes.items(), earlier))
                file.write(LoggedTrace(name, tuple(events), plain).xml())
                events = []


def _plain(attributes: Iterable[tuple[str, object]], earlier: timedelta) -> Iterator[tuple[str, Plain]]:
    for key, value in attributes:
        if isinstance(value, datetime):
            yield key, value - earlier
        elif isinstance(value, str | int | float):
            yield key, value
        else:
            raise ValueError(f"{key} is no plain attribute: {value!r}")
