"""Answers that go on end when whoever asked is not let in any more: with a word, or with a connection that is cut."""

import asyncio
import json
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio

from dora_state.access import opening
from dora_state.access.caller import CallerRole, Unauthenticated
from dora_state.access.opening import open_access
from dora_state.cli.keys import create_key, revoke_key
from dora_state.cli.output import Output
from dora_state.exporting import Export
from dora_state.http import call as calls
from dora_state.http import standing
from dora_state.http.serving import address, listening, make_server, run
from dora_state.settings import Settings, load_settings
from dora_state.state_manager import StateManager, open_state_manager
from projections.history import History
from tests.support.http import ByRole, asked_directly
from tests.support.tenants import lent
from tests.support.tokens import AUDIENCE, ISSUER, FakeIssuer

pytestmark = pytest.mark.asyncio(loop_scope="module")
TEXT = Output(as_json=False)
PATHS = {
    "events": ("GET", "/v1/events"),
    "export": ("GET", "/v1/export?format=jsonl"),
    "history": ("GET", "/v1/workflows/w/history?stream=true"),
    "lock": ("POST", "/v1/locks"),
}


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def manager(database_url: str, redis_url: str) -> AsyncIterator[StateManager]:
    async with lent(database_url) as tenant:
        settings = load_settings(database_url=database_url, redis_url=redis_url, tenant=tenant)
        async with open_state_manager(settings, default_actor="test") as manager:
            data = {"workflow_id": "w", "definition_id": "d"}
            assert (await manager.submit({"type": "CreateWorkflow", "data": data})).ok
            yield manager


@asynccontextmanager
async def served(manager: StateManager, settings: Settings | None = None) -> AsyncIterator[httpx.AsyncClient]:
    """By keys and tokens as they are in earnest."""
    stop, platform = asyncio.Event(), manager.platform
    async with open_access(settings or platform.settings, platform.servers) as access:
        with listening("127.0.0.1", 0) as listener:
            serving = asyncio.create_task(run(make_server(manager, access), listener, stop))
            try:
                async with httpx.AsyncClient(base_url=address(listener), timeout=30) as client:
                    yield client
            finally:
                stop.set()
                await serving


@pytest.fixture
def endless(monkeypatch: pytest.MonkeyPatch) -> None:
    """Exports and histories that go on until they are ended."""

    async def pieces(self: Export) -> AsyncIterator[bytes]:
        while True:
            yield b"{}\n"
            await asyncio.sleep(0.02)

    of = History.of

    async def versions(self: History, *about: Any, **more: Any) -> AsyncIterator[Any]:
        while True:
            async for entry in of(self, *about, **more):
                yield entry
            await asyncio.sleep(0.02)

    monkeypatch.setattr(Export, "pieces", pieces)
    monkeypatch.setattr(History, "of", versions)


class Ending:
    """An answer that goes on: what it told, and whether it came to a good end."""

    def __init__(self, client: httpx.AsyncClient, what: str, credential: str | None) -> None:
        self._client = client
        self.what = what
        headers = {} if credential is None else {"Authorization": f"Bearer {credential}"}
        self._request: dict[str, Any] = {"headers": headers}
        if what == "lock":
            self._request["json"] = {"name": "workflow:w"}
        self.begun = asyncio.Event()
        self.told = ""
        self.is_whole = False
        self.task = asyncio.create_task(self._read())

    async def _read(self) -> None:
        method, path = PATHS[self.what]
        try:
            async with self._client.stream(method, path, **self._request) as answer:
                assert answer.status_code == 200, await answer.aread()
                async for text in answer.aiter_text():
                    self.told += text
                    self.begun.set()
            self.is_whole = True
        except httpx.RemoteProtocolError:
            pass


async def all_end(client: httpx.AsyncClient, credential: str | None, end: Callable[[], Awaitable[Any]]) -> list[Ending]:
    """Each kind of answer is begun, then something is done by which each must end."""
    answers = [Ending(client, what, credential) for what in PATHS]
    async with asyncio.timeout(30):
        for one in answers:
            await asyncio.wait({asyncio.create_task(one.begun.wait()), one.task}, return_when="FIRST_COMPLETED")
            assert not one.task.done(), one.told
        await end()
        await asyncio.gather(*(one.task for one in answers))
    return answers


def said_well(answers: list[Ending], detail: str) -> None:
    events, export, history, lock = answers
    assert events.is_whole
    name, data = events.told.rstrip().splitlines()[-2:]
    assert name == "event: end"
    word = json.loads(data.removeprefix("data: "))
    assert (word["reason"], detail in word["detail"]) == ("unauthenticated", True)
    assert not export.is_whole
    assert not history.is_whole
    assert lock.is_whole
    last = json.loads(lock.told.splitlines()[-1])
    assert (last["lost"], detail in last["detail"]) == (True, True)


