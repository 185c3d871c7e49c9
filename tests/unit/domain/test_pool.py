"""What the decisions of a resource pool give, refuse, and leave alone."""

from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from domain import pool
from domain.aggregate import Event
from domain.errors import Refusal
from domain.pool import (
    DEFAULT_WEIGHTS,
    POOL,
    Pool,
    PoolCreated,
    PoolPoliciesChanged,
    PoolResized,
    ReservationExpired,
    ReservationReleased,
    ResourcesReserved,
)
from domain.values import iso
from tests.support.decider import given

AT = datetime(2024, 1, 17, 10, tzinfo=UTC)
LATER = AT + timedelta(hours=1)


def created(**fields: Any) -> PoolCreated:
    return PoolCreated(at=AT, **({"pool_id": "p1", "total": {"cpu": "4", "memory": "8Gi"}} | fields))


def reserved(reservation_id: str = "r1", cpu: str = "3", **fields: Any) -> ResourcesReserved:
    return ResourcesReserved(at=AT, reservation_id=reservation_id, resources={"cpu": cpu}, **fields)


def fold(*events: Event) -> Pool:
    state = POOL.fold(events)
    assert state is not None
    return state


RELEASED = ReservationReleased(at=AT, reservation_id="r1", reason="done")
EXPIRED = ReservationExpired(at=LATER, reservation_id="r1")


def exhausted(limit: str, allocated: str, wanted: str) -> dict[str, str]:
    return {"pool_id": "p1", "kind": "cpu", "limit": limit, "allocated": allocated, "wanted": wanted}


def test_a_pool_is_created_once() -> None:
    given(POOL).when(lambda p: pool.create(p, created())).then(created())
    given(POOL, created()).when(lambda p: pool.create(p, created())).refused("pool_exists", pool_id="p1")
    assert fold(created(priority_weights={"high": 20})).priority_weights == DEFAULT_WEIGHTS | {"high": 20}


def test_a_pool_is_resized_but_not_below_what_is_in_use() -> None:
    given(POOL, created(), reserved()).when(lambda p: pool.resize(p, {"cpu": "3"}, AT)).then(
        PoolResized(at=AT, total={"cpu": "3"})
    )
    given(POOL, created()).when(lambda p: pool.resize(p, {"cpu": "4000m", "memory": "8192Mi"}, AT)).then()
    given(POOL, created(), reserved()).when(lambda p: pool.resize(p, {"cpu": "2"}, AT)).refused(
        "pool_exhausted", **exhausted("2", "3", "0")
    )
    given(POOL, created(), reserved()).when(lambda p: pool.resize(p, {"memory": "1Gi"}, AT)).refused(
        "pool_exhausted", **exhausted("0", "3", "0")
    )


def test_policies_change_and_what_is_not_named_stays() -> None:
    first = created(overcommit={"memory": Decimal("1.5")})
    event = PoolPoliciesChanged(
        at=AT,
        overcommit={"memory": Decimal("1.5"), "cpu": Decimal(2)},
        priority_weights=DEFAULT_WEIGHTS | {"low": 2},
    )
    given(POOL, first).when(lambda p: pool.change_policies(p, {"cpu": Decimal(2)}, {"low": 2}, AT)).then(event)
    given(POOL, first, event).when(lambda p: pool.change_policies(p, {"cpu": Decimal("2.0")}, {"low": 2}, AT)).then()
    given(POOL, first).when(lambda p: pool.change_policies(p, {}, {}, AT)).then()


def test_to_name_a_kind_as_it_is_unnamed_says_nothing_new() -> None:
    given(POOL, created()).when(lambda p: pool.resize(p, {"cpu": "4", "memory": "8Gi", "gpu": "0"}, AT)).then()
    given(POOL, created()).when(lambda p: pool.change_policies(p, {"gpu": Decimal(1)}, {}, AT)).then()


def test_a_lower_ratio_is_refused_when_more_is_in_use() -> None:
    first = created(overcommit={"cpu": Decimal(2)})
    given(POOL, first, reserved(cpu="6")).when(
        lambda p: pool.change_policies(p, {"cpu": Decimal("1.25")}, {}, AT)
    ).refused("pool_exhausted", **exhausted("5.00", "6", "0"))


def test_a_reservation_is_made_once() -> None:
    event = reserved(task_id="t1", agent_id="a1", expires_at=LATER)
    given(POOL, created()).when(lambda p: pool.reserve(p, event)).then(event)
    given(POOL, created(), event).when(lambda p: pool.reserve(p, event)).then()
    assert fold(created(), event).allocated["cpu"] == 3


