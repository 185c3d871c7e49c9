"""A rolling deployment with the release before this one: it works on this one's schema, beside it, and alone again."""

import asyncio
import random
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path
from uuid import uuid4

import pytest

from domain.errors import DoraStateError
from dora_state.client import Client, open_client
from dora_state.settings import Settings, load_settings
from dora_state.state_manager import open_state_manager
from dora_state.testing.checker import Checker
from dora_state.testing.history import Asked, Recorder, Told, read_history
from infrastructure.migrations import drop_tenant
from tests.support.command_line import CommandLine
from tests.support.earlier_release import checked_out, newest_release, run_by
from tests.support.serving import Serving
from tests.support.tenants import new_name
from tests.support.whole_log import whole_log

pytestmark = pytest.mark.timeout(900)
EACH = 300
"""Commands of each client in each part."""
HOUSE = [
    {"type": "CreatePool", "data": {"pool_id": "p", "total": {"cpu": "4"}}},
    {"type": "RegisterAgent", "data": {"agent_id": "a", "agent_type": "t", "state": "healthy"}},
]


class Deployed:
    """One release, which serves and projects while the block runs."""

    def __init__(self, serving: Serving) -> None:
        self._serving = serving

    @property
    def line(self) -> CommandLine:
        return self._serving.line

    @contextmanager
    def __call__(self) -> Iterator[str]:
        with ExitStack() as stack:
            server = stack.enter_context(self._serving("--port", "0"))
            worker = stack.enter_context(self._serving.worker())
            yield server.url
            for process in (server, worker):
                assert process.end().code == 0, process.said


@pytest.fixture
def fresh(database_url: str) -> Iterator[str]:
    name = new_name()
    yield name
    asyncio.run(drop_tenant(database_url, name))


def test_the_release_before_works_beside_this_one_and_goes_on_alone(
    tmp_path: Path, database_url: str, redis_url: str, fresh: str
) -> None:
    release = newest_release()
    if release is None:
        pytest.skip("there is no release before this one")

    def deployed() -> Deployed:
        return Deployed(Serving(tmp_path / "home", database_url, redis_url, fresh))

    before, this = deployed(), deployed()
    with checked_out(release, tmp_path / "release"):
        run_by(before.line, tmp_path / "release")
        assert before.line("init").code == 0
        with before() as old:
            work(tmp_path, {"old": old})
            assert this.line("init").code == 0  # what it migrates is under the feet of the other one
            with this() as new:
                work(tmp_path, {"old": old, "new": new})
            work(tmp_path, {"old": old})
        assert before.line("init").code == 0
        with before() as again:
            work(tmp_path, {"old": again})
        if before.line("replay", "--check").code:  # this one has written its read models in another way
            assert before.line("rebuild", "all", "--accept-differences").code == 0
            assert before.line("replay", "--check").code == 0
    with this() as new:
        work(tmp_path, {"new": new})
    if this.line("replay", "--check").code:
        assert this.line("rebuild", "all", "--accept-differences").code == 0
        assert this.line("replay", "--check").code == 0
    settings = load_settings(database_url=database_url, redis_url=redis_url, tenant=fresh)
    asyncio.run(check(sorted(tmp_path.glob("*.history")), settings))


def work(directory: Path, urls: dict[str, str]) -> None:
    """Clients of each server at once, who write down what they asked and what they were told."""

    async def all_clients() -> None:
        async with asyncio.TaskGroup() as group:
            for name, url in urls.items():
                group.create_task(one_client(directory, name, url))

    asyncio.run(all_clients())


async def one_client(directory: Path, name: str, url: str) -> None:
    chance = random.Random(name)
    async with open_client(url) as client:
        with Recorder(directory / f"{name}.history") as record:
            for command in HOUSE:
                await ask(client, name, record, command)
            for _ in range(EACH):
                await ask(client, name, record, any_of(chance))


def any_of(chance: random.Random) -> dict[str, object]:
    """A command of a handful of workflows, which the clients of both releases share."""
    workflow = f"w{chance.randrange(20)}"
    task = f"{workflow}-t{chance.randrange(20)}"
    kinds: list[tuple[str, dict[str, object]]] = [
        ("CreateWorkflow", {"workflow_id": workflow, "definition_id": "d"}),
        ("StartWorkflow", {"workflow_id": workflow}),
        ("AddTask", {"workflow_id": workflow, "task_id": task, "definition_id": "d"}),
        ("AssignTask", {"task_id": task, "agent_id": "a"}),
        ("StartTask", {"task_id": task}),
        ("ReportTaskProgress", {"task_id": task, "percentage": chance.randrange(100)}),
        ("CompleteTask", {"task_id": task, "outputs": {"n": chance.randrange(100)}}),
        ("AmendWorkflow", {"workflow_id": workflow, "context": {"n": chance.randrange(100)}}),
    ]
    type, data = chance.choice(kinds)
    return {"type": type, "data": data}


async def ask(client: Client, name: str, record: Recorder, command: Mapping[str, object]) -> None:
    command_id = str(uuid4())
    record(Asked(name, command_id, str(command["type"])))
    try:
        answer = await client.submit({"command_id": command_id, "actor": name, **command})
    except DoraStateError:
        return  # what became of it stays unknown
    record(Told(name, command_id, answer.outcome, answer.versions, answer.position))


async def check(histories: list[Path], settings: Settings) -> None:
    checker = Checker(others=("dora-state",))
    async with open_state_manager(settings, create=False) as manager:
        found = await checker.check(whole_log(manager), read_history(histories))
    assert found == []
    assert checker.counts.outcomes["accepted"] > EACH // 2
    assert checker.counts.outcomes["unknown"] == 0
