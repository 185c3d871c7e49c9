"""Asynchronous objects for programs of ordinary threads: their calls wait for their answers.

The work is done by an event loop in a thread of its own. Each thread that calls has its own locks and transactions.
It imports nothing of ours, so that a client can be light.
"""

import asyncio
import contextvars
import inspect
import threading
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractAsyncContextManager, contextmanager
from typing import Any, TypeVar

T = TypeVar("T")
_END = object()


class Loop:
    """An event loop in a thread. Each calling thread has a context of its own there, which lasts from call to call."""

    def __init__(self) -> None:
        self._loop = asyncio.new_event_loop()
        self._callers = threading.local()
        self._thread = threading.Thread(target=self._loop.run_forever, name="dora-state", daemon=True)
        self._thread.start()

    def call(self, work: Awaitable[T]) -> T:
        """Wait for it; whoever is interrupted meanwhile has it cancelled."""
        context: contextvars.Context | None = getattr(self._callers, "context", None)
        if context is None:
            context = self._callers.context = contextvars.copy_context()
        done: Future[T] = Future()
        tasks: list[asyncio.Task[None]] = []

        async def carry_out() -> None:
            try:
                done.set_result(await work)
            except BaseException as error:
                done.set_exception(error)

        self._loop.call_soon_threadsafe(lambda: tasks.append(self._loop.create_task(carry_out(), context=context)))
        try:
            return done.result()
        except BaseException:
            if not done.done():
                self._loop.call_soon_threadsafe(lambda: [task.cancel() for task in tasks])
            raise

    @property
    def is_closed(self) -> bool:
        return self._loop.is_closed()

    def close(self) -> None:
        """Iterators that nobody came to the end of are closed."""
        self.call(self._loop.shutdown_asyncgens())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()


class Waiting:
    """Whatever is asked of an object of asyncio, waited for: methods, context managers, iterators."""

    def __init__(self, loop: Loop, inner: Any) -> None:
        self._loop = loop
        self._inner = inner

    def __getattr__(self, name: str) -> Any:
        found = getattr(self._inner, name)
        return self._waiting(found) if inspect.ismethod(found) else self._given(found)

    def _waiting(self, method: Callable[..., Any]) -> Callable[..., Any]:
        def call(*asked: Any, **more: Any) -> Any:
            return self._given(method(*asked, **more))

        call.__doc__ = method.__doc__
        call.__name__ = method.__name__
        return call

    def _given(self, found: Any) -> Any:
        if inspect.isawaitable(found):
            return self._loop.call(found)
        if isinstance(found, AbstractAsyncContextManager):
            return self._entered(found)
        if isinstance(found, AsyncIterator):
            return self._iterated(found)
        return found

    @contextmanager
    def _entered(self, manager: AbstractAsyncContextManager[Any]) -> Iterator[Any]:
        entered = self._loop.call(manager.__aenter__())
        try:
            yield Waiting(self._loop, entered) if hasattr(entered, "commit") else entered
        except BaseException as error:
            if not self._loop.call(manager.__aexit__(type(error), error, error.__traceback__)):
                raise
        else:
            self._loop.call(manager.__aexit__(None, None, None))

    def _iterated(self, iterator: AsyncIterator[Any]) -> Iterator[Any]:
        async def following() -> Any:
            return await anext(iterator, _END)

        try:
            while (found := self._loop.call(following())) is not _END:
                yield found
        finally:
            if isinstance(iterator, AsyncGenerator) and not self._loop.is_closed:
                self._loop.call(iterator.aclose())


class Face(Waiting):
    """Every method of what stands behind it, without `await`: `async with` becomes `with`, `async for` `for`."""

    @property
    def lists(self) -> Waiting:
        return Waiting(self._loop, self._inner.lists)


@contextmanager
def opened(opening: AbstractAsyncContextManager[T]) -> Iterator[tuple[Loop, T]]:
    """Open something in a loop of its own, which ends with the block."""
    loop = Loop()
    try:
        found = loop.call(opening.__aenter__())
        try:
            yield loop, found
        finally:
            loop.call(opening.__aexit__(None, None, None))
    finally:
        loop.close()
