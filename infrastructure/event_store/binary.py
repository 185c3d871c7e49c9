"""PostgreSQL's binary form of single values, as a DirectConnection answers them."""

from datetime import UTC, datetime, timedelta
from struct import Struct

EPOCH = datetime(2000, 1, 1, tzinfo=UTC)
"""PostgreSQL's."""
MICROSECOND = timedelta(microseconds=1)
_INT4 = Struct("!i").unpack
_INT8 = Struct("!q")


def integer(value: bytes) -> int:
    return int(_INT4(value)[0])


def bigint(value: bytes) -> int:
    return int(_INT8.unpack(value)[0])


def pack_bigint(value: int) -> bytes:
    return _INT8.pack(value)


def timestamptz(value: bytes) -> datetime:
    return EPOCH + bigint(value) * MICROSECOND
