"""Two releases at once: one whose projections are of a later version comes up beside the one that runs."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from dora_state.settings import load_settings
from dora_state.state_manager import StateManager, open_state_manager
from projections.projection import STATES
from tests.integration.test_replay import begin, story
from tests.support.working import WorkerProcess, Workers

pytestmark = pytest.mark.timeout(240)

LATER = """
import sys
from dataclasses import replace
import projections.projection as projection
projection.STATES = replace(projection.STATES, version=projection.STATES.version + 1)
projection.PROJECTIONS[projection.STATES.name] = projection.STATES
from projections.documents import RENDERINGS
agent = RENDERINGS["agent"]
RENDERINGS["agent"] = replace(agent, stored=lambda state: agent.stored(state) | {"release": "later"})
from dora_state.cli import main
sys.exit(main(sys.argv[1:]))
"""
"""A release that writes agents in another way, and says so by its projection's version."""


class LaterRelease(Workers):
    """The same servers and tenant."""

    def __init__(self, home: Path, database_url: str, redis_url: str, tenant: str) -> None:
        super().__init__(home, database_url, redis_url, tenant, REBUILD="auto")
        self.line.program = ["-c", LATER]


@contextmanager
def worker_of(workers: Workers) -> Iterator[WorkerProcess]:
    with workers("projector", "rebuild") as worker:
        yield worker
        assert worker.end().code == 0, worker.said


async def until_projected(manager: StateManager) -> None:
    head = (await manager.platform.log.head()).position
    async with asyncio.timeout(60):
        while (await manager.platform.read_models.checkpoint()).position < head:  # noqa: ASYNC110  # others move it
            await asyncio.sleep(0.05)


async def test_the_earlier_one_goes_on_until_the_later_one_has_rebuilt_and_writes_nothing_after(
    tmp_path: Path, database_url: str, redis_url: str, tenant: str
) -> None:
    earlier = Workers(tmp_path / "home", database_url, redis_url, tenant)
    later = LaterRelease(tmp_path / "home", database_url, redis_url, tenant)
    settings = load_settings(database_url=database_url, redis_url=redis_url, tenant=tenant)
    async with open_state_manager(settings, default_actor="test") as manager:
        await begin(manager)
        await story(manager, 0)
        with worker_of(earlier) as old:
            await until_projected(manager)
            assert "release" not in await manager.state("agent", "a")
            with worker_of(later) as new:
                new.wait_for("The projection states was built anew")
                await story(manager, 1)
                await until_projected(manager)
                assert (await manager.state("agent", "a"))["release"] == "later"
                assert (await manager.platform.read_models.checkpoint()).version == STATES.version + 1
            # The later one is gone, and the earlier one leaves alone what it can't write.
            await story(manager, 2)
            told = old.wait_for("The projection states has halted")
            assert "leave it to the workers of the later release" in told
            assert (await manager.platform.read_models.checkpoint()).version == STATES.version + 1
    assert later.line("replay", "--check").code == 0
    assert earlier.line("replay", "--check").code == 4
    refused = earlier.line("rebuild", "states")
    assert refused.code == 1
    assert "which a later release wrote" in refused.one_sentence()
    assert earlier.line("rebuild", "states", "--accept-differences").code == 0
    assert earlier.line("replay", "--check").code == 0
