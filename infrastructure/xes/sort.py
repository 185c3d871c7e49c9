"""Sorts the events of an XES log by time, stably, in bounded memory.

One pass over the file. The events of a trace wait until the trace has ended, since only then its id, its
first and its last event are known; a trace that does not fit is written out under its number, and what became
of it is kept beside the runs (at most one trace a run).
"""

from collections.abc import Callable
from contextlib import suppress
from dataclasses import asdict
from datetime import datetime, timedelta
from pathlib import Path
from typing import TypeAlias
from unicodedata import category

import orjson

from infrastructure.private_files import make_private
from infrastructure.xes.identities import GeneratedIds, SeenIds
from infrastructure.xes.reader import XesEvent, XesOddity, XesTrace, read_xes
from infrastructure.xes.report import EXAMPLES, SortReport, Tally
from infrastructure.xes.runs import Runs
from infrastructure.xes.sorted_log import (
    EPOCH,
    EVENT,
    TRACE_BEGINS,
    TRACE_ENDS,
    SortedLog,
    clear,
    has_marker,
    load,
    save,
    scratch_failed,
)
from infrastructure.xes.source import XesSource, sha256_of

RUN_SIZE = 50_000
MAX_ID = 255
_MICROSECOND = timedelta(microseconds=1)
_WAITING_COST = 200  # bytes that a waiting event takes beside its text

Progress: TypeAlias = Callable[[int, int], None]


def sort_xes(
    path: Path,
    directory: Path,
    *,
    now: datetime,
    run_size: int = RUN_SIZE,
    progress: Progress | None = None,
) -> SortedLog:
    """The events of the log at `path`, sorted by time; ties stay in file order.

    `directory` takes the sorted files and should be used for this alone. If it holds the complete result of
    an earlier call for a file of the same SHA-256, that is what is returned, with the `now` of then (in the
    report), so that ordinals are the same. Whatever else an earlier call left there is removed. Events after
    `now` (aware) are skipped. `run_size` is how many events are sorted in memory. `progress` is told bytes
    read and bytes in all, on disk. Raises XesError, and then leaves no file behind.
    """
    if has_marker(directory) and (found := load(directory, sha256_of(path))) is not None:
        return found
    with XesSource(path) as source:
        try:
            make_private(directory)
            clear(directory)
            return _sort(source, directory, now, run_size, progress)
        except OSError as error:
            with suppress(OSError):
                clear(directory)
            raise scratch_failed(directory, error) from error
        except BaseException:
            clear(directory)
            raise


def _sort(source: XesSource, directory: Path, now: datetime, run_size: int, progress: Progress | None) -> SortedLog:
    runs = Runs(directory, run_size)
    sorting = _Sorting(runs, now)
    told = 0
    for item in read_xes(source):
        if type(item) is XesEvent:
            sorting.event(item)
        elif type(item) is XesTrace:
            sorting.trace(item)
        elif type(item) is XesOddity:
            sorting.skipped.add(item.reason, f"line {item.line}")
        if progress is not None and source.bytes_read > told:
            told = source.bytes_read
            progress(told, source.size)
    runs.finish()
    if progress is not None:
        progress(source.bytes_read, source.size)
    content = {
        "report": asdict(sorting.report(source)),
        "prefix": sorting.generated.prefix(),
        "late_ids": sorting.late_ids,
        "dropped": sorted(sorting.dropped),
    }
    return save(directory, runs.paths, content)


class _Trace:
    """What is known of the trace that is being read."""

    def __init__(self) -> None:
        self.waiting: list[tuple[int, int, bytes]] = []  # time, sequence, the event's line from activity on
        self.waiting_bytes = 0
        self.spilled = False
        self.events_read = 0
        self.events_sorted = 0
        self.first: tuple[int, int] | None = None  # time and sequence
        self.last: tuple[int, int] | None = None
        self.months: set[tuple[int, int]] = set()
        self.unsorted: dict[str, int] = {}
        self.unsorted_names: list[tuple[str, str]] = []  # reason and the event's name, a few of each reason

    def leave_out(self, reason: str, event: XesEvent) -> None:
        count = self.unsorted[reason] = self.unsorted.get(reason, 0) + 1
        if count <= EXAMPLES:
            activity = f" ({event.activity[:40]})" if event.activity else ""
            self.unsorted_names.append((reason, f"event {self.events_read}{activity}"))

    def take(self, key: tuple[int, int], time: datetime, line: bytes) -> None:
        self.waiting.append((*key, line))
        self.waiting_bytes += len(line) + _WAITING_COST
        self.events_sorted += 1
        self.first = key if self.first is None else min(self.first, key)
        self.last = key if self.last is None else max(self.last, key)
        self.months.add((time.year, time.month))


