"""The good keys of the tenant, as a process knows them: all of them, never for longer than five seconds.

What is asked of the database depends on time alone, not on what strangers send: every two and a half seconds while keys
are used, and four times a second at most while unknown ones are tried.
"""

import asyncio
import contextlib
import logging
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from domain.errors import LogError, LogUnavailable
from dora_state.access.caller import Caller, CallerRole
from infrastructure.access_keys import GoodKey

logger = logging.getLogger(__name__)

GOOD_SECONDS = 5.0
"""How old what is known may be: so long a revoked key may still do."""
REFRESH_SECONDS = 2.5
REMEMBERED_SECONDS = 86_400.0
"""So long a key may ask how the service is while the keys can't be looked up."""
SPACING_SECONDS = 0.25
PATIENCE_SECONDS = 3.0
NOTE_SECONDS = 60.0
MOST_WAITING = 100
"""Requests with unknown keys that may wait for a look: a flood of them is refused without one."""


class KeySource(Protocol):
    """Raises LogError where it can't tell."""

    async def good(self) -> list[GoodKey]: ...

    async def note_use(self, ids: Sequence[str]) -> None: ...


@dataclass(frozen=True, slots=True)
class HeldKey:
    """Whose key it is, until when (seconds since 1970), and the digest of its secret."""

    caller: Caller
    until: float
    secret_sha256: bytes


class KeyRing:
    """Close it after use."""

    def __init__(self, source: KeySource, tenant: str, clock: Callable[[], float] = time.monotonic) -> None:
        self._source = source
        self._tenant = tenant
        self._clock = clock
        self._keys: dict[str, HeldKey] = {}
        self._as_of = self._begun = float("-inf")
        self._loading: asyncio.Task[None] | None = None
        self._waiting = 0
        self._noted: dict[str, float] = {}
        self._to_note: set[str] = set()
        self._noting: asyncio.Task[None] | None = None
        self._failing = False

    async def find(self, id: str) -> HeldKey | None:
        """A key that was good within the last five seconds; one that was just made is found. Raises LogError."""
        asked = self._clock()
        await self._freshen(asked)
        found = self._keys.get(id)
        if found is not None or self._waiting >= MOST_WAITING:
            return found
        self._waiting += 1
        try:
            await self._load_from(asked)
        finally:
            self._waiting -= 1
        return self._keys.get(id)

    def last_known(self, id: str) -> HeldKey | None:
        """A key that was good when the keys were last looked up, a day ago at most."""
        return self._keys.get(id) if self._clock() - self._as_of < REMEMBERED_SECONDS else None

    async def is_empty(self) -> bool:
        """Whether the tenant has no good key at all. Raises LogError."""
        await self._freshen(self._clock())
        return not self._keys

    def used(self, id: str) -> None:
        """Have it noted, once a minute."""
        now = self._clock()
        if now - self._noted.get(id, float("-inf")) < NOTE_SECONDS:
            return
        self._noted[id] = now
        self._to_note.add(id)
        if self._noting is None or self._noting.done():
            self._noting = asyncio.create_task(self._note(), name="use of keys")

    async def close(self) -> None:
        if self._loading is not None:
            self._loading.cancel()
            await asyncio.wait({self._loading})
        if self._noting is not None:
            await asyncio.wait({self._noting}, timeout=PATIENCE_SECONDS)
            self._noting.cancel()
            await asyncio.wait({self._noting})

    async def _freshen(self, now: float) -> None:
        age = now - self._as_of
        if age >= GOOD_SECONDS:
            await self._load_from(now - GOOD_SECONDS)
        elif age >= REFRESH_SECONDS:
            self._begin_loading()

    async def _load_from(self, moment: float) -> None:
        """Until what is known is of later than that moment. Raises LogError."""
        while self._as_of <= moment:
            await asyncio.shield(self._begin_loading())

    def _begin_loading(self) -> asyncio.Task[None]:
        """All who wait wait for the same look."""
        if self._loading is None or self._loading.done():
            self._loading = asyncio.create_task(self._load(), name="keys")
            self._loading.add_done_callback(self._tell)
        return self._loading

    async def _load(self) -> None:
        await asyncio.sleep(max(0.0, self._begun + SPACING_SECONDS - self._clock()))
        self._begun = begun = self._clock()
        try:
            async with asyncio.timeout(PATIENCE_SECONDS):
                keys = await self._source.good()
        except TimeoutError:
            raise LogUnavailable(
                f"The keys can't be looked up within {PATIENCE_SECONDS:g} s; try again later."
            ) from None
        # A role that this release does not know permits nothing.
        self._keys = {key.id: self._held(key) for key in keys if key.role in tuple(CallerRole)}
        self._as_of = begun  # what is committed later may be missing

    def _tell(self, loading: asyncio.Task[None]) -> None:
        """Who waits is told by an error; the log only when it begins."""
        if loading.cancelled():
            return
        error = loading.exception()
        if error is not None and not self._failing:
            logger.warning("The keys could not be looked up: %s", error)
        self._failing = error is not None

    def _held(self, key: GoodKey) -> HeldKey:
        caller = Caller(key.name, CallerRole(key.role), self._tenant, f"key {key.id}")
        return HeldKey(caller, key.expires_at.timestamp(), key.secret_sha256)

    async def _note(self) -> None:
        while self._to_note:
            ids, self._to_note = sorted(self._to_note), set()
            with contextlib.suppress(LogError):  # a read-only database, say: nothing depends on it
                await self._source.note_use(ids)
