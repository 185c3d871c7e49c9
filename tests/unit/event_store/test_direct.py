"""What of a direct connection needs no server."""

import asyncio

import pytest

from domain.errors import LogUnavailable
from infrastructure.database import Connection
from infrastructure.event_store.direct import DirectConnection


async def _nothing(connection: Connection) -> None:
    """Nothing needs to be set up."""


async def test_what_is_to_be_sent_when_the_connection_is_gone_already_is_told_so() -> None:
    """It may be lost between its making and the first statement; the next call makes another one."""
    direct = DirectConnection("postgresql://nowhere", "dora-state tests", _nothing)
    answer: asyncio.Future[int] = direct._send("append_prepared", [], len)
    with pytest.raises(LogUnavailable, match=r"can't be reached \(it was lost before anything was sent\)"):
        await answer
    assert direct._call is None
    assert direct.generation == 0
