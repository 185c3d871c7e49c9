"""From rows of `read_fold` and `read_folds` to stretches."""

from collections.abc import Sequence
from hashlib import sha256
from itertools import accumulate
from struct import unpack

from psycopg.pq.abc import PGresult

from domain.errors import CorruptLog
from domain.log import FoldRequest, StoredEvent, Stretch
from domain.snapshots import Place, Snapshot, Stamp
from infrastructure.event_store.binary import bigint, integer, timestamptz

_DIGEST, _MORE, _TYPES, _NUMBERS, _LENGTHS, _DATA = range(5, 11)
"""Columns of `read_fold`."""


class SpoiledSnapshot(Exception):
    """A snapshot is not what was kept: it must not be gone on from."""

    def __init__(self, stream_id: str, version: int) -> None:
        super().__init__(f"The snapshot of {stream_id} at version {version} was spoiled")
        self.version = version


def digest(stream_id: str, stamp: Stamp, snapshot: Snapshot) -> bytes:
    """Of all that a snapshot says."""
    place = snapshot.place
    told = (stream_id, stamp.schema, stamp.fold_version, place.version, place.position, place.following)
    return sha256(f"{told} {place.recorded_at.isoformat()} ".encode() + snapshot.state).digest()


def of_rows(result: PGresult, stream_id: str, stamp: Stamp | None, after_version: int) -> tuple[Stretch, bool]:
    """The rows of `read_fold`, and whether more follows.

    Raises SpoiledSnapshot, and CorruptLog where versions are missing.
    """
    return _stretch(result, 0, range(result.ntuples), stream_id, stamp, after_version)


def of_requests(result: PGresult, requests: Sequence[FoldRequest]) -> list[tuple[Stretch, bool] | None]:
    """The rows of `read_folds`, one stretch a request; None: its snapshot was spoiled. Raises CorruptLog."""
    rows: dict[int, list[int]] = {}
    for row in range(result.ntuples):
        rows.setdefault(integer(_cell(result, row, 0)), []).append(row)
    found: list[tuple[Stretch, bool] | None] = []
    for place, asked in enumerate(requests, start=1):
        try:
            found.append(_stretch(result, 1, rows.get(place, ()), asked.stream_id, asked.stamp, asked.after_version))
        except SpoiledSnapshot:
            found.append(None)
    return found


def _stretch(
    result: PGresult, first: int, rows: Sequence[int], stream_id: str, stamp: Stamp | None, after_version: int
) -> tuple[Stretch, bool]:
    """`first`: the column at which those of `read_fold` begin. One row is of the snapshot, one of all the events."""
    snapshot: Snapshot | None = None
    stretch, more = Stretch(None, [], None), False
    for row in rows:
        told = result.get_value(row, first + _DIGEST)
        if told is not None:
            snapshot = Snapshot(_place(result, row, first), _cell(result, row, first + _DATA))
            if stamp is None or told != digest(stream_id, stamp, snapshot):
                raise SpoiledSnapshot(stream_id, snapshot.place.version)
            after_version = snapshot.place.version
            stretch = Stretch(snapshot, [], snapshot.place)
        else:
            events = _events(result, row, first)
            last = _place(result, row, first)
            begins = bigint(_cell(result, row, first))
            if begins != after_version + 1 or last.version - begins != len(events) - 1:
                raise lacking(stream_id, after_version, begins)
            stretch, more = Stretch(snapshot, events, last), _cell(result, row, first + _MORE) == b"\x01"
    return stretch, more


def _events(result: PGresult, row: int, first: int) -> list[StoredEvent]:
    """They come put together: taking them apart costs a quarter of what receiving each of them would."""
    types = _cell(result, row, first + _TYPES).decode().split("\x1f")
    numbers, lengths = _cell(result, row, first + _NUMBERS), _cell(result, row, first + _LENGTHS)
    count = len(lengths) // 4
    if len(types) != count:
        raise CorruptLog(f"A type of event has a separator in its name, among {sorted(set(types))}.")
    data = _cell(result, row, first + _DATA)
    ends = [*accumulate(unpack(f"!{count}i", lengths))]
    events = [data[begin:end] for begin, end in zip([0, *ends], ends, strict=False)]
    return list(zip(types, unpack(f"!{count}i", numbers), events, strict=True))


def _place(result: PGresult, row: int, first: int) -> Place:
    return Place(
        bigint(_cell(result, row, first + 1)),
        bigint(_cell(result, row, first + 2)),
        integer(_cell(result, row, first + 3)),
        timestamptz(_cell(result, row, first + 4)),
    )


def _cell(result: PGresult, row: int, column: int) -> bytes:
    value = result.get_value(row, column)
    assert value is not None
    return value


def lacking(stream_id: str, after_version: int, first_version: int) -> CorruptLog:
    """Versions are contiguous; where some are missing (archived), no answer is better than a wrong one."""
    return CorruptLog(
        f"The stream {stream_id} lacks versions after {after_version} here: its older months may be"
        " archived; bring them back first.",
        stream_id=stream_id,
        after_version=after_version,
        first_version=first_version,
    )
