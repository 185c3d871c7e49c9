"""Whether what was recorded and answered is what the model says: documents, answers and versions."""

from collections import deque
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from commands.committer import Committer
from commands.decider import Decider
from commands.envelope import Answer, Envelope
from commands.messages import Command
from commands.messages.agent import Heartbeat
from commands.messages.transaction import Transaction
from projections.documents import RENDERINGS
from projections.documents.values import decode
from tests.models.house.model import House
from tests.models.house.seen import Seen, everything
from tests.support.command_world import World

UNKNOWN = "unknown"


def shown(stream_id: str, state: Any, version: int, now: datetime) -> dict[str, Any]:
    """A document as it is rendered from the fold."""
    return decode(RENDERINGS[stream_id.partition("-")[0]].render(state, version, version, now))


def as_the_model_has_it(stream_id: str, document: dict[str, Any], expected: Seen) -> Seen:
    """The keys of a document that the model has, in its form: lists that are sets in order, lists of records by id."""
    told = dict(document)
    match stream_id.partition("-")[0]:
        case "workflow":
            told["dependencies"] = {name: sorted(ids) for name, ids in told["dependencies"].items()}
            told["tasks"] = {
                task_id: {key: view[key] for key in expected["tasks"].get(task_id, view)}
                for task_id, view in told["tasks"].items()
            }
        case "task":
            told["dependencies"] = {name: sorted(ids) for name, ids in told["dependencies"].items()}
        case "agent":
            told["capabilities"] = sorted(told["capabilities"])
            told["current_tasks"] = _by_id(told["current_tasks"], "task_id")
            average = told["performance_metrics"]["average_execution_time"]
            told["performance_metrics"]["average_execution_time"] = average and round(average, 3)
            told["checks"] = _reported(told["health_status"]["checks"])
        case "pool":
            told["reservations"] = _by_id(told["reservations"], "reservation_id")
        case "system":
            told["component_health"] = _reported(told["component_health"])
            told["maintenance_windows"] = _by_id(told["maintenance_windows"], "window_id")
    return {key: _only(told[key], expected[key], key) for key in expected}


def _by_id(records: list[dict[str, Any]], key: str) -> dict[str, Any]:
    return {one[key]: {name: value for name, value in one.items() if name != key} for one in records}


def _reported(told: dict[str, str]) -> dict[str, str]:
    return {name: value for name, value in told.items() if value != UNKNOWN}


def _only(told: Any, expected: Any, key: str) -> Any:
    """Of capacity and the like, what the model knows."""
    if key in ("capacity", "configuration", "performance_metrics", "execution_metrics") and told is not None:
        return {name: told[name] for name in expected}
    return told


class ModelledWorld(World):
    """A world whose every answer and document is held against the model, whoever commits what to it."""

    def __init__(self, **about: Any) -> None:
        super().__init__(**about)
        self.house = House()
        self._expected: dict[str, Seen] = {}
        self._answered: dict[UUID, tuple[Command, Answer]] = {}
        self._writers: deque[tuple[Decider, Committer]] = deque()

    def change_places(self) -> None:
        """From now on the other of two processes writes; it knows what it knew when it last wrote."""
        if not self.shared:
            other = World(self.log, self.clock, cache_size=6)
            self.shared, self._writers = True, deque([(other.decider, other.committer), (self.decider, self.committer)])
        self.decider, self.committer = self._writers[0]
        self._writers.rotate()

    def commit(self, *envelopes: Envelope) -> list[Answer]:
        active = self.house.active(self.house.rooms)
        answers = super().commit(*envelopes)
        moved: set[str] = set()
        for envelope, answer in self._as_recorded(list(zip(envelopes, answers, strict=True))):
            moved |= self._check_answer(envelope, answer, active)
        self._check_documents(moved)
        return answers

    def _as_recorded(self, told: list[tuple[Envelope, Answer]]) -> list[tuple[Envelope, Answer]]:
        """Of a group, what conflicts with another process is decided again, behind the others; the log says in which
        order, and what it does not keep has changed nothing."""
        if len(told) == 1 or not self.shared:
            return told
        order = {command_id: place for place, command_id in enumerate(self.log.commands)}
        kept = [one for one in told if one[0].command_id in order]
        return sorted(kept, key=lambda one: order[one[0].command_id])

    def _check_answer(self, envelope: Envelope, answer: Answer, active: int) -> set[str]:
        """The streams that moved."""
        command = envelope.command
        if envelope.command_id in self._answered:
            before, first = self._answered[envelope.command_id]
            if command == before:
                assert answer == replace(first, repeated=True)
            else:
                assert answer.outcome == "invalid", (command, before, answer)
            return set()
        if self._expects_another_version(envelope):
            assert answer.outcome == "conflict", (command, answer)
            return set()
        expected = self.house.tell(str(envelope.command_id), self.clock(), *_parts(command), active=active)
        told = answer.problem.code if answer.problem else None
        if isinstance(command, Heartbeat) and expected.outcome == "unchanged":
            assert answer.outcome == "accepted", (command, answer)  # it was told, and there is no event
            return set()
        assert answer.outcome == expected.outcome, (command, answer.outcome, told, expected)
        assert (told in expected.reasons) == (answer.outcome == "refused"), (command, told, expected)
        if not isinstance(command, Heartbeat):
            self._answered[envelope.command_id] = command, answer
        return self._check_versions(answer) if answer.outcome == "accepted" else set()

    def _expects_another_version(self, envelope: Envelope) -> bool:
        command, expected = envelope.command, envelope.expected_version
        named = {command.stream_id: expected} if expected is not None else {}
        named |= command.expected if isinstance(command, Transaction) else {}
        return any(self.house.version(stream_id) != version for stream_id, version in named.items())

    def _check_versions(self, answer: Answer) -> set[str]:
        """Those streams moved of which something else is seen now; others only by what was done and undone again."""
        assert answer.position is not None
        seen = everything(self.house.rooms)
        changed = {one for one in seen if seen[one] != self._expected.get(one)}
        self._expected = seen
        moved = set(answer.versions)
        undone = moved - changed if answer.type in ("Transaction", "RollBackWorkflow") else set()
        assert changed | undone == moved, (answer.type, changed, moved)
        self.house.recorded(answer.position, self.log.events[answer.position - 1].recorded_at, answer.versions)
        return moved

    def _check_documents(self, moved: set[str]) -> None:
        there = self.everything()
        assert there.keys() == self._expected.keys()
        for stream_id in sorted(moved):
            one, expected = there[stream_id], self._expected[stream_id]
            assert one.version == self.house.version(stream_id)
            document = shown(stream_id, one.state, one.version, self.clock())
            told = as_the_model_has_it(stream_id, document, expected)
            wrong = {key: (told[key], value) for key, value in expected.items() if told[key] != value}
            assert not wrong, f"{stream_id}, as it is and as the model has it: {wrong}"


def _parts(command: Command) -> list[tuple[str, Command]]:
    commands = command.commands if isinstance(command, Transaction) else (command,)
    return [(type(one).__name__, one) for one in commands]
