"""What the projector writes of the read models in PostgreSQL: one transaction a batch, set-wise."""

from collections.abc import Sequence
from typing import Any

from infrastructure import sql
from infrastructure.available import available
from infrastructure.database import Connection
from infrastructure.derived import add_rates, changed_reservations, count, count_tasks, keep_reservations
from infrastructure.leading import Lead
from projections.batch import Batch, RenderedDocument
from projections.documents import RENDERINGS
from projections.ports import Asked, Checkpoint, Counts

COUNTS_SPACING = 1_000
"""So many positions at least lie between counts that are kept; so many or a batch are counted again for any other."""

_ATTEMPT_FIELDS = (
    "position",
    "at",
    "task_id",
    "workflow_id",
    "agent_id",
    "outcome",
    "duration",
    "response_time",
)
_COMPLETION_FIELDS = ("position", "at", "workflow_id")
_LETTER_FIELDS = ("position", "stream_id", "version", "type", "error")


def _query(name: str) -> bytes:
    return sql.load(f"read_models/{name}")


def _columns(rows: Sequence[Any], names: Sequence[str]) -> dict[str, list[Any]]:
    """The rows' attributes as one array a column."""
    return {name: [getattr(row, name) for row in rows] for name in names}


def _document_columns(kind: str, documents: Sequence[RenderedDocument]) -> dict[str, list[Any]]:
    own = zip(*(document.columns for document in documents), strict=True)
    return {
        "id": [document.id for document in documents],
        "position": [document.position for document in documents],
        "state": [document.state for document in documents],
        "document": [document.body.decode() for document in documents],
        **{name: list(values) for name, values in zip(RENDERINGS[kind].columns, own, strict=True)},
    }


async def _counts(connection: Connection) -> Counts:
    rows = await (await connection.execute(_query("counts"))).fetchall()
    return {(kind, state): count for kind, state, count in rows}  # type: ignore[misc]  # rows are of any type


class PostgresReadModelWriter:
    """Writes on the connection of whoever has the lead, in its term."""

    def __init__(self, lead: Lead) -> None:
        self._lead = lead
        self._connection = lead.connection

    async def checkpoint(self) -> Checkpoint:
        with available():
            return await self._lead.checkpoint()

    async def require_same(self) -> None:
        with available():
            await self._lead.require_same()

    async def parked(self) -> set[str]:
        with available():
            rows = await (await self._connection.execute(_query("parked"))).fetchall()
        return {str(stream_id) for (stream_id,) in rows}

    async def counts(self) -> Counts:
        with available():
            return await _counts(self._connection)

    async def asked(self) -> dict[str, Asked]:
        with available():
            rows = await (await self._connection.execute(_query("asked_dead_letters"))).fetchall()
        return dict(rows)  # type: ignore[arg-type]  # rows are of any type

    async def mend(self, stream_id: str, version: int, batch: Batch | None, *, done: bool) -> Counts:
        about = {"stream_id": stream_id, "version": version}
        with available():
            async with self._connection.transaction():
                await self._lead.expect(None if batch is None else batch.start)
                await self._connection.execute(_query("forget_kept_counts"), about)
                await self._connection.execute(_query("forget_dead_letters"), about)
                if batch is not None:
                    reservations = await changed_reservations(self._connection, batch.reservations)
                    await keep_reservations(self._connection, reservations)
                    await self._write_documents(batch)
                    # Of an event whose document could not be rendered the facts were written all the same.
                    await add_rates(self._connection, batch, sign=-1)
                    for name, facts in (("attempts", batch.attempts), ("completions", batch.completions)):
                        positions = {"positions": [fact.position for fact in facts]}
                        await self._connection.execute(_query(f"forget_{name}"), positions)
                    await self._write_facts(batch)
                if done:
                    await self._connection.execute(_query("answer_dead_letters"), about)
                return await _counts(self._connection)

    async def write(self, batch: Batch) -> Counts:
        with available():
            # What is asked comes first: an answer in between would hold the others up.
            async with self._connection.pipeline(), self._connection.transaction():
                await self._lead.expect(batch.start)
                reservations = await changed_reservations(self._connection, batch.reservations)
                await keep_reservations(self._connection, reservations)
                await self._write_documents(batch)
                await self._write_facts(batch)
                await self._keep_counts(batch)
                await self._lead.move(batch.end, batch.ended_at)
                return await _counts(self._connection)

    async def _write_documents(self, batch: Batch) -> None:
        by_kind: dict[str, list[RenderedDocument]] = {}
        for document in batch.documents:
            by_kind.setdefault(document.kind, []).append(document)
        await count(self._connection, batch.documents)
        for kind, documents in by_kind.items():
            columns = _document_columns(kind, documents)
            if kind == "task":
                await count_tasks(self._connection, columns)
            await self._connection.execute(_query(f"upsert_{kind}s"), columns, prepare=True)

    async def _write_facts(self, batch: Batch) -> None:
        if batch.attempts:
            await self._connection.execute(_query("insert_attempts"), _columns(batch.attempts, _ATTEMPT_FIELDS))
        if batch.completions:
            completions = _columns(batch.completions, _COMPLETION_FIELDS)
            await self._connection.execute(_query("insert_completions"), completions)
        await add_rates(self._connection, batch)
        if batch.dead_letters:
            await self._connection.execute(_query("insert_dead_letters"), _columns(batch.dead_letters, _LETTER_FIELDS))

    async def _keep_counts(self, batch: Batch) -> None:
        kept = {"position": batch.end, "recorded_at": batch.ended_at, "spacing": COUNTS_SPACING}
        await self._connection.execute(_query("keep_counts"), kept)
