"""The only face of dora-state: StateManager, settings, composition root, command line, worker.

What it offers is imported when it is asked for: `dora-state --help` needs none of it and is to be quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
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

_HOMES = {
    "Answer": ("commands.envelope", "Answer"),
    "Cut": ("domain.log", "Cut"),
    "DoraStateError": ("domain.errors", "DoraStateError"),
    "InvalidInput": ("domain.errors", "InvalidInput"),
    "NotFound": ("domain.errors", "NotFound"),
    "OptimisticLockException": ("domain.errors", "ConflictError"),
    "Problem": ("commands.envelope", "Problem"),
    "Settings": ("dora_state.settings", "Settings"),
    "StateManager": ("dora_state.state_manager", "StateManager"),
    "open_state_manager": ("dora_state.state_manager", "open_state_manager"),
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _HOMES[name]
    return getattr(import_module(module), attribute)
