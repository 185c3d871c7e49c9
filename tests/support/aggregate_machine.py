"""What holds of every aggregate, checked at each step of a random life of it.

A machine of one aggregate adds its decisions as rules and its own invariants in `check_step`.
"""

import copy
from datetime import UTC, datetime, timedelta
from typing import Any, ClassVar

from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine

from domain.aggregate import Aggregate, Event
from domain.all_events import CATALOGUE
from domain.errors import Refusal
from domain.snapshots import StateCodec
from tests.support.decider import Decision

LIVES = settings(stateful_step_count=40, suppress_health_check=[HealthCheck.too_slow])
"""The profile says how many lives are looked at; each has forty decisions."""
NOON = datetime(2024, 1, 17, 12, tzinfo=UTC)

times = st.integers(-60, 600).map(lambda minutes: NOON + timedelta(minutes=minutes))
"""Moments that come in no order, as commands tell them."""

printable = st.text(st.characters(exclude_categories=["Cc", "Cs"]), min_size=1, max_size=8)
json_objects = st.dictionaries(
    printable,
    st.recursive(
        st.none()
        | st.booleans()
        | st.integers(-(2**53), 2**53)
        | st.floats(allow_nan=False, allow_infinity=False)
        | printable,
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(printable, inner, max_size=2),
        max_leaves=4,
    ),
    max_size=2,
)


class AggregateMachine(RuleBasedStateMachine):
    aggregate: ClassVar[Aggregate[Any]]

    def __init__(self) -> None:
        super().__init__()
        self.state: Any = None
        self.events: list[Event] = []

    def decide(self, decision: Decision) -> list[Event]:
        """Decide, fold what was decided, and decide the same again: then nothing is left to do."""
        before = copy.deepcopy(self.state)
        try:
            events = decision(self.state)
        except Refusal:
            events = []
        assert self.state == before, "a decision changed the state"
        self.record(*events)
        # Asked again after a refusal, it refuses again; after events, nothing is left to do.
        try:
            again = decision(self.state)
        except Refusal:
            again = []
        assert again == [], "the same decision, twice in a row, gave events again"
        return events

    def record(self, *events: Event) -> None:
        for event in events:
            before = copy.deepcopy(self.state)
            twin = None if self.state is None else self.state.copy()
            assert twin == before
            after = self.aggregate.evolve(twin, event)
            assert self.state == before, "evolving a copy changed the original"
            assert after.updated_at == event.at
            self.check_step(before, event, after)
            self.state = after
            self.events.append(event)

    def check_step(self, before: Any, event: Event, after: Any) -> None:
        """The invariants of this aggregate, given one event and the states on both sides of it."""
        raise NotImplementedError

    def teardown(self) -> None:
        """What was stored gives back the same events, and these the same state."""
        stored = [(event.type, event.schema_version, CATALOGUE.encode(event)) for event in self.events]
        read = [CATALOGUE.decode(*columns) for columns in stored]
        assert read == self.events
        assert [CATALOGUE.encode(event) for event in read] == [data for _, _, data in stored]
        assert self.aggregate.fold(read) == self.state
        if self.state is not None:
            codec = StateCodec(self.aggregate)
            kept = codec.from_bytes(codec.to_bytes(self.state))
            assert kept == self.state
            assert codec.to_bytes(kept) == codec.to_bytes(self.state)
        middle = len(read) // 2
        assert self.aggregate.fold(read[middle:], self.aggregate.fold(read[:middle])) == self.state
