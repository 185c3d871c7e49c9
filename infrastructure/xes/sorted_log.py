"""A log's events in the order of their times, lying sorted in a directory."""

import os
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import TracebackType
from typing import Any, NamedTuple, Self

import orjson

from infrastructure.private_files import create
from infrastructure.xes.errors import XesError
from infrastructure.xes.report import SortReport
from infrastructure.xes.runs import merge

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
TRACE_BEGINS, TRACE_ENDS, EVENT = range(3)  # kinds of lines, in the order that they have at the same event

_FORMAT = 1
_MARKER = "sorted.json"
_OURS = (f"{_MARKER}*", "run-*.jsonl")  # the marker goes first: it must not outlive its runs


class SortedEvent(NamedTuple):
    """An event in its place among all events of the log.

    `ordinal` counts from 0. `trace_attributes` are there at the trace's first event only. First and last are
    by time, file order breaking ties, among the events that were sorted. Attributes are JSON values: dates
    are ISO 8601 text in UTC with a Z.
    """

    ordinal: int
    trace_id: str
    trace_attributes: dict[str, Any] | None
    activity: str | None
    transition: str | None
    time: datetime
    resource: str | None
    attributes: dict[str, Any]
    first_of_trace: bool
    last_of_trace: bool


class SortedLog:
    """The sorted events of a log; each iteration merges them afresh, in bounded memory.

    A context manager that removes the files when its block ends well; after an error or a crash they stay, so
    that the next `sort_xes` of the same file finds them done.
    """

    def __init__(self, directory: Path, content: dict[str, Any]) -> None:
        self._directory = directory
        self._content = content
        self.report = SortReport.from_json(content["report"])

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.remove()

    def remove(self) -> None:
        """Remove the files, and the directory if nothing else is in it."""
        clear(self._directory)
        if not any(self._directory.iterdir()):
            self._directory.rmdir()

    def __iter__(self) -> Iterator[SortedEvent]:
        """All sorted events. Raises XesError (`scratch_failed`) if the files are not as they were written."""
        try:
            yield from self._merged()
        except (OSError, orjson.JSONDecodeError) as error:
            raise scratch_failed(self._directory, error) from error

    def _merged(self) -> Iterator[SortedEvent]:
        paths = [self._directory / name for name in self._content["runs"]]
        prefix: str = self._content["prefix"]
        late_ids: dict[str, str] = self._content["late_ids"]
        dropped = frozenset(self._content["dropped"])
        ordinal = 0
        begins: dict[str, Any] | None = None
        ends = False
        for record in merge(paths):
            if record[2] == TRACE_BEGINS:
                begins = record[3]
            elif record[2] == TRACE_ENDS:
                ends = True
            else:
                time, _, _, trace, activity, transition, resource, attributes = record
                if type(trace) is int:
                    if trace in dropped:
                        continue
                    trace = late_ids.get(str(trace)) or f"{prefix}{trace}"
                yield SortedEvent(
                    ordinal,
                    trace,
                    begins,
                    activity,
                    transition,
                    EPOCH + timedelta(microseconds=time),
                    resource,
                    attributes,
                    begins is not None,
                    ends,
                )
                ordinal += 1
                begins, ends = None, False


def save(directory: Path, paths: list[Path], content: dict[str, Any]) -> SortedLog:
    """Say that the runs are complete: the marker is written last, and appears at once or not at all."""
    content = {"format": _FORMAT, **content, "runs": {path.name: path.stat().st_size for path in paths}}
    data = orjson.dumps(content, option=orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS)
    unfinished = directory / f"{_MARKER}.new"
    with create(unfinished) as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    unfinished.replace(directory / _MARKER)
    return SortedLog(directory, orjson.loads(data))


def load(directory: Path, sha256: str) -> SortedLog | None:
    """What an earlier run has left, if it is complete and of the file with this hash."""
    try:
        content = orjson.loads((directory / _MARKER).read_bytes())
        if content["format"] != _FORMAT or content["report"]["sha256"] != sha256:
            return None
        whole = all((directory / name).stat().st_size == size for name, size in content["runs"].items())
        return SortedLog(directory, content) if whole else None
    except (OSError, orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        return None


def has_marker(directory: Path) -> bool:
    return (directory / _MARKER).exists()


def clear(directory: Path) -> None:
    """Remove what a sort has written there, finished or not; other files stay."""
    for pattern in _OURS:
        for path in directory.glob(pattern):
            path.unlink(missing_ok=True)


def scratch_failed(directory: Path, error: Exception) -> XesError:
    return XesError(
        "scratch_failed",
        f"{directory}: the sorted events can't be written or read there ({error}); make room or choose"
        " another directory, and repeat the import.",
        directory=str(directory),
    )
