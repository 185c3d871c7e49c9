"""The questions asked of the read models in PostgreSQL, and the way to be their one writer."""

from collections.abc import AsyncGenerator, AsyncIterator, Mapping, Sequence
from contextlib import aclosing, asynccontextmanager
from datetime import datetime, timedelta
from typing import Any, cast

from psycopg import AsyncCursor, capabilities

from infrastructure import sql
from infrastructure.available import available
from infrastructure.leading import find_checkpoint, lead
from infrastructure.pools import Pool
from infrastructure.read_model_writer import PostgresReadModelWriter
from projections.documents.system import Figures, Rates
from projections.pages import PAGE_BYTES
from projections.ports import NO_WORDS, Asked, Checkpoint, Counts, Parked, StoredDocument
from projections.projection import STATES

DAY = timedelta(hours=24)
LATELY = timedelta(minutes=15)
"""The windows of the rates; docs/read-models.md tells which has which."""
ON_THE_WAY = 10 if capabilities.has_stream_chunked() else 1
"""Documents of a list that the driver takes at once."""


def _query(name: str, words: Mapping[str, str] = NO_WORDS) -> bytes:
    """The statement, with words of ours in its places for them."""
    return sql.named(f"read_models/{name}", **words)


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
