"""What clients of torture do to what they share: each type is accepted in a quiet house, and nothing stays spoilt."""

import random
from collections import Counter
from decimal import Decimal
from itertools import chain, islice
from uuid import UUID, uuid4

import pytest

from commands.edge import Edge
from tests.support.command_world import World
from tests.support.invariants import check_moves
from tests.torture.story import AGENTS, CPU, POOL, SLOTS, Step, life, opening
from tests.torture.upkeep import KINDS, TYPES, disturbed, in_turns, one_of_each


class House:
    def __init__(self) -> None:
        self.world = World()
        self.accepted: Counter[str] = Counter()
        self.edge = Edge(tenant="bank", new_id=uuid4, clock=self.world.clock, default_actor="tester")

    def do(self, step: Step) -> str:
        told = {"type": step.type, "data": step.data, "command_id": step.command_id or str(uuid4())}
        (answer,) = self.world.commit(self.edge.check(told))
        self.accepted[step.type] += answer.outcome == "accepted"
        return answer.outcome


@pytest.mark.parametrize("seed", range(5))
def test_each_type_is_accepted_and_all_is_mended(seed: int) -> None:
    chance, house = random.Random(seed), House()
    turns = in_turns(chance)
    lives = (disturbed(chance, f"w{n}", life(chance, f"w{n}"), next(turns)) for n in range(2 * len(KINDS)))
    for step in chain(opening(), one_of_each(chance), *lives):
        house.do(step)
    assert +house.accepted > Counter(TYPES)
    assert house.accepted.total() > 300
    for agent_id in AGENTS:
        agent = house.world.agent(agent_id)
        assert (agent.state, agent.max_concurrent_tasks) == ("healthy", SLOTS)
    pool, system = house.world.pool(POOL), house.world.system()
    assert (pool.total["cpu"], pool.overcommit["cpu"]) == (Decimal(CPU), Decimal(1))
    assert [one for one in pool.reservations.values() if one.task_id is None] == []
    assert (system.max_concurrent_workflows, system.default_timeout) == (None, None)
    check_moves(house.world.log.events)


def test_ids_that_are_named_are_never_the_same_again() -> None:
    """Who is killed begins again with the same seed."""
    named = [
        step.command_id or step.data["window_id"]
        for _ in range(2)
        for kind in islice(in_turns(random.Random(1)), len(KINDS))
        for step in kind
        if step.type in ("Reserve", "ScheduleMaintenance")
    ]
    assert len(named) == len(set(named)) == 4
    assert all(UUID(one.removeprefix("window-")) for one in named)
