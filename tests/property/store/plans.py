"""What the logs are asked for, as hypothesis draws it: commands that are to be, ids, places and times."""

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from hypothesis import strategies as st

from domain.snapshots import Stamp
from tests.models.log import MICROSECOND

BEGINNING = datetime(2031, 1, 31, 23, 59, 59, 999_900, tzinfo=UTC)
"""A moment before the end of a month that nobody has made ready."""
LONG_AGO = datetime(2029, 11, 30, 12, tzinfo=UTC)
STREAMS = ("task-1", "task-1-b", "pool-ü", "workflow-W", "workflow-w")
STAMPS = (Stamp("shape", 1), Stamp("shape", 2))
STEPS = (
    *(timedelta(0), MICROSECOND, timedelta(seconds=1), timedelta(days=1), timedelta(days=20), timedelta(days=70)),
    *(-MICROSECOND, -timedelta(seconds=30), -timedelta(days=2)),
)
GAPS = (timedelta(0), timedelta(0), MICROSECOND, timedelta(days=1), timedelta(days=40))
"""Between the commands of an import."""

streams = st.sampled_from(STREAMS)
some_streams = st.lists(streams, unique=True, max_size=4)
writers = st.integers(0, 1)
stamps = st.sampled_from(STAMPS)
numbers = st.integers(0, 30)
limits = st.integers(1, 8)
versions = st.integers(0, 6)
cuts = st.tuples(st.sampled_from(["now", "version", "position", "time"]), numbers)
metadata = st.sampled_from(
    [
        {},
        {"correlation_id": "c"},
        {"correlation_id": 'c "2"'},
        {"of": {"correlation_id": "c"}},
        {"correlation_id": None},
    ]
)


@dataclass(frozen=True)
class Plan:
    """What a command is to be: places of streams that it reads and writes, how wrong its versions are, and its id."""

    reads: list[str]
    writes: list[str]
    wrong: int
    again: int | None
    unseen: bool
    type: str
    about: dict[str, Any]


plans = st.builds(
    Plan,
    reads=st.lists(streams, unique=True, max_size=2),
    writes=st.lists(streams, max_size=5),
    wrong=st.sampled_from([0] * 12 + [-1, 1, 3]),
    again=st.none() | st.none() | st.none() | numbers,
    unseen=st.sampled_from([False] * 5 + [True]),
    type=st.sampled_from(["one", "another", "ünlike"]),
    about=metadata,
)
groups = st.lists(plans, min_size=1, max_size=6)


@dataclass(frozen=True)
class StreamRead:
    stream_id: str
    after: int
    cut: tuple[str, int]
    backwards: bool
    limit: int | None
    stamp: Stamp | None


@dataclass(frozen=True)
class LogRead:
    after: int
    limit: int
    categories: frozenset[str]
    types: frozenset[str]
    correlation: str | None
    until: int | None


stream_reads = st.lists(
    st.builds(StreamRead, streams, st.just(0) | versions, cuts, st.booleans(), st.none() | limits, st.none() | stamps),
    min_size=1,
    max_size=6,
)
log_reads = st.lists(
    st.builds(
        LogRead,
        numbers,
        limits,
        st.just(frozenset()) | st.frozensets(st.sampled_from(["task", "pool", "workflow"]), max_size=2),
        st.just(frozenset()) | st.frozensets(st.sampled_from(["one", "ünlike"]), max_size=1),
        st.sampled_from([None, None, "c", 'c "2"']),
        st.none() | numbers,
    ),
    min_size=1,
    max_size=6,
)
