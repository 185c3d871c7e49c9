"""States that a caller changes and hands back: the change becomes commands, and what follows from them is checked."""

from dora_state.editing.derived import Derived
from dora_state.editing.planning import Plan, plan
from dora_state.states import EditableState

__all__ = ["Derived", "EditableState", "Plan", "plan"]
