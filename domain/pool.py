"""Resource pool: lends quantities of cpu, memory, storage and gpu to tasks, never more than it may.

Per kind, active reservations never exceed total x overcommit ratio; each is released or expires exactly
once. Quantities are exact decimals (cores, bytes, bytes, units).
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from typing import Annotated, get_args

from pydantic import Field

from domain.aggregate import Aggregate, Event, begun, shallow_copier, unexpected
from domain.errors import Refusal
from domain.record import record
from domain.values import EXACT, PERSONAL, Allocation, Priority, ResourceKind, Resources, iso, parse_quantity

KINDS: tuple[ResourceKind, ...] = get_args(ResourceKind)
Ratio = Annotated[Decimal, Field(ge=1, le=1000, allow_inf_nan=False, max_digits=12)]
Weight = Annotated[int, Field(ge=0, le=1_000_000)]
DEFAULT_WEIGHTS: dict[Priority, int] = {"high": 10, "medium": 5, "low": 1}

# --- events ---------------------------------------------------------------------------------------------


class PoolCreated(Event):
    type = "PoolCreated"
    pool_id: str
    total: Allocation
    overcommit: dict[ResourceKind, Ratio] = {}
    priority_weights: dict[Priority, Weight] = DEFAULT_WEIGHTS


class PoolResized(Event):
    type = "PoolResized"
    total: Allocation


class PoolPoliciesChanged(Event):
    type = "PoolPoliciesChanged"
    overcommit: dict[ResourceKind, Ratio]
    priority_weights: dict[Priority, Weight]


class ResourcesReserved(Event):
    type = "ResourcesReserved"
    reservation_id: str
    resources: Allocation
    task_id: str | None = None
    agent_id: str | None = None
    expires_at: datetime | None = None


class ReservationReleased(Event):
    type = "ReservationReleased"
    reservation_id: str
    reason: Annotated[str, PERSONAL]


class ReservationExpired(Event):
    type = "ReservationExpired"
    reservation_id: str


# --- state ----------------------------------------------------------------------------------------------


@record
class Reservation:
    """What an active reservation holds, and for whom."""

    resources: Resources
    created_at: datetime
    task_id: str | None = None
    agent_id: str | None = None
    expires_at: datetime | None = None


@dataclass(slots=True)
class Pool:
    pool_id: str
    created_at: datetime
    updated_at: datetime
    total: dict[ResourceKind, Decimal] = field(default_factory=dict)
    allocated: dict[ResourceKind, Decimal] = field(default_factory=dict)
    overcommit: dict[ResourceKind, Decimal] = field(default_factory=dict)
    priority_weights: dict[Priority, int] = field(default_factory=dict)
    reservations: dict[str, Reservation] = field(default_factory=dict)

    def copy(self) -> "Pool":
        twin = _copy(self)
        twin.allocated = self.allocated.copy()
        twin.reservations = self.reservations.copy()
        return twin

    def limit(self, kind: ResourceKind) -> Decimal:
        """Up to how much of a kind may be reserved at once."""
        return EXACT.multiply(self.total.get(kind, Decimal(0)), self.overcommit.get(kind, Decimal(1)))

    def expired(self, at: datetime) -> list[str]:
        """Active reservations whose time has come, oldest first."""
        due = [
            (reservation.expires_at, reservation_id)
            for reservation_id, reservation in self.reservations.items()
            if reservation.expires_at is not None and reservation.expires_at <= at
        ]
        return [reservation_id for _, reservation_id in sorted(due)]


_copy = shallow_copier(Pool)

# --- evolve ---------------------------------------------------------------------------------------------


def evolve(pool: Pool | None, event: Event) -> Pool:
    """Apply one event; the state given is changed and handed back."""
    if type(event) is PoolCreated:  # `isinstance` of a model is felt in a long fold
        return Pool(
            pool_id=event.pool_id,
            created_at=event.at,
            updated_at=event.at,
            total=_exact(event.total),
            allocated=dict.fromkeys(KINDS, Decimal(0)),
            overcommit=dict(event.overcommit),
            priority_weights=DEFAULT_WEIGHTS | event.priority_weights,
        )
    pool = begun(pool, event)
    match event:
        case ResourcesReserved():
            pool.reservations[event.reservation_id] = Reservation(
                event.resources, event.at, event.task_id, event.agent_id, event.expires_at
            )
            _allocate(pool, event.resources, Decimal(1))
        case ReservationReleased() | ReservationExpired():
            _allocate(pool, pool.reservations.pop(event.reservation_id).resources, Decimal(-1))
        case PoolResized():
            pool.total = _exact(event.total)
        case PoolPoliciesChanged():
            pool.overcommit = dict(event.overcommit)
            pool.priority_weights = dict(event.priority_weights)
        case _:
            raise unexpected(event)
    pool.updated_at = event.at
    return pool


def _exact(resources: Resources) -> dict[ResourceKind, Decimal]:
    return {kind: parse_quantity(quantity) for kind, quantity in resources.items()}


def _allocate(pool: Pool, resources: Resources, sign: Decimal) -> None:
    for kind, quantity in resources.items():
        pool.allocated[kind] = EXACT.fma(sign, parse_quantity(quantity), pool.allocated[kind])


POOL = Aggregate(
    "pool",
    Pool,
    (
        PoolCreated,
        PoolResized,
        PoolPoliciesChanged,
        ResourcesReserved,
        ReservationReleased,
        ReservationExpired,
    ),
    evolve,
)

# --- decisions ------------------------------------------------------------------------------------------


def create(pool: Pool | None, event: PoolCreated) -> list[Event]:
    if pool is not None:
        raise Refusal(
            "pool_exists",
            f"There already is a pool {pool.pool_id}; choose another id, or resize it.",
            pool_id=pool.pool_id,
        )
    return [event]


def resize(pool: Pool, total: Resources, at: datetime) -> list[Event]:
    if _same(_exact(total), pool.total, Decimal(0)):
        return []
    event = PoolResized(at=at, total=total)
    _require_room(evolve(pool.copy(), event), {})
    return [event]


def _same(one: Mapping[ResourceKind, Decimal], other: Mapping[ResourceKind, Decimal], unnamed: Decimal) -> bool:
    """Whether two say the same of each kind, also where only one of them names it."""
    return all(one.get(kind, unnamed) == other.get(kind, unnamed) for kind in KINDS)


def change_policies(
    pool: Pool,
    overcommit: dict[ResourceKind, Decimal],
    priority_weights: dict[Priority, int],
    at: datetime,
) -> list[Event]:
    """Kinds and priorities that are not named keep what they have."""
    event = PoolPoliciesChanged(
        at=at,
        overcommit=pool.overcommit | overcommit,
        priority_weights=pool.priority_weights | priority_weights,
    )
    if _same(event.overcommit, pool.overcommit, Decimal(1)) and event.priority_weights == pool.priority_weights:
        return []
    _require_room(evolve(pool.copy(), event), {})
    return [event]


def reserve(pool: Pool, event: ResourcesReserved) -> list[Event]:
    if event.reservation_id in pool.reservations:
        return []
    if event.expires_at is not None and event.expires_at <= event.at:
        raise Refusal(
            "reservation_in_the_past",
            f"The reservation would have expired at {iso(event.expires_at)}; name a later time.",
            pool_id=pool.pool_id,
            expires_at=iso(event.expires_at),
        )
    _require_room(pool, event.resources)
    return [event]


def release(pool: Pool, reservation_id: str, reason: str, at: datetime) -> list[Event]:
    """A reservation that is not active has been released or has expired: nothing is left to do."""
    if reservation_id not in pool.reservations:
        return []
    return [ReservationReleased(at=at, reservation_id=reservation_id, reason=reason)]


def expire(pool: Pool, reservation_id: str, at: datetime) -> list[Event]:
    """Nothing for one that is not active, or not due."""
    reservation = pool.reservations.get(reservation_id)
    if reservation is None or reservation.expires_at is None or reservation.expires_at > at:
        return []
    return [ReservationExpired(at=at, reservation_id=reservation_id)]


def _require_room(pool: Pool, resources: Resources) -> None:
    """Refuse what would put more into use than the pool may lend."""
    for kind in KINDS:
        wanted = parse_quantity(resources[kind]) if kind in resources else Decimal(0)
        if EXACT.add(pool.allocated[kind], wanted) > pool.limit(kind):
            raise Refusal(
                "pool_exhausted",
                f"Pool {pool.pool_id} may lend {pool.limit(kind):f} of {kind}, {pool.allocated[kind]:f} are in use "
                f"and {wanted:f} more are wanted; release some, or resize the pool.",
                pool_id=pool.pool_id,
                kind=kind,
                limit=str(pool.limit(kind)),
                allocated=str(pool.allocated[kind]),
                wanted=str(wanted),
            )
