"""The client: StateManager's names over HTTP."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import httpx

from dora_state.client.asking import Asking
from dora_state.client.health import Watching
from dora_state.client.lists import Listing
from dora_state.client.past import Past
from dora_state.client.submitting import Submitting
from dora_state.client.transport import PATIENCE, Transport


class Client(Asking, Listing, Past, Submitting, Watching):
    """One tenant's state on a server. Make it with `open_client`. Times without a zone are UTC.

    Raises what StateManager raises, and ServerUnavailable where the server can't be reached for `patience` seconds.
    """


@asynccontextmanager
async def open_client(
    url: str, *, key: str | None = None, patience: float = PATIENCE, timeout: float = 35.0
) -> AsyncIterator[Client]:
    """A client of the server at `url`, for as long as the block runs. `key`: an API key or a bearer token."""
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=timeout) as http:
        yield Client(Transport(http, patience))
