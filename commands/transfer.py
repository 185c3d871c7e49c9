"""Envelopes between processes: a line of JSON about the command, and one with the command itself."""

from datetime import datetime
from typing import Any
from uuid import UUID

import orjson

from commands.envelope import Envelope
from commands.messages import COMMANDS
from commands.messages.agent import Heartbeat
from commands.messages.transaction import Transaction

MAX_BYTES = 100_000
"""What is larger stays where it is."""


def to_bytes(envelope: Envelope) -> bytes | None:
    """None for what can't be decided elsewhere, or whose answer would not be found by its command id.

    An answer that is not recorded (a heartbeat's, a conflict with the version that the caller named) is one. A
    transaction, which names versions as a rule, stays too.
    """
    command = envelope.command
    if isinstance(command, Heartbeat | Transaction) or envelope.expected_version is not None or envelope.tokens:
        return None
    told: dict[str, Any] = {
        "command_id": envelope.command_id,
        "type": command.type,
        "actor": envelope.actor,
        "correlation_id": envelope.correlation_id,
    }
    if envelope.causation_id is not None:
        told["causation_id"] = envelope.causation_id
    if envelope.occurred_at is not None:
        told["occurred_at"] = envelope.occurred_at
    if envelope.traceparent is not None:
        told["traceparent"] = envelope.traceparent
    if envelope.note is not None:
        told["note"] = envelope.note
    packed = orjson.dumps(told) + b"\n" + command.__pydantic_serializer__.to_json(command)
    return packed if len(packed) <= MAX_BYTES else None


def from_bytes(packed: bytes) -> Envelope:
    """What `to_bytes` made. Raises ValueError for anything else, such as a command of a newer release.

    Not strict: it was validated at the edge, and JSON has no decimals.
    """
    about, _, data = packed.partition(b"\n")
    told = orjson.loads(about)
    try:
        occurred_at = told.get("occurred_at")
        return Envelope(
            UUID(told["command_id"]),
            COMMANDS[told["type"]].model_validate_json(data, strict=False),
            told["actor"],
            told["correlation_id"],
            told.get("causation_id"),
            None if occurred_at is None else datetime.fromisoformat(occurred_at),
            note=told.get("note"),
            traceparent=told.get("traceparent"),
        )
    except (KeyError, TypeError, AttributeError) as error:
        raise ValueError(f"This is no envelope: {error}") from error
