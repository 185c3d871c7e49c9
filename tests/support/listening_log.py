"""The log in memory, of another process: it remembers what it was asked for."""

from typing import Any

from tests.support.command_world import World
from tests.support.memory_log import MemoryEventLog


class ListeningLog(MemoryEventLog):
    """Holds what was recorded in a world so far. `asked`: the streams of each reading, oldest first; `after`: after
    which versions, by stream."""

    def __init__(self, of: World) -> None:
        super().__init__(of.clock)
        self.asked: list[list[str]] = []
        self.after: list[dict[str, int]] = []
        for event in of.log.events:
            self.put_as_it_is(event)

    async def read_folds(self, requests: Any, **options: Any) -> Any:
        self.asked.append([request.stream_id for request in requests])
        self.after.append({request.stream_id: request.after_version for request in requests})
        return await super().read_folds(requests, **options)
