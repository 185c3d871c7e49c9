"""What is kept beside the log, as it stands, for whoever compares it with the log."""

from collections import Counter
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from domain.snapshots import Place, Snapshot, Stamp
from infrastructure import sql
from infrastructure.available import available
from infrastructure.event_store.stretches import digest
from infrastructure.pools import Pool
from projections.checking import KeptDocument, KeptSnapshot

FINDINGS_TOLD = 1_000
_KINDS = ("workflow", "task", "agent", "pool", "system")


class PostgresKept:
    """The port Kept, on a pool of connections with the projector's rights."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def documents(self, stream_ids: Sequence[str]) -> tuple[int, list[KeptDocument]]:
        ids: dict[str, list[str]] = {kind: [] for kind in _KINDS}
        for stream_id in stream_ids:
            kind, _, id = stream_id.partition("-")
            ids[kind].append(id)
        rows = await self._rows("documents", ids)
        checkpoint = int(rows[-1][4]) if rows else 0
        found = [KeptDocument(kind, id, position, body.encode()) for kind, id, position, body, _ in rows if kind]
        return checkpoint, found

    async def attempts(self, task_ids: Sequence[str], position: int) -> dict[str, Counter[str]]:
        found: dict[str, Counter[str]] = {}
        for task_id, outcome, count in await self._rows("attempts", {"task_ids": list(task_ids), "position": position}):
            found.setdefault(task_id, Counter())[outcome] = count
        return found

    async def strays(self, limit: int) -> list[str]:
        return [f"{kind}-{id}" for kind, id in await self._rows("strays", {"limit": limit})]

    async def miscounted(self) -> list[tuple[str, str, int, int]]:
        rows = await self._rows("counts", {}) + await self._rows("facets", {"limit": FINDINGS_TOLD})
        return [(kind, state, counted, there) for kind, state, counted, there in rows]

    async def misplaced(self) -> list[str]:
        return [f"{kind}-{id}" for kind, id in await self._rows("misplaced", {"limit": FINDINGS_TOLD})]

    async def misheld(self) -> list[str]:
        return [str(pool_id) for (pool_id,) in await self._rows("reservations", {"limit": FINDINGS_TOLD})]

    async def misrated(self) -> list[tuple[str, datetime]]:
        return [(grain, begin) for grain, begin in await self._rows("rates", {"limit": FINDINGS_TOLD})]

    async def snapshots(self, stream_id: str, stamp: Stamp, after: int, until: int) -> list[KeptSnapshot]:
        about = {"schema": stamp.schema, "fold_version": stamp.fold_version, "after": after, "until": until}
        found = []
        for version, position, following, at, told, state in await self._rows(
            "snapshots", about | {"stream_id": stream_id}
        ):
            snapshot = Snapshot(Place(version, position, following, at), bytes(state))
            found.append(KeptSnapshot(snapshot, is_whole=bytes(told) == digest(stream_id, stamp, snapshot)))
        return found

    async def _rows(self, name: str, facts: dict[str, Any]) -> list[Any]:
        with available():
            async with self._pool.connection() as connection:
                return await (await connection.execute(sql.load(f"checking/{name}"), facts)).fetchall()
