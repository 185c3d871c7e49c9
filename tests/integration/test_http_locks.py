"""Locks over HTTP: how many wait, whose a token is, and how long one is held whose holder says nothing more."""

import asyncio
import json
import logging
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any

import httpx
import pytest

from commands.locks import Claim
from domain.errors import LockDeadlock, LockLost
from dora_state.access.caller import Caller, CallerRole
from dora_state.client import Client, open_client
from dora_state.client import locks as client_locks
from dora_state.http import lock_room, locking
from dora_state.http.lock_tokens import owner_of
from dora_state.http.serving import address, listening, run
from infrastructure.locks import place
from tests.support.http import Asked, asked_by_port
from tests.support.postgres import connected, rows

WORKFLOW = {"name": "workflow:w"}
ORCHESTRATOR = {"Authorization": "Bearer orchestrator"}
OPERATOR = {"Authorization": "Bearer operator"}


@pytest.fixture
async def asked(
    database_url: str, redis_url: str, tenant: str, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Asked]:
    monkeypatch.setattr(locking, "BEAT_SECONDS", 0.1)
    monkeypatch.setattr(place, "BEAT_SECONDS", 0.1)
    monkeypatch.setattr(place, "LOOK_SECONDS", 0.1)
    async with asked_by_port(database_url, redis_url, tenant, by_role=True) as asked:
        asked.client.headers.update(ORCHESTRATOR)
        for id in ("w", "v"):
            answer = await asked.give("CreateWorkflow", {"workflow_id": id, "definition_id": "d"})
            assert answer.status_code == 200
        yield asked


class Taken:
    """The answer of one that asked for a lock, with what it told so far."""

    def __init__(self, response: httpx.Response) -> None:
        self.status = response.status_code
        self.headers = response.headers
        self._lines = response.aiter_lines()
        self.token = 0

    async def line(self) -> dict[str, Any]:
        return dict(json.loads(await anext(self._lines)))

    async def last(self) -> dict[str, Any]:
        """The last line that there will be."""
        lines = [line async for line in self._lines]
        return dict(json.loads(lines[-1]))


@asynccontextmanager
async def taken(asked: Asked, who: dict[str, str] | None = None, **body: Any) -> AsyncIterator[Taken]:
    async with asked.client.stream("POST", "/v1/locks", json={**WORKFLOW, **body}, headers=who, timeout=30) as response:
        lock = Taken(response)
        if lock.status == 200:
            lock.token = (await lock.line())["token"]
        else:
            await response.aread()
        yield lock


def amend(asked: Asked, token: int, who: dict[str, str] | None = None) -> Awaitable[httpx.Response]:
    headers = {"Lock-Token": str(token), **(who or {})}
    return asked.give("AmendWorkflow", {"workflow_id": "w", "context": {"a": token}}, headers=headers)


async def waiters(asked: Asked) -> int:
    return sum(len(held.waiters) for held in await asked.manager.locks())


async def until(ask: Callable[[], Awaitable[bool]]) -> None:
    async with asyncio.timeout(20):
        while not await ask():  # noqa: ASYNC110  # the server tells nobody
            await asyncio.sleep(0.02)


async def until_waiting(asked: Asked, count: int) -> None:
    async def is_so() -> bool:
        return await waiters(asked) == count

    await until(is_so)


async def test_many_that_wait_open_one_session_and_no_transaction(asked: Asked, database_url: str, tenant: str) -> None:
    async with taken(asked), AsyncExitStack() as stack:
        waiting = [asyncio.create_task(stack.enter_async_context(taken(asked))) for _ in range(30)]
        await until_waiting(asked, 30)
        async with connected(database_url, tenant) as connection:
            sessions = await rows(
                connection,
                "SELECT application_name, xact_start IS NULL FROM pg_stat_activity"
                " WHERE application_name LIKE 'dora-state lock%%' AND application_name LIKE %s",
                f"%{tenant}%",
            )
            locks = await rows(connection, "SELECT FROM pg_locks WHERE NOT granted AND locktype = 'advisory'")
        assert sessions == [(f"dora-state locks {tenant}", True)]
        assert locks == []
        for one in waiting:
            one.cancel()
        await asyncio.gather(*waiting, return_exceptions=True)


async def test_those_who_wait_are_counted_with_those_who_hold_and_leave_room_when_they_go(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lock_room, "MOST_LOCKS", 2)

    async def wait() -> None:
        async with taken(asked):
            raise AssertionError

    async with taken(asked):
        waiting = asyncio.create_task(wait())
        await until_waiting(asked, 1)
        async with taken(asked, name="workflow:v") as refused:
            assert (refused.status, refused.headers["Retry-After"]) == (503, "5")
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        await until_waiting(asked, 0)
        async with taken(asked, name="workflow:v") as another:
            assert another.status == 200


