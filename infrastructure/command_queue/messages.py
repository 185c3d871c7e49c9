"""A command as a message of dramatiq: one argument, the submission as the edge takes it."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from uuid import NAMESPACE_OID, UUID, uuid4, uuid5

from dramatiq import Message

from commands.edge import MAX_BYTES
from commands.strict_json import parse_json
from domain.errors import InvalidInput

QUEUE = "commands"
ACTOR = "submit"
MAX_MESSAGE_BYTES = MAX_BYTES + 4096
"""With what dramatiq writes around a command."""


@dataclass(frozen=True, slots=True)
class Taken:
    """A message in hand. `id` is what the broker knows it by. `fault` says why it can't be read: then it is no command.

    `command_id` is the submission's, or follows from the message's own id where that has none, so that it is the same
    each time the message is delivered.
    """

    id: bytes
    submission: Mapping[str, Any]
    command_id: UUID | None
    fault: str | None = None


def write(submission: Mapping[str, Any], command_id: UUID) -> tuple[str, bytes]:
    """The broker's id of a new message, and the message. Raises InvalidInput for what is no JSON, or too long."""
    id = str(uuid4())
    options = {"redis_message_id": id}
    message: Message[Any] = Message(QUEUE, ACTOR, (dict(submission),), {}, options, message_id=str(command_id))
    try:
        raw = message.encode()
    except (TypeError, ValueError, RecursionError) as error:
        raise InvalidInput(f"The command is no JSON ({error}); use text, numbers, lists and objects only.") from None
    if len(raw) > MAX_MESSAGE_BYTES:
        raise InvalidInput(f"The command has over {MAX_BYTES} bytes, which is the limit; send less.", limit=MAX_BYTES)
    return id, raw


def read(id: bytes, raw: bytes) -> Taken:
    """What a message says, whoever wrote it; nothing that is wrong with it raises.

    The id is the broker's own: what a message tells of it is not believed.
    """
    if len(raw) > MAX_MESSAGE_BYTES:
        return _unreadable(id, f"The message has {len(raw)} bytes and the limit is {MAX_MESSAGE_BYTES}; send less.")
    try:
        value = parse_json(raw)
    except InvalidInput as error:
        return _unreadable(id, error.message)
    if not isinstance(value, dict):
        return _unreadable(id, "The message is no JSON object; mend its sender.")
    message_id = value.get("message_id")
    known = id_of(message_id) if isinstance(message_id, str) else None
    if fault := _fault(value):
        return Taken(id, {}, known, fault)
    submission = value["args"][0]
    if submission.get("command_id") is None:
        return Taken(id, submission | {"command_id": str(known)}, known)
    return Taken(id, submission, _uuid(submission["command_id"]) or known)


def id_of(message_id: str) -> UUID:
    """The command id of a message that names none."""
    return _uuid(message_id) or uuid5(NAMESPACE_OID, message_id.encode(errors="backslashreplace").decode())


def _fault(value: Mapping[str, Any]) -> str | None:
    if value.get("actor_name") != ACTOR:
        return f"The message is for another actor; commands are for {ACTOR}: mend its sender."
    arguments = value.get("args")
    if value.get("kwargs") or not isinstance(arguments, list) or len(arguments) != 1:
        return "The message must have one argument, the command, and no named ones; mend its sender."
    if not isinstance(arguments[0], dict):
        return "The one argument of the message must be the command, a JSON object; mend its sender."
    return None if isinstance(value.get("message_id"), str) else "The message has no message_id; send it with dramatiq."


def _unreadable(id: bytes, fault: str) -> Taken:
    return Taken(id, {}, None, fault)


def _uuid(value: object) -> UUID | None:
    try:
        return UUID(value) if isinstance(value, str) else None
    except ValueError:
        return None
