"""The documents of the five kinds for people, readable on 80 columns."""

from collections.abc import Callable, Iterator
from typing import Any

from rich.console import RenderableType

from dora_state.cli.views import agent, pool, system, task, workflow

Parts = Iterator[RenderableType]

VIEWS: dict[str, Callable[[dict[str, Any]], Parts]] = {
    "workflow": workflow.parts,
    "task": task.parts,
    "agent": agent.parts,
    "pool": pool.parts,
    "system": system.parts,
}
