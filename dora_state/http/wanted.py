"""Which events a stream wants, and how an event is told to it."""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from functools import cached_property

from domain.errors import CorruptLog
from domain.log import LogFilter, RecordedEvent
from projections.exports import json_lines
from projections.metadata import metadata_of

Key = tuple[str, str]
"""By what a stream is found: the narrowest of what it asks for."""


class Told:
    """An event as streams are told of it; written once for all of them."""

    def __init__(self, event: RecordedEvent) -> None:
        self.event = event
        self.kind, _, self.id = event.stream_id.partition("-")

    @cached_property
    def correlation_id(self) -> str | None:
        try:
            found = metadata_of(self.event).get("correlation_id")
        except CorruptLog:  # what a foreign writer stored belongs to no conversation
            return None
        return found if isinstance(found, str) else None

    @cached_property
    def message(self) -> bytes:
        """A server-sent event. Its id is the position, so that a client can go on after it."""
        return b"id: %d\ndata: %s\n" % (self.event.position, json_lines.line(self.event))


@dataclass(frozen=True, slots=True)
class Wanted:
    """Empty means all. `id` is that of an aggregate, of whichever kind."""

    kinds: frozenset[str] = frozenset()
    types: frozenset[str] = frozenset()
    id: str | None = None
    correlation_id: str | None = None
    keys: tuple[Key, ...] = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "keys", tuple(self._keys()))

    @property
    def log_filter(self) -> LogFilter:
        """What the log itself can leave out."""
        return LogFilter(categories=self.kinds, types=self.types, correlation_id=self.correlation_id)

    def wants(self, told: Told) -> bool:
        return (
            (not self.kinds or told.kind in self.kinds)
            and (not self.types or told.event.type in self.types)
            and (self.id is None or told.id == self.id)
            and (self.correlation_id is None or told.correlation_id == self.correlation_id)
        )

    def _keys(self) -> Iterator[Key]:
        if self.id is not None:
            yield ("id", self.id)
        elif self.correlation_id is not None:
            yield ("correlation", self.correlation_id)
        elif self.types:
            yield from (("type", name) for name in self.types)
        elif self.kinds:
            yield from (("kind", name) for name in self.kinds)
        else:
            yield ("all", "")


def keys_of(told: Told, facets: Collection[str]) -> Iterator[Key]:
    """Those by which somebody may want this event, where facets are the first halves of those that there are."""
    if "id" in facets:
        yield ("id", told.id)
    if "type" in facets:
        yield ("type", told.event.type)
    if "kind" in facets:
        yield ("kind", told.kind)
    if "all" in facets:
        yield ("all", "")
    if "correlation" in facets and told.correlation_id is not None:
        yield ("correlation", told.correlation_id)
