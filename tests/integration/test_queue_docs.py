"""The programs of docs/queue.md run as they stand there, but for where the broker is and whose the tenant."""

import asyncio
import re
import textwrap
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import pytest

from dora_state.queue import CommandQueue
from dora_state.settings import load_settings
from dora_state.state_manager import open_state_manager
from infrastructure.command_queue import open_broker
from tests.support.command_line import ROOT
from tests.support.queueing import SOON, consuming


@pytest.fixture
async def queue(database_url: str, redis_url: str, tenant: str) -> AsyncIterator[CommandQueue]:
    """With somebody who carries out what is sent."""
    settings = load_settings(database_url=database_url, redis_url=redis_url, tenant=tenant)
    async with (
        open_state_manager(settings) as manager,
        open_broker(redis_url, tenant) as broker,
        consuming(broker, manager.submit),
    ):
        yield CommandQueue(broker)


@pytest.fixture
def programs(redis_url: str, tenant: str) -> list[str]:
    text = (ROOT / "docs" / "queue.md").read_text()
    found = re.findall(r"```python\n(.*?)```", text, re.DOTALL)
    here = [one.replace("redis://broker:6379/0", redis_url) for one in found]
    return [one.replace('"default"', f'"{tenant}"').replace("{default}", f"{{{tenant}}}") for one in here]


@pytest.mark.usefixtures("queue")
async def test_the_one_from_python_gets_its_answer(programs: list[str]) -> None:
    names: dict[str, Any] = {}
    exec(f"async def program():\n{textwrap.indent(programs[0], '    ')}    return answer\n", names)
    answer = await names["program"]()
    assert (answer.outcome, answer.problem.code) == ("refused", "unknown_id")


async def test_the_one_of_plain_dramatiq_is_carried_out(programs: list[str], queue: CommandQueue) -> None:
    names: dict[str, Any] = {}
    await asyncio.to_thread(exec, programs[1], names)
    answer = await queue.answer(UUID(names["message"].message_id), SOON)
    names["broker"].client.close()
    assert answer is not None
    assert (answer.outcome, answer.type) == ("refused", "StartTask")
