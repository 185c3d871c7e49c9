"""Originator ids as stream ids, and back without loss: a UUID is another originator than its text."""

from uuid import UUID

from eventsourcing.persistence import DataError

_UUID = "uuid-"
_TEXT = "text-"


def stream_id(originator_id: UUID | str) -> str:
    """The stream of an originator. Raises DataError for what is neither a UUID nor a str."""
    if isinstance(originator_id, UUID):
        return f"{_UUID}{originator_id}"
    if isinstance(originator_id, str):
        return f"{_TEXT}{originator_id}"
    raise DataError(f"{originator_id!r} is no originator id: use a UUID or a str.")


def originator_id(stream_id: str) -> UUID | str:
    """The originator of a stream. Raises DataError for a stream that the library did not write."""
    if stream_id.startswith(_UUID):
        return UUID(stream_id.removeprefix(_UUID))
    if stream_id.startswith(_TEXT):
        return stream_id.removeprefix(_TEXT)
    raise DataError(f"The stream {stream_id} is none of an eventsourcing application's.")
