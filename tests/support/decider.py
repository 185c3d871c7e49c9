"""given / when / then for a decision: fold these events, decide, and see what was decided."""

import copy
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from domain.aggregate import Aggregate, Event
from domain.errors import Refusal

Decision = Callable[[Any], list[Event]]
"""From the state (None before the first event) to events; may raise Refusal."""


@dataclass(frozen=True)
class Given:
    state: Any

    def when(self, decide: Decision) -> "Outcome":
        before = copy.deepcopy(self.state)
        try:
            outcome = Outcome(decide(self.state), None)
        except Refusal as refusal:
            outcome = Outcome(None, refusal)
        assert self.state == before, "a decision must not change the state that it reads"
        return outcome


@dataclass(frozen=True)
class Outcome:
    events: list[Event] | None
    refusal: Refusal | None

    def then(self, *expected: Event) -> None:
        """Exactly these events were decided; none of them means that there was nothing new."""
        assert self.refusal is None, f"refused: {self.refusal}"
        assert self.events == list(expected)
        # Python takes True for 1; the stored bytes tell them apart.
        assert [event.model_dump_json() for event in self.events] == [e.model_dump_json() for e in expected]

    def refused(self, reason: str, **facts: object) -> None:
        """It was refused for this reason, with exactly these facts and one sentence for people."""
        assert self.refusal is not None, f"not refused, decided {self.events}"
        assert (self.refusal.reason, self.refusal.facts) == (reason, facts)
        assert self.refusal.message.endswith("."), self.refusal.message


def given(aggregate: Aggregate[Any], *events: Event) -> Given:
    return Given(aggregate.fold(events))
