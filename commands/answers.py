"""What a command is answered: as bytes that the log keeps for its id, and as callers get it."""

import hashlib
from collections.abc import Mapping
from typing import Any

import orjson

from commands.envelope import Answer, Envelope, Outcome, Problem
from domain.errors import ConflictError, DoraStateError, LockLost
from domain.log import AlreadyRecorded, Appended, LockedOut
from domain.values import iso

NO_VERSIONS: Mapping[str, int] = {}


def digest(envelope: Envelope) -> str:
    """Tells whether two commands of one id are the same request."""
    command = envelope.command
    content = command.__pydantic_serializer__.to_json(command)
    return hashlib.blake2b(command.type.encode() + b"\0" + content, digest_size=16).hexdigest()


def outcome_of(versions: Mapping[str, int], problem: Problem | None) -> Outcome:
    """Of a command that was decided; `versions` are of the streams that it writes."""
    return "refused" if problem else "accepted" if versions else "unchanged"


def to_bytes(envelope: Envelope, versions: Mapping[str, int], problem: Problem | None) -> bytes:
    """What the log keeps."""
    stored: dict[str, object] = {
        "type": envelope.command.type,
        "digest": digest(envelope),
        "outcome": outcome_of(versions, problem),
    }
    if versions:
        stored["versions"] = versions
    if problem:
        stored["problem"] = {"code": problem.code, "message": problem.message, "facts": problem.facts}
    return orjson.dumps(stored)


def of_appended(envelope: Envelope, versions: Mapping[str, int], problem: Problem | None, where: Appended) -> Answer:
    """The answer of a command that was decided here and is recorded now."""
    return Answer(
        envelope.command_id,
        envelope.command.type,
        outcome_of(versions, problem),
        versions,
        where.last_position,
        where.recorded_at,
        problem,
    )


def of_recorded(envelope: Envelope, recorded: AlreadyRecorded, *, repeated: bool = True) -> Answer:
    """The first answer of an id that is known, if it was given to the same command."""
    stored = orjson.loads(recorded.answer)
    if stored["digest"] != digest(envelope):
        return failed(
            envelope,
            "command_id_reused",
            f"Command id {envelope.command_id} was used before, for a {stored['type']} with other content; "
            "take a fresh id for each command.",
            outcome="invalid",
        )
    problem = stored.get("problem")
    return Answer(
        command_id=envelope.command_id,
        type=stored["type"],
        outcome=stored["outcome"],
        versions=stored.get("versions", NO_VERSIONS),
        position=recorded.last_position,
        recorded_at=recorded.recorded_at,
        problem=Problem(**problem) if problem else None,
        repeated=repeated,
    )


def conflict(envelope: Envelope, stream_id: str, expected: int, actual: int) -> Answer:
    """An aggregate is not at the version that the caller named."""
    return failed(
        envelope,
        ConflictError.code,
        f"{stream_id} is at version {actual}, not at {expected}; read it again and decide again.",
        outcome="conflict",
        stream_id=stream_id,
        expected=expected,
        actual=actual,
    )


def locked_out(envelope: Envelope, outcome: LockedOut) -> Answer:
    """Another holds a stream that the command writes, or the caller lost the lock that it thought to hold."""
    if outcome.stream_id is None or outcome.since is None:
        return failed(envelope, LockLost.code, LockLost().message)
    return failed(
        envelope,
        "locked",
        f"{outcome.stream_id} is locked by {outcome.holder} since {iso(outcome.since)}; try again a little later.",
        stream_id=outcome.stream_id,
        holder=outcome.holder,
        since=iso(outcome.since),
    )


def of_error(envelope: Envelope, error: DoraStateError) -> Answer:
    return Answer(
        envelope.command_id, envelope.command.type, "failed", problem=Problem(error.code, error.message, error.facts)
    )


def failed(envelope: Envelope, code: str, message: str, *, outcome: Outcome = "failed", **facts: Any) -> Answer:
    """An answer that is not recorded."""
    return Answer(envelope.command_id, envelope.command.type, outcome, problem=Problem(code, message, facts))


def of_telemetry(envelope: Envelope, problem: Problem | None) -> Answer:
    """Of a heartbeat, which leaves no row in the log."""
    return Answer(envelope.command_id, envelope.command.type, "refused" if problem else "accepted", problem=problem)
