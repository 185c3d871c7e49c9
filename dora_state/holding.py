"""Locks and the blocks within which they are held: of a task, and of the tasks that begin there."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager
from contextvars import ContextVar
from typing import Generic, Protocol, TypeVar

from domain.errors import InvalidInput, LockLost, LockTimeout

LONGEST_WAIT = 86_400.0


class Holdable(Protocol):
    """A lock, in this process or over HTTP."""

    stream_id: str
    token: int
    is_lost: bool


L = TypeVar("L", bound=Holdable)


class _Held(Generic[L]):
    """A lock, and how many blocks are within it: it is let go of when the last one is left."""

    def __init__(self, lock: L, letting_go: AsyncExitStack) -> None:
        self.lock = lock
        self.blocks = 0
        self._letting_go = letting_go

    @asynccontextmanager
    async def block(self) -> AsyncIterator["_Block[L]"]:
        self.blocks += 1
        try:
            yield _Block(self)
        finally:
            self.blocks -= 1
            if not self.blocks:
                await self._letting_go.aclose()


class _Block(Generic[L]):
    """A block within which a lock is held. Whoever takes it again within has it in turn with others who do."""

    def __init__(self, held: _Held[L]) -> None:
        self.held = held
        self.turn = asyncio.Lock()


class Holdings(Generic[L]):
    """What is held where: each task knows the blocks that it is in, and those that it began in."""

    def __init__(self) -> None:
        self._within: ContextVar[tuple[tuple[str, _Block[L]], ...]] = ContextVar("locks that are held here", default=())

    @property
    def locks(self) -> tuple[L, ...]:
        """What is held here. A block that was left counts no more, also for tasks that began in it and still run."""
        return tuple({id(one.held): one.held.lock for _, one in self._within.get() if one.held.blocks}.values())

    @asynccontextmanager
    async def hold(
        self, name: str, timeout: float, take: Callable[[], AbstractAsyncContextManager[L]]
    ) -> AsyncIterator[L]:
        """Have a lock for as long as the block runs: that which is held here already, or else a new one.

        Raises LockTimeout, what `take` raises, and LockLost at the end, where it was lost meanwhile.
        """
        outer = next((one for of, one in reversed(self._within.get()) if of == name and one.held.blocks), None)
        if outer is None:
            async with AsyncExitStack() as stack:
                lock = await stack.enter_async_context(take())
                held = _Held(lock, stack.pop_all())
            async with self._block(name, held):
                yield lock
        else:
            async with self._block(name, outer.held), _in_turn(outer, timeout):
                yield outer.held.lock
            lock = outer.held.lock
        if lock.is_lost:
            raise LockLost(stream_id=lock.stream_id)

    @asynccontextmanager
    async def _block(self, name: str, held: _Held[L]) -> AsyncIterator[None]:
        async with held.block() as block:
            before = self._within.set((*self._within.get(), (name, block)))
            try:
                yield
            finally:
                self._within.reset(before)


@asynccontextmanager
async def _in_turn(outer: _Block[L], timeout: float) -> AsyncIterator[None]:
    try:
        async with asyncio.timeout(timeout):
            await outer.turn.acquire()
    except TimeoutError:
        stream_id = outer.held.lock.stream_id
        raise LockTimeout(
            f"{stream_id} has been locked by another task within the same lock for the {timeout:g} s that were to be"
            " waited: try again later.",
            stream_id=stream_id,
        ) from None
    try:
        yield
    finally:
        outer.turn.release()


def patience(timeout: float) -> float:
    """The seconds for which a lock is waited for at most; 0: not at all. Raises InvalidInput for what is none."""
    is_number = isinstance(timeout, int | float) and not isinstance(timeout, bool)
    if not is_number or not 0 <= timeout <= LONGEST_WAIT:
        raise InvalidInput(
            f"timeout: must be a number of seconds from 0 to {LONGEST_WAIT:g}; no lock is waited for without an end.",
            field="timeout",
        )
    return float(timeout)
