"""Which copies are believed: of one life of Redis, of one generation of the tables, and while somebody keeps them."""

from collections import Counter
from collections.abc import AsyncIterator
from typing import Any
from zlib import crc32

import orjson
import pytest
import zstandard

from infrastructure.hot_copies import Keys, RedisHotCopies
from infrastructure.hot_copies.values import COMPRESSED_FROM, LARGEST, Standing, believed, handed
from projections.batch import Batch, RenderedDocument
from projections.ports import StoredDocument
from tests.support.read_side import ReadSide, read_side
from tests.support.stories import at

BODY = b'{"state":"running"}'
COUNTS = Counter({("task", "running"): 3})


@pytest.fixture
async def side(database_url: str, tenant: str, redis_url: str) -> AsyncIterator[ReadSide]:
    async with read_side(database_url, tenant, redis_url) as side:
        yield side


def batch_of(start: int, end: int, *ids: str, body: bytes = BODY, behind: bool = False) -> Batch:
    documents = [RenderedDocument("task", id, end, "running", (), body) for id in ids]
    return Batch(start=start, end=end, ended_at=at(0), behind=behind, documents=documents)


async def copied(side: ReadSide, generation: int = 0) -> None:
    """A document of position 5 in a projection that is at 5."""
    await side.hot.begin(0, generation)
    await side.hot.mirror(batch_of(0, 5, "t"), COUNTS)


async def body(side: ReadSide) -> bytes | None:
    return (await side.hot.get("task", "t")).body


async def counted(side: ReadSide) -> dict[bytes, bytes]:
    told: Any = await side.redis.hgetall(Keys(side.tenant).counts)
    return dict(told)


async def test_what_a_lost_batch_left_old_is_not_believed_once_the_projector_tends(side: ReadSide) -> None:
    """A batch was committed and not copied, and no event comes after it."""
    await copied(side)
    await side.hot.tend(9, COUNTS)
    glance = await side.hot.get("task", "t")
    assert (glance.body, glance.seen) == (None, 9)


async def test_tending_leaves_good_copies_alone(side: ReadSide) -> None:
    await copied(side)
    await side.hot.tend(5, COUNTS)
    assert await body(side) == BODY


async def test_an_emptied_redis_is_of_use_again_without_an_event(side: ReadSide) -> None:
    await copied(side)
    await side.redis.unlink(*[key async for key in side.redis.scan_iter(match=Keys(side.tenant).prefix + "*")])
    assert (await side.hot.get("task", "t")).seen is None
    await side.hot.tend(5, COUNTS)
    assert (await side.hot.get("task", "t")).seen == 5
    assert await counted(side) == {b"task:running": b"3", b"position": b"5"}
    await side.offer(StoredDocument("task", "t", 5, BODY))
    assert await body(side) == BODY


async def test_an_emptied_redis_is_of_use_again_with_the_next_batch(side: ReadSide) -> None:
    """Under load a projector is never idle."""
    await copied(side)
    await side.redis.unlink(*[key async for key in side.redis.scan_iter(match=Keys(side.tenant).prefix + "*")])
    await side.hot.mirror(batch_of(5, 6, "u"), COUNTS)
    assert (await side.hot.get("task", "t")).seen == 6


async def test_copies_that_nobody_keeps_are_not_believed(side: ReadSide) -> None:
    """Who should change them may be unable to reach Redis while readers can."""
    await copied(side)
    await side.redis.pexpire(Keys(side.tenant).lease, 1)
    while await side.redis.exists(Keys(side.tenant).lease):
        pass
    assert await side.hot.get("task", "t") == (await side.hot.get("task", "u")), "nothing is seen"
    await side.hot.tend(5, COUNTS)
    assert await body(side) == BODY, "nothing was lost"


async def test_copies_are_believed_for_seconds_after_the_last_word_of_who_keeps_them(side: ReadSide) -> None:
    await copied(side)
    assert 0 < await side.redis.pttl(Keys(side.tenant).lease) <= 10_000


async def test_another_projector_that_takes_over_goes_on_with_the_copies(side: ReadSide) -> None:
    await copied(side)
    await RedisHotCopies(side.redis, side.tenant).begin(5, 0)
    assert await body(side) == BODY


async def test_copies_of_other_tables_are_not_believed(side: ReadSide) -> None:
    await copied(side)
    await side.hot.begin(5, 1)
    glance = await side.hot.get("task", "t")
    assert (glance.body, glance.seen) == (None, 5)


@pytest.mark.parametrize("tables", [0, 1])
async def test_nothing_is_believed_from_the_turn_on_until_a_projector_begins(side: ReadSide, tables: int) -> None:
    """`tables` are 0 where the switch failed after all."""
    await copied(side)
    before = await side.hot.get("task", "t")
    await side.hot.turn(5)
    assert (await side.hot.get("task", "t")).seen is None
    await side.hot.tend(5, COUNTS)
    await side.hot.mirror(batch_of(5, 6, "u"), COUNTS)
    assert (await side.hot.get("task", "u")).seen is None
    await side.hot.begin(6, tables)
    assert await body(side) is None
    await side.hot.offer(StoredDocument("task", "t", 5, b'{"state":"of the old tables"}'), before)
    await side.hot.settled()
    assert await body(side) is None
    await side.offer(StoredDocument("task", "t", 5, BODY))
    assert await body(side) == BODY


async def test_a_reader_who_glanced_before_the_turn_offers_in_vain_at_the_same_position(side: ReadSide) -> None:
    await copied(side)
    before = await side.hot.get("task", "u")
    await side.hot.turn(5)
    await side.hot.begin(5, 1)
    await side.hot.offer(StoredDocument("task", "u", 5, b'{"state":"of the old tables"}'), before)
    await side.hot.settled()
    assert (await side.hot.get("task", "u")).body is None


