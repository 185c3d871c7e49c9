"""The only face of dora-state: StateManager, settings, composition root, command line, worker."""

from commands.envelope import Answer, Problem
from domain.errors import ConflictError as OptimisticLockException
from domain.errors import DoraStateError, InvalidInput, NotFound
from domain.log import Cut
from dora_state.settings import Settings
from dora_state.state_manager import StateManager, open_state_manager

__all__ = [
    "Answer",
    "Cut",
    "DoraStateError",
    "InvalidInput",
    "NotFound",
    "OptimisticLockException",
    "Problem",
    "Settings",
    "StateManager",
    "open_state_manager",
]
