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
    for key in ("available_capacity", "allocated_resources", "utilization_metrics"):
        changes.follow_within(key, changes.within(key))
    changes.follows("last_updated")


def _capacity(changes: Changes) -> None:
    if not changes.within("total_capacity"):
        return
    total = changes.state["total_capacity"]
    wanted = {kind: f"{total[key]}{UNITS[kind]}" for kind, key in CAPACITY_KEYS.items() if total.get(key)}
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
    if changed:
        changes.no(f"allocation_policies.{next(iter(changed))}", "ChangePolicies knows no such policy")
    if told:
        changes.step("ChangePolicies", **told)


def _reservations(changes: Changes) -> None:
    taken = changes.take("reservations")
    if taken is None:
        return
    before, after = ({str(one.get("reservation_id")): one for one in side or ()} for side in taken)
    if any(before.get(id) != one for id, one in after.items()):
        changes.no("reservations", "Reserve makes one, and Release or ExpireReservations end it")
    for id in before:
        if id not in after:
            changes.step("Release", reservation_id=id, reason=changes.reason)
