"""Work on the control schema: tenants, keys and the record of reading."""

from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager

import psycopg

from domain.errors import LogUnavailable
from infrastructure.available import available
from infrastructure.database import CONTROL_SCHEMA, Connection, Role, assume, connect, refused
from infrastructure.pools import Pool, open_schema_pool
from projections.errors import ReadModelsUnavailable


@asynccontextmanager
async def administering(database_url: str) -> AsyncIterator[Connection]:
    """A connection that may change what keys and tenants there are: only the migrating role may.

    Raises LogUnavailable or LogError, also in place of the driver's errors in its block.
    """
    async with await connect(database_url, "dora-state access") as connection:
        try:
            await assume(connection, CONTROL_SCHEMA, Role.MIGRATOR)
            yield connection
        except psycopg.Error as error:
            raise refused(database_url, error) from None


async def open_control_pool(database_url: str) -> Pool:
    """For those who serve: they find keys and add to the record of reading. Raises LogUnavailable or LogError."""
    return await open_schema_pool(database_url, CONTROL_SCHEMA, Role.WRITER, max_size=2, name="access")


@contextmanager
def or_unavailable(what: str) -> Iterator[None]:
    """Raises LogUnavailable in place of every error of the driver: `what` says in half a sentence what is not done."""
    try:
        with available():
            yield
    except ReadModelsUnavailable as error:
        raise _unavailable(what, error.__cause__ or error) from error
    except psycopg.Error as error:
        raise _unavailable(what, error) from error


def _unavailable(what: str, error: BaseException) -> LogUnavailable:
    primary = error.diag.message_primary if isinstance(error, psycopg.Error) else None
    reason = " ".join((primary or str(error)).split()).rstrip(".")
    return LogUnavailable(f"{what} ({reason}); try again when the database is there, set up and can be written.")