async def test_a_token_is_of_use_to_whom_its_lock_was_given_and_to_nobody_else(asked: Asked) -> None:
    async with taken(asked) as lock:
        renewed = await asked.client.put(f"/v1/locks/{lock.token}", headers=OPERATOR)
        assert (renewed.status_code, renewed.json()["code"]) == (403, "forbidden")
        stolen = await amend(asked, lock.token, OPERATOR)
        assert (stolen.status_code, stolen.json()["code"]) == (403, "forbidden")
        assert f"token {lock.token} is not held by the operator" in stolen.json()["detail"]
        step = {"steps": [{"type": "AmendWorkflow", "data": {"workflow_id": "w", "context": {"a": 1}}}]}
        headers = {**OPERATOR, "Lock-Token": str(lock.token)}
        assert (await asked.client.post("/v1/transactions", json=step, headers=headers)).status_code == 403
        async with taken(asked, OPERATOR, name="workflow:v", holds=[lock.token]) as claimed:
            assert claimed.status == 403
        assert (await amend(asked, lock.token)).status_code == 200
        next_one = await amend(asked, lock.token + 1)
        assert (next_one.status_code, next_one.json()["code"]) == (409, "lock_lost"), "it was not given yet"


async def test_one_lets_go_of_ones_own_and_an_operator_of_any_which_is_logged(
    asked: Asked, caplog: pytest.LogCaptureFixture
) -> None:
    async with taken(asked, OPERATOR) as lock:
        answer = await asked.client.delete(f"/v1/locks/{lock.token}")
        assert answer.status_code == 403
        assert (await asked.client.delete(f"/v1/locks/{lock.token}", headers=OPERATOR)).status_code == 204
        assert await lock.last() == {"released": True}
    async with taken(asked) as lock:
        with caplog.at_level(logging.WARNING):
            assert (await asked.client.delete(f"/v1/locks/{lock.token}", headers=OPERATOR)).status_code == 204
        assert (
            f"the operator let go of the lock with the token {lock.token}, which the orchestrator held" in caplog.text
        )
        assert await lock.last() == {"released": True}
    assert await asked.manager.locks() == []
    assert asked.manager.platform.locks.figures.losses == 0


async def test_a_lock_of_a_process_is_of_no_use_to_callers(asked: Asked) -> None:
    async with asked.manager.exclusive_lock("workflow:w") as lock:
        assert (await amend(asked, lock.token, OPERATOR)).status_code == 403
        assert (await asked.client.delete(f"/v1/locks/{lock.token}")).status_code == 403


async def test_a_holder_that_listens_and_says_nothing_loses_it_and_one_that_renews_does_not(asked: Asked) -> None:
    async with taken(asked, hold=1) as silent, taken(asked, name="workflow:v", hold=1) as renewed:

        async def renew() -> None:
            while True:
                answer = await asked.client.put(f"/v1/locks/{renewed.token}")
                assert answer.json()["token"] == renewed.token
                await asyncio.sleep(0.1)

        renewing = asyncio.create_task(renew())
        async with taken(asked) as newer:
            assert newer.token > silent.token
            last = await silent.last()
            assert last["lost"] is True
            assert (await amend(asked, silent.token)).json()["code"] == "lock_lost"
            assert (await amend(asked, newer.token)).status_code == 200
            lost = await asked.client.put(f"/v1/locks/{silent.token}")
            assert (lost.status_code, lost.json()["code"]) == (409, "lock_lost")
        assert renewed.token in {held.token for held in await asked.manager.locks()}
        assert not renewing.done()
        renewing.cancel()
        await asyncio.gather(renewing, return_exceptions=True)


async def test_a_lock_that_nobody_has_can_not_be_renewed(asked: Asked) -> None:
    answer = await asked.client.put("/v1/locks/999999")
    assert (answer.status_code, answer.json()["code"]) == (409, "lock_lost")
    assert (await asked.client.put("/v1/locks/x")).status_code == 422


NAMES = ("w\x00", "a\x07", "x" * 256, "x" * 400, " ", "\u202e", "\ud800")
MORE = {
    "timeout": ("NaN", "1e999", "-1", '"5"', "true", "301"),
    "hold": ("0", "3601", "NaN"),
    "holds.0": ("[0]", '["1"]', "[1e3]", "[9999999999999999999]"),
    "holder": ('"a\\u0000"', '""', "5"),
}


async def test_what_can_be_no_name_time_or_token_is_refused_with_its_field(asked: Asked) -> None:
    bodies = [("name", json.dumps({"name": f"workflow:{name}"})) for name in NAMES]
    for field, values in MORE.items():
        bodies += [(field, f'{{"name": "workflow:w", "{field.split(".")[0]}": {value}}}') for value in values]
    for field, body in bodies:
        answer = await asked.client.post("/v1/locks", content=body, headers={"Content-Type": "application/json"})
        assert (answer.status_code, answer.json()["facts"]["field"]) == (422, field), body
    short = await asked.client.post("/v1/locks", json={"name": "x"})
    assert "name: there is no lock 'x': write a kind" in short.json()["detail"]


