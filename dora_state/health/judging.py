"""What a check comes to, and what all of them say alike."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

Status = Literal["healthy", "warning", "unhealthy"]
Figure = str | int | float | bool | None
Figures = Mapping[str, Figure | Sequence[Mapping[str, Figure]]]
MEGA = 10**6
GIGA = 10**9


@dataclass(frozen=True, slots=True)
class Check:
    """How one thing is. Figures are in seconds and bytes where their names say so."""

    status: Status
    message: str
    figures: Figures = field(default_factory=dict)


def graded(value: float, warning: float, unhealthy: float) -> Status:
    """Above the one it is a warning, above the other worse."""
    if value > unhealthy:
        return "unhealthy"
    return "warning" if value > warning else "healthy"


def line(tenant: str, command: str) -> str:
    """What to type, with the tenant, whichever the environment names."""
    return f"dora-state --tenant {tenant} {command}"
