"""Random groups of commands against a model of the log in twenty lines."""

import random
from dataclasses import dataclass, field
from uuid import UUID, uuid4

import pytest

from domain.log import AlreadyRecorded, Appended, CommandAppend, Conflicted
from infrastructure.event_store import PostgresEventLog
from tests.support.log import event

STREAMS = [f"{category}-{n}" for category in ("task", "agent", "pool") for n in range(3)]


@dataclass
class Model:
    """What a log must do, one command after the other."""

    versions: dict[str, int] = field(default_factory=dict)
    answers: dict[UUID, bytes] = field(default_factory=dict)
    events: list[tuple[UUID, str, int, int]] = field(default_factory=list)

    def append(self, command: CommandAppend) -> Conflicted | bytes | None:
        """A conflict, the answer that was recorded before, or None when it is appended."""
        if command.command_id in self.answers:
            self._miss(command)
            return self.answers[command.command_id]
        for stream_id, expected in command.expected.items():
            actual = self.versions.get(stream_id, 0)
            if actual != expected or expected > self.missing.get(stream_id, expected):
                self._miss(command)
                return Conflicted(stream_id, expected, actual)
        self.answers[command.command_id] = command.answer
        for place, one in enumerate(command.events, 1):
            self.versions[one.stream_id] = self.versions.get(one.stream_id, 0) + 1
            row = (
                UUID(bytes=one.event_id.bytes),
                one.stream_id,
                self.versions[one.stream_id],
                len(command.events) - place,
            )
            self.events.append(row)
        return None

    def _miss(self, command: CommandAppend) -> None:
        """What the next ones may have been decided on is not what the log holds."""
        for one in command.events:
            base = command.expected[one.stream_id]
            self.missing[one.stream_id] = min(base, self.missing.get(one.stream_id, base))

    def append_group(self, group: list[CommandAppend]) -> list[Conflicted | bytes | None]:
        """As one after the other, but an id that comes again gets what the first one of the group got."""
        first: dict[UUID, Conflicted | bytes | None] = {}
        self.missing: dict[str, int] = {}  # by stream: on which version a conflicted one would have built
        results: list[Conflicted | bytes | None] = []
        result: Conflicted | bytes | None
        for command in group:
            if command.command_id in first:
                again = first[command.command_id]
                result = again if isinstance(again, Conflicted) else self.answers[command.command_id]
            else:
                result = self.append(command)
            first.setdefault(command.command_id, result)
            results.append(result)
        return results


def _group(chance: random.Random, model: Model) -> list[CommandAppend]:
    """Commands that mostly expect what the ones before will leave, and sometimes anything else."""
    versions = dict(model.versions)
    group: list[CommandAppend] = []
    for _ in range(chance.randint(1, 12)):
        mine = chance.sample(STREAMS, chance.randint(1, 4))
        expected = {one: versions.get(one, 0) + (chance.random() < 0.06) * chance.choice((-1, 1, 7)) for one in mine}
        expected = {one: max(version, 0) for one, version in expected.items()}
        events = tuple(event(chance.choice(mine)) for _ in range(chance.choice((0, 1, 1, 2, 5))))
        known = [*model.answers, *(one.command_id for one in group)]
        command_id = chance.choice(known) if known and chance.random() < 0.1 else uuid4()
        group.append(CommandAppend(command_id, expected, events, str(command_id).encode() + b"%d" % len(group)))
        if chance.random() < 0.9:  # else the next ones do not know what this one leaves
            for one in events:
                versions[one.stream_id] = versions.get(one.stream_id, 0) + 1
    return group


@pytest.mark.parametrize("seed", range(6))
async def test_random_groups_do_what_the_model_does(log: PostgresEventLog, seed: int) -> None:
    chance, model = random.Random(seed), Model()
    kinds: set[str] = set()
    for _ in range(30):
        group = _group(chance, model)
        expected = model.append_group(group)
        for outcome, should in zip(await log.append(group), expected, strict=True):
            kinds.add(type(outcome).__name__)
            match should:
                case Conflicted():
                    assert outcome == should
                case bytes():
                    assert isinstance(outcome, AlreadyRecorded)
                    assert outcome.answer == should
                case None:
                    assert isinstance(outcome, Appended)
    read = await log.read_log(after_position=0, limit=100_000)
    assert [(e.event_id, e.stream_id, e.version, e.following) for e in read] == model.events
    assert [e.position for e in read] == list(range(1, len(read) + 1))
    assert kinds == {"Appended", "AlreadyRecorded", "Conflicted"}
    for stream_id in STREAMS:
        assert await log.stream_version(stream_id) == model.versions.get(stream_id, 0)
