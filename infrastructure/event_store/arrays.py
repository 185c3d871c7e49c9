"""PostgreSQL arrays in their binary form, packed at once.

psycopg dumps a list element by element in Python, which took a tenth of the time of a command; these have one
type each, and no nulls. The form is array_recv's (PostgreSQL, src/backend/utils/adt/arrayfuncs.c): dimensions,
flags, oid of the elements, count, lower bound; then each element after its length.
"""

from abc import ABC, abstractmethod
from array import array
from collections.abc import Iterable, Sequence
from datetime import datetime
from struct import Struct
from sys import byteorder
from typing import Any, ClassVar, Self

import psycopg
from psycopg.abc import Buffer
from psycopg.adapt import Dumper
from psycopg.postgres import types
from psycopg.pq import Format

from domain.log import Identifier
from infrastructure.event_store.binary import EPOCH, MICROSECOND

_HEADER = Struct("!iiIii").pack
_INT4 = Struct("!ii").pack
_INT8 = Struct("!iq").pack
_LENGTH = Struct("!i").pack
_UUID_LENGTH = _LENGTH(16)


class Packed(ABC):
    """A parameter that is an array, packed; each subclass is one type of array."""

    __slots__ = ("bytes",)
    element: ClassVar[str]
    oid: ClassVar[int]
    nothing: ClassVar[bytes]

    def __init_subclass__(cls) -> None:
        cls.oid = types[cls.element].oid
        cls.nothing = Struct("!iiI").pack(0, 0, cls.oid)

    def __init__(self, values: Sequence[Any]) -> None:
        self.bytes = self.pack(values)

    @classmethod
    def of(cls, packed: bytes) -> Self:
        """What the server packed."""
        array = cls(())
        array.bytes = packed
        return array

    @classmethod
    def pack(cls, values: Sequence[Any]) -> bytes:
        """The binary form. Raises struct.error or OverflowError for what is out of range."""
        if not values:
            return cls.nothing
        return _HEADER(1, 0, cls.oid, len(values), 1) + cls.elements(values)

    @staticmethod
    @abstractmethod
    def elements(values: Sequence[Any]) -> bytes:
        """Each one after its length."""


class Int4Array(Packed):
    __slots__ = ()
    element = "int4"

    @staticmethod
    def elements(values: Sequence[int]) -> bytes:
        if len(values) == 1:  # a lone command
            return _INT4(4, values[0])
        packed = array("i", (4,)) * (2 * len(values))
        packed[1::2] = array("i", values)
        if byteorder == "little":
            packed.byteswap()
        return packed.tobytes()


class Int8Array(Packed):
    __slots__ = ()
    element = "int8"

    @staticmethod
    def elements(values: Sequence[int]) -> bytes:
        return b"".join([_INT8(8, value) for value in values])


class ByteaArray(Packed):
    __slots__ = ()
    element = "bytea"

    @staticmethod
    def elements(values: Sequence[bytes]) -> bytes:
        return _with_lengths(values)


class TextArray(Packed):
    """Raises UnicodeEncodeError for what is no text, such as a lone surrogate."""

    __slots__ = ()
    element = "text"

    @staticmethod
    def elements(values: Sequence[str]) -> bytes:
        return _with_lengths([value.encode() for value in values])


class UuidArray(Packed):
    __slots__ = ()
    element = "uuid"

    @staticmethod
    def elements(values: Sequence[Identifier]) -> bytes:
        return _UUID_LENGTH + _UUID_LENGTH.join([value.bytes for value in values])


class TimestamptzArray(Packed):
    __slots__ = ()
    element = "timestamptz"

    @staticmethod
    def elements(values: Sequence[datetime]) -> bytes:
        return b"".join([_INT8(8, (value - EPOCH) // MICROSECOND) for value in values])


def _with_lengths(values: Iterable[bytes]) -> bytes:
    return b"".join([part for value in values for part in (_LENGTH(len(value)), value)])


class _PackedDumper(Dumper):
    format = Format.BINARY

    def dump(self, obj: Packed) -> Buffer | None:
        return obj.bytes


# For all connections: nobody else has parameters of these types.
for _array in (Int4Array, Int8Array, ByteaArray, TextArray, TimestamptzArray, UuidArray):
    psycopg.adapters.register_dumper(
        _array, type(f"{_array.__name__}Dumper", (_PackedDumper,), {"oid": types[_array.element].array_oid})
    )
