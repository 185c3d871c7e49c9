"""From rows of `read_fold` and `read_folds` to stretches: no more is looked at of a row than a fold needs."""

import sys
from collections.abc import Sequence
from hashlib import sha256

from psycopg.pq.abc import PGresult

from domain.errors import CorruptLog
from domain.log import FoldRequest, StoredEvent, Stretch
from domain.snapshots import Place, Snapshot, Stamp
from infrastructure.event_store.binary import bigint, integer, timestamptz


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


def of_rows(result: PGresult, stream_id: str, stamp: Stamp | None, after_version: int) -> Stretch:
    """The rows of `read_fold`. Raises SpoiledSnapshot, and CorruptLog where versions are missing."""
    return _stretch(result, 0, range(result.ntuples), stream_id, stamp, after_version)


def of_requests(result: PGresult, requests: Sequence[FoldRequest]) -> list[Stretch | None]:
    """The rows of `read_folds`, one stretch a request; None: its snapshot was spoiled. Raises CorruptLog."""
    places = [integer(_cell(result, row, 0)) for row in range(result.ntuples)]
    rows: dict[int, list[int]] = {}
    for row, place in enumerate(places):
        rows.setdefault(place, []).append(row)
    found: list[Stretch | None] = []
    for place, asked in enumerate(requests, start=1):
        try:
            found.append(_stretch(result, 1, rows.get(place, ()), asked.stream_id, asked.stamp, asked.after_version))
        except SpoiledSnapshot:
            found.append(None)
    return found


def _stretch(
    result: PGresult, first: int, rows: Sequence[int], stream_id: str, stamp: Stamp | None, after_version: int
) -> Stretch:
    """`first`: the column at which those of `read_fold` begin."""
    if not rows:
        return Stretch(None, [], None)
    get, snapshot = result.get_value, None
    column_type, column_schema, column_data = first + 1, first + 2, first + 3
    if get(rows[0], column_type) is None:
        snapshot = Snapshot(_place(result, rows[0], first), _cell(result, rows[0], column_data))
        if stamp is None or _cell(result, rows[0], first + 7) != digest(stream_id, stamp, snapshot):
            raise SpoiledSnapshot(stream_id, snapshot.place.version)
        after_version, rows = snapshot.place.version, rows[1:]
    if not rows:
        return Stretch(snapshot, [], snapshot.place if snapshot else None)
    _refuse_holes(result, first, rows, stream_id, after_version)
    names, numbers = _names, _numbers
    events: list[StoredEvent] = [
        (names[get(row, column_type)], numbers[get(row, column_schema)], get(row, column_data))  # type: ignore[index, misc]  # none is null
        for row in rows
    ]
    return Stretch(snapshot, events, _place(result, rows[-1], first))


def _place(result: PGresult, row: int, first: int) -> Place:
    return Place(
        bigint(_cell(result, row, first)),
        bigint(_cell(result, row, first + 4)),
        integer(_cell(result, row, first + 5)),
        timestamptz(_cell(result, row, first + 6)),
    )


def _cell(result: PGresult, row: int, column: int) -> bytes:
    value = result.get_value(row, column)
    assert value is not None
    return value


def _refuse_holes(result: PGresult, first: int, rows: Sequence[int], stream_id: str, after_version: int) -> None:
    begins, ends = (bigint(_cell(result, row, first)) for row in (rows[0], rows[-1]))
    if begins != after_version + 1 or ends - begins != len(rows) - 1:
        raise lacking(stream_id, after_version, begins)


def lacking(stream_id: str, after_version: int, first_version: int) -> CorruptLog:
    """Versions are contiguous; where some are missing (archived), no answer is better than a wrong one."""
    return CorruptLog(
        f"The stream {stream_id} lacks versions after {after_version} here: its older months may be"
        " archived; bring them back first.",
        stream_id=stream_id,
        after_version=after_version,
        first_version=first_version,
    )


class _Names(dict[bytes, str]):
    def __missing__(self, name: bytes) -> str:
        text = self[name] = sys.intern(name.decode())
        return text


class _Numbers(dict[bytes, int]):
    def __missing__(self, packed: bytes) -> int:
        number = self[packed] = integer(packed)
        return number


_names, _numbers = _Names(), _Numbers()
"""The same few come again and again."""
