"""How a server begins and ends, and whose pages may ask it."""

import asyncio
import resource
from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from commands.envelope import Envelope
from domain.errors import InvalidInput
from dora_state.access.opening import open_access
from dora_state.http.api import OPERATIONS
from dora_state.http.app import make_app
from dora_state.http.encoded import EncodedDocuments, encoded
from dora_state.http.serving import OPEN_FILES, address, allow_many_connections, listening, origins, run
from projections.documents.frozen import frozen
from tests.support.http import Asked, a_workflow, asked_by_port, asked_directly, fresh
from tests.support.tenants import lent

pytestmark = pytest.mark.asyncio(loop_scope="module")
ORIGIN = "https://console.example"


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def asked(database_url: str, redis_url: str) -> AsyncIterator[Asked]:
    async with lent(database_url) as tenant, asked_directly(database_url, redis_url, tenant) as asked:
        yield asked


def create() -> dict[str, Any]:
    return {"type": "CreateWorkflow", "data": {"workflow_id": fresh("wf"), "definition_id": "d"}}


async def test_a_server_that_is_to_leave_answers_what_it_took(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    submit, stop, taken, go_on = asked.manager.platform.bus.submit, asyncio.Event(), asyncio.Event(), asyncio.Event()

    async def slow(envelope: Envelope) -> Any:
        taken.set()
        await go_on.wait()
        return await submit(envelope)

    monkeypatch.setattr(asked.manager.platform.bus, "submit", slow)
    with listening("127.0.0.1", 0) as listener:
        serving = asyncio.create_task(run(asked.server, listener, stop))
        async with httpx.AsyncClient(base_url=address(listener)) as client:
            waiting = asyncio.create_task(client.post("/v1/commands", json=create()))
            queued = await client.post("/v1/commands", json=create(), headers={"Prefer": "respond-async"})
            await taken.wait()
            stop.set()
            async with asyncio.timeout(10):
                while not asked.server.leaving:  # noqa: ASYNC110  # nobody tells
                    await asyncio.sleep(0.01)
            go_on.set()
            answer = await waiting
        await serving
    assert answer.json()["outcome"] == "accepted"
    assert (await asked.get(queued.headers["Location"])).json()["outcome"] == "accepted"
    assert (await asked.get("/health/ready")).status_code == 503
    monkeypatch.setattr(asked.server, "leaving", False)


async def test_pages_of_other_origins_may_ask_only_where_they_are_named(asked: Asked) -> None:
    preflight = {"Origin": ORIGIN, "Access-Control-Request-Method": "POST"}
    for cors, allowed in (((), None), ((ORIGIN,), ORIGIN), (("https://other.example",), None)):
        transport = httpx.ASGITransport(make_app(asked.server, cors=cors))
        async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
            asked_first = await client.options("/v1/commands", headers=preflight)
            assert asked_first.headers.get("Access-Control-Allow-Origin") == allowed
            read = await client.get("/v1/board", headers={"Origin": ORIGIN})
            assert read.headers.get("Access-Control-Allow-Origin") == allowed


async def test_pages_may_ask_all_that_there_is_and_hear_what_is_told(asked: Asked) -> None:
    transport = httpx.ASGITransport(make_app(asked.server, cors=(ORIGIN,)))
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        for operation in OPERATIONS:
            names = ["Authorization", "Content-Type", "traceparent", *(header.name for header in operation.headers)]
            preflight = {
                "Origin": ORIGIN,
                "Access-Control-Request-Method": operation.method,
                "Access-Control-Request-Headers": ", ".join(names),
            }
            answer = await client.options(operation.path, headers=preflight)
            assert answer.status_code == 200, (operation.id, answer.text)
        asked_for = {"Origin": ORIGIN, "Access-Control-Request-Method": "PATCH"}
        assert (await client.options("/v1/commands", headers=asked_for)).status_code == 400
        read = await client.get("/v1/board", headers={"Origin": ORIGIN})
        told = read.headers["Access-Control-Expose-Headers"].split(", ")
        assert {"ETag", "Location", "Retry-After", "Idempotent-Replayed", "X-Correlation-Id"} <= set(told)


UNHEARD_OF = [
    ("GET", "/openapi.json"),
    ("GET", "/health/live"),
    ("GET", "/health/ready"),
    ("GET", "/health"),
    ("GET", "/metrics"),
    ("GET", "/problems/not_found"),
    ("GET", "/v1/locks"),
    ("DELETE", "/v1/locks/1"),
    ("POST", "/v1/commands"),
    ("POST", "/v1/transactions"),
]


@pytest.mark.parametrize(("method", "path"), UNHEARD_OF)
async def test_a_parameter_that_nobody_knows_is_refused_everywhere(asked: Asked, method: str, path: str) -> None:
    answer = await asked.client.request(method, f"{path}?verbose=1", json=None if method == "GET" else {})
    assert (answer.status_code, answer.json()["facts"]["field"]) == (422, "verbose")


async def test_requests_are_counted_by_the_pattern_of_their_path(
    database_url: str, redis_url: str, asked: Asked
) -> None:
    tenant = asked.manager.platform.settings.tenant
    async with asked_by_port(database_url, redis_url, tenant) as served:
        for method, path in (
            ("GET", "/v1/workflows/one"),
            ("GET", "/v1/workflows/a%2Fb"),
            ("PUT", "/v1/workflows/one"),
            ("GET", "/openapi.json"),
            ("GET", "/v1/nothing"),
            ("GET", "/v1/workflows/one/history?limit=x"),
        ):
            await served.client.request(method, path)
        counted = served.manager.platform.requests.requests
        metrics = (await served.get("/metrics")).text
    assert {key: count for key, count in counted.items() if key[1] != "/metrics"} == {
        ("GET", "/v1/workflows/{id}", 404): 2,
        ("PUT", "/v1/workflows/{id}", 405): 1,
        ("GET", "/openapi.json", 200): 1,
        ("GET", "other", 404): 1,
        ("GET", "/v1/workflows/{id}/history", 422): 1,
    }
    assert 'route="/v1/workflows/{id}",status="404"' in metrics


async def test_origins_that_are_none_are_refused() -> None:
    assert origins(f"{ORIGIN}, http://localhost:3000") == (ORIGIN, "http://localhost:3000")
    assert origins("") == ()
    for wrong in ("*", "console.example", f"{ORIGIN}/", "ftp://a.example", "https://"):
        with pytest.raises(InvalidInput, match="DORA_STATE_HTTP_CORS"):
            origins(wrong)


async def test_only_loopback_is_listened_to_without_keys(asked: Asked) -> None:
    platform = asked.manager.platform
    async with open_access(platform.settings, platform.servers) as access:
        for host in ("127.0.0.1", "localhost", "::1", "127.0.0.2"):
            access.require_may_listen(host)
        for host in ("0.0.0.0", "::", "10.0.0.1", "example.org", "", "localhost.example.org"):
            with pytest.raises(InvalidInput, match="loopback only"):
                access.require_may_listen(host)


async def test_a_server_asks_for_as_many_open_files_as_it_may_have() -> None:
    before = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (before[0] // 2, before[1]))
    try:
        allow_many_connections()
        assert resource.getrlimit(resource.RLIMIT_NOFILE)[0] >= min(before[0], OPEN_FILES)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, before)


async def test_a_fault_of_ours_is_a_problem_that_tells_nothing_of_what_is_inside(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fail(*_: object, **__: object) -> None:
        raise RuntimeError("the secret is 1234")

    monkeypatch.setattr(asked.manager.platform.queries, "show", fail)
    answer = await asked.get("/v1/workflows/wf")
    assert (answer.status_code, answer.json()["code"]) == (500, "internal_error")
    assert "1234" not in answer.text
    assert "Traceback" not in answer.text


async def test_a_document_that_readers_share_is_written_once_and_is_not_kept_for_ever(asked: Asked) -> None:
    wf = fresh("wf")
    await a_workflow(asked, wf)
    document = frozen(await asked.manager.state("workflow", wf, live=True))
    kept = EncodedDocuments(10**6)
    first = kept.of("workflow", wf, document)
    assert first == encoded("workflow", wf, document)
    assert kept.of("workflow", wf, document) is first
    other = frozen({**document, "stream_version": 99})
    assert kept.of("workflow", wf, other).etag != first.etag
    small = EncodedDocuments(1)
    assert small.of("workflow", wf, document) is not small.of("workflow", wf, document)
    agent = frozen({"agent_id": "a", "stream_version": 1, "recorded_at": "2026-01-01T00:00:00Z"})
    assert kept.of("agent", "a", agent) is not kept.of("agent", "a", agent)
