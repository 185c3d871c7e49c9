"""A client that writes to agents of its own and asks, after each answer, for what must be in it; and looks at lists."""

import asyncio
import random
import time
from typing import Any
from uuid import uuid4

from domain.errors import DoraStateError, NotFound
from dora_state.client import Client, open_client
from dora_state.testing.contents import content
from dora_state.testing.history import Asked, Read, Recorder, Told
from tests.torture.writers import PAUSE, Place

WAYS = ("cached", "projected", "live", "past")
WRITES = 10
"""To one agent, until there is the next."""
LISTED = 20


async def read_own_writes(
    place: Place, name: str, record: Recorder, chance: random.Random, stop: asyncio.Event
) -> None:
    """By HTTP, in each way in which one can ask for a state that includes a position."""
    async with open_client(place.api_url, patience=1.0) as client:
        while not stop.is_set():
            agent_id = f"{name}-{uuid4().hex[:12]}"
            reader = OwnWrites(client, name, agent_id, record, chance)
            for number in range(WRITES):
                if stop.is_set():
                    return
                try:
                    await reader.write_and_read(number)
                except DoraStateError:  # away, or too far behind for our patience
                    await asyncio.sleep(PAUSE)


class OwnWrites:
    """Of one agent, to which nobody else writes."""

    def __init__(self, client: Client, name: str, agent_id: str, record: Recorder, chance: random.Random) -> None:
        self._client = client
        self._name = name
        self._agent_id = agent_id
        self._record = record
        self._chance = chance

    async def write_and_read(self, number: int) -> None:
        """Raises DoraStateError where nobody answers in time."""
        position = await self._write(number)
        if position is not None:
            await self._read(position)
            await self._read_list()

    async def _write(self, number: int) -> int | None:
        """The position that the answer names, if it changed anything."""
        command_id = str(uuid4())
        type, what = (
            ("UpdateConfiguration", {"version": f"1.{number}"}) if number else ("RegisterAgent", {"agent_type": "own"})
        )
        data = {"agent_id": self._agent_id, **what}
        self._record(Asked(self._name, command_id, type, actor=self._name))
        answer = await self._client.submit({"command_id": command_id, "type": type, "actor": self._name, "data": data})
        self._record(Told(self._name, command_id, answer.outcome, dict(answer.versions), answer.position, time.time()))
        return answer.position

    async def _read(self, position: int) -> None:
        way = self._chance.choice(WAYS)
        asked: dict[str, Any] = {"consistency": way, "min_position": position, "patience": 5.0}
        if way == "past":
            asked = {"position": position}
        stream_id = f"agent-{self._agent_id}"
        try:
            found = await self._client.state("agent", self._agent_id, **asked)
        except NotFound:
            versions, contents = {stream_id: 0}, {}
        else:
            versions, contents = {stream_id: int(found["stream_version"])}, {stream_id: content("agent", found)}
        as_of = position if way == "past" else None
        self._record(Read(self._name, versions, as_of=as_of, min_position=position, contents=contents))

    async def _read_list(self) -> None:
        """A page is of one moment, though nobody tells of which."""
        kind = self._chance.choice(["workflow", "task"])
        page = await getattr(self._client.lists, f"{kind}s")(limit=LISTED)
        shown = {f"{kind}-{document[f'{kind}_id']}": document for document in page.items}
        if shown:
            versions = {stream_id: int(document["stream_version"]) for stream_id, document in shown.items()}
            contents = {stream_id: content(kind, document) for stream_id, document in shown.items()}
            self._record(Read(self._name, versions, contents=contents))
