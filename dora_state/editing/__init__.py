"""States that a caller changes and hands back: the change becomes commands, after which all of it must be so."""

from dora_state.editing.planning import Plan, plan
from dora_state.states import EditableState

__all__ = ["EditableState", "Plan", "plan"]
