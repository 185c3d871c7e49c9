"""The worker: keeps the read models up, and does what time asks for (docs/worker.md)."""

from dora_state.worker.roles import EVERY_ROLE, WorkerRole
from dora_state.worker.running import run_worker

__all__ = ["EVERY_ROLE", "WorkerRole", "run_worker"]
