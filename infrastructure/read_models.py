"""The read models in PostgreSQL: one transaction a batch, set-wise; and the questions asked of them."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, cast

from psycopg import AsyncCursor, capabilities

from infrastructure import sql
from infrastructure.available import available
from infrastructure.database import Connection
from infrastructure.derived import add_rates, changed_reservations, count, count_tasks, keep_reservations
from infrastructure.leading import Lead, find_checkpoint, lead
from infrastructure.pools import Pool
from projections.batch import Batch, RenderedDocument
from projections.documents import RENDERINGS
from projections.documents.system import Figures, Rates
from projections.pages import PAGE_BYTES
from projections.ports import NO_WORDS, Asked, Checkpoint, Counts, Parked, StoredDocument
from projections.projection import STATES

DAY = timedelta(hours=24)
LATELY = timedelta(minutes=15)
"""The windows of the rates; docs/read-models.md tells which has which."""
COUNTS_SPACING = 1_000
"""So many positions at least lie between counts that are kept; so many or a batch are counted again for any other."""
ON_THE_WAY = 10 if capabilities.has_stream_chunked() else 1
"""Documents of a list that the driver takes at once."""

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


def _query(name: str, words: Mapping[str, str] = NO_WORDS) -> bytes:
    """The statement, with words of ours in its places for them."""
    return sql.named(f"read_models/{name}", **words)


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


class PostgresReadModels:
    """The store, on a pool of connections with the projector's rights."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    @asynccontextmanager
    async def run_alone(self) -> AsyncIterator[PostgresReadModelWriter | None]:
        async with lead(self._pool, STATES) as held:
            yield None if held is None else PostgresReadModelWriter(held)

    async def checkpoint(self) -> Checkpoint:
        with available():
            async with self._pool.connection() as connection:
                return await find_checkpoint(connection, STATES)

    async def document(
        self, kind: str, id: str, min_position: int = 0, *, to_copy: bool = False
    ) -> StoredDocument | None:
        rows = await self._rows(f"document_of_{kind}", {"id": id}, prepare=True)
        return StoredDocument(kind, rows[0][0], rows[0][1], rows[0][2].encode()) if rows else None

    async def documents(
        self, kind: str, question: str, words: Mapping[str, str] = NO_WORDS, /, **facts: Any
    ) -> list[StoredDocument]:
        """No more than fit on a page, and one: they may be large. Nor more at once than a few on their way."""
        query = _query(question, words)
        found: list[StoredDocument] = []
        held = 0
        with available():
            async with (
                self._pool.connection() as connection,
                aclosing(_coming(AsyncCursor(connection).stream(query, facts, size=ON_THE_WAY))) as rows,
            ):
                async for id, position, text in rows:
                    body = text.encode()
                    found.append(StoredDocument(kind, id, position, body))
                    held += len(body)
                    if held > PAGE_BYTES and len(found) > 1:
                        break
        return found

    async def rows(self, question: str, words: Mapping[str, str] = NO_WORDS, /, **facts: Any) -> list[tuple[Any, ...]]:
        return await self._rows(question, facts, words)

    async def ids(self, question: str, **facts: Any) -> list[str]:
        return [row[0] for row in await self._rows(question, facts)]

    async def count(self, kind: str, states: Sequence[str]) -> int:
        ((count,),) = await self._rows("count", {"kind": kind, "states": list(states)})
        return int(count)

    async def completed_by(self, agent_ids: Sequence[str], since: datetime, until: datetime) -> dict[str, int]:
        facts = {"agent_ids": list(agent_ids), "since": since, "until": until}
        return dict(await self._rows("completed_by", facts))

    async def figures(self, now: datetime, today: datetime) -> Figures:
        facts = {"now": now, "today": today, "day_ago": now - DAY, "lately": now - LATELY}
        (row,) = await self._rows("figures", facts)
        position, applied_at, counts, completed_today, ended, failed, response, lately, workflows, *lent = row
        return Figures(
            position=position,
            applied_at=applied_at,
            counts={(kind, state): count for kind, state, count in counts or []},
            rates=_rates(completed_today, ended, failed, response, lately, workflows),
            utilization={
                kind: (lent[2 * place], lent[2 * place + 1]) for place, kind in enumerate(("cpu", "memory", "storage"))
            },
        )

    async def parked(self) -> set[str]:
        """The streams of which an event lies among the dead letters."""
        return {str(stream_id) for (stream_id,) in await self._rows("parked", {})}

    async def dead_letters(self, *, stream_id: str | None = None, after: str = "", limit: int) -> list[Parked]:
        """The streams with events that could not be applied, by their ids."""
        facts = {"stream_id": stream_id, "after": after, "limit": limit}
        return [Parked(*row) for row in await self._rows("dead_letters", facts)]

    async def ask(self, what: Asked, stream_ids: Sequence[str] | None = None) -> list[str]:
        """Ask whoever projects to retry or drop what was parked of these streams, or of all; gives the streams."""
        facts = {"what": what, "stream_ids": None if stream_ids is None else list(stream_ids)}
        return [str(stream_id) for (stream_id,) in await self._rows("ask_dead_letters", facts)]

    async def parked_events(self) -> int:
        """How many events their documents could not take."""
        ((count,),) = await self._rows("count_dead_letters", {})
        return int(count)

    async def kept_counts(self, position: int) -> tuple[int, Counts]:
        rows = await self._rows("kept_counts", {"position": position})
        if not rows:
            return 0, {}
        ((kept_at, counts),) = rows
        return kept_at, {(kind, state): count for kind, state, count in counts}

    async def rates_at(self, position: int, now: datetime, today: datetime) -> Rates:
        facts = {"position": position, "now": now, "today": today, "day_ago": now - DAY, "lately": now - LATELY}
        ((completed_today, ended, failed, response, lately, workflows),) = await self._rows("rates_at", facts)
        return _rates(completed_today, ended, failed, response, lately, workflows)

    async def _rows(
        self, name: str, facts: dict[str, Any], words: Mapping[str, str] = NO_WORDS, *, prepare: bool = False
    ) -> list[Any]:
        """Not prepared where a filter may be null: that must drop out of the plan, not stay in a general one."""
        with available():
            async with self._pool.connection() as connection:
                return await (await connection.execute(_query(name, words), facts, prepare=prepare)).fetchall()


def _coming(rows: AsyncIterator[Any]) -> AsyncGenerator[Any, None]:
    """That of a cursor is one that can be closed, which lets go of what has not come."""
    return cast(AsyncGenerator[Any, None], rows)


def _rates(completed_today: int, ended: int, failed: int, response: float | None, lately: int, workflows: int) -> Rates:
    return Rates(
        completed_today=completed_today,
        ended=ended,
        failed=failed,
        average_response_time=None if response is None else round(response, 3),
        tasks_per_minute=round(lately / (LATELY / timedelta(minutes=1)), 3),
        workflows_per_hour=round(workflows / (DAY / timedelta(hours=1)), 3),
    )
