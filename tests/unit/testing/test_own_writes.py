"""Who reads what it wrote writes down what it was shown, so that the checker can find what was missed."""

import asyncio
import random
from pathlib import Path
from typing import Any

from domain.errors import DoraStateError, NotFound
from dora_state.client import Answer
from dora_state.testing.history import Asked, Read, Recorder, Told, read_history
from projections.errors import NotProjectedYet
from tests.torture.own_writes import WAYS, OwnWrites


class Lists:
    async def workflows(self, **_: Any) -> Any:
        raise NotProjectedYet

    tasks = workflows


class Client:
    """Whatever was written, it shows this."""

    lists = Lists()

    def __init__(self, shows: dict[str, Any] | DoraStateError) -> None:
        self.shows = shows
        self.asked: list[dict[str, Any]] = []

    async def submit(self, submission: dict[str, Any]) -> Answer:
        agent_id = submission["data"]["agent_id"]
        return Answer(None, None, "accepted", {f"agent-{agent_id}": 2}, 7, None, None, repeated=False)

    async def state(self, kind: str, id: str, **asked: Any) -> dict[str, Any]:
        self.asked.append(asked)
        if isinstance(self.shows, DoraStateError):
            raise self.shows
        return self.shows


async def told_by(client: Client, path: Path, times: int = 1) -> list[Any]:
    with Recorder(path) as record:
        reader = OwnWrites(client, "reader", "a", record, random.Random(1))  # type: ignore[arg-type]  # as much of it as is used
        for number in range(times):
            try:
                await reader.write_and_read(number)
            except NotProjectedYet:
                await asyncio.sleep(0)
    return list(read_history([path]))


async def test_what_is_not_there_is_told_as_not_there(tmp_path: Path) -> None:
    asked, told, read = await told_by(Client(NotFound()), tmp_path / "history")
    assert isinstance(asked, Asked)
    assert isinstance(told, Told)
    assert isinstance(read, Read)
    assert (read.versions, read.min_position, read.contents) == ({"agent-a": 0}, 7, {})


async def test_what_is_not_answered_in_time_is_not_told(tmp_path: Path) -> None:
    told = await told_by(Client(NotProjectedYet()), tmp_path / "history", times=5)
    assert [type(one) for one in told] == [Asked, Told] * 5


async def test_every_way_to_ask_is_gone(tmp_path: Path) -> None:
    client = Client({"agent_id": "a", "stream_version": 2, "capacity": {}})
    told = await told_by(client, tmp_path / "history", times=40)
    reads = [one for one in told if isinstance(one, Read)]
    assert len(reads) == 40
    assert {one.as_of for one in reads} == {None, 7}
    assert {one.min_position for one in reads} == {7}
    ways = {asked.get("consistency", "past") for asked in client.asked}
    assert ways == set(WAYS)
    assert {"position": 7} in client.asked
    assert {"consistency": "cached", "min_position": 7, "patience": 5.0} in client.asked
