"""The read models of the replica where it may be read, else of the primary."""

from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from datetime import datetime
from typing import Any, TypeVar

from infrastructure.read_model_writer import PostgresReadModelWriter
from infrastructure.read_models import PostgresReadModels
from infrastructure.replica.standby import Replica
from projections.documents.system import Figures, Rates
from projections.errors import ReadModelsUnavailable
from projections.ports import NO_WORDS, Checkpoint, Counts, StoredDocument

T = TypeVar("T")


class ReplicaReadModels:
    """The port ReadModelStore. What must be as of an exact position is asked of the primary alone."""

    def __init__(self, primary: PostgresReadModels, replica: Replica) -> None:
        self._primary = primary
        self._replica = replica
        self._copy = PostgresReadModels(replica.pool)

    def run_alone(self) -> AbstractAsyncContextManager[PostgresReadModelWriter | None]:
        return self._primary.run_alone()

    async def checkpoint(self) -> Checkpoint:
        return await self._primary.checkpoint()

    async def document(
        self, kind: str, id: str, min_position: int = 0, *, to_copy: bool = False
    ) -> StoredDocument | None:
        if to_copy:
            return await self._primary.document(kind, id)

        async def includes() -> bool:
            if min_position > self._replica.projected:
                self._replica.projected = (await self._copy.checkpoint()).position
            return min_position <= self._replica.projected

        return await self._either(lambda store: store.document(kind, id), includes)

    async def documents(
        self, kind: str, question: str, words: Mapping[str, str] = NO_WORDS, /, **facts: Any
    ) -> list[StoredDocument]:
        return await self._either(lambda store: store.documents(kind, question, words, **facts))

    async def rows(self, question: str, words: Mapping[str, str] = NO_WORDS, /, **facts: Any) -> list[tuple[Any, ...]]:
        return await self._either(lambda store: store.rows(question, words, **facts))

    async def ids(self, question: str, **facts: Any) -> list[str]:
        return await self._either(lambda store: store.ids(question, **facts))

    async def completed_by(self, agent_ids: Sequence[str], since: datetime, until: datetime) -> dict[str, int]:
        return await self._either(lambda store: store.completed_by(agent_ids, since, until))

    async def figures(self, now: datetime, today: datetime) -> Figures:
        return await self._either(lambda store: store.figures(now, today))

    async def count(self, kind: str, states: Sequence[str]) -> int:
        return await self._primary.count(kind, states)

    async def kept_counts(self, position: int) -> tuple[int, Counts]:
        return await self._primary.kept_counts(position)

    async def rates_at(self, position: int, now: datetime, today: datetime) -> Rates:
        return await self._primary.rates_at(position, now, today)

    async def _either(
        self,
        ask: Callable[[PostgresReadModels], Coroutine[Any, Any, T]],
        includes: Callable[[], Coroutine[Any, Any, bool]] | None = None,
    ) -> T:
        """`includes`: whether the replica shows what is asked for."""
        if self._replica.usable:
            try:
                if includes is None or await self._replica.patience.wait(includes()):
                    self._replica.asked += 1
                    return await self._replica.patience.wait(ask(self._copy))
            except (ReadModelsUnavailable, TimeoutError) as error:
                self._replica.failed(error)
        return await ask(self._primary)
