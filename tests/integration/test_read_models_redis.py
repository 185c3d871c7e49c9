"""The hot copies in Redis: moved forward only, never older than they say, and nobody misses them."""

import asyncio
import time
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import Any

import pytest

from dora_state.platform import Platform, open_platform
from dora_state.settings import load_settings
from infrastructure.available import available
from infrastructure.hot_copies import Guarded
from projections.batch import Batch
from projections.documents.values import decode
from projections.ports import StoredDocument
from tests.support.read_side import ReadSide, read_side
from tests.support.stories import at, finished_task, full_stories, full_task, pending_task


@pytest.fixture
async def side(database_url: str, tenant: str, redis_url: str) -> AsyncIterator[ReadSide]:
    async with read_side(database_url, tenant, redis_url) as side:
        yield side


def empty_batch(start: int, end: int) -> Batch:
    return Batch(start=start, end=end, ended_at=at(0), behind=False)


async def test_copies_are_the_documents_of_postgresql(side: ReadSide) -> None:
    side.log.tell_all(*full_stories())
    await side.project()
    for kind, id in [("workflow", "wf-1"), ("task", "task-1"), ("pool", "compute-pool-primary")]:
        document = await side.store.document(kind, id)
        assert document is not None
        assert (await side.hot.get(kind, id)).body == document.body


async def test_all_keys_carry_the_tenant_as_their_cluster_tag(side: ReadSide) -> None:
    side.log.tell_all(*full_stories())
    await side.project()
    keys = [key async for key in side.redis.scan_iter(match=f"*{side.tenant}*")]
    assert len(keys) >= 8
    assert all(key.startswith(f"dora-state:{{{side.tenant}}}:".encode()) for key in keys)


async def test_a_copy_is_never_replaced_by_an_older_one(side: ReadSide) -> None:
    await side.hot.mirror(empty_batch(0, 9), Counter())
    await side.offer(StoredDocument("task", "t", 9, b'{"new":1}'))
    await side.offer(StoredDocument("task", "t", 5, b'{"old":1}'))
    assert (await side.hot.get("task", "t")).body == b'{"new":1}'


async def test_what_was_read_before_a_change_is_not_kept_after_it(side: ReadSide) -> None:
    """A slow reader offers what it read; meanwhile the projector, far behind, marked the copy as outdated."""
    side.log.tell_all(*full_task("t")[:3])
    await side.project(batch_size=1_000)
    glance = await side.hot.get("task", "t")
    old = await side.store.document("task", "t")
    assert old is not None
    side.log.tell_all(*full_task("t")[3:])
    await side.project(batch_size=1)
    await side.hot.offer(old, glance)
    await side.hot.settled()
    assert (await side.queries().task("t"))["state"] == "running"


async def test_far_behind_documents_are_not_copied_but_old_copies_are_not_believed(side: ReadSide) -> None:
    side.log.tell_all(*full_task("t")[:3])
    await side.project()
    side.log.tell_all(*full_task("t")[3:10])
    await side.project(batch_size=1)  # batches of one, two and four events, all of them full
    assert (await side.hot.get("task", "t")).body is None
    assert (await side.queries().task("t"))["stream_version"] == 10
    await side.hot.settled()
    body = (await side.hot.get("task", "t")).body
    assert body is not None
    assert decode(body)["stream_version"] == 10


async def test_emptied_redis_is_filled_again_by_reading(side: ReadSide) -> None:
    side.log.tell_all(*full_stories())
    await side.project()
    await side.hot.clear()
    assert (await side.queries().workflow("wf-1"))["state"] == "failed"
    side.log.tell(*pending_task("u", 1))
    await side.project()
    assert (await side.hot.get("workflow", "wf-1")).body is None
    await side.queries().workflow("wf-1")
    await side.hot.settled()
    assert (await side.hot.get("workflow", "wf-1")).body is not None


async def test_a_redis_restored_from_an_old_copy_is_not_believed(side: ReadSide) -> None:
    """Its mark says how far it was: what changed since then is missing in it."""
    side.log.tell_all(*full_task("t")[:3])
    await side.project()
    keys = await string_keys(side)
    saved: dict[bytes, Any] = {key: await side.redis.get(key) for key in keys}
    side.log.tell_all(*full_task("t")[3:])
    await side.project()
    for key, value in saved.items():
        await side.redis.set(key, value)
    side.log.tell(*pending_task("u", 1))
    await side.project()
    assert (await side.queries().task("t"))["state"] == "running"
    await side.hot.settled()
    assert (await side.hot.get("task", "t")).body is not None, "what was read again is believed again"


async def string_keys(side: ReadSide) -> list[bytes]:
    found = [key async for key in side.redis.scan_iter(match=f"dora-state:{{{side.tenant}}}:*")]
    return [key for key in found if await side.redis.type(key) == b"string"]


