"""A replica that was made a primary of its own goes its own way, and is read no more."""

import asyncio

import pytest

from infrastructure.database import Role
from infrastructure.migrations import migrate
from infrastructure.pools import open_pool
from infrastructure.replica import open_replica
from tests.support.replica import pair
from tests.support.tenants import new_name

pytestmark = pytest.mark.timeout(240)


async def test_a_replica_that_was_promoted_is_read_no_more() -> None:
    bank = new_name()
    with pair() as both:
        await migrate(both.primary_url, bank)
        async with (
            await open_pool(both.primary_url, bank, Role.PROJECTOR) as primary,
            open_replica(primary, both.replica_url, bank, 60.0, 1) as replica,
        ):
            for _ in range(1000):
                if replica.usable:
                    break
                await asyncio.sleep(0.01)
            assert replica.usable
            both.promote()
            for _ in range(1000):
                if not replica.usable:
                    break
                await asyncio.sleep(0.01)
            assert replica.trouble == "is no standby any more, and goes its own way: make it one again"
