"""Traces: from a request through its command and the append to the read model."""

import asyncio
import builtins
import subprocess
import sys
from collections.abc import AsyncIterator, MutableMapping
from contextlib import asynccontextmanager
from typing import Any
from uuid import uuid4

import orjson
import pytest

from commands import transfer
from commands.tracing import traceparent_of
from domain.errors import InvalidInput
from dora_state.platform import Platform, open_platform
from dora_state.settings import load_settings
from dora_state.state_manager import StateManager
from dora_state.watching.context import about
from dora_state.watching.registry import registry_of
from dora_state.watching.requests import WatchedRequests
from tests.support.collector import collector
from tests.support.command_world import create_workflow, envelope

CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"


def create(name: str) -> dict[str, Any]:
    data = {"workflow_id": name, "definition_id": "assessment"}
    return {"type": "CreateWorkflow", "actor": "me", "data": data}


@asynccontextmanager
async def opened(database_url: str, tenant: str, **settings: Any) -> AsyncIterator[Platform]:
    async with open_platform(load_settings(database_url=database_url, tenant=tenant, **settings)) as platform:
        yield platform


async def metadata_of(platform: Platform, position: int = 1) -> dict[str, Any]:
    (event,) = await platform.log.read_log(after_position=position - 1, limit=1)
    found: dict[str, Any] = orjson.loads(event.metadata)
    return found


async def test_a_request_leads_through_its_command_and_append_to_the_batch_that_shows_it(
    database_url: str, tenant: str
) -> None:
    with collector() as told:
        async with opened(database_url, tenant, traces_url=told.url) as platform:
            manager = StateManager(platform)
            with platform.traces.request("POST", CALLER) as request:
                answer = await manager.submit(create("wf-1"))
                request.answered("POST", "/commands", 200)
            await manager.catch_up()
            metadata = await metadata_of(platform)
    request_span, command = told.one("POST /commands"), told.one("CreateWorkflow")
    append, batch = told.one("append"), told.one("project states")
    assert {one.trace_id for one in (request_span, command, append)} == {CALLER.split("-")[1]}
    assert (request_span.parent_id, command.parent_id) == (CALLER.split("-")[2], request_span.span_id)
    assert append.parent_id == command.span_id
    assert batch.links == (command.span_id,)
    assert metadata["traceparent"] == command.traceparent
    assert command.about["dora_state.outcome"] == "accepted"
    assert command.about["dora_state.command_id"] == str(answer.command_id)
    assert append.about["dora_state.group_commands"] == 1
    assert (request_span.about["http.route"], request_span.about["http.response.status_code"]) == ("/commands", 200)


async def test_what_the_sampling_leaves_out_is_not_told_and_leaves_no_name_in_the_log(
    database_url: str, tenant: str
) -> None:
    with collector() as told:
        async with opened(database_url, tenant, traces_url=told.url, traces_sample=0.0) as platform:
            await StateManager(platform).submit(create("wf-1"))
            assert "traceparent" not in await metadata_of(platform)
    assert told.spans == []


async def test_callers_decide_whether_their_traces_are_told(database_url: str, tenant: str) -> None:
    unsampled = f"{CALLER[:-2]}00"
    with collector() as told:
        async with opened(database_url, tenant, traces_url=told.url, traces_sample=0.0) as platform:
            manager = StateManager(platform)
            with platform.traces.request("POST", unsampled) as request:
                await manager.submit(create("wf-1"))
                request.answered("POST", "/commands", 200)
            with platform.traces.request("POST", CALLER):
                await manager.submit(create("wf-2"))
            assert (await metadata_of(platform))["traceparent"] == unsampled
    assert request.trace_id == CALLER.split("-")[1]
    assert sorted(span.name for span in told.spans) == ["CreateWorkflow", "POST", "append"]


async def test_a_collector_that_is_away_holds_up_nobody(database_url: str, tenant: str, caplog: Any) -> None:
    with collector() as told:
        url = told.url
    async with opened(database_url, tenant, traces_url=url) as platform:
        answer = await StateManager(platform).submit(create("wf-1"))
    assert answer.outcome == "accepted"


async def test_without_a_collector_the_name_of_a_request_is_kept_with_what_came_of_it(
    database_url: str, tenant: str
) -> None:
    async with opened(database_url, tenant) as platform:
        manager = StateManager(platform)
        with platform.traces.request("POST", CALLER) as request:
            await manager.submit(create("wf-1"))
        await manager.submit(create("wf-2"))
        assert request.trace_id == CALLER.split("-")[1]
        assert (await metadata_of(platform, 1))["traceparent"] == CALLER
        assert "traceparent" not in await metadata_of(platform, 2)


