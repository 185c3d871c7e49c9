"""What is read, wherever it is read, says what the checker makes of the log; and it is told where it does not."""

from collections.abc import AsyncIterator
from typing import Any
from uuid import uuid4

import pytest_asyncio

from dora_state.testing.checker import Checker, Fault
from dora_state.testing.commands import busy_house, submission
from dora_state.testing.contents import content
from dora_state.testing.history import Asked as AskedFor
from dora_state.testing.history import Read, Record, Told
from dora_state.testing.log import whole_log
from tests.support.http import Asked, asked_directly
from tests.support.tenants import lent

READ = [("workflow", "w1"), ("task", "t1"), ("task", "t5"), ("agent", "a1"), ("pool", "p1")]
BEAT = {"type": "Heartbeat", "data": {"agent_id": "a1", "usage": {"cpu_percent": 12.5}, "queue_size": 3}}


@pytest_asyncio.fixture
async def asked(database_url: str, redis_url: str) -> AsyncIterator[Asked]:
    async with lent(database_url) as tenant, asked_directly(database_url, redis_url, tenant) as asked:
        yield asked


async def test_what_is_read_anywhere_is_what_the_log_says(asked: Asked) -> None:
    history: list[Record] = []
    for given in [*map(submission, busy_house()), BEAT]:
        command_id = str(uuid4())
        history.append(AskedFor("client", command_id, given["type"]))
        answer = await asked.manager.submit({"command_id": command_id, "actor": "client", **given})
        history.append(Told("client", command_id, answer.outcome, answer.versions, answer.position))
    await asked.catch_up()
    for kind, id in READ:
        for consistency in ("live", "projected", "cached"):
            history.append(as_read(kind, id, await asked.manager.state(kind, id, consistency=consistency)))
            response = await asked.get(f"/v1/{kind}s/{id}", params={"consistency": consistency})
            history.append(as_read(kind, id, response.json()))
    assert await found(asked, history) == []
    shown = await asked.manager.state("agent", "a1")
    assert shown["capacity"]["queue_size"] == 3  # of which the log knows nothing
    for spoilt in (shown | {"state": "degraded"}, shown | {"capacity": shown["capacity"] | {"current_tasks": 0}}):
        (fault,) = await found(asked, [*history, as_read("agent", "a1", spoilt)])
        assert fault.promise == "reads"


def as_read(kind: str, id: str, document: Any) -> Read:
    stream_id = f"{kind}-{id}"
    return Read("reader", {stream_id: document["stream_version"]}, contents={stream_id: content(kind, document)})


async def found(asked: Asked, history: list[Record]) -> list[Fault]:
    return await Checker(others=("dora-state",)).check(whole_log(asked.manager), history)
