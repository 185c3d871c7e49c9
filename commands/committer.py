"""Commits groups of commands: decide each on what the ones before it left, append all at once.

Every command succeeds or is refused on its own. Refusals and no-ops are recorded with their answers, so
that a command id answers the same for ever; a conflict with another process makes only the commands
concerned decide again.
"""

import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Protocol
from uuid import UUID

import orjson

from commands.decider import Decider, Decision
from commands.envelope import Answer, Envelope, Outcome, Problem
from commands.messages.agent import Heartbeat
from commands.work import Loaded, NotYetCommitted, Telemetry
from domain.all_events import CATALOGUE
from domain.errors import ConflictError, CorruptLog, LogError
from domain.log import (
    AlreadyRecorded,
    Appended,
    AppendOutcome,
    CommandAppend,
    Conflicted,
    EventLog,
    NewEvent,
)

MAX_ATTEMPTS = 20

logger = logging.getLogger(__name__)


class PresenceSink(Protocol):
    """Takes telemetry of agents; the last word of each agent is what counts."""

    async def record(self, heartbeats: Sequence[Telemetry]) -> None: ...


@dataclass(frozen=True, slots=True)
class Prepared:
    """A decided command, ready to append."""

    decision: Decision
    append: CommandAppend


class Committer:
    """One writer to a tenant's log. Not safe for concurrent use: the bus calls it from one task."""

    def __init__(
        self,
        log: EventLog,
        decider: Decider,
        presence: PresenceSink,
        *,
        tenant: str,
        new_id: Callable[[], UUID],
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self._log = log
        self._decider = decider
        self._presence = presence
        self._tenant = tenant
        self._new_id = new_id
        self._clock = clock

    async def commit(self, envelopes: Sequence[Envelope]) -> list[Answer]:
        """Answers in the order of the envelopes; each is durable when this returns.

        Raises LogError if the log could not be read or written: then whether anything was appended is
        unknown, and the same command ids may be sent again without harm.
        """
        answers: dict[int, Answer] = {}
        open_indexes = list(range(len(envelopes)))
        attempts = 0
        while open_indexes and attempts < MAX_ATTEMPTS:
            group = [(index, envelopes[index]) for index in open_indexes]
            left = await self._attempt(group, answers)
            # What only waited for the ones before it to be committed has not failed at anything.
            attempts += len(left) == len(open_indexes)
            open_indexes = left
        for index in open_indexes:
            answers[index] = _failed(envelopes[index], "busy", "Too many writers want the same streams; try again.")
        return [answers[index] for index in range(len(envelopes))]

    async def _attempt(self, group: list[tuple[int, Envelope]], answers: dict[int, Answer]) -> list[int]:
        """Decide and append a group once; gives the indexes that are to be decided again, in order."""
        await self._refresh_agents(group)
        now = self._clock()
        ahead: dict[str, Loaded[Any]] = {}
        prepared: list[tuple[int, Prepared]] = []
        heartbeats: list[Telemetry] = []
        waiting: list[int] = []
        for place, (index, envelope) in enumerate(group):
            try:
                decided = await self._decide(envelope, now, ahead)
            except NotYetCommitted:
                # It and all after it, so that they keep their order.
                waiting = [later for later, _ in group[place:]]
                break
            if isinstance(decided, Answer):
                answers[index] = decided
                continue
            work = decided.work
            if work.telemetry is not None and decided.problem is None:
                heartbeats.append(work.telemetry)
            if isinstance(envelope.command, Heartbeat) and not work.events:
                outcome: Outcome = "refused" if decided.problem else "accepted"
                answers[index] = Answer(envelope.command_id, envelope.command.type, outcome, problem=decided.problem)
                continue
            prepared.append((index, self.prepare(decided)))
            if decided.problem is None:
                ahead.update(work.left)
        outcomes = await self._log.append([one.append for _, one in prepared]) if prepared else []
        if heartbeats:
            await self._presence.record(heartbeats)
        return sorted(self._conclude(prepared, outcomes, answers) + waiting)

    async def _decide(self, envelope: Envelope, now: datetime, ahead: Mapping[str, Loaded[Any]]) -> Decision | Answer:
        """A decision, or an answer where none is to be recorded. One that can't be decided harms no other."""
        try:
            decision = await self._decider.decide(envelope, now, ahead)
            if _is_expected(decision):
                return decision
            return await self._version_conflict(decision, now, ahead)
        except CorruptLog as error:
            return _failed(envelope, error.code, error.message, **error.facts)
        except (LogError, NotYetCommitted):
            raise
        except Exception as error:  # a fault of ours must not take a whole group down
            logger.exception("%s %s could not be decided", envelope.command.type, envelope.command_id)
            message = f"{envelope.command.type} could not be decided ({type(error).__name__}); please report this."
            return _failed(envelope, "internal_error", message)

    async def _version_conflict(
        self, decision: Decision, now: datetime, ahead: Mapping[str, Loaded[Any]]
    ) -> Decision | Answer:
        """The caller named a version: a known command id still gets its first answer, a stale cache is renewed."""
        envelope = decision.envelope
        stream_id = envelope.command.stream_id
        known = await self._log.find_command(envelope.command_id)
        if known is not None:
            return to_answer(envelope, known.answer, known)
        if stream_id not in ahead:
            self._decider.forget([stream_id])
            decision = await self._decider.decide(envelope, now, ahead)
            if _is_expected(decision):
                return decision
        actual = decision.work.reads.get(stream_id, 0)
        return _failed(
            envelope,
            ConflictError.code,
            f"{stream_id} is at version {actual}, not at {envelope.expected_version}; read it again and decide again.",
            outcome="conflict",
            stream_id=stream_id,
            expected=envelope.expected_version,
            actual=actual,
        )

    def _conclude(
        self,
        prepared: list[tuple[int, Prepared]],
        outcomes: Sequence[AppendOutcome],
        answers: dict[int, Answer],
    ) -> list[int]:
        again: list[int] = []
        stale: set[str] = set()
        for (index, one), outcome in zip(prepared, outcomes, strict=True):
            if isinstance(outcome, Conflicted):
                again.append(index)
            else:
                answers[index] = to_answer(one.decision.envelope, one.append.answer, outcome)
            if isinstance(outcome, Appended):
                if one.decision.problem is None:
                    self._decider.remember(one.decision.work.left)
            else:
                stale |= one.append.expected.keys()
        # What a command that was not appended would have left may stand in states of its neighbours.
        self._decider.forget(stale)
        return again

    async def _refresh_agents(self, group: list[tuple[int, Envelope]]) -> None:
        """A heartbeat appends nothing, so nothing else would tell that another process took the agent off."""
        beating = {one.command.stream_id for _, one in group if isinstance(one.command, Heartbeat)}
        cached = {stream_id: version for stream_id in beating if (version := self._decider.cached_version(stream_id))}
        if cached:
            versions = await self._log.stream_versions(list(cached))
            self._decider.forget(stream_id for stream_id in cached if cached[stream_id] != versions.get(stream_id))

    def prepare(self, decision: Decision, recorded_at: datetime | None = None) -> Prepared:
        """What the log is to keep of a decision."""
        envelope, work = decision.envelope, decision.work
        metadata = _metadata(envelope, self._tenant)
        written = {} if decision.problem else work.left
        events = (
            ()
            if decision.problem
            else tuple(
                NewEvent(
                    self._new_id(),
                    key.stream_id,
                    event.type,
                    event.schema_version,
                    CATALOGUE.encode(event),
                    metadata,
                )
                for key, event in work.events
            )
        )
        answer = _answer_bytes(decision, {stream: loaded.version for stream, loaded in written.items()})
        return Prepared(decision, CommandAppend(envelope.command_id, work.reads, events, answer, recorded_at))


def digest(envelope: Envelope) -> str:
    """Tells whether two commands of one id are the same request."""
    content = envelope.command.model_dump_json().encode()
    return hashlib.blake2b(envelope.command.type.encode() + b"\0" + content, digest_size=16).hexdigest()


def to_answer(envelope: Envelope, answer: bytes, outcome: Appended | AlreadyRecorded) -> Answer:
    """The recorded answer, as the caller gets it: the first one if the id was known."""
    repeated = isinstance(outcome, AlreadyRecorded)
    stored = orjson.loads(outcome.answer if isinstance(outcome, AlreadyRecorded) else answer)
    if repeated and stored["digest"] != digest(envelope):
        return _failed(
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
        versions=stored.get("versions", {}),
        position=outcome.last_position,
        recorded_at=outcome.recorded_at,
        problem=Problem(**problem) if problem else None,
        repeated=repeated,
    )


def _answer_bytes(decision: Decision, versions: Mapping[str, int]) -> bytes:
    envelope, problem = decision.envelope, decision.problem
    stored: dict[str, object] = {
        "type": envelope.command.type,
        "digest": digest(envelope),
        "outcome": "refused" if problem else "accepted" if versions else "unchanged",
    }
    if versions:
        stored["versions"] = versions
    if problem:
        stored["problem"] = {"code": problem.code, "message": problem.message, "facts": problem.facts}
    return orjson.dumps(stored)


def _metadata(envelope: Envelope, tenant: str) -> bytes:
    metadata: dict[str, object] = {
        "command_id": envelope.command_id,
        "command_type": envelope.command.type,
        "actor": envelope.actor,
        "correlation_id": envelope.correlation_id,
        "tenant": tenant,
    }
    if envelope.causation_id is not None:
        metadata["causation_id"] = envelope.causation_id
    if envelope.occurred_at is not None:
        metadata["occurred_at"] = envelope.occurred_at
    if envelope.note is not None:
        metadata.update(envelope.note)
    return orjson.dumps(metadata, option=orjson.OPT_UTC_Z)


def _is_expected(decision: Decision) -> bool:
    """Whether the aggregate that the command names is at the version that the caller named, if any."""
    expected = decision.envelope.expected_version
    return expected is None or decision.work.reads.get(decision.envelope.command.stream_id, 0) == expected


def _failed(envelope: Envelope, code: str, message: str, *, outcome: Any = "failed", **facts: object) -> Answer:
    return Answer(envelope.command_id, envelope.command.type, outcome, problem=Problem(code, message, facts))