async def test_a_projector_of_the_old_tables_that_wakes_up_changes_nothing(side: ReadSide) -> None:
    await copied(side)
    new = RedisHotCopies(side.redis, side.tenant)
    await new.begin(5, 1)
    await new.mirror(batch_of(5, 6, "t", body=b'{"of":"the new"}'), COUNTS)
    await side.hot.mirror(batch_of(5, 7, "t", body=b'{"of":"the old"}'), COUNTS)
    await side.hot.tend(7, COUNTS)
    glance = await side.hot.get("task", "t")
    assert (glance.body, glance.seen) == (b'{"of":"the new"}', 6)


async def test_a_projector_that_another_has_passed_copies_nothing(side: ReadSide) -> None:
    """What it writes may have been outdated, and the copy that said so may be gone."""
    await copied(side)
    other = RedisHotCopies(side.redis, side.tenant)
    await other.begin(5, 0)
    await other.mirror(batch_of(5, 9, "u"), COUNTS)
    await side.hot.mirror(batch_of(5, 7, "v"), COUNTS)
    assert (await side.hot.get("task", "v")).body is None


async def test_a_redis_of_another_life_is_taken_over_when_nobody_keeps_it(side: ReadSide) -> None:
    """Restored from a copy that was made over other tables, its lease has ended."""
    other = RedisHotCopies(side.redis, side.tenant)
    await copied(side)
    await other.begin(900, 7)
    await other.mirror(batch_of(900, 901, "t", body=b'{"of":"another life"}'), COUNTS)
    await side.hot.tend(5, COUNTS)
    assert (await side.hot.get("task", "t")).seen == 901, "somebody keeps it"
    await side.redis.unlink(Keys(side.tenant).lease)
    await side.hot.tend(5, COUNTS)
    glance = await side.hot.get("task", "t")
    assert (glance.body, glance.seen) == (None, 5)


async def test_a_begin_that_failed_is_made_up_for(side: ReadSide) -> None:
    """Otherwise a Redis that was away at the start would be believed whatever it holds."""
    await copied(side)
    late = RedisHotCopies(side.redis, side.tenant)
    late._mirroring._failing, late._mirroring._quiet_until = True, float("inf")
    await late.begin(3, 0)
    late._mirroring._quiet_until = 0.0
    await late.tend(3, COUNTS)
    glance = await side.hot.get("task", "t")
    assert (glance.body, glance.seen) == (None, 3), "what claims to be further is of another log"


@pytest.mark.parametrize("foreign", [b"", b"x" * 200, b"9" * 200, b"9" * 73])
async def test_what_is_not_ours_is_a_miss_wherever_it_stands(side: ReadSide, foreign: bytes) -> None:
    keys = Keys(side.tenant)
    for name in (keys.mark, keys.floor, keys.lease, keys.document("task", "t")):
        await copied(side)
        await side.redis.set(name, foreign)
        if name not in (keys.mark, keys.floor):  # readers look at the lease, which is of before
            assert await body(side) is None
        await side.hot.tend(5, COUNTS)
        await side.hot.begin(5, 0)
        await side.hot.mirror(batch_of(5, 6, "t"), COUNTS)
        assert await body(side) == BODY, "and is replaced"
        await side.hot.clear()


async def test_keys_of_another_type_are_replaced(side: ReadSide) -> None:
    keys = Keys(side.tenant)
    await copied(side)
    for name in (keys.mark, keys.floor, keys.lease, keys.counts, keys.changes, keys.document("task", "t")):
        await side.redis.unlink(name)
        await side.redis.lpush(name, "foreign")
    assert await body(side) is None
    await side.hot.begin(5, 0)
    await side.hot.mirror(batch_of(5, 6, "t"), COUNTS)
    assert await body(side) == BODY
    assert await counted(side) == {b"task:running": b"3", b"position": b"6"}
    assert await side.redis.xlen(keys.changes) == 1


async def test_a_copy_with_a_broken_byte_is_a_miss(side: ReadSide) -> None:
    large = orjson.dumps({"outputs": ["words that repeat"] * 1_000})
    assert len(large) > COMPRESSED_FROM
    for document in (BODY, large):
        await side.hot.begin(0, 0)
        await side.hot.mirror(batch_of(0, 5, "t", body=document), COUNTS)
        assert await body(side) == document
        name = Keys(side.tenant).document("task", "t")
        await side.redis.setrange(name, await side.redis.strlen(name) - 3, b"\x00")
        assert await body(side) is None
        await side.hot.clear()


def test_large_documents_are_compressed_and_small_ones_are_not() -> None:
    small, large = b"x" * (COMPRESSED_FROM - 1), b"x" * COMPRESSED_FROM
    assert handed(1, 1, b"e" * 16, small).endswith(small)
    assert len(handed(1, 1, b"e" * 16, large)) < 200


def test_a_frame_that_claims_to_be_huge_is_a_miss() -> None:
    frame = zstandard.ZstdCompressor().compress(b"{}")
    huge = frame[:4] + b"\xe0" + (LARGEST + 1).to_bytes(8, "little") + frame[6:]
    assert zstandard.frame_content_size(huge) == LARGEST + 1
    head = b"0" * 32 + b"e" * 16 + b"0" * 16 + b"%08x" % crc32(huge)
    assert believed(Standing(0, b"0" * 16, b"e" * 16), head + b"z" + huge) is None
