"""What clients asked for and what they were told of it, held against what the log has of their commands."""

from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from dora_state.testing.history import FOR_GOOD, TELEMETRY, Asked, Told
from dora_state.testing.promises import Fault
from dora_state.testing.recorded import Recorded, RecordedCommand


@dataclass(slots=True)
class _Ask:
    """One asking and what was told of it. Who asks for the same again, not knowing what became of it, asks once.

    `knew` is the last position that the client had been told of before; `begun`, how many commands it had begun when it
    was first told what became of this one, if it was; `end`, where the log ended then at the latest.
    """

    asked: Asked
    knew: int
    begun: int | None = None
    end: int = 0
    told: list[Told] = field(default_factory=list)

    @property
    def content(self) -> tuple[str, str]:
        """What an id is bound to once it is recorded. Versions are no part of it: a known id gets its first answer."""
        return self.asked.type, self.asked.content

    def is_answer(self, told: Told) -> bool:
        """Something was decided, if only that it is in conflict."""
        return told.outcome == "conflict" or self._is_final(told)

    def _is_final(self, told: Told) -> bool:
        return told.outcome in FOR_GOOD and (self.asked.type != TELEMETRY or told.position is not None)

    @property
    def in_conflict(self) -> bool:
        return any(one.outcome == "conflict" for one in self.told)

    @property
    def is_invalid(self) -> bool:
        return any(one.outcome == "invalid" for one in self.told)

    @property
    def final(self) -> list[Told]:
        """What must be told each time."""
        return [one for one in self.told if self._is_final(one)]

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
        self._knows: dict[str, int] = defaultdict(int)
        """The last position that each client was told of."""
        self._begun: dict[str, list[str]] = defaultdict(list)
        """The commands that each client was the first to ask for, as far as is known, in the order of its asking."""

    def __len__(self) -> int:
        return len(self._asks)

    def ask(self, record: Asked) -> None:
        if record.command_id not in self._asks:
            self._begun[record.client].append(record.command_id)
        asks = self._asks.setdefault(record.command_id, [])
        last = self._last_of(record.client, asks)
        if last is None or last.asked != record or last.in_conflict:
            asks.append(_Ask(record, self._knows[record.client]))

    def tell(self, record: Told) -> None:
        ask = self._last_of(record.client, self._asks.get(record.command_id, ()))
        told = self._unasked[record.command_id] if ask is None else ask.told
        told.append(record)
        if ask is not None and ask.begun is None and ask.is_answer(record):
            ask.begun = len(self._begun[record.client])
        self._knows[record.client] = max(self._knows[record.client], record.position or 0)

    def check(self, log: Recorded, outcomes: Counter[str]) -> Iterator[Fault]:
        """What is wrong with them; `outcomes` counts commands by what is known of them last."""
        for command_id, told in self._unasked.items():
            if asks := self._asks.get(command_id):
                next((ask for ask in asks if not ask.in_conflict), asks[-1]).told.extend(told)
            else:
                yield Fault("invented", f"Command {command_id} was answered, and nobody had asked.")
        latest = {client: self._latest(client, log) for client in self._begun}
        for command_id, asks in self._asks.items():
            outcomes[_known_last(asks)] += 1
            yield from _alike(command_id, asks)
            there = log.commands.get(command_id)
            end = log.length if there is None else there.first - 1  # a known id is in no conflict
            for ask in asks:
                ask.end = end if ask.begun is None else min(end, latest[ask.asked.client][ask.begun])
            yield from _in_conflict(command_id, asks, there, log)
            if there is not None:
                yield from _recorded(command_id, asks, there, log)
            else:
                yield from _not_recorded(command_id, asks, log)
        for command_id in log.commands.keys() - self._asks.keys() - log.of_others:
            yield Fault("invented", f"Command {command_id} is in the log, and nobody had asked.")

    def _last_of(self, client: str, asks: Sequence[_Ask]) -> _Ask | None:
        return next((ask for ask in reversed(asks) if ask.asked.client == client), None)

    def _latest(self, client: str, log: Recorded) -> list[int]:
        """Where the log ended at the latest when a client had begun so many commands: before all that came later."""
        latest = [log.length]
        for command_id in reversed(self._begun[client]):
            there, end = log.commands.get(command_id), latest[-1]
            if there is not None and all(ask.asked.client == client for ask in self._asks[command_id]):
                end = min(end, there.first - 1)
            latest.append(end)
        return latest[::-1]


def _known_last(asks: Sequence[_Ask]) -> str:
    told = [one for ask in asks for one in ask.told]
    final = [one for one in told if one.outcome in FOR_GOOD]
    return final[-1].outcome if final else told[-1].outcome if told else "unknown"


def _alike(command_id: str, asks: Sequence[_Ask]) -> Iterator[Fault]:
    """One answer to one content; whoever asked for another by the same id was told that it is invalid."""
    decided = {ask.content for ask in asks if ask.decided}
    final = [one for ask in asks for one in _binding(ask, asks)]
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


