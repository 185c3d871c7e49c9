"""Whether those whose answers go on are still let in: a key that is revoked and a token that expires end them too."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager

from domain.errors import DoraStateError
from dora_state.access.caller import Caller, Forbidden, Unauthenticated

LOOK_SECONDS = 0.5
"""With what a key ring keeps, a revoked key has come to its end everywhere within five seconds."""
SURE_SECONDS = 2 * LOOK_SECONDS
"""So long it is believed that somebody is let in without asking again."""
logger = logging.getLogger(__name__)


class Standing:
    """Of one caller whose answer goes on. `refused` says why it is over."""

    def __init__(self, watch: "Watch", authorization: str | None, as_of: float) -> None:
        """`as_of`: when it was found that the caller is let in."""
        self._watch = watch
        self.authorization = authorization
        self.as_of = as_of
        self.refused: DoraStateError | None = None
        self._over: Callable[[], None] = lambda: None

    @contextmanager
    def watched(self, over: Callable[[], None]) -> Iterator[None]:
        """While the block runs; `over` is called when the caller is not let in any more."""
        self._over = over
        self._watch.enter(self)
        try:
            yield
        finally:
            self._watch.leave(self)

    async def confirm(self) -> None:
        """Raises Unauthenticated or Forbidden when it is over, and another DoraStateError where nobody can tell."""
        if self.refused is None and self._watch.clock() - self.as_of >= SURE_SECONDS:
            await self._watch.look(self.authorization, {self})
        if self.refused is not None:
            raise self.refused

    async def holds(self) -> bool:
        """Whether the caller may be shown more; waits while nobody can tell."""
        while self.refused is None:
            try:
                await self.confirm()
                return True
            except DoraStateError:
                await asyncio.sleep(LOOK_SECONDS if self.refused is None else 0)
        return False

    def refuse(self, error: DoraStateError) -> None:
        if self.refused is None:
            self.refused = error
            self._over()


class Watch:
    """Looks after all answers of a server that go on, while there are any: once for all of one credential."""

    def __init__(
        self, who: Callable[[str | None], Awaitable[Caller]], clock: Callable[[], float] = time.monotonic
    ) -> None:
        """`who` finds out who sends a header, or raises what an Authenticator raises."""
        self._who = who
        self.clock = clock
        self._watched: dict[str | None, set[Standing]] = {}
        self._task: asyncio.Task[None] | None = None

    def enter(self, standing: Standing) -> None:
        self._watched.setdefault(standing.authorization, set()).add(standing)
        if self._task is None:
            self._task = asyncio.create_task(self._run(), name="watch over callers")

    def leave(self, standing: Standing) -> None:
        those = self._watched[standing.authorization]
        those.discard(standing)
        if not those:
            del self._watched[standing.authorization]
        if not self._watched and self._task is not None:
            self._task.cancel()
            self._task = None

    async def look(self, authorization: str | None, standings: set[Standing]) -> None:
        """Tells all of them. Raises another DoraStateError than a refusal where nobody can tell just now."""
        begun = self.clock()
        try:
            await self._who(authorization)
        except (Unauthenticated, Forbidden) as error:
            for one in list(standings):
                one.refuse(error)
        else:
            for one in standings:
                one.as_of = begun

    async def _run(self) -> None:
        while True:
            await asyncio.sleep(LOOK_SECONDS)
            looks = [self.look(*one) for one in list(self._watched.items())]
            for found in await asyncio.gather(*looks, return_exceptions=True):
                # Where nobody can tell, what would be shown waits until somebody can.
                if isinstance(found, BaseException) and not isinstance(found, DoraStateError):
                    logger.error("Whether a caller is still let in could not be found out", exc_info=found)