class _Sorting:
    """One pass over a log."""

    def __init__(self, runs: Runs, now: datetime) -> None:
        self._runs = runs
        self._now = now
        self._seen = SeenIds()
        self._trace = _Trace()
        self._traces = 0
        self._traces_sorted = 0
        self._events_read = 0
        self._events_sorted = 0
        self._first: int | None = None
        self._last: int | None = None
        self._months: set[tuple[int, int]] = set()
        self.skipped = Tally()
        self.generated = GeneratedIds()
        self.late_ids: dict[int, str] = {}
        self.dropped: set[int] = set()

    def event(self, event: XesEvent) -> None:
        trace, time = self._trace, event.time
        self._events_read += 1
        trace.events_read += 1
        if time is None or time > self._now:
            trace.leave_out("event without time" if time is None else "event in future", event)
            return
        rest = (event.activity, event.transition, event.resource, event.attributes)
        line = orjson.dumps(rest, option=orjson.OPT_UTC_Z)[1:]
        trace.take(((time - EPOCH) // _MICROSECOND, self._events_read), time, line)
        if self._runs.full_with(len(trace.waiting), trace.waiting_bytes):
            self._spill()

    def trace(self, end: XesTrace) -> None:
        trace, number = self._trace, self._traces + 1
        self._trace, self._traces = _Trace(), number
        name = f"trace number {number} (without an id)" if end.trace_id is None else f'trace "{end.trace_id}"'
        refusal = self._refusal(end.trace_id)
        if refusal is not None:
            self.skipped.add(refusal, name)
            self.skipped.add("event of skipped trace", count=trace.events_read)
            if trace.spilled:
                self.dropped.add(number)
            return
        for reason, count in trace.unsorted.items():
            self.skipped.add(reason, count=count)
        for reason, event in trace.unsorted_names:
            self.skipped.name(reason, f"{event} of {name}")
        if trace.first is None or trace.last is None:
            self.skipped.add("trace without events", name)
            return
        if trace.spilled and end.trace_id is not None:
            self.late_ids[number] = end.trace_id
        self._runs.add(*trace.first, TRACE_BEGINS, _marker(trace.first, TRACE_BEGINS, end))
        self._runs.add(*trace.last, TRACE_ENDS, _marker(trace.last, TRACE_ENDS, None))
        self._write(trace, orjson.dumps(number if end.trace_id is None else end.trace_id))
        self._count(trace, trace.first[0], trace.last[0])

    def _refusal(self, trace_id: str | None) -> str | None:
        if trace_id is None:
            return None
        self.generated.note(trace_id)
        if len(trace_id) > MAX_ID or any(category(letter) == "Cc" for letter in trace_id):
            return "trace id unusable"
        return None if self._seen.add(trace_id) else "trace repeated"

    def _spill(self) -> None:
        """Write a run; what waits of the open trace goes into it under the trace's number."""
        self._write(self._trace, b"%d" % (self._traces + 1))
        self._trace.spilled = True
        self._runs.write()

    def _write(self, trace: _Trace, reference: bytes) -> None:
        for time, sequence, rest in trace.waiting:
            line = b"[%d,%d,%d,%b,%b\n" % (time, sequence, EVENT, reference, rest)
            self._runs.add(time, sequence, EVENT, line)
        trace.waiting.clear()
        trace.waiting_bytes = 0

    def _count(self, trace: _Trace, first: int, last: int) -> None:
        self._traces_sorted += 1
        self._events_sorted += trace.events_sorted
        self._first = first if self._first is None else min(self._first, first)
        self._last = last if self._last is None else max(self._last, last)
        self._months |= trace.months

    def report(self, source: XesSource) -> SortReport:
        return SortReport(
            sha256=source.sha256,
            file_name=source.name,
            now=self._now,
            traces=self._traces,
            traces_sorted=self._traces_sorted,
            events_read=self._events_read,
            events_sorted=self._events_sorted,
            first_time=_moment(self._first),
            last_time=_moment(self._last),
            months=tuple(sorted(self._months)),
            skipped=self.skipped.counts,
            examples={reason: tuple(named) for reason, named in self.skipped.examples.items()},
        )


def _marker(key: tuple[int, int], kind: int, end: XesTrace | None) -> bytes:
    record = (*key, kind) if end is None else (*key, kind, end.attributes)
    return orjson.dumps(record, option=orjson.OPT_UTC_Z | orjson.OPT_APPEND_NEWLINE)


def _moment(microseconds: int | None) -> datetime | None:
    return None if microseconds is None else EPOCH + timedelta(microseconds=microseconds)
