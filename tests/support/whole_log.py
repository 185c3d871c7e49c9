"""All that a log has, page by page."""

from collections.abc import AsyncIterator

from domain.log import RecordedEvent
from dora_state.state_manager import StateManager

PAGE = 5_000


async def whole_log(manager: StateManager) -> AsyncIterator[RecordedEvent]:
    after = 0
    while events := await manager.platform.log.read_log(after_position=after, limit=PAGE):
        for event in events:
            yield event
        after = events[-1].position