def test_no_more_is_reserved_than_the_pool_may_lend() -> None:
    given(POOL, created(), reserved()).when(lambda p: pool.reserve(p, reserved("r2", "1"))).then(reserved("r2", "1"))
    given(POOL, created(), reserved()).when(lambda p: pool.reserve(p, reserved("r2", "1001m"))).refused(
        "pool_exhausted", **exhausted("4", "3", "1.001")
    )
    given(POOL, created(overcommit={"cpu": Decimal("1.5")}), reserved()).when(
        lambda p: pool.reserve(p, reserved("r2", "3"))
    ).then(reserved("r2", "3"))


def test_a_kind_that_the_pool_does_not_have_is_not_lent() -> None:
    event = ResourcesReserved(at=AT, reservation_id="r1", resources={"gpu": "1"})
    given(POOL, created()).when(lambda p: pool.reserve(p, event)).refused(
        "pool_exhausted", pool_id="p1", kind="gpu", limit="0", allocated="0", wanted="1"
    )


@pytest.mark.parametrize("expires_at", [AT, AT - timedelta(seconds=1)])
def test_a_reservation_that_would_have_expired_is_refused(expires_at: datetime) -> None:
    given(POOL, created()).when(lambda p: pool.reserve(p, reserved(expires_at=expires_at))).refused(
        "reservation_in_the_past", pool_id="p1", expires_at=iso(expires_at)
    )


def test_a_reservation_is_released_once() -> None:
    given(POOL, created(), reserved()).when(lambda p: pool.release(p, "r1", "done", AT)).then(RELEASED)
    given(POOL, created(), reserved(), RELEASED).when(lambda p: pool.release(p, "r1", "done", AT)).then()
    given(POOL, created(), reserved(), EXPIRED).when(lambda p: pool.release(p, "r1", "done", AT)).then()
    assert fold(created(), reserved(), RELEASED).allocated["cpu"] == 0


def test_a_reservation_expires_at_its_time() -> None:
    event = reserved(expires_at=LATER)
    given(POOL, created(), event).when(lambda p: pool.expire(p, "r1", LATER)).then(EXPIRED)
    assert fold(created(), event, EXPIRED).allocated["cpu"] == 0


@pytest.mark.parametrize("events", [(), (reserved(), RELEASED), (reserved(expires_at=LATER), EXPIRED)])
def test_what_is_not_active_does_not_expire(events: tuple[Event, ...]) -> None:
    """Else the event would be recorded, and the pool's stream could never be folded again."""
    state = fold(created(), *events)
    outcome = given(POOL, created(), *events).when(lambda p: pool.expire(p, "r1", LATER))
    assert POOL.fold(outcome.events or [], state.copy()) == state


@pytest.mark.parametrize("expires_at", [None, LATER + timedelta(microseconds=1)])
def test_a_reservation_does_not_expire_before_its_time(expires_at: datetime | None) -> None:
    events = (created(), reserved(expires_at=expires_at))
    assert not given(POOL, *events).when(lambda p: pool.expire(p, "r1", LATER)).events


def test_expired_reservations_are_named_oldest_first() -> None:
    state = fold(
        created(),
        reserved("r1", "1", expires_at=LATER),
        reserved("r2", "1", expires_at=AT + timedelta(seconds=1)),
        reserved("r3", "1", expires_at=LATER + timedelta(seconds=1)),
        reserved("r4", "1"),
    )
    assert pool.evolve(state, reserved("r5", "0")).expired(LATER) == ["r2", "r1"]


def test_what_is_taken_and_given_back_leaves_exactly_nothing() -> None:
    """Decimals are exact only if nothing rounds them: a huge and a tiny quantity together have 34 digits."""
    events: list[Event] = [created(total={"cpu": "1e24"}, overcommit={"cpu": Decimal(2)})]
    events += [reserved("huge", "1e24"), reserved("tiny", "1n")]
    assert fold(*events).allocated["cpu"] == Decimal("1000000000000000000000000.000000001")
    events += [ReservationReleased(at=AT, reservation_id=name, reason="done") for name in ("huge", "tiny")]
    assert fold(*events).allocated["cpu"] == 0


def test_the_limit_is_exact() -> None:
    total = "123456789012345678.901234567"
    state = fold(created(total={"cpu": total}, overcommit={"cpu": Decimal("1.00000000001")}))
    with pytest.raises(Refusal):
        pool.reserve(state, reserved("r1", "123456789013580246.79135802378902"))
    assert pool.reserve(state, reserved("r2", "123456789013580246.79135802378901"))
