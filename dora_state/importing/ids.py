"""Ids that follow from the file and the place in it, so that an import can go on where it stopped.

A command id carries its place in the import in its first 48 bits: they rise, so the index of command ids
stays compact, and the last recorded one tells how far the import came. Both are UUIDs of version 8.
"""

from uuid import UUID

_VERSION_8 = 0x8 << 76
_VARIANT = 0x2 << 62
_MASK = ~((0xF << 76) | (0x3 << 62))


def import_id(sha256: str) -> UUID:
    """The id of the import of a file with this SHA-256."""
    return UUID(int=(int(sha256[:32], 16) & _MASK) | _VERSION_8 | _VARIANT)


def command_id(sha256: str, place: int) -> UUID:
    """The id of the command at a place of the import (0 begins it, event n is n + 1)."""
    low = int(sha256[:20], 16)
    return UUID(int=(((place << 80) | low) & _MASK) | _VERSION_8 | _VARIANT)


def place_of(command: UUID) -> int:
    """The place in its import of a command."""
    return command.int >> 80
