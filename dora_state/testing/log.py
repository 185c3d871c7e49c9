"""The log, for the checker."""

from collections.abc import AsyncIterator

from domain.log import RecordedEvent
from dora_state.state_manager import StateManager

PAGE = 5_000


async def whole_log(manager: StateManager) -> AsyncIterator[RecordedEvent]:
    """All events of a manager's tenant, page by page, as `Checker.check` takes them. Raises LogError."""
    after = 0
    while events := await manager.platform.log.read_log(after_position=after, limit=PAGE):
        for event in events:
            yield event
        after = events[-1].position
