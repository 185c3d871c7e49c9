"""How the server is."""

from datetime import datetime
from typing import Any

from dora_state.client.told import Told, told_of
from dora_state.client.transport import Transport, require
from dora_state.health_status import HealthStatus


class Watching:
    """Part of the client."""

    _transport: Transport

    async def health_check(self) -> HealthStatus:
        """`found.checks["database"]["status"]`; also where something is unhealthy."""
        response = await self._transport.ask("GET", "/health", patience=0.0)  # what is unhealthy is 503 too
        found: dict[str, Any] = response.json()
        if "checks" not in found:
            require(response)
        return HealthStatus(found["overall"], found["checks"], datetime.fromisoformat(found["timestamp"]))

    async def locks(self) -> list[Told]:
        """Who holds what, and who waits for it."""
        found = await self._transport.get("/v1/locks", {})
        return [told_of(one) for one in found["items"]]
