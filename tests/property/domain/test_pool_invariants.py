"""Whatever is decided in whatever order, a pool keeps what DESIGN 3 says of it.

The machine keeps accounts of its own in fractions, which nothing rounds.
"""

from collections import Counter
from datetime import datetime, timedelta
from decimal import Decimal
from fractions import Fraction
from functools import partial

from hypothesis import given
from hypothesis import strategies as st
from hypothesis.stateful import initialize, rule

from domain import pool
from domain.aggregate import Event
from domain.pool import KINDS, POOL, Pool, PoolCreated, ReservationExpired, ReservationReleased, ResourcesReserved
from domain.values import Priority, ResourceKind, Resources, parse_quantity
from tests.support.aggregate_machine import LIVES, AggregateMachine, times

FACTORS: dict[str, Fraction] = {
    "": Fraction(1),
    "n": Fraction(1, 10**9),
    "u": Fraction(1, 10**6),
    "m": Fraction(1, 1000),
}
FACTORS |= {suffix: Fraction(1000) ** (power + 1) for power, suffix in enumerate("kMGTPE")}
FACTORS |= {f"{suffix}i": Fraction(1024) ** (power + 1) for power, suffix in enumerate("KMGTPE")}


def exact(text: str) -> Fraction:
    number = text.rstrip("EGKMPTikmnu")
    return Fraction(number) * FACTORS[text[len(number) :]]


plain_quantities = st.sampled_from(["0", "1", "2", "3", "500m", "1n", "0.1", "4Gi", "4G", "1.5Ki", "2e3", "1e24"])
quantities = plain_quantities | st.builds(
    lambda whole, part, suffix: f"{whole}.{part}{suffix}",
    st.integers(0, 10**12),
    st.integers(0, 10**9),
    st.sampled_from(["", "m", "n", "Ki", "M"]),
)
kinds: st.SearchStrategy[ResourceKind] = st.sampled_from(KINDS)
resources: st.SearchStrategy[Resources] = st.dictionaries(kinds, quantities, max_size=2)
ratios = st.dictionaries(kinds, st.decimals(1, 5, places=3), max_size=2)
weights = st.dictionaries(st.sampled_from(["high", "medium", "low"]), st.integers(0, 10), max_size=2)
reservation_ids = st.sampled_from(["r1", "r2", "r3", "r4", "r5"])


class PoolMachine(AggregateMachine):
    aggregate = POOL
    state: Pool

    def __init__(self) -> None:
        super().__init__()
        self.active: dict[str, Resources] = {}
        self.lives: Counter[str] = Counter()

    @initialize(at=times, total=st.fixed_dictionaries(dict.fromkeys(KINDS, quantities)), overcommit=ratios)
    def create(self, at: datetime, total: Resources, overcommit: dict[ResourceKind, Decimal]) -> None:
        event = PoolCreated(at=at, pool_id="p", total=total, overcommit=overcommit)
        assert self.decide(lambda p: pool.create(p, event)) == [event]

    @rule(at=times, reservation_id=reservation_ids, wanted=resources, minutes=st.none() | st.integers(-1, 60))
    def reserve(self, at: datetime, reservation_id: str, wanted: Resources, minutes: int | None) -> None:
        expires_at = None if minutes is None else at + timedelta(minutes=minutes)
        event = ResourcesReserved(at=at, reservation_id=reservation_id, resources=wanted, expires_at=expires_at)
        self.decide(lambda p: pool.reserve(p, event))

    @rule(at=times, reservation_id=reservation_ids, kind=kinds)
    def reserve_all_that_is_left(self, at: datetime, reservation_id: str, kind: ResourceKind) -> None:
        left = self.state.limit(kind) - self.state.allocated[kind]
        if len(f"{left:f}") <= 40 and left <= Decimal("1e24"):
            event = ResourcesReserved(at=at, reservation_id=reservation_id, resources={kind: f"{left:f}"})
            self.decide(lambda p: pool.reserve(p, event))

    @rule(at=times, reservation_id=reservation_ids)
    def release(self, at: datetime, reservation_id: str) -> None:
        self.decide(lambda p: pool.release(p, reservation_id, "done", at))

    @rule(at=times, reservation_id=reservation_ids)
    def expire(self, at: datetime, reservation_id: str) -> None:
        due = reservation_id in self.state.expired(at)
        assert bool(self.decide(lambda p: pool.expire(p, reservation_id, at))) == due

    @rule(at=times)
    def expire_what_is_due(self, at: datetime) -> None:
        for reservation_id in self.state.expired(at):
            self.decide(partial(pool.expire, reservation_id=reservation_id, at=at))
        assert self.state.expired(at) == []

    @rule(at=times, total=resources)
    def resize(self, at: datetime, total: Resources) -> None:
        self.decide(lambda p: pool.resize(p, total, at))

    @rule(at=times, overcommit=ratios, priority_weights=weights)
    def change_policies(
        self, at: datetime, overcommit: dict[ResourceKind, Decimal], priority_weights: dict[Priority, int]
    ) -> None:
        self.decide(lambda p: pool.change_policies(p, overcommit, priority_weights, at))

    def check_step(self, before: Pool | None, event: Event, after: Pool) -> None:
        if isinstance(event, ResourcesReserved):
            assert event.reservation_id not in self.active
            self.active[event.reservation_id] = event.resources
            self.lives[event.reservation_id] += 1
        if isinstance(event, ReservationReleased | ReservationExpired):
            del self.active[event.reservation_id]
        assert set(after.reservations) == set(self.active)
        for kind in KINDS:
            held = sum((exact(lent[kind]) for lent in self.active.values() if kind in lent), Fraction(0))
            limit = Fraction(after.total.get(kind, 0)) * Fraction(after.overcommit.get(kind, 1))
            assert Fraction(after.allocated[kind]) == held
            assert 0 <= held <= limit


PoolMachine.TestCase.settings = LIVES
TestPool = PoolMachine.TestCase


@given(quantities)
def test_a_quantity_is_parsed_exactly(text: str) -> None:
    """Kept exactly or refused, never rounded."""
    try:
        value = parse_quantity(text)
    except ValueError:
        return
    assert Fraction(value) == exact(text)


@given(st.text("0123456789.eE+-_ kMGTPEKimnuNaIf\u0663\x00", max_size=45) | st.text(max_size=10))
def test_any_text_is_a_quantity_or_refused_as_none(text: str) -> None:
    try:
        value = parse_quantity(text)
    except ValueError:
        return
    assert value.is_finite()
    assert 0 <= value <= Decimal("1e24")


def test_the_accounts_of_these_tests_are_right() -> None:
    assert [exact(text) for text in ("500m", "1Ki", "0.1")] == [Fraction(1, 2), Fraction(1024), Fraction(1, 10)]
