"""What a copy looks like in Redis.

Position and how far the log had been applied when it was copied (sixteen digits each), the era (16), the second at
which it dies (10) and its life (6), which Redis writes, a checksum of the body (8), the kind of body (1), the body.
"""

from dataclasses import dataclass
from typing import Any
from zlib import crc32

import zstandard

from infrastructure.hot_copies.keys import stamp

COMPRESSED_FROM = 1_024
"""Documents of so many bytes are compressed; docs/benchmarks.md has the measurement that chose it."""
LARGEST = 256 * 2**20
"""No copy is larger than this when it is decompressed."""
LEVEL = 1
_HEADER = 73
_WHOLE = 16
_compressor = zstandard.ZstdCompressor(level=LEVEL)
_decompressor = zstandard.ZstdDecompressor()


@dataclass(frozen=True, slots=True)
class Standing:
    """Up to where the copies are good, and which are believed: those of this era, made at the floor or after it."""

    seen: int
    floor: bytes
    era: bytes


@dataclass(frozen=True, slots=True)
class Copy:
    position: int
    body: bytes


def handed(position: int, copied_at: int, era: bytes, body: bytes | None) -> bytes:
    """A copy as the scripts take it; without a body it says that what is older is outdated."""
    head = stamp(position).encode() + stamp(copied_at).encode() + era
    if body is None:
        return head + b"00000000o"
    kind = b"j"
    if len(body) >= COMPRESSED_FROM:
        kind, body = b"z", _compressor.compress(body)
    return head + b"%08x" % crc32(body) + kind + body


def standing(lease: Any) -> Standing | None:
    """None where the copies can't be relied on: nobody keeps them, or what is there is not ours."""
    if not isinstance(lease, bytes) or len(lease) != 3 * _WHOLE or not lease[: 2 * _WHOLE].isdigit():
        return None
    return Standing(int(lease[:_WHOLE]), lease[_WHOLE : 2 * _WHOLE], lease[2 * _WHOLE :])


def believed(standing: Standing, value: Any) -> Copy | None:
    """The copy, if it is one, is whole, and may be believed."""
    if not isinstance(value, bytes) or len(value) <= _HEADER or value[32:48] != standing.era:
        return None
    position, copied_at = value[:_WHOLE], value[_WHOLE : 2 * _WHOLE]
    body = value[_HEADER:]
    if copied_at < standing.floor or not position.isdigit() or value[64:72] != b"%08x" % crc32(body):
        return None
    plain = _decompressed(body) if value[72:73] == b"z" else body
    return None if plain is None else Copy(int(position), plain)


def _decompressed(body: bytes) -> bytes | None:
    try:
        size = zstandard.frame_content_size(body)
        return _decompressor.decompress(body) if 0 <= size <= LARGEST else None
    except zstandard.ZstdError:
        return None
