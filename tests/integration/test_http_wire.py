"""What comes over a connection that is no request, or not in time: told so, or let go."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from dora_state.http import protocol
from dora_state.http.limits import BodyRoom, Limits
from tests.support.http import Asked, asked_by_port, fresh
from tests.support.tenants import lent

pytestmark = pytest.mark.asyncio(loop_scope="module")
LIMITS = Limits(body_bytes=20_000, body_seconds=0.3)


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def asked(database_url: str, redis_url: str) -> AsyncIterator[Asked]:
    async with (
        lent(database_url) as tenant,
        asked_by_port(database_url, redis_url, tenant, limits=LIMITS) as asked,
    ):
        yield asked


async def said(asked: Asked, *pieces: bytes, pause: float = 0.0) -> bytes:
    """All that comes back until the server closes."""
    reader, writer = await asyncio.open_connection("127.0.0.1", asked.client.base_url.port)
    try:
        for piece in pieces:
            writer.write(piece)
            await writer.drain()
            await asyncio.sleep(pause)
        async with asyncio.timeout(10):
            return await reader.read()
    finally:
        writer.close()


POST = b"POST /v1/commands HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-type: application/json\r\n"


async def test_a_body_that_does_not_come_is_408(asked: Asked) -> None:
    answer = await said(asked, POST + b"content-length: 100\r\n\r\n{")
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b'"code":"request_too_slow"' in answer


async def until_in_hand(asked: Asked, size: int) -> None:
    for _ in range(1_000):
        if asked.server.bodies.held == size:
            return
        await asyncio.sleep(0.01)
    raise AssertionError(f"{asked.server.bodies.held} bytes are in hand, not {size}")


async def test_bodies_that_are_too_large_together_are_told_to_come_again(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Two that come slowly have all the room; it is there again as soon as one of them is answered or gone."""
    monkeypatch.setattr(asked.server, "bodies", BodyRoom(30_000))
    monkeypatch.setattr(asked.server, "limits", Limits(body_bytes=20_000, body_seconds=5))
    body = b'{"type": "PauseWorkflow", "data": {"workflow_id": "nobody"}}'.ljust(15_000)
    head = POST + b"connection: close\r\ncontent-length: %d\r\n\r\n" % len(body)
    slow = []
    for _ in range(2):
        reader, writer = await asyncio.open_connection("127.0.0.1", asked.client.base_url.port)
        writer.write(head + body[:-1])
        await writer.drain()
        slow.append((reader, writer))
    await until_in_hand(asked, 2 * (len(body) - 1))
    answer = await said(asked, head + body)
    assert answer.startswith(b"HTTP/1.1 503 ")
    assert b"Bodies of 29,998 bytes are in hand, and 30,000 may be; try again in a moment." in answer
    assert b"retry-after: 1" in answer.lower()
    (reader, writer), (_, gone) = slow
    writer.write(body[-1:])
    assert (await reader.read()).startswith(b"HTTP/1.1 409 ")
    writer.close()
    assert (await said(asked, head + body)).startswith(b"HTTP/1.1 409 ")
    gone.close()
    await until_in_hand(asked, 0)


async def test_a_body_that_comes_at_once_and_is_too_large_is_told_so_at_once(asked: Asked) -> None:
    """In chunks, so that nothing says before how much there will be."""
    chunk = b"%x\r\n%s\r\n0\r\n\r\n" % (30_000, b" " * 30_000)
    answer = await said(asked, POST + b"transfer-encoding: chunked\r\n\r\n" + chunk)
    assert answer.startswith(b"HTTP/1.1 413 ")


