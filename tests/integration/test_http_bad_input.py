"""Whatever comes in over HTTP: a 4xx that names what is wrong, never a 5xx, never a trace of our code."""

import json
from collections.abc import AsyncIterator
from typing import Any

import pytest
import pytest_asyncio

from dora_state.http.limits import Limits, RateLimit
from dora_state.http.problems import RequestError
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


def create(**data: Any) -> bytes:
    return json.dumps(
        {"type": "CreateWorkflow", "data": {"workflow_id": fresh("wf"), "definition_id": "d"} | data}
    ).encode()


BODIES: dict[str, tuple[bytes, str]] = {
    "nothing": (b"", "not well-formed JSON"),
    "no JSON": (b"{", "not well-formed JSON"),
    "no UTF-8": (b'{"type": "\xff"}', "not well-formed JSON"),
    "a number": (b"7", "is a JSON object"),
    "a key twice": (b'{"type": "A", "type": "B", "data": {}}', 'the key "type" twice'),
    "not a number": (create(context={"x": float("nan")}), "NaN"),
    "deeper than anything": (b"[" * 9_000, "not well-formed JSON"),
    "an unknown field": (b'{"type": "CreateWorkflow", "data": {}, "actors": "a"}', "actors: is no field of it"),
    "another tenant": (b'{"type": "PauseWorkflow", "data": {"workflow_id": "a"}, "tenant": "b"}', "tenant: "),
    "a NUL": (b'{"type": "PauseWorkflow", "data": {"workflow_id": "a\\u0000"}}', "data.workflow_id"),
    "a lone surrogate": (b'{"type": "PauseWorkflow", "data": {"workflow_id": "\\ud800"}}', "data.workflow_id"),
}  # fmt: skip


