"""All checks of one moment.

`overall` is SPEC's: healthy if every check is, else degraded. `status` is that of the worst check.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from dora_state.health.judging import Check, Status
from dora_state.health_status import HealthStatus


@dataclass(frozen=True, slots=True)
class HealthReport:
    checks: Mapping[str, Check]
    timestamp: datetime

    @property
    def overall(self) -> Literal["healthy", "degraded"]:
        return "healthy" if self.status == "healthy" else "degraded"

    @property
    def status(self) -> Status:
        found = {check.status for check in self.checks.values()}
        if "unhealthy" in found:
            return "unhealthy"
        return "warning" if "warning" in found else "healthy"

    @property
    def told(self) -> HealthStatus:
        checks = {
            name: {"status": check.status, "message": check.message, "figures": dict(check.figures)}
            for name, check in self.checks.items()
        }
        return HealthStatus(self.overall, checks, self.timestamp)

    def to_json(self) -> dict[str, Any]:
        told = self.told
        return {
            "overall": told.overall,
            "status": self.status,
            "checks": told.checks,
            "timestamp": told.timestamp,
        }