@pytest.mark.parametrize(
    "header",
    [
        None,
        "",
        "01-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01",
        "00-00000000000000000000000000000000-b7ad6b7169203331-01",
        "00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01",
        "00-0AF7651916CD43DD8448EB211C80319C-b7ad6b7169203331-01",
        f"{CALLER}-more",
        f"{CALLER}\n",
        "a" * 10_000,
    ],
)
def test_a_name_of_another_form_is_left_out(header: str | None) -> None:
    assert traceparent_of(header) is None
    assert traceparent_of(CALLER) == CALLER


def test_a_command_that_another_process_decides_keeps_the_name_of_its_request() -> None:
    asked = envelope(create_workflow())
    asked.traceparent = CALLER  # type: ignore[misc]  # a record is frozen for the type checker only
    packed = transfer.to_bytes(asked)
    assert packed is not None
    assert transfer.from_bytes(packed).traceparent == CALLER


async def test_without_what_sends_traces_the_setting_is_refused_with_what_to_install(
    database_url: str, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    found = builtins.__import__

    def without(name: str, *rest: Any) -> Any:
        if name.startswith("infrastructure.telemetry"):
            raise ImportError("No module named 'opentelemetry'", name="opentelemetry")
        return found(name, *rest)

    monkeypatch.setattr(builtins, "__import__", without)
    with pytest.raises(InvalidInput, match=r'DORA_STATE_TRACES_URL: .* extra "telemetry"'):
        async with opened(database_url, tenant, traces_url="http://127.0.0.1:4318/v1/traces"):
            pass


def test_an_address_of_a_collector_is_checked() -> None:
    with pytest.raises(InvalidInput, match="DORA_STATE_TRACES_URL: is no address of HTTP"):
        load_settings(traces_url="grpc://collector:4317")


async def test_requests_are_counted_by_their_route_and_named_in_the_log(database_url: str, tenant: str) -> None:
    said: list[dict[str, str]] = []

    class Route:
        path = "/workflows/{workflow_id}"

    async def app(scope: MutableMapping[str, Any], receive: Any, send: Any) -> None:
        said.append(dict(about()))
        if scope["path"] == "/broken":
            raise RuntimeError
        if scope["path"] == "/gone":
            raise asyncio.CancelledError
        scope["route"] = Route()
        await send({"type": "http.response.start", "status": 201})

    async def send(message: MutableMapping[str, Any]) -> None:
        return None

    async def ask(method: str, path: str) -> None:
        headers = [(b"traceparent", CALLER.encode()), (b"x-correlation-id", b"c" * 300)]
        await watched({"type": "http", "method": method, "path": path, "headers": headers}, send, send)  # type: ignore[arg-type]

    async with opened(database_url, tenant) as platform:
        watched = WatchedRequests(app, platform.traces, platform.requests)
        await ask("PUT", f"/workflows/{uuid4()}")
        await ask("BREW", f"/workflows/{uuid4()}")
        with pytest.raises(RuntimeError):
            await ask("GET", "/broken")
        with pytest.raises(asyncio.CancelledError):
            await ask("GET", "/gone")
        registry = registry_of(platform)
    assert platform.requests.open == 0
    assert platform.requests.requests == {
        ("PUT", Route.path, 201): 1,
        ("other", Route.path, 201): 1,
        ("GET", "other", 500): 1,
        ("GET", "other", 499): 1,
    }
    assert registry.get_sample_value("dora_state_http_request_seconds_count", {"tenant": tenant}) == 4
    assert said[0] == {"trace_id": CALLER.split("-")[1], "correlation_id": "c" * 200}
    assert about() == {}


@pytest.mark.parametrize(
    ("module", "heavy"),
    [
        ("dora_state.cli.app", ("opentelemetry", "prometheus_client", "fastapi")),
        # The library redis looks for OpenTelemetry's metrics by itself, where that is installed.
        ("dora_state.platform", ("infrastructure.telemetry", "opentelemetry.exporter", "prometheus_client", "fastapi")),
    ],
)
def test_what_is_heavy_is_loaded_by_whoever_wants_it_only(module: str, heavy: tuple[str, ...]) -> None:
    program = f"import sys, {module}; print([name for name in {heavy} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"
