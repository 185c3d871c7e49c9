"""A resource pool's state that was changed, as commands."""

from typing import Any

from domain.values import ResourceKind
from dora_state.editing.changes import Changes
from projections.documents.pool import CAPACITY_KEYS

UNITS: dict[ResourceKind, str] = {"cpu": "", "memory": "G", "storage": "G", "gpu": ""}
"""What a number in the document counts, as Kubernetes writes it: `_gb` are 10^9 bytes."""


def plan(changes: Changes) -> None:
    _capacity(changes)
    _policies(changes)
    _reservations(changes)
    changes.follows("available_capacity", "allocated_resources", "utilization_metrics", "last_updated")


def _capacity(changes: Changes) -> None:
    changed = changes.within("total_capacity")
    if not changed:
        return
    changes.refuse_all("total_capacity", changed.keys() - set(CAPACITY_KEYS.values()), "ResizePool knows no such kind")
    for name, (_, amount) in changed.items():
        if not isinstance(amount, int | float) or isinstance(amount, bool):
            changes.no(f"total_capacity.{name}", "it is a number")
    total = changes.state["total_capacity"]
    wanted = {kind: f"{total[key]}{UNITS[kind]}" for kind, key in CAPACITY_KEYS.items() if total[key]}
    changes.step("ResizePool", total=wanted)


def _policies(changes: Changes) -> None:
    changed = changes.within("allocation_policies")
    told: dict[str, Any] = {}
    if "priority_weights" in changed:
        told["priority_weights"] = changed.pop("priority_weights")[1]
    ratios = {f"{kind}_overcommit_ratio": kind for kind in CAPACITY_KEYS}
    overcommit = {ratios[name]: changed.pop(name)[1] for name in list(changed) if name in ratios}
    if overcommit:
        told["overcommit"] = overcommit
    changes.refuse_all("allocation_policies", changed.keys(), "ChangePolicies knows no such policy")
    if told:
        changes.step("ChangePolicies", **told)


def _reservations(changes: Changes) -> None:
    taken = changes.take("reservations")
    if taken is None:
        return
    before, after = ({str(one.get("reservation_id")): one for one in side} for side in taken)
    if any(before.get(id) != one for id, one in after.items()):
        changes.no("reservations", "Reserve makes one, and Release or ExpireReservations end it")
    for id in before:
        if id not in after:
            changes.step("Release", reservation_id=id, reason=changes.reason)
