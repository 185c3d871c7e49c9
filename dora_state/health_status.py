"""Health in the shape of SPEC's `HealthStatus`. It imports nothing of ours, so that a client can be light."""

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal


@dataclass(frozen=True, slots=True)
class HealthStatus:
    """`overall` is healthy or degraded, each check has `status`, `message` and `figures`."""

    overall: Literal["healthy", "degraded"]
    checks: dict[str, dict[str, Any]]
    timestamp: datetime
