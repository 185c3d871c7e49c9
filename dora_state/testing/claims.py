"""What clients asked for and what they were told of it, held against what the log has of their commands."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from dora_state.testing.history import FOR_GOOD, TELEMETRY, Asked, Told
from dora_state.testing.promises import Fault
from dora_state.testing.recorded import Recorded, RecordedCommand


@dataclass(slots=True)
class _Ask:
    """One asking and what was told of it. Who asks for the same again, not knowing what became of it, asks once."""

    asked: Asked
    told: list[Told] = field(default_factory=list)

    @property
    def content(self) -> tuple[str, str]:
        """What an id is bound to once it is recorded. Versions are no part of it: a known id gets its first answer."""
        return self.asked.type, self.asked.content

    @property
    def in_conflict(self) -> bool:
        return any(one.outcome == "conflict" for one in self.told)

    @property
    def final(self) -> list[Told]:
        """What must be told each time."""
        return [
            one
            for one in self.told
            if one.outcome in FOR_GOOD and (self.asked.type != TELEMETRY or one.position is not None)
        ]

    @property
    def decided(self) -> list[Told]:
        """What tells that the command was decided on, and is recorded with its answer."""
        return [one for one in self.final if one.outcome != "invalid"]


class Claims:
    """All that was asked and told, by command."""

    def __init__(self) -> None:
        self._asks: dict[str, list[_Ask]] = {}
        self._unasked: dict[str, list[Told]] = defaultdict(list)
        """Answers to clients who had not asked themselves."""

    def __len__(self) -> int:
        return len(self._asks)

    def ask(self, record: Asked) -> None:
        asks = self._asks.setdefault(record.command_id, [])
        last = self._last_of(record.client, asks)
        if last is None or last.asked != record or last.in_conflict:
            asks.append(_Ask(record))

    def tell(self, record: Told) -> None:
        ask = self._last_of(record.client, self._asks.get(record.command_id, ()))
        told = self._unasked[record.command_id] if ask is None else ask.told
        told.append(record)

    def check(self, log: Recorded, outcomes: Counter[str]) -> Iterator[Fault]:
        """What is wrong with them; `outcomes` counts commands by what is known of them last."""
        for command_id, told in self._unasked.items():
            if asks := self._asks.get(command_id):
                next((ask for ask in asks if not ask.in_conflict), asks[-1]).told.extend(told)
            else:
                yield Fault("invented", f"Command {command_id} was answered, and nobody had asked.")
        for command_id, asks in self._asks.items():
            outcomes[_known_last(asks)] += 1
            yield from _alike(command_id, asks)
            there = log.commands.get(command_id)
            if there is not None:
                yield from _recorded(command_id, asks, there, log)
            else:
                yield from _not_recorded(command_id, asks, log)
        for command_id in log.commands.keys() - self._asks.keys() - log.of_others:
            yield Fault("invented", f"Command {command_id} is in the log, and nobody had asked.")

    def _last_of(self, client: str, asks: Sequence[_Ask]) -> _Ask | None:
        return next((ask for ask in reversed(asks) if ask.asked.client == client), None)


def _known_last(asks: Sequence[_Ask]) -> str:
    told = [one for ask in asks for one in ask.told]
    final = [one for one in told if one.outcome in FOR_GOOD]
    return final[-1].outcome if final else told[-1].outcome if told else "unknown"


def _alike(command_id: str, asks: Sequence[_Ask]) -> Iterator[Fault]:
    """One answer to one content; whoever asked for another by the same id was told that it is invalid."""
    contents = {ask.content for ask in asks}
    decided = {ask.content for ask in asks if ask.decided}
    final = [one for ask in asks for one in ask.final if len(contents) == 1 or one.outcome != "invalid"]
    if len(decided) > 1:
        types = " and ".join(sorted(type for type, _ in decided))
        yield Fault("twice", f"Command {command_id} was answered to different content ({types}).")
    elif len({(one.outcome, one.position, tuple(sorted(one.versions.items()))) for one in final}) > 1:
        said = ", ".join(f"{one.outcome} at {one.position}" for one in final)
        yield Fault("twice", f"Command {command_id} was answered in different ways: {said}.")
    knew: set[str] = set()
    for ask in asks:
        if ask.in_conflict and (ask.decided or ask.asked.client in knew):
            says = f"Command {command_id} was answered conflict, and otherwise"
            yield Fault("twice", f"{says} before that, or without being asked again.")
        if ask.decided:
            knew.add(ask.asked.client)


def _recorded(command_id: str, asks: Sequence[_Ask], there: RecordedCommand, log: Recorded) -> Iterator[Fault]:
    same = [ask for ask in asks if there.type is None or ask.asked.type == there.type]
    for ask in asks:
        if ask not in same and ask.decided:
            says = f"Command {command_id} was answered {ask.decided[0].outcome} as a {ask.asked.type}"
            yield Fault("invented", f"{says}, and is a {there.type} at {there.first}.")
    for one in (one for ask in same for one in ask.final):
        if one.outcome != "accepted":
            yield Fault("invented", f"Command {command_id} was answered {one.outcome}, and is at {there.first}.")
        elif (one.position, dict(one.versions)) != (there.last, there.versions):
            says = f"Command {command_id} was told {one.position} and {dict(one.versions)}"
            yield Fault("lost", f"{says}, and the log has {there.last} and {there.versions}.")
    might = [ask.asked for ask in same if not ask.in_conflict]
    unmet = [_unmet(asked, there, log) for asked in might]
    if not same:
        asked_for = " and ".join(sorted({ask.asked.type for ask in asks}))
        yield Fault("invented", f"Command {command_id} is a {there.type} at {there.first}; asked was for {asked_for}.")
    elif not might:
        says = f"Command {command_id} was answered conflict, and is at {there.first}"
        yield Fault("invented", f"{says}, and nobody had asked again.")
    elif all(unmet):
        yield Fault("expected", f"Command {command_id} expected {unmet[-1]}.")


def _unmet(asked: Asked, there: RecordedCommand, log: Recorded) -> str:
    """The first version that it named and that was not so when it was recorded; empty where all were."""
    for stream_id, version in asked.expected.items():
        actual = there.before.get(stream_id, log.version_at(stream_id, there.first - 1))
        if actual != version:
            return f"{stream_id} at {version}, and was recorded at {actual}"
    return ""


def _not_recorded(command_id: str, asks: Sequence[_Ask], log: Recorded) -> Iterator[Fault]:
    """A refusal is recorded too, and so is that nothing was to be done: on the versions that were named, if any."""
    decided = [(ask, one.outcome) for ask in asks for one in ask.decided]
    for ask, outcome in decided:
        if outcome == "accepted":
            yield Fault("lost", f"Command {command_id} ({ask.asked.type}) was accepted and is not in the log.")
            return
    might = [ask.asked.expected for ask in asks if not ask.in_conflict]
    if decided and might and not any(map(log.was, might)):
        says = f"Command {command_id} was answered {decided[0][1]}, and expected {dict(might[-1])}"
        yield Fault("expected", f"{says}, which never was.")
