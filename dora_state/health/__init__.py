"""Health: of the servers, of a process that is open, and whether a process lives at all."""

from dora_state.health.judging import Check
from dora_state.health.process import Health
from dora_state.health.report import HealthReport
from dora_state.health.servers import check_servers, check_without_servers

__all__ = ["Check", "Health", "HealthReport", "check_servers", "check_without_servers", "live"]


def live() -> Check:
    """Whether the process is to be left alone: who can answer is alive, whatever is away."""
    return Check("healthy", "The process works.")