async def test_copies_of_an_earlier_life_of_the_tenant_are_forgotten(side: ReadSide) -> None:
    await side.hot.mirror(empty_batch(0, 900), Counter())
    await side.offer(StoredDocument("task", "t", 899, b'{"state":"of another life"}'))
    side.log.tell_all(*full_task("t"))
    await side.project()
    assert (await side.queries().task("t"))["state"] == "running"


async def test_a_late_copy_of_an_earlier_batch_changes_nothing(side: ReadSide) -> None:
    await side.hot.mirror(empty_batch(0, 5), Counter())
    await side.hot.mirror(empty_batch(5, 9), Counter({("task", "running"): 3}))
    await side.offer(StoredDocument("task", "t", 9, b'{"new":1}'))
    await side.hot.mirror(empty_batch(0, 5), Counter({("task", "running"): 1}))
    assert (await side.hot.get("task", "t")).seen == 9
    assert (await side.hot.get("task", "t")).body == b'{"new":1}'
    assert await counts(side) == {"task:running": "3", "position": "9"}


async def counts(side: ReadSide) -> dict[str, str]:
    told: dict[Any, Any] = await side.redis.hgetall(f"dora-state:{{{side.tenant}}}:counts")
    return {key.decode(): value.decode() for key, value in told.items()}


async def test_live_counts_follow_the_read_models(side: ReadSide) -> None:
    side.log.tell_all(*full_stories(), *finished_task("t"))
    await side.project()
    told = await counts(side)
    assert told["task:completed"] == "1"
    assert told["task:running"] == "1"
    assert told["workflow:failed"] == "1"
    assert told["position"] == str(len(side.log.events))


async def test_changes_can_be_tailed(side: ReadSide) -> None:
    side.log.tell_all(*full_stories())
    await side.project()
    entries: Any = await side.redis.xrange(f"dora-state:{{{side.tenant}}}:changes")
    told = {(fields[b"kind"], fields[b"id"], fields[b"state"]) for _, fields in entries}
    assert (b"workflow", b"wf-1", b"failed") in told
    assert (b"task", b"task-1", b"running") in told


async def test_a_copy_that_may_lack_what_is_asked_for_is_passed_over(side: ReadSide) -> None:
    side.log.tell_all(*full_stories())
    await side.project()
    end = len(side.log.events)
    assert (await side.hot.get("workflow", "wf-1", end)).body is not None
    assert (await side.hot.get("workflow", "wf-1", end + 1)).body is None


async def test_a_redis_that_does_not_answer_holds_nobody_up(side: ReadSide) -> None:
    side.log.tell_all(*full_stories())
    await side.project()
    side.hot._guarded = Guarded("a test", seconds=0.05)
    await side.redis.client_pause(1_000)
    begun = time.monotonic()
    assert (await side.queries().workflow("wf-1"))["state"] == "failed"
    assert time.monotonic() - begun < 1
    await side.redis.client_unpause()


async def test_a_cancellation_that_the_pool_loses_is_heard_all_the_same() -> None:
    """`asyncio.wait_for` of Python 3.11, by which psycopg_pool waits, loses one that comes with the connection."""

    async def ask() -> str:
        with available(), suppress(asyncio.CancelledError):
            await asyncio.Event().wait()
        return "read on"

    asking = asyncio.create_task(ask())
    await asyncio.sleep(0)
    asking.cancel()
    await asyncio.wait({asking})
    assert asking.cancelled()


async def test_who_cleans_up_after_a_cancellation_can_still_ask() -> None:
    asked: list[str] = []

    async def work() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            with available():
                await asyncio.sleep(0)
            asked.append("asked")

    working = asyncio.create_task(work())
    await asyncio.sleep(0)
    working.cancel()
    await asyncio.wait({working})
    assert asked == ["asked"]


@pytest.mark.parametrize("said", ["", "socket_timeout=5"])
async def test_who_reads_copies_can_be_cancelled_at_any_moment(
    database_url: str, redis_url: str, tenant: str, said: str
) -> None:
    """redis-py's own time limit for sockets loses cancellations on Python 3.11: a reader would read for ever."""
    url = f"{redis_url}{'&' if '?' in redis_url else '?'}{said}"
    settings = load_settings(database_url=database_url, redis_url=url, tenant=tenant)
    swallowed = 0
    async with open_platform(settings) as platform:
        for round in range(300):
            stop = asyncio.Event()
            reading = asyncio.create_task(_read_on(platform, stop))
            await asyncio.sleep(0.001 + round % 7 * 0.0001)
            reading.cancel()
            await asyncio.wait({reading}, timeout=10)  # one that lost its cancellation reads on for ever
            swallowed += not reading.done()
            stop.set()
            await asyncio.wait({reading})
    assert swallowed == 0


async def _read_on(platform: Platform, stop: asyncio.Event) -> None:
    while not stop.is_set():
        await platform.hot.get("task", "t", 0)
        await platform.presence.of(["a"])
