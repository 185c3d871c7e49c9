"""PostgreSQL arrays in their binary form, packed at once.

psycopg dumps a list element by element in Python, which took a tenth of the time of a command; these have one
type each, and no nulls. The form is array_recv's (PostgreSQL, src/backend/utils/adt/arrayfuncs.c): dimensions,
flags, oid of the elements, count, lower bound; then each element after its length.
"""

from collections.abc import Iterable, Sequence
from datetime import UTC, datetime, timedelta
from struct import Struct
from typing import ClassVar

import psycopg
from psycopg.abc import Buffer
from psycopg.adapt import Dumper
from psycopg.postgres import types
from psycopg.pq import Format

from domain.log import Identifier

_HEADER = Struct("!iiIii")
_NOTHING = Struct("!iiI")
_INT4 = Struct("!ii").pack
_INT8 = Struct("!iq").pack
_LENGTH = Struct("!i").pack
_UUID_LENGTH = _LENGTH(16)
_EPOCH = datetime(2000, 1, 1, tzinfo=UTC)  # PostgreSQL's
_MICROSECOND = timedelta(microseconds=1)


class Packed:
    """A parameter that is an array, packed; each subclass is one type of array."""

    __slots__ = ("bytes",)
    element: ClassVar[str]

    def __init__(self, count: int, elements: Iterable[bytes]) -> None:
        """`elements` have their lengths in front."""
        oid = types[self.element].oid
        self.bytes = _HEADER.pack(1, 0, oid, count, 1) + b"".join(elements) if count else _NOTHING.pack(0, 0, oid)


class Int4Array(Packed):
    __slots__ = ()
    element = "int4"

    def __init__(self, values: Sequence[int]) -> None:
        super().__init__(len(values), [_INT4(4, value) for value in values])


class Int8Array(Packed):
    __slots__ = ()
    element = "int8"

    def __init__(self, values: Sequence[int]) -> None:
        super().__init__(len(values), [_INT8(8, value) for value in values])


class ByteaArray(Packed):
    __slots__ = ()
    element = "bytea"

    def __init__(self, values: Sequence[bytes]) -> None:
        super().__init__(len(values), [part for value in values for part in (_LENGTH(len(value)), value)])


class TextArray(Packed):
    """Raises UnicodeEncodeError for what is no text, such as a lone surrogate."""

    __slots__ = ()
    element = "text"

    def __init__(self, values: Sequence[str]) -> None:
        encoded = [value.encode() for value in values]
        super().__init__(len(values), [part for value in encoded for part in (_LENGTH(len(value)), value)])


class UuidArray(Packed):
    __slots__ = ()
    element = "uuid"

    def __init__(self, values: Sequence[Identifier]) -> None:
        super().__init__(len(values), [part for value in values for part in (_UUID_LENGTH, value.bytes)])


class TimestamptzArray(Packed):
    __slots__ = ()
    element = "timestamptz"

    def __init__(self, values: Sequence[datetime]) -> None:
        super().__init__(len(values), [_INT8(8, (value - _EPOCH) // _MICROSECOND) for value in values])


class _PackedDumper(Dumper):
    format = Format.BINARY

    def dump(self, obj: Packed) -> Buffer | None:
        return obj.bytes


# For all connections: nobody else has parameters of these types.
for _array in (Int4Array, Int8Array, ByteaArray, TextArray, TimestamptzArray, UuidArray):
    psycopg.adapters.register_dumper(
        _array, type(f"{_array.__name__}Dumper", (_PackedDumper,), {"oid": types[_array.element].array_oid})
    )
