"""The resource pool's document, in the shape of SPEC's fourth example."""

from collections.abc import Mapping
from decimal import Decimal
from typing import Any

from domain.pool import KINDS, Pool, Reservation
from domain.values import ResourceKind
from projections.documents.values import GIGA, Document, number, percent

CAPACITY_KEYS: dict[ResourceKind, str] = {
    "cpu": "cpu_cores",
    "memory": "memory_gb",
    "storage": "storage_gb",
    "gpu": "gpu_units",
}
_UNITS: dict[ResourceKind, Decimal] = {
    "cpu": Decimal(1),
    "memory": GIGA,
    "storage": GIGA,
    "gpu": Decimal(1),
}
COLUMNS = (
    "next_expiry",
    "cpu_total",
    "cpu_allocated",
    "memory_total",
    "memory_allocated",
    "storage_total",
    "storage_allocated",
)


def columns(pool: Pool) -> tuple[Any, ...]:
    """The next moment at which a reservation expires, and what the system's summary adds up."""
    expiries = [held.expires_at for held in pool.reservations.values() if held.expires_at is not None]
    return (
        min(expiries, default=None),
        _total(pool, "cpu"),
        pool.allocated["cpu"],
        _total(pool, "memory"),
        pool.allocated["memory"],
        _total(pool, "storage"),
        pool.allocated["storage"],
    )


def stored(pool: Pool) -> Document:
    available = {kind: max(_total(pool, kind) - pool.allocated[kind], Decimal(0)) for kind in KINDS}
    return {
        "resource_pool_id": pool.pool_id,
        "last_updated": pool.updated_at,
        "total_capacity": _capacity({kind: _total(pool, kind) for kind in KINDS}),
        "available_capacity": _capacity(available),
        "allocated_resources": _capacity(pool.allocated),
        "reservations": [_reservation(*item) for item in pool.reservations.items()],
        "utilization_metrics": {
            f"{kind}_utilization": percent(pool.allocated[kind], _total(pool, kind)) for kind in KINDS
        },
        "allocation_policies": {
            **{f"{kind}_overcommit_ratio": number(pool.overcommit.get(kind, Decimal(1))) for kind in KINDS},
            "priority_weights": pool.priority_weights,
        },
        "created_at": pool.created_at,
    }


def _total(pool: Pool, kind: ResourceKind) -> Decimal:
    return pool.total.get(kind, Decimal(0))


def _capacity(quantities: Mapping[ResourceKind, Decimal]) -> Document:
    return {CAPACITY_KEYS[kind]: number(quantities[kind] / _UNITS[kind]) for kind in KINDS}


def _reservation(reservation_id: str, held: Reservation) -> Document:
    return {
        "reservation_id": reservation_id,
        "task_id": held.task_id,
        "agent_id": held.agent_id,
        "resources": held.resources,
        "created_at": held.created_at,
        "expires_at": held.expires_at,
        "state": "active",
    }