async def test_those_who_wait_for_each_other_are_found_by_what_they_hold(asked: Asked) -> None:
    both = asyncio.Barrier(2)

    async def take(client: Client, first: str, second: str) -> str:
        try:
            async with client.exclusive_lock(first, holder="one of many"):
                await both.wait()
                async with client.exclusive_lock(second, holder="one of many"):
                    return "both"
        except LockDeadlock as error:
            return error.message

    async with open_client(str(asked.client.base_url), key="orchestrator") as client:
        found = await asyncio.gather(take(client, "workflow:w", "workflow:v"), take(client, "workflow:v", "workflow:w"))
    assert found.count("both") == 1
    assert any("take them in an agreed order" in one for one in found)
    assert asked.manager.platform.locks.figures.deadlocks == 1


async def test_without_what_they_hold_they_are_found_by_the_names_of_holders(asked: Asked) -> None:
    async with taken(asked, holder="a") as first, taken(asked, holder="b", name="workflow:v") as second:
        waiting = asyncio.create_task(asked.client.post("/v1/locks", json={"name": "workflow:v", "holder": "a"}))
        await until_waiting(asked, 1)
        refused = await asked.client.post("/v1/locks", json={**WORKFLOW, "holder": "b"})
        assert (refused.status_code, refused.json()["code"]) == (409, "lock_deadlock")
        assert not waiting.done()
        waiting.cancel()
        await asyncio.gather(waiting, return_exceptions=True)
        assert first.token != second.token


async def test_many_of_one_name_that_want_the_same_are_no_deadlock(asked: Asked) -> None:
    async def count() -> int:
        async with taken(asked, holder="many") as lock:
            return lock.token

    assert len(set(await asyncio.gather(*(count() for _ in range(8))))) == 8
    assert asked.manager.platform.locks.figures.deadlocks == 0


async def test_the_client_renews_what_it_holds_for_as_long_as_it_lives(
    asked: Asked, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(client_locks, "HOLD_SECONDS", 1.0)
    monkeypatch.setattr(client_locks, "RENEW_SECONDS", 0.2)
    async with open_client(str(asked.client.base_url), key="orchestrator") as client:
        async with client.exclusive_lock("workflow:w") as lock:
            await asyncio.sleep(1.5)
            assert not lock.is_lost
            assert (await amend(asked, lock.token)).status_code == 200
        monkeypatch.setattr(client_locks, "RENEW_SECONDS", 3600.0)  # as if it were stopped
        with pytest.raises(LockLost):
            async with client.exclusive_lock("workflow:w") as lock:
                await until(lambda: _is_lost(lock))


async def _is_lost(lock: client_locks.HeldLock) -> bool:
    return lock.is_lost


async def test_one_that_nobody_heard_of_in_time_is_let_go_of(asked: Asked, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lock_room, "BEGIN_SECONDS", 0.05)
    claim = Claim("workflow-w", "slow", owner="the orchestrator", hold_seconds=60.0)
    holding = asked.server.locks.admit(asked.manager.platform.locks, claim, 5.0)
    await holding.taken
    await holding.over.wait()
    await holding.end()
    assert await asked.manager.locks() == []


async def test_a_server_that_leaves_tells_those_who_wait_and_those_who_hold(asked: Asked) -> None:
    stop = asyncio.Event()
    with listening("127.0.0.1", 0) as listener:
        serving = asyncio.create_task(run(asked.server, listener, stop))
        async with (
            httpx.AsyncClient(base_url=address(listener), headers=ORCHESTRATOR, timeout=30) as client,
            taken(Asked(asked.server, client, asked.readings)) as lock,
        ):
            waiting = asyncio.create_task(client.post("/v1/locks", json=WORKFLOW))
            await until_waiting(asked, 1)
            stop.set()
            refused = await waiting
            last = await lock.last()
        await serving
    assert (refused.status_code, refused.json()["code"]) == (503, "closed")
    assert refused.headers["Retry-After"].isdecimal()
    assert last["lost"] is True
    assert last["detail"].startswith("The server is leaving")
    assert await asked.manager.locks() == []
    late = await asked.client.post("/v1/locks", json=WORKFLOW)
    assert (late.status_code, late.json()["code"]) == (503, "closed")


def test_a_key_is_known_by_its_id_and_a_subject_by_its_name() -> None:
    keys = [Caller("ann", CallerRole.ORCHESTRATOR, "bank", credential=f"key {id}") for id in ("1", "2")]
    tokens = [Caller("ann", CallerRole.ORCHESTRATOR, "bank", credential=f"token {id}") for id in ("1", "2")]
    assert len({owner_of(key) for key in keys}) == 2, "the name of a key may be given again"
    assert len({owner_of(token) for token in tokens}) == 1, "tokens are short, and a lock outlives them"
    assert owner_of(keys[0]) != owner_of(tokens[0])
