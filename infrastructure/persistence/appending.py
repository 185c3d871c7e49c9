"""One call of `insert_events` as one command of the log."""

from collections.abc import Sequence
from typing import cast

import orjson
from eventsourcing.persistence import IntegrityError, StoredEvent
from uuid_utils.compat import uuid7

from domain.log import AlreadyRecorded, Appended, CommandAppend, LockedOut, NewEvent
from infrastructure import sql
from infrastructure.event_store.group import Group, OutcomeRow, outcomes
from infrastructure.persistence.ids import stream_id
from infrastructure.pools import ThreadConnection

_STORED_AS = 1  # the schema version of what we store; the library keeps its own versions in the state


def to_command(stored_events: Sequence[StoredEvent]) -> CommandAppend:
    """The command that appends these events, under an id that is new.

    It expects each stream at the version before its first event, so a stream may begin with version 0 or 1.
    Raises IntegrityError when the versions of a stream are not contiguous, which no log could hold.
    """
    expected: dict[str, int] = {}
    last: dict[str, int] = {}
    events: list[NewEvent] = []
    for stored in stored_events:
        stream, version = stream_id(stored.originator_id), stored.originator_version
        expected.setdefault(stream, version - 1)
        if version != last.get(stream, version - 1) + 1:
            raise IntegrityError(f"Version {version} of {stream} does not follow version {last[stream]}.")
        last[stream] = version
        events.append(NewEvent(uuid7(), stream, stored.topic, _STORED_AS, stored.state, b"{}"))
    return CommandAppend(uuid7(), expected, tuple(events), orjson.dumps({"events": len(events)}))


def append(connection: ThreadConnection, command: CommandAppend) -> tuple[list[int], bool]:
    """Append a command; returns the positions of its events, and whether it was not recorded before.

    Raises IntegrityError when a stream is not where the command expects it; nothing is appended then.
    """
    group = Group()
    group.add(command)
    rows = connection.execute(sql.load("append"), group.arguments(None), binary=True).fetchall()
    (outcome,) = outcomes([command], group, cast(list[OutcomeRow], rows))
    if isinstance(outcome, Appended | AlreadyRecorded):
        first = outcome.first_position or 1  # never None: there are events
        return list(range(first, first + len(command.events))), isinstance(outcome, Appended)
    if isinstance(outcome, LockedOut):
        raise IntegrityError(f"{outcome.stream_id} is locked by {outcome.holder}.")
    raise IntegrityError(
        f"{outcome.stream_id} is at version {outcome.actual}, and version {outcome.expected + 1} can't come next."
    )
