"""Read models in memory, for tests of the projector's rules: one transaction a batch, as the real store."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime

from projections.batch import Attempt, Batch, DeadLetter, RenderedDocument
from projections.errors import CheckpointMoved, ReadModelsUnavailable
from projections.ports import Asked, Checkpoint, Counts, StoredDocument
from projections.projection import STATES


class MemoryReadModels:
    """The writes whose numbers are in `lose_before` or `lose_after` fail, as when the connection is lost."""

    def __init__(self) -> None:
        self.documents: dict[tuple[str, str], RenderedDocument] = {}
        self.attempts: dict[int, Attempt] = {}
        self.dead_letters: dict[int, DeadLetter] = {}
        self.position = 0
        self.recorded_at: datetime | None = None
        self.led = False
        self.asks: dict[str, Asked] = {}
        self.lose_before: set[int] = set()
        self.lose_after: set[int] = set()
        self.writes = 0
        self._written = asyncio.Event()

    @asynccontextmanager
    async def run_alone(self) -> AsyncIterator["MemoryReadModels | None"]:
        if self.led:
            yield None
            return
        self.led = True
        try:
            yield self
        finally:
            self.led = False

    async def checkpoint(self) -> Checkpoint:
        return Checkpoint(self.position, self.recorded_at, STATES.version)

    async def require_same(self) -> None:
        return None

    async def parked(self) -> set[str]:
        return {letter.stream_id for letter in self.dead_letters.values()}

    async def document(
        self, kind: str, id: str, min_position: int = 0, *, to_copy: bool = False
    ) -> StoredDocument | None:
        held = self.documents.get((kind, id))
        return None if held is None else StoredDocument(kind, id, held.position, held.body)

    async def counts(self) -> Counts:
        return self.counted

    async def asked(self) -> dict[str, Asked]:
        return dict(self.asks)

    async def mend(self, stream_id: str, version: int, batch: Batch | None, *, done: bool) -> Counts:
        for position, letter in list(self.dead_letters.items()):
            if letter.stream_id == stream_id and letter.version <= version:
                del self.dead_letters[position]
        if batch is not None:
            assert batch.start == batch.end == self.position
            for attempt in batch.attempts:
                self.attempts.pop(attempt.position, None)
            self._put(batch)
        if done:
            self.asks.pop(stream_id)
        return self.counted

    async def write(self, batch: Batch) -> Counts:
        self.writes += 1
        if self.writes in self.lose_before:
            raise ReadModelsUnavailable("lost before it was written")
        if batch.start != self.position:
            raise CheckpointMoved(expected=batch.start, actual=self.position)
        self._put(batch)
        self.position, self.recorded_at = batch.end, batch.ended_at
        self._written.set()
        if self.writes in self.lose_after:
            raise ReadModelsUnavailable("lost after it was written")
        return self.counted

    def _put(self, batch: Batch) -> None:
        for document in batch.documents:
            held = self.documents.get((document.kind, document.id))
            assert held is None or held.position < document.position, "a document went back"
            self.documents[document.kind, document.id] = document
        for attempt in batch.attempts:
            assert attempt.position not in self.attempts, "an attempt was counted twice"
            self.attempts[attempt.position] = attempt
        for letter in batch.dead_letters:
            assert letter.position not in self.dead_letters, "an event was parked twice"
            self.dead_letters[letter.position] = letter

    @property
    def counted(self) -> Counter[tuple[str, str]]:
        return Counter((document.kind, document.state) for document in self.documents.values())

    async def reach(self, position: int) -> None:
        """Wait until that much is written, five seconds at most."""
        async with asyncio.timeout(5):
            while self.position < position:
                self._written.clear()
                await self._written.wait()
