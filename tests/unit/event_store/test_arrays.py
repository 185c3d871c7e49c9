"""Arrays as they are packed for PostgreSQL, unpacked as psycopg unpacks what the server packed."""

from datetime import UTC, datetime, timedelta
from struct import error as StructError
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from psycopg.adapt import Transformer
from psycopg.postgres import types
from psycopg.pq import Format

from infrastructure.event_store.arrays import (
    ByteaArray,
    Int4Array,
    Int8Array,
    Packed,
    TextArray,
    TimestamptzArray,
    UuidArray,
)

VALUES: dict[type[Packed], st.SearchStrategy[Any]] = {
    Int4Array: st.integers(-(2**31), 2**31 - 1),
    Int8Array: st.integers(-(2**63), 2**63 - 1),
    ByteaArray: st.binary(max_size=20),
    TextArray: st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=20),
    UuidArray: st.uuids(),
    TimestamptzArray: st.datetimes(
        datetime(1, 1, 2), datetime(9999, 12, 30), timezones=st.just(UTC)
    ),  # in UTC, as said
}


def unpacked(kind: type[Packed], packed: bytes) -> Any:
    transformer = Transformer()
    transformer.set_loader_types([types[kind.element].array_oid], Format.BINARY)
    return transformer.load_sequence((packed,))[0]


@pytest.mark.parametrize("kind", VALUES, ids=lambda kind: kind.element)
def test_what_is_packed_is_what_the_server_would_have_packed(kind: type[Packed]) -> None:
    @given(st.lists(VALUES[kind], max_size=5))
    def same(values: list[Any]) -> None:
        assert unpacked(kind, kind.pack(values)) == values
        assert kind(values).bytes == kind.pack(values)

    same()


@pytest.mark.parametrize("kind", VALUES, ids=lambda kind: kind.element)
def test_a_kind_knows_its_type_and_how_nothing_of_it_is_packed(kind: type[Packed]) -> None:
    again: type[Packed] = type("Again", (kind,), {"__slots__": ()})
    assert again.oid == types[kind.element].oid
    assert again.pack(()) == b"\0" * 8 + again.oid.to_bytes(4, "big")
    assert unpacked(kind, again.pack(())) == []


def test_what_the_server_packed_goes_back_as_it_came() -> None:
    packed = Int8Array.pack([3, -5])
    given_back = Int8Array.of(packed)
    assert (type(given_back), given_back.bytes) == (Int8Array, packed)


@pytest.mark.parametrize(
    ("kind", "value"), [(Int4Array, [2**31]), (Int4Array, [1, 2**31]), (Int8Array, [2**63]), (Int8Array, [-(2**64)])]
)
def test_what_is_out_of_range_is_refused(kind: type[Packed], value: list[int]) -> None:
    with pytest.raises((StructError, OverflowError)):
        kind.pack(value)


def test_half_a_letter_is_no_text() -> None:
    with pytest.raises(UnicodeEncodeError):
        TextArray.pack(["\ud800"])


def test_a_moment_is_told_to_the_microsecond() -> None:
    moment = datetime(2026, 3, 1, 12, 0, 0, 1, tzinfo=UTC)
    before = datetime(1999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)
    assert unpacked(TimestamptzArray, TimestamptzArray.pack([moment, before, moment + timedelta.resolution])) == [
        moment,
        before,
        moment + timedelta.resolution,
    ]