async def test_how_long_a_body_takes_is_no_part_of_the_time_for_its_answer(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(asked.server, "limits", Limits(body_seconds=0.6, answer_seconds=0.2))
    body = b'{"type": "PauseWorkflow", "data": {"workflow_id": "nobody"}}'
    head = POST + b"connection: close\r\ncontent-length: %d\r\n\r\n" % len(body)
    answer = await said(asked, head + body[:9], body[9:], pause=0.3)
    assert answer.startswith(b"HTTP/1.1 409 "), "it came late, and in time"
    answer = await said(asked, head + body[:9])
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"The body was not there within 0.6 s; send it again, faster." in answer


async def test_the_rest_of_a_body_that_nobody_waits_for_is_not_waited_for_long(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "REST_SECONDS", 0.3)
    head = b"GET /health/live HTTP/1.1\r\nhost: 127.0.0.1\r\ncontent-length: 100\r\n\r\n"
    answer = await said(asked, head, b"{", pause=0.1)
    assert answer.startswith(b"HTTP/1.1 200 "), "it is answered, and then the connection ends"


async def test_a_body_that_comes_after_its_answer_harms_no_later_request(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "REST_SECONDS", 0.3)
    head = b"GET /health/live HTTP/1.1\r\nhost: 127.0.0.1\r\n"
    first, rest = head + b"content-length: 2\r\n\r\n{", b"}"
    answer = await said(asked, first, rest, b"", b"", b"", b"", head + b"connection: close\r\n\r\n", pause=0.1)
    assert answer.count(b"HTTP/1.1 200 ") == 2


async def test_a_body_that_is_cut_off_harms_nobody(asked: Asked) -> None:
    _, writer = await asyncio.open_connection("127.0.0.1", asked.client.base_url.port)
    writer.write(POST + b"content-length: 100\r\n\r\n{")
    await writer.drain()
    writer.close()
    await writer.wait_closed()
    assert (await asked.get("/health/live")).status_code == 200


@pytest.mark.parametrize(
    "garbage",
    [b"nonsense\r\n\r\n", b"GET / HTTP/9.9\r\n\r\n", b"GET /\xff HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n",
     b"GET / HTTP/1.1\r\nbad header\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
     POST + b"content-length: 5\r\ncontent-length: 6\r\n\r\n{}", POST + b"content-length: -5\r\n\r\n",
     POST + b"transfer-encoding: chunked\r\n\r\nzz\r\n"],
)  # fmt: skip
async def test_what_is_no_http_is_400(asked: Asked, garbage: bytes) -> None:
    answer = await said(asked, garbage)
    assert answer.startswith(b"HTTP/1.1 400 ")
    assert b'"code":"malformed_request"' in answer


async def test_a_request_names_its_host_once(asked: Asked) -> None:
    for hosts in (b"", b"host: 127.0.0.1\r\nHost: 127.0.0.1\r\n"):
        answer = await said(asked, b"GET /health/live HTTP/1.1\r\n" + hosts + b"\r\n")
        assert answer.startswith(b"HTTP/1.1 400 ")
        assert b"A request must name its host once; send one header Host." in answer
    answer = await said(asked, b"GET /health/live HTTP/1.0\r\n\r\n")
    assert answer.startswith(b"HTTP/1.1 200 "), "before 1.1 there was no such header"


async def test_a_head_that_is_too_large_is_431(asked: Asked) -> None:
    for head in (b"GET /" + b"x" * 40_000, b"GET / HTTP/1.1\r\nx: " + b"x" * 40_000):
        answer = await said(asked, head + b" HTTP/1.1\r\n\r\n" if b"HTTP" not in head else head + b"\r\n\r\n")
        assert answer.startswith(b"HTTP/1.1 431 ")


async def test_a_head_that_trickles_is_408_and_one_that_never_comes_is_let_go(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(protocol, "HEAD_SECONDS", 0.3)
    assert (await said(asked, b"GET /v1/system HTTP/1.1\r\nho")).startswith(b"HTTP/1.1 408 ")
    assert await said(asked, b"") == b""


async def test_too_many_connections_are_told_so(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "MOST_CONNECTIONS", 0)
    answer = await said(asked, b"GET /v1/system HTTP/1.1\r\n")
    assert answer.startswith(b"HTTP/1.1 503 ")


async def test_who_does_not_read_is_let_go(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(protocol, "READ_SECONDS", 0.2)
    for _ in range(40):
        assert (await asked.give("CreateWorkflow", large())).status_code == 200
    async with asyncio.timeout(30):
        with pytest.raises(ConnectionError):
            await ask_for_ever(asked)


async def ask_for_ever(asked: Asked) -> None:
    """For more than the buffers of the system take, and read nothing of it."""
    _, writer = await asyncio.open_connection("127.0.0.1", asked.client.base_url.port, limit=1)
    try:
        while True:
            writer.write(b"GET /v1/export?format=jsonl HTTP/1.1\r\nhost: 127.0.0.1\r\n\r\n")
            await writer.drain()
            await asyncio.sleep(0.01)
    finally:
        writer.close()


def large() -> dict[str, Any]:
    return {"workflow_id": fresh("w"), "definition_id": "d", "context": {"x": "y" * 9_000}}
