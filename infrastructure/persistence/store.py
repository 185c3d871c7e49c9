"""What the recorders of one application share: its schema, its connections, its signal."""

import asyncio
import os
import weakref
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from threading import RLock
from time import sleep
from typing import Any, TypeVar

from eventsourcing.persistence import InfrastructureFactoryError, InterfaceError

from infrastructure import sql
from infrastructure.database import Role, assume, connect, search_path, tenant_schema
from infrastructure.embedded import EmbeddedServers
from infrastructure.migrations import migrate
from infrastructure.persistence.errors import ConnectionLost, library_errors
from infrastructure.persistence.signal import Signal, signal_of
from infrastructure.pools import ThreadConnection, ThreadPool
from infrastructure.pools import thread_pool as closed_pool

ATTEMPTS = 10
PAUSE_SECONDS = 0.2

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """Where the log of one application is. The URL holds secrets; without one, servers of our own run in `home`."""

    tenant: str
    database_url: str | None
    home: Path
    pool_size: int


@dataclass(frozen=True, slots=True)
class _Opened:
    database_url: str
    embedded: EmbeddedServers | None
    pool: ThreadPool
    signal: Signal
    process_id: int


class Store:
    """The log of one application, for any number of threads. Opened at first use; closed by `close`, else when it
    is forgotten or the process ends. A child made by fork is refused: it has to construct its own."""

    def __init__(self, settings: StoreSettings) -> None:
        self._settings = settings
        self._lock = RLock()
        self._opened: _Opened | None = None
        self._closed = False
        self._close: Callable[[], object] = lambda: None

    def open(self, *, make_schema: bool = True) -> None:
        """Start what is to be started and bring the schema up to this release, unless that has been done.

        Raises OperationalError when there is no server or it won't do, InfrastructureFactoryError when the
        schema belongs to somebody else, InterfaceError after `close`.
        """
        self._open(make_schema)

    def close(self) -> None:
        """Close the connections, and leave the embedded servers if they are used. Again is harmless."""
        with self._lock:
            self._closed = True
            self._close()

    @property
    def signal(self) -> Signal:
        """What wakes the subscriptions to this log."""
        return self._open().signal

    @contextmanager
    def connection(self) -> Iterator[ThreadConnection]:
        """A connection with the writer's rights, in autocommit. All errors in the block become the library's.

        ConnectionLost (an OperationalError) tells that the next call may succeed.
        """
        try:
            with library_errors(), self._open().pool.connection() as connection:
                yield connection
        except ConnectionLost:
            self._mend()
            raise

    @contextmanager
    def owned(self) -> Iterator[ThreadConnection]:
        """A transaction with the rights of the schema's owner."""
        path = search_path(tenant_schema(self._settings.tenant))
        with self.connection() as connection:
            connection.execute(sql.load("session"), (Role.MIGRATOR.value, path))
            try:
                with connection.transaction():
                    yield connection
            finally:
                connection.execute(sql.load("session"), (Role.WRITER.value, path))

    def run(self, work: Callable[[ThreadConnection], T]) -> T:
        """Do work that may be done twice, again when a connection is lost meanwhile."""
        for _ in range(ATTEMPTS - 1):
            try:
                with self.connection() as connection:
                    return work(connection)
            except ConnectionLost:
                sleep(PAUSE_SECONDS)
        with self.connection() as connection:
            return work(connection)

    def _mend(self) -> None:
        """One connection is lost, so others may be, and the servers themselves."""
        opened = self._open()
        with library_errors(), self._lock:
            if opened.embedded is not None:
                opened.embedded.bring_back()
            opened.pool.check()

    def _open(self, make_schema: bool = True) -> _Opened:
        with self._lock:
            if self._closed:
                raise InterfaceError("The store is closed: construct the application anew.")
            if self._opened is None:
                with library_errors(), ExitStack() as stack:
                    self._opened = self._start(stack, make_schema)
                    self._close = weakref.finalize(self, _leave, os.getpid(), stack.pop_all())
            if self._opened.process_id != os.getpid():
                raise InterfaceError("The store is another process's: construct the application after the fork.")
            return self._opened

    def _start(self, stack: ExitStack, make_schema: bool) -> _Opened:
        settings = self._settings
        database_url, embedded = settings.database_url, None
        if database_url is None:
            embedded = EmbeddedServers(settings.home)
            stack.callback(embedded.stop)
            embedded.start()
            database_url = embedded.database_url
        _in_a_loop(_prepare(database_url, settings.tenant, make_schema))
        pool = closed_pool(database_url, settings.tenant, Role.WRITER, settings.pool_size)
        stack.callback(pool.close)
        pool.open()
        return _Opened(database_url, embedded, pool, signal_of(database_url, settings.tenant), os.getpid())


def _leave(process_id: int, resources: ExitStack) -> None:
    """Close what was opened; a child made by fork must not, the connections are its parent's."""
    if process_id == os.getpid():
        resources.close()


async def _prepare(database_url: str, tenant: str, make_schema: bool) -> None:
    if make_schema:
        await migrate(database_url, tenant)
    schema = tenant_schema(tenant)
    async with await connect(database_url) as connection:
        await assume(connection, schema, Role.WRITER)
        found = await (await connection.execute(sql.load("library/foreign_stream"))).fetchone()
    if found is not None:
        raise InfrastructureFactoryError(
            f"The schema {schema} holds another log (with a stream {found[0]}): name another DORA_STATE_TENANT."
        )


def _in_a_loop(work: Coroutine[Any, Any, None]) -> None:
    """Run a coroutine to its end, whether or not this thread runs a loop itself."""
    with ThreadPoolExecutor(max_workers=1) as thread:
        thread.submit(asyncio.run, work).result()
