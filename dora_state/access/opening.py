"""What a server needs to know who may, wired and running."""

import ipaddress
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

from domain.errors import InvalidInput
from dora_state.access.caller import Authenticator, Readings
from dora_state.access.open_house import LoggedReadings, OpenHouse
from dora_state.servers import Servers
from dora_state.settings import Settings

OPEN_HOUSE = "There are no keys: whoever is on this machine may do everything, and nobody else can reach the server."


@dataclass(frozen=True, slots=True)
class Access:
    """Who may, and who looked. `notice` is to be said where nobody needs a key; then it is loopback only."""

    authenticator: Authenticator
    readings: Readings
    notice: str | None

    def require_may_listen(self, host: str) -> None:
        """Raises InvalidInput where others than this machine would reach an open house."""
        if self.notice is not None and not _is_loopback(host):
            raise InvalidInput(
                f"Without any key the server listens on loopback only, not on {host}: listen on 127.0.0.1.", host=host
            )


@asynccontextmanager
async def open_access(settings: Settings, servers: Servers) -> AsyncIterator[Access]:
    """For one server of one tenant."""
    yield Access(OpenHouse(settings.tenant), LoggedReadings(), OPEN_HOUSE)


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False
