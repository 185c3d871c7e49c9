"""A small world in which much goes on: agents, pools, and workflows with tasks that run."""

from collections.abc import Iterable

from commands.messages import Command
from dora_state.testing.commands import busy_house
from tests.support.command_world import World
from tests.support.memory_log import MemoryEventLog


def happened(commands: Iterable[tuple[Command, int]]) -> MemoryEventLog:
    """The log of that world after some more commands, with so many seconds after each."""
    world = World()
    world.given(*busy_house())
    for command, seconds in commands:
        answer = world.do(command)
        assert answer.outcome in ("accepted", "unchanged", "refused"), answer
        world.clock.pass_(seconds)
    return world.log
