"""What a bus counts of its work: plain numbers, for whoever serves metrics."""

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import product
from typing import get_args

from commands.envelope import Answer, Outcome
from commands.messages import COMMANDS
from commands.messages.transaction import Transaction

SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0, 30.0)
"""Bounds of durations: from an append on a good disk to what nobody waits for."""
SIZES = (1, 2, 5, 10, 25, 50, 100, 250, 500, 1000, 10_000)
"""Bounds of groups, in commands."""
UNANSWERED = "unavailable"
"""The outcome of a command that the log could not take."""
UNKNOWN = "unknown"
"""The type of what names no command."""
TYPES = (*COMMANDS, Transaction.__name__, UNKNOWN)
OUTCOMES = (*get_args(Outcome), UNANSWERED)


@dataclass(slots=True)
class Spread:
    """How values lie between bounds; a value counts below the first bound that is no smaller."""

    bounds: tuple[float, ...]
    sum: float = 0.0
    counts: list[int] = field(init=False)

    def __post_init__(self) -> None:
        self.counts = [0] * (len(self.bounds) + 1)

    def add(self, value: float) -> None:
        self.sum += value
        self.counts[bisect_left(self.bounds, value)] += 1


@dataclass(slots=True)
class BusFigures:
    """Since the process began. `answers` are by type and outcome; `commands` are seconds from submission to answer,
    `appends` from sending a group to knowing what became of it.

    `busy` counts commands that found the queue full, `repeated` those whose id was known.
    """

    answers: dict[tuple[str, str], int] = field(default_factory=dict)
    repeated: int = 0
    commands: Spread = field(default_factory=lambda: Spread(SECONDS))
    appends: Spread = field(default_factory=lambda: Spread(SECONDS))
    groups: Spread = field(default_factory=lambda: Spread(SIZES))
    busy: int = 0

    def counts(self) -> Iterator[tuple[str, str, int]]:
        """By type and outcome; what did not happen yet is there too, so that whoever watches sees it begin."""
        for type, outcome in product(TYPES, OUTCOMES):
            yield type, outcome, self.answers.get((type, outcome), 0)

    def invalid(self, type: str | None) -> None:
        """What was submitted is no command, and did not come to the bus."""
        key = type if type in TYPES else UNKNOWN, "invalid"
        self.answers[key] = self.answers.get(key, 0) + 1

    def answered(self, type: str, result: Answer | None, seconds: float) -> None:
        """None: there is no answer, as the log could not take it."""
        key = type, UNANSWERED if result is None else result.outcome
        self.answers[key] = self.answers.get(key, 0) + 1
        if result is not None and result.repeated:
            self.repeated += 1
        self.commands.add(seconds)
