"""Rolling deployments: the earlier release works on the later one's schema, beside it, and alone again."""

import asyncio
import random
import subprocess
from collections import Counter
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
from dora_state.testing.log import whole_log
from dora_state.worker.chores import ACTOR
from infrastructure.migrations import drop_tenant
from tests.support.command_line import ROOT, CommandLine
from tests.support.earlier_release import checked_out, lay_out_next, newest_release, run_by
from tests.support.serving import Serving
from tests.support.tenants import new_name
from tests.torture.story import Step, life, opening

pytestmark = pytest.mark.timeout(900)
EACH = 300
"""Commands of each client in each part."""
AT_ONCE = 2
"""Clients of each server."""
LIVES = 6
"""Workflows that rest at a time, somewhere on their way."""
WAYS = {
    *("CreateWorkflow", "StartWorkflow", "AmendWorkflow", "Transaction"),
    *("AddTask", "ScheduleTask", "AssignTask", "StartTask", "ReportProgress"),
    *("CompleteTask", "FailTask", "CancelTask"),
}
"""Commands of which some must have been accepted each time."""
SELDOM = {"RollBackWorkflow", "CancelWorkflow"}
"""And those that must have been in the end."""


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


@pytest.fixture(params=["the one before this", "one after this"])
def releases(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Path, Path]]:
    """Where the earlier one is, and the later one; this is one of them."""
    other = tmp_path / "release"
    if request.param == "one after this":
        lay_out_next(other)
        yield ROOT, other
        return
    release = newest_release()
    if release is None:
        pytest.skip("there is no release before this one here, nor the commit that stands for one")
    with checked_out(release, other):
        yield other, ROOT


def test_the_earlier_one_works_beside_the_later_one_and_goes_on_alone(
    tmp_path: Path, database_url: str, redis_url: str, fresh: str, releases: tuple[Path, Path]
) -> None:
    def deployed(directory: Path) -> Deployed:
        serving = Serving(tmp_path / "home", database_url, redis_url, fresh)
        if directory != ROOT:
            run_by(serving.line, directory)
        return Deployed(serving)

    before, after = map(deployed, releases)
    lives = Lives(tmp_path)

    def work(urls: Mapping[str, str]) -> None:
        until_now = lives.accepted.copy()
        lives.go_on(urls)
        assert (lives.accepted - until_now).keys() >= WAYS, (lives.accepted, until_now)

    assert before.line("init").code == 0
    with before() as old:
        work({"old": old})
        assert after.line("init").code == 0  # what it migrates is under the feet of the other one
        with after() as new:
            work({"old": old, "new": new})
        work({"old": old})
    assert before.line("init").code == 0
    with before() as again:
        work({"old": again})
    written_alike = versions(before.line) == versions(after.line)
    require_agreement(before.line, written_alike=written_alike)
    with after() as new:
        work({"new": new})
    require_agreement(after.line, written_alike=written_alike)
    assert lives.accepted.keys() >= SELDOM, lives.accepted
    settings = load_settings(database_url=database_url, redis_url=redis_url, tenant=fresh)
    asyncio.run(check(sorted(tmp_path.glob("*.history")), settings))


def require_agreement(line: CommandLine, *, written_alike: bool) -> None:
    """All that is kept agrees with the log: at once, but where the other release writes its read models otherwise."""
    checked = line("replay", "--check")
    if checked.code and not written_alike:
        assert line("rebuild", "all", "--accept-differences").code == 0
        checked = line("replay", "--check")
    assert checked.code == 0, checked.out


def versions(line: CommandLine) -> bytes:
    """Of a release's projections."""
    told = (
        "from projections.projection import PROJECTIONS; print({one.name: one.version for one in PROJECTIONS.values()})"
    )
    return subprocess.run([line.python, "-c", told], cwd=line.directory, capture_output=True, check=True).stdout


class Lives:
    """Workflows on agents and a pool that they share: what one release has begun, the other one goes on with."""

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._chance = random.Random(8)
        self._begun = 0
        self._resting: list[Iterator[Step]] = []
        self.accepted: Counter[str] = Counter()

    def go_on(self, urls: Mapping[str, str]) -> None:
        """Clients of each server at once, who write down what they asked and what they were told."""

        async def all_clients() -> None:
            async with asyncio.TaskGroup() as group:
                for name, url in urls.items():
                    for number in range(AT_ONCE):
                        group.create_task(self._one_client(f"{name}-{number}", url))

        asyncio.run(all_clients())

    async def _one_client(self, name: str, url: str) -> None:
        async with open_client(url) as client:
            with Recorder(self._directory / f"{name}.history") as record:
                for step in opening():
                    await self._ask(client, name, record, step)
                for _ in range(EACH):
                    way = self._one_of_them()
                    if (following := next(way, None)) is not None:
                        await self._ask(client, name, record, following)
                        self._resting.append(way)

    def _one_of_them(self) -> Iterator[Step]:
        """Nobody else goes on with it until it rests again."""
        if len(self._resting) < LIVES:
            self._begun += 1
            return life(self._chance, f"w{self._begun}")
        return self._resting.pop(self._chance.randrange(len(self._resting)))

    async def _ask(self, client: Client, name: str, record: Recorder, step: Step) -> None:
        command_id = str(uuid4())
        record(Asked(name, command_id, step.type, actor=name))
        try:
            answer = await client.submit(
                {"command_id": command_id, "actor": name, "type": step.type, "data": step.data}
            )
        except DoraStateError:
            return  # what became of it stays unknown
        record(Told(name, command_id, answer.outcome, answer.versions, answer.position))
        if answer.outcome == "accepted":
            self.accepted[step.type] += 1


async def check(histories: list[Path], settings: Settings) -> None:
    checker = Checker(others=(ACTOR,))
    async with open_state_manager(settings, create=False) as manager:
        found = await checker.check(whole_log(manager), read_history(histories))
    assert found == []
    assert checker.counts.outcomes["accepted"] > checker.counts.commands // 2
    assert checker.counts.outcomes["unknown"] == 0
