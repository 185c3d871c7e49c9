"""Which stored types there are, and how stored bytes become today's events.

Upcasters lift an old payload, one schema version at a time, when it is read; stored bytes never change.
"""

from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import orjson
from pydantic import ValidationError

from domain.aggregate import Event
from domain.errors import CorruptLog

Upcaster = Callable[[dict[str, Any]], dict[str, Any]]
Decoder = Callable[[bytes], Event]


class UnknownEvent(CorruptLog):
    """The log holds an event that this release does not know; run a release that does."""

    code = "unknown_event"


class EventCatalogue:
    """The types of events by their stored names, with the upcasters of each.

    `upcasters` maps (type, schema version) to the function that lifts a payload to the next version.
    """

    def __init__(
        self, events: Iterable[type[Event]], upcasters: Mapping[tuple[str, int], Upcaster] | None = None
    ) -> None:
        self._types = {event.type: event for event in events}
        self._upcasters = dict(upcasters or {})
        self.decoders: Mapping[tuple[str, int], Decoder] = _Decoders(self)
        """By type and schema version, for many events: `decode` says more plainly what is wrong with one."""

    @property
    def types(self) -> Mapping[str, type[Event]]:
        return self._types

    def encode(self, event: Event) -> bytes:
        """The bytes to store."""
        return event.__pydantic_serializer__.to_json(event, exclude_none=True)

    def decode(self, type_name: str, schema_version: int, data: bytes) -> Event:
        """Stored bytes as an event of today's shape.

        Raises UnknownEvent for a type or a newer schema version that this release does not know, and
        CorruptLog for bytes that don't fit their type.
        """
        event_type = self._types.get(type_name)
        if event_type is None or schema_version > event_type.schema_version:
            raise UnknownEvent(
                f"The log holds an event {type_name} of schema version {schema_version}, which this release "
                "does not know; run the release that wrote it, or a later one.",
                event_type=type_name,
                schema_version=schema_version,
            )
        try:
            if schema_version == event_type.schema_version:
                return event_type.__pydantic_validator__.validate_json(data)  # type: ignore[no-any-return]  # pydantic types it as Any
            return event_type.model_validate(self._upcast(event_type, schema_version, orjson.loads(data)))
        except (ValidationError, ValueError, LookupError, TypeError, AttributeError) as error:
            raise CorruptLog(
                f"A stored event {type_name} does not have the shape of its type; restore it from a backup.",
                event_type=type_name,
                detail=str(error),
            ) from error

    def decoder(self, type_name: str, schema_version: int) -> Decoder:
        """What makes events of one kind of bytes; it raises what it likes."""
        event_type = self._types.get(type_name)
        if event_type is not None and schema_version == event_type.schema_version:
            return event_type.__pydantic_validator__.validate_json
        return partial(self.decode, type_name, schema_version)

    def _upcast(self, event_type: type[Event], version: int, payload: dict[str, Any]) -> dict[str, Any]:
        while version < event_type.schema_version:
            upcaster = self._upcasters.get((event_type.type, version))
            if upcaster is None:
                raise CorruptLog(
                    f"No upcaster lifts {event_type.type} from schema version {version}; this release is broken.",
                    event_type=event_type.type,
                    schema_version=version,
                )
            payload = upcaster(payload)
            version += 1
        return payload


class _Decoders(dict[tuple[str, int], Decoder]):
    """Found once, and then looked up."""

    def __init__(self, catalogue: EventCatalogue) -> None:
        super().__init__()
        self._catalogue = catalogue

    def __missing__(self, kind: tuple[str, int]) -> Decoder:
        decoder = self[kind] = self._catalogue.decoder(*kind)
        return decoder
