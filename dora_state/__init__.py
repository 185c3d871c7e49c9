"""The only face of dora-state: StateManager, settings, composition root, command line, HTTP, worker.

What it offers is imported when it is asked for: `dora-state --help` needs none of it and is to be quick.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from commands.envelope import Answer, Problem
    from domain.errors import ConflictError as OptimisticLockException
    from domain.errors import DoraStateError, InvalidInput, LockDeadlock, LockLost, LockTimeout, NotFound
    from domain.log import Cut
    from dora_state.health_status import HealthStatus
    from dora_state.refusals import CommandRefused
    from dora_state.settings import Settings
    from dora_state.state_events import StateChangeEvent
    from dora_state.state_manager import StateManager, open_state_manager
    from dora_state.state_names import AgentState, TaskState, WorkflowState
    from dora_state.states import EditableState
    from dora_state.transactions import Transaction

__all__ = [
    "AgentState",
    "Answer",
    "CommandRefused",
    "Cut",
    "DoraStateError",
    "EditableState",
    "HealthStatus",
    "InvalidInput",
    "LockDeadlock",
    "LockLost",
    "LockTimeout",
    "NotFound",
    "OptimisticLockException",
    "Problem",
    "Settings",
    "StateChangeEvent",
    "StateManager",
    "TaskState",
    "Transaction",
    "WorkflowState",
    "open_state_manager",
]

_HOMES = {
    "commands.envelope": ("Answer", "Problem"),
    "domain.errors": ("DoraStateError", "InvalidInput", "LockDeadlock", "LockLost", "LockTimeout", "NotFound"),
    "domain.log": ("Cut",),
    "dora_state.states": ("EditableState",),
    "dora_state.health_status": ("HealthStatus",),
    "dora_state.settings": ("Settings",),
    "dora_state.state_events": ("StateChangeEvent",),
    "dora_state.state_manager": ("StateManager", "open_state_manager"),
    "dora_state.state_names": ("AgentState", "TaskState", "WorkflowState"),
    "dora_state.refusals": ("CommandRefused",),
    "dora_state.transactions": ("Transaction",),
}
_PLACES = {name: (module, name) for module, names in _HOMES.items() for name in names} | {
    "OptimisticLockException": ("domain.errors", "ConflictError")
}


def __getattr__(name: str) -> object:
    if name not in _PLACES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    module, attribute = _PLACES[name]
    return getattr(import_module(module), attribute)