def _binding(ask: _Ask, asks: Sequence[_Ask]) -> list[Told]:
    """What it was told for good. That it is invalid may be for the content that another asked for by this id."""
    may_be_for_another = any(one.content != ask.content for one in asks) and not any(
        one.decided for one in asks if one.content == ask.content
    )
    return [one for one in ask.final if one.outcome != "invalid" or not may_be_for_another]


def _in_conflict(
    command_id: str, asks: Sequence[_Ask], there: RecordedCommand | None, log: Recorded
) -> Iterator[Fault]:
    """Between what the client knew of and the end of the log of then, another version must have been there."""
    for ask in asks:
        says = f"Command {command_id} was answered conflict, and"
        if ask.in_conflict and not ask.asked.expected:
            yield Fault("expected", f"{says} named no version.")
        elif ask.in_conflict and there is not None and ask.knew >= there.first:
            yield Fault("twice", f"{says} was at {there.first}, where its client knew of position {ask.knew}.")
        elif ask.in_conflict and log.has_been(ask.asked.expected, ask.knew, ask.end):
            yield Fault("expected", f"{says} {dict(ask.asked.expected)} was so from position {ask.knew} to {ask.end}.")


def _recorded(command_id: str, asks: Sequence[_Ask], there: RecordedCommand, log: Recorded) -> Iterator[Fault]:
    same = [ask for ask in asks if ask.asked.type == there.type]
    for ask in asks:
        if ask not in same and ask.decided:
            says = f"Command {command_id} was answered {ask.decided[0].outcome} as a {ask.asked.type}"
            yield Fault("invented", f"{says}, and is a {there.type} at {there.first}.")
    for one in (one for ask in same for one in _binding(ask, asks)):
        if one.outcome != "accepted":
            yield Fault("invented", f"Command {command_id} was answered {one.outcome}, and is at {there.first}.")
        elif (one.position, dict(one.versions)) != (there.last, there.versions):
            says = f"Command {command_id} was told {one.position} and {dict(one.versions)}"
            yield Fault("lost", f"{says}, and the log has {there.last} and {there.versions}.")
    if not same:
        asked_for = " and ".join(sorted({ask.asked.type for ask in asks}))
        yield Fault("invented", f"Command {command_id} is a {there.type} at {there.first}; asked was for {asked_for}.")
        return
    might = [ask for ask in same if not ask.in_conflict and not ask.is_invalid]
    if might:
        yield from _as_asked(command_id, might, there, log)
    elif any(ask.in_conflict for ask in same):
        says = f"Command {command_id} was answered conflict, and is at {there.first}"
        yield Fault("invented", f"{says}, and nobody had asked again.")
    else:
        says = f"Command {command_id} was answered invalid to all who asked for a {there.type}"
        yield Fault("invented", f"{says}, and is at {there.first}.")


def _as_asked(command_id: str, might: Sequence[_Ask], there: RecordedCommand, log: Recorded) -> Iterator[Fault]:
    """By one of these it came into the log: in its name, after what it knew, and on the versions that it named."""
    actors = {ask.asked.actor for ask in might}
    if not actors & {"", there.actor}:
        says = f"Command {command_id} was asked for by {' and '.join(sorted(actors))}"
        yield Fault("invented", f"{says}, and is recorded as of {there.actor}.")
    knew = min(ask.knew for ask in might)
    if knew >= there.first:
        says = f"Command {command_id} was asked for after its client was told of position {knew}"
        yield Fault("order", f"{says}, and is at {there.first}.")
    unmet = [_unmet(ask.asked, there, log) for ask in might]
    if all(unmet):
        yield Fault("expected", f"Command {command_id} expected {unmet[-1]}.")


def _unmet(asked: Asked, there: RecordedCommand, log: Recorded) -> str:
    """The first version that it named and that was not so when it was recorded; empty where all were."""
    for stream_id, version in asked.expected.items():
        actual = log.version_at(stream_id, there.first - 1)
        if actual != version:
            return f"{stream_id} at {version}, and was recorded at {actual}"
    return ""


def _not_recorded(command_id: str, asks: Sequence[_Ask], log: Recorded) -> Iterator[Fault]:
    """A refusal is recorded too, and so is that nothing was to be done: on the versions that were named, if any, at a
    moment that its client did not know to be past, and that had come by when it was told.
    """
    decided = [(ask, one) for ask in asks for one in ask.decided]
    for ask, one in decided:
        if one.outcome == "accepted":
            yield Fault("lost", f"Command {command_id} ({ask.asked.type}) was accepted and is not in the log.")
            return
        if one.position is not None or one.versions:
            says = f"Command {command_id} was answered {one.outcome}"
            yield Fault("lost", f"{says} at {one.position} with {dict(one.versions)}, which has neither.")
    might = [ask for ask in asks if not ask.in_conflict and not ask.is_invalid]
    if not (decided and might):
        return
    end = min(ask.end for ask, _ in decided)
    if not any(log.was(ask.asked.expected, ask.knew, end) for ask in might):
        says = (
            f"Command {command_id} was answered {decided[0][1].outcome}, and expected {dict(might[-1].asked.expected)}"
        )
        yield Fault("expected", f"{says}, which was not so from position {might[-1].knew} to {end}.")
