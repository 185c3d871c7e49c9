"""The same without asyncio: a StateManager whose calls wait for their answers, for programs of ordinary threads."""

from collections.abc import Iterator
from contextlib import contextmanager

from dora_state.settings import Settings
from dora_state.state_manager import open_state_manager as open_asynchronously
from dora_state.waiting import Face, opened


class SyncStateManager(Face):
    """StateManager's methods for programs without asyncio."""


@contextmanager
def open_state_manager(
    settings: Settings | None = None, *, default_actor: str | None = None, create: bool = True, warm: bool = False
) -> Iterator[SyncStateManager]:
    """As the asynchronous one."""
    opening = open_asynchronously(settings, default_actor=default_actor, create=create, warm=warm)
    with opened(opening) as (loop, manager):
        yield SyncStateManager(loop, manager)
