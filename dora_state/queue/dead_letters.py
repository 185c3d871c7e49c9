"""Messages that became no command: what there is, and what is done about it."""

from collections.abc import AsyncIterator, Sequence

from domain.errors import NotFound
from infrastructure.command_queue import CommandBroker, DeadCommands, DeadInFull

PAGE = 200


async def dead_letters(broker: CommandBroker) -> AsyncIterator[DeadInFull]:
    """All of them, the oldest first. Raises BrokerUnavailable."""
    dead, first = DeadCommands(broker), 0
    while page := await dead.page(first, PAGE):
        for one in page:
            yield one
        first += len(page)


async def show(broker: CommandBroker, id: str) -> DeadInFull:
    """Raises NotFound, BrokerUnavailable."""
    found = await DeadCommands(broker).find(id)
    if found is None:
        raise NotFound(f"No dead letter of the queue has the id {id}; `dora-state queue list` names them.", id=id)
    return found


async def retry(broker: CommandBroker, ids: Sequence[str] | None) -> int:
    """Send these again, or all there are now; gives how many. Raises NotFound, BrokerUnavailable."""
    dead = DeadCommands(broker)
    return sum([await dead.retry(one.dead) for one in await _chosen(broker, ids)])


async def drop(broker: CommandBroker, ids: Sequence[str] | None) -> int:
    """Delete these, or all there are now; gives how many. Raises NotFound, BrokerUnavailable."""
    dead = DeadCommands(broker)
    return sum([await dead.drop(one.dead) for one in await _chosen(broker, ids)])


async def _chosen(broker: CommandBroker, ids: Sequence[str] | None) -> list[DeadInFull]:
    if ids is None:
        return [one async for one in dead_letters(broker)]
    return [await show(broker, id) for id in dict.fromkeys(ids)]
