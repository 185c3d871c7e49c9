"""Following the log for ever: woken by a signal, and looking by itself as the guarantee."""

from collections.abc import AsyncGenerator

from domain.log import EventReader, LogFilter, RecordedEvent, may_go_on
from projections.ports import Signal

POLL_SECONDS = 0.5
"""How often the log is looked at without being told."""


async def follow(
    reader: EventReader,
    signal: Signal,
    *,
    after_position: int = 0,
    only: LogFilter | None = None,
    batch_size: int = 1_000,
    poll_seconds: float = POLL_SECONDS,
) -> AsyncGenerator[list[RecordedEvent], None]:
    """The events after a position, in order and each once, in batches that end between commands; waits for more.

    Never empty batches. Raises LogError when the log can't be read; whoever follows goes on after the last position
    that it has seen.
    """
    position, listener = after_position, signal.listener()
    while True:
        # What is committed by now stays where it is, and nothing will ever be committed below it.
        head = (await reader.head()).position
        if head > position:
            batch = await reader.read_log(after_position=position, limit=batch_size, only=only)
            if batch:
                yield batch
            looked_through = batch[-1].position + batch[-1].following if batch else head
            position = looked_through if may_go_on(batch, batch_size) else max(head, looked_through)
        else:
            await listener.wait(poll_seconds)