@pytest.mark.parametrize("name", BODIES)
async def test_a_body_that_is_wrong_is_told_what_is_wrong_with_it(asked: Asked, name: str) -> None:
    body, words = BODIES[name]
    answer = await asked.client.post("/v1/commands", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422
    assert words in answer.json()["detail"]


async def test_what_is_wrong_with_one_command_of_an_array_harms_no_other(asked: Asked) -> None:
    wrong = [b'{"type": "\\ud800", "data": {}}', create(context={"x": float("nan")}), transaction({"task-\0": 1})]
    wrong.append(transaction({f"task-{'x' * 256}": 1}))
    wrong += [b'{"type": "A", "type": "B", "data": {}}', b'{"type": "A", "data": {"x": [{"k": 1, "k": 2}]}}']
    body = b"[" + b",".join([*wrong, create()]) + b"]"
    answer = await asked.client.post("/v1/commands", content=body, headers={"Content-Type": "application/json"})
    assert [one["status"] for one in answer.json()] == [422] * len(wrong) + [200]
    told = [one["problem"]["detail"] for one in answer.json()[-3:-1]]
    assert ['the key "type" twice' in told[0], 'the key "k" twice' in told[1]] == [True, True]


def transaction(expected: dict[str, int]) -> bytes:
    commands = [{"type": "PauseWorkflow", "data": {"workflow_id": "w"}}]
    return json.dumps({"type": "Transaction", "data": {"commands": commands, "expected": expected}}).encode()


async def test_what_is_nested_too_deeply_is_told_where(asked: Asked) -> None:
    deep: Any = 1
    for _ in range(40):
        deep = {"a": deep}
    answer = await asked.client.post(
        "/v1/commands", content=create(context=deep), headers={"Content-Type": "application/json"}
    )
    assert answer.status_code == 422
    assert "data.context" in answer.json()["facts"]["fields"]


@pytest.mark.parametrize(
    "headers",
    [
        {"Content-Type": "text/plain"},
        {"Content-Type": "application/json; charset=latin-1"},
        {"Content-Type": "application/json", "Content-Encoding": "gzip"},
    ],
)
async def test_a_body_of_another_type_is_415(asked: Asked, headers: dict[str, str]) -> None:
    answer = await asked.client.post("/v1/commands", content=create(), headers=headers)
    assert (answer.status_code, answer.json()["code"]) == (415, "unsupported_media_type")
    assert answer.json()["facts"]["field"].startswith("Content-")


async def test_a_body_that_is_too_large_is_413_whether_it_says_so_or_not(asked: Asked) -> None:
    async def pieces() -> AsyncIterator[bytes]:
        for _ in range(40):
            yield b" " * 1_000

    for content in (b" " * 40_000, pieces()):
        answer = await asked.client.post("/v1/commands", content=content, headers={"Content-Type": "application/json"})
        assert (answer.status_code, answer.json()["facts"]["limit"]) == (413, 20_000)


QUERIES = {
    "version=-1": "version",
    "version=1.5": "version",
    "version=%F0%9D%9F%99": "version",
    "version=99999999999999999999999": "version",
    "version=1&version=2": "version",
    "vesion=1": "vesion",
    "at=yesterday": "at",
    "at=2024-01-01T00:00:00": "at",
    "consistency=perhaps": "consistency",
    "patience=NaN": "patience",
    "min_position=1e3": "min_position",
    "%FF=1": "query",
    "version": "query",
    "&".join(f"a{number}=1" for number in range(100)): "query",
}


@pytest.mark.parametrize("query", QUERIES)
async def test_a_query_that_is_wrong_names_the_parameter(asked: Asked, query: str) -> None:
    answer = await asked.get(f"/v1/workflows/wf?{query}")
    assert answer.status_code == 422
    assert answer.json()["facts"]["field"] == QUERIES[query]


@pytest.mark.parametrize(
    "path",
    ["/v1/tasks?page=nonsense", "/v1/audit?actor=a%00", "/v1/actors?after=%00", "/v1/workflows?prefix=%00",
     "/v1/rates?per=eon", "/v1/stalled?quiet_for=99999999999", "/v1/workflows/%00", f"/v1/workflows/{'x' * 300}",
     "/v1/diff?begin=v3", "/v1/rates?agent_id=%00", "/v1/pending?pool_id=%00", "/v1/workflows/a%1Fb",
     "/v1/workflows/a%2Fb%1Fc",
     "/v1/events?after_position=x", "/v1/events?kind=dog", "/v1/events?type=Dog", "/v1/export?format=pdf",
     "/v1/board?by=moon", "/v1/traces/%1b"],
)  # fmt: skip
async def test_parameters_that_name_nothing_are_422(asked: Asked, path: str) -> None:
    answer = await asked.get(path)
    assert answer.status_code == 422, answer.text
    assert answer.headers["content-type"] == "application/problem+json"


@pytest.mark.parametrize("path", ["/v1/workflows/%ff%fe", "/v1/tasks/a%2F%c3", "/%ff", "/v1/locks/%ed%a0%80"])
async def test_a_path_that_is_no_utf8_is_not_taken_for_another(asked: Asked, path: str) -> None:
    for method in ("GET", "DELETE"):
        answer = await asked.client.request(method, path)
        assert (answer.status_code, answer.json()["facts"]["field"]) == (422, "path"), answer.text
        assert answer.json()["detail"] == "path: must be percent-encoded UTF-8; correct it."


async def test_a_method_that_a_path_does_not_know_is_405_and_a_path_that_is_none_404(asked: Asked) -> None:
    for method in ("PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "QUERY", "PROPFIND"):
        answer = await asked.client.request(method, "/v1/workflows/wf")
        assert answer.status_code in (405, 400), method
        if answer.status_code == 405:
            assert "GET" in answer.headers["Allow"]
    assert (await asked.get("/v1/nothing")).json()["code"] == "no_such_path"
    assert (await asked.client.get("/v1/workflows/wf/")).status_code == 404


async def test_a_head_is_answered_like_a_get_without_a_body(asked: Asked) -> None:
    for path in ("/v1/system", "/v1/events", "/v1/export?format=jsonl"):
        answer = await asked.client.head(path)
        assert (answer.status_code < 500, answer.content) == (True, b"")
    assert asked.server.feed.streams == 0


async def test_a_header_that_is_given_twice_is_refused(asked: Asked) -> None:
    headers = [("Content-Type", "application/json"), ("Idempotency-Key", "a"), ("Idempotency-Key", "b")]
    answer = await asked.client.post("/v1/commands", content=create(), headers=headers)
    assert answer.json()["facts"]["field"] == "Idempotency-Key"


async def test_a_page_of_a_browser_does_not_reach_a_server_without_keys_by_a_name_of_its_own(asked: Asked) -> None:
    answer = await asked.get("/v1/system", headers={"Host": "evil.example"})
    assert (answer.status_code, answer.json()["code"]) == (421, "misdirected_request")
    assert (await asked.get("/v1/system", headers={"Host": "localhost:1"})).status_code == 200


async def test_a_flood_is_told_when_to_come_again(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    now = [0.0]
    monkeypatch.setattr(asked.server, "rate", RateLimit(3, lambda: now[0]))
    statuses = [(await asked.get("/v1/system")).status_code for _ in range(4)]
    assert statuses == [200, 200, 200, 429]
    refused = await asked.get("/v1/system")
    assert (refused.headers["Retry-After"], refused.json()["code"]) == ("1", "too_many_requests")
    assert (await asked.get("/health/live")).status_code == 200
    now[0] += 1
    assert (await asked.get("/v1/system")).status_code == 200


async def test_callers_have_shares_of_their_own_and_a_large_array_waits_for_a_full_bucket() -> None:
    now = [0.0]
    limit = RateLimit(10, lambda: now[0])
    limit.take("a", 50)
    limit.take("b")
    with pytest.raises(RequestError) as refused:
        limit.take("a")
    assert refused.value.headers["Retry-After"] == "5"
    now[0] += 5
    limit.take("a")