async def no_lock_is_held(manager: StateManager) -> None:
    async with asyncio.timeout(10):
        while await manager.locks():  # noqa: ASYNC110  # nobody tells
            await asyncio.sleep(0.02)


async def new_key(manager: StateManager, capsys: pytest.CaptureFixture[str], life: timedelta) -> str:
    capsys.readouterr()
    await create_key(manager.platform.settings, "ann", CallerRole.OPERATOR, datetime.now(UTC) + life, TEXT)
    return capsys.readouterr().out.strip()


async def test_a_key_that_is_revoked_ends_every_answer_that_goes_on(
    manager: StateManager, endless: None, capsys: pytest.CaptureFixture[str]
) -> None:
    key = await new_key(manager, capsys, timedelta(days=1))
    async with served(manager) as client:
        answers = await all_end(client, key, lambda: revoke_key(manager.platform.settings, key.split("_")[1], TEXT))
        await no_lock_is_held(manager)
    said_well(answers, "revoked")


async def test_a_key_that_expires_ends_every_answer_that_goes_on(
    manager: StateManager, endless: None, capsys: pytest.CaptureFixture[str]
) -> None:
    key = await new_key(manager, capsys, timedelta(seconds=2.5))
    async with served(manager) as client:
        answers = await all_end(client, key, lambda: asyncio.sleep(0))
        await no_lock_is_held(manager)
    said_well(answers, "has expired")


async def test_a_token_that_expires_ends_every_answer_that_goes_on(
    manager: StateManager, endless: None, monkeypatch: pytest.MonkeyPatch
) -> None:
    issuer, settings = FakeIssuer(), manager.platform.settings
    monkeypatch.setattr(opening, "Issuer", lambda *_: issuer)
    oidc = {"oidc_issuer": ISSUER, "oidc_audience": AUDIENCE, "oidc_clock_skew": 0.0}
    token = issuer.token(
        tenant=settings.tenant, roles=["operator"], exp=int((datetime.now(UTC) + timedelta(seconds=3)).timestamp())
    )
    async with served(manager, settings.model_copy(update=oidc)) as client:
        answers = await all_end(client, token, lambda: asyncio.sleep(0))
        await no_lock_is_held(manager)
    said_well(answers, "The token has expired")


async def test_the_first_key_ends_what_was_begun_without_one(
    database_url: str, redis_url: str, endless: None, capsys: pytest.CaptureFixture[str]
) -> None:
    async with lent(database_url) as tenant:
        settings = load_settings(database_url=database_url, redis_url=redis_url, tenant=tenant)
        async with open_state_manager(settings, default_actor="test") as manager, served(manager) as client:
            data = {"workflow_id": "w", "definition_id": "d"}
            assert (await manager.submit({"type": "CreateWorkflow", "data": data})).ok
            answers = await all_end(client, None, lambda: new_key(manager, capsys, timedelta(days=1)))
    said_well(answers, "Nobody is known without a key")


class LetInOnce(ByRole):
    """Whoever comes is let in, and not any more when looked for again."""

    def __init__(self, tenant: str) -> None:
        super().__init__(tenant)
        self.asked = 0

    async def caller(self, authorization: str | None) -> Any:
        self.asked += 1
        if self.asked > 1:
            raise Unauthenticated("Revoked.")
        return await super().caller(authorization)


@pytest.mark.parametrize(
    ("method", "path", "body"),
    [
        ("GET", "/v1/workflows/w?version=1", None),
        ("GET", "/v1/workflows/w/history", None),
        ("GET", "/v1/workflows/w/history?stream=true", None),
        ("GET", "/v1/export?format=jsonl", None),
        ("GET", "/v1/events?after_position=0", None),
        ("POST", "/v1/workflows/w/rollback", {"to_version": 1, "dry_run": True}),
    ],
)
async def test_what_took_long_to_find_is_shown_only_to_who_is_still_let_in(
    manager: StateManager, redis_url: str, monkeypatch: pytest.MonkeyPatch, method: str, path: str, body: Any
) -> None:
    settings = manager.platform.settings
    assert settings.database_url is not None
    monkeypatch.setattr(calls, "SURE_SECONDS", 0.0)
    monkeypatch.setattr(standing, "SURE_SECONDS", 0.0)
    async with asked_directly(settings.database_url.get_secret_value(), redis_url, settings.tenant) as asked:
        asked.server.authenticator = LetInOnce(settings.tenant)
        headers = {"Authorization": "Bearer operator"}
        answer = await asked.client.request(method, path, json=body, headers=headers)
    assert (answer.status_code, answer.json()["detail"]) == (401, "Revoked.")
