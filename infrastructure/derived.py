"""What follows from documents and ended attempts, kept up within the transaction of their batch: counts, rates,
reservations. Each is moved by what the tables hold, not by what a batch believes, so that it agrees with them
whatever came before.
"""

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

import orjson

from domain.pool import Reservation
from infrastructure import sql
from infrastructure.database import Connection
from projections.batch import Batch, RenderedDocument

Held = Mapping[str, Mapping[str, Reservation]]
"""Reservations by pool and id."""


class Changed(NamedTuple):
    """Reservations that are active no more, and those that have become so."""

    gone: list[tuple[str, str]]
    new: list[tuple[str, str, Reservation]]


def _query(name: str) -> bytes:
    return sql.load(f"read_models/{name}")


async def count(connection: Connection, documents: Sequence[RenderedDocument]) -> None:
    """Move the counts by state to how these documents are about to be written."""
    fields = ("kind", "id", "position", "state")
    columns = {name: [getattr(document, name) for document in documents] for name in fields}
    await connection.execute(_query("count_states"), columns, prepare=True)


async def count_tasks(connection: Connection, columns: Mapping[str, Sequence[Any]]) -> None:
    """Move the counts of tasks by what they are found by to how these are about to be written."""
    await connection.execute(_query("count_tasks"), columns, prepare=True)


async def add_rates(connection: Connection, batch: Batch, sign: int = 1) -> None:
    """Add the attempts and completions that are written at the batch's positions, or (-1) take them away."""
    positions = [fact.position for facts in (batch.attempts, batch.completions) for fact in facts]
    if positions:
        await connection.execute(_query("add_rates"), {"positions": positions, "sign": sign}, prepare=True)


async def changed_reservations(connection: Connection, wanted: Held) -> Changed:
    """By what the reservations that are kept of these pools differ from what they are now."""
    if not wanted:
        return Changed([], [])
    rows = await (await connection.execute(_query("held"), {"pool_ids": list(wanted)})).fetchall()
    kept: dict[Any, set[str]] = {pool_id: set(ids) for pool_id, ids in rows}  # type: ignore[call-overload]  # rows are of any type
    return Changed(
        gone=[(pool_id, id) for pool_id, ids in kept.items() for id in ids - wanted[pool_id].keys()],
        new=[
            (pool_id, id, held)
            for pool_id, reservations in wanted.items()
            for id, held in reservations.items()
            if id not in kept.get(pool_id, ())
        ],
    )


async def keep_reservations(connection: Connection, changed: Changed) -> None:
    if changed.gone:
        about = {"pool_id": [pool_id for pool_id, _ in changed.gone], "id": [id for _, id in changed.gone]}
        await connection.execute(_query("forget_reservations"), about, prepare=False)
    if changed.new:
        await connection.execute(_query("insert_reservations"), _reservation_columns(changed.new), prepare=True)


def _reservation_columns(new: Sequence[tuple[str, str, Reservation]]) -> dict[str, list[Any]]:
    return {
        "pool_id": [pool_id for pool_id, _, _ in new],
        "id": [id for _, id, _ in new],
        "task_id": [held.task_id for _, _, held in new],
        "agent_id": [held.agent_id for _, _, held in new],
        "resources": [orjson.dumps(held.resources).decode() for _, _, held in new],
        "created_at": [held.created_at for _, _, held in new],
        "expires_at": [held.expires_at for _, _, held in new],
    }
