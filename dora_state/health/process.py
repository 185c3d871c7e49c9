"""The health of a process that is open, and whether it can work."""

from collections.abc import Callable

from dora_state.caches import NearVitals
from dora_state.health.cache import judge_near
from dora_state.health.judging import Check
from dora_state.health.readiness import Readiness
from dora_state.health.replica import judge_replica
from dora_state.health.report import HealthReport
from dora_state.health.servers import check_servers
from dora_state.servers import Servers
from dora_state.settings import Settings
from infrastructure.replica import Replica


class Health:
    """Of the servers, and of what this process has seen of them."""

    def __init__(
        self,
        settings: Settings,
        servers: Servers,
        readiness: Readiness,
        *,
        near: Callable[[], NearVitals],
        replica: Replica | None,
        closing: Callable[[], bool],
    ) -> None:
        """`near` tells how this process reads, and `closing` whether it takes no more commands."""
        self._settings = settings
        self._servers = servers
        self._readiness = readiness
        self._near = near
        self._replica = replica
        self._closing = closing

    async def check(self) -> HealthReport:
        """All checks; never raises for a server that is away."""
        servers = self._servers
        report = await check_servers(self._settings, servers.database_url, servers.redis_url, servers.broker_url)
        checks = dict(report.checks)
        if servers.redis_url is not None:
            checks["cache"] = judge_near(self._near(), checks["cache"])
        if self._replica is not None:
            checks["replica"] = judge_replica(self._replica, checks["replica"])
        return HealthReport(checks, report.timestamp)

    async def ready(self) -> Check:
        """Whether to send it requests: `unhealthy` where not, with why. Asks the database once a second at most."""
        if self._closing():
            return Check("unhealthy", "The process is shutting down; ask another.")
        return await self._readiness.judge()
