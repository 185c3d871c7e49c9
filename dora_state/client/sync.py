"""The client without asyncio: its calls wait for their answers, for programs of ordinary threads."""

from collections.abc import Iterator
from contextlib import contextmanager

from dora_state.client.client import open_client as open_asynchronously
from dora_state.client.transport import PATIENCE
from dora_state.waiting import Face, opened


class SyncClient(Face):
    """Client's methods for programs without asyncio."""


@contextmanager
def open_client(
    url: str, *, key: str | None = None, patience: float = PATIENCE, timeout: float = 35.0
) -> Iterator[SyncClient]:
    """As the asynchronous one."""
    with opened(open_asynchronously(url, key=key, patience=patience, timeout=timeout)) as (loop, client):
        yield SyncClient(loop, client)
