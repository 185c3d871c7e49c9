"""What a job of the worker works with."""

import asyncio
from dataclasses import dataclass

from dora_state.platform import Platform
from dora_state.servers import Say
from dora_state.state_manager import StateManager
from projections.lists import Lists


@dataclass(frozen=True, slots=True)
class Workplace:
    """`stop` is set when the worker is told to leave: what takes long ends early then, and goes on another time."""

    platform: Platform
    manager: StateManager
    lists: Lists
    stop: asyncio.Event
    say: Say
