"""Sessions of the database server by number and beginning, and how one that is silent is ended."""

from contextlib import suppress

import psycopg

from infrastructure import sql
from infrastructure.database import Connection


async def session_start(connection: Connection) -> object:
    """When a connection's session began; with its number, what tells it from all others."""
    async with connection.transaction():
        await connection.execute(sql.load("sessions/own_rights"))
        row = await (await connection.execute(sql.load("sessions/own"))).fetchone()
    return None if row is None else row[0]


async def end_session(connection: Connection, pid: object, start: object) -> bool:
    """Whether there was such a session, and the login may end it."""
    ended = None
    with suppress(psycopg.errors.InsufficientPrivilege):
        async with connection.transaction():
            await connection.execute(sql.load("sessions/own_rights"))
            ended = await (await connection.execute(sql.load("sessions/end"), {"pid": pid, "start": start})).fetchone()
    return ended is not None
