"""`kill -9` in the middle of an import: the next run says what is there, goes on, or starts anew."""

import asyncio
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from uuid import uuid4

import psutil
import psycopg
import pytest
from redis.asyncio import Redis

from domain.errors import DoraStateError, LogError, LogUnavailable
from domain.log import Appended
from dora_state.importing import ImportReport, projecting
from dora_state.importing.importer import Importer
from infrastructure.embedded import EmbeddedServers
from infrastructure.hot_copies import Keys
from infrastructure.migrations import drop_tenant, migrate
from infrastructure.xes.sort import sort_xes
from tests.integration.test_embedded_homes import part, processes_of
from tests.support.command_line import ROOT, CommandLine, finish
from tests.support.homes import furnish
from tests.support.importing import Tenant, facts
from tests.support.log import command
from tests.support.postgres import connected, value
from tests.support.tenants import new_name
from tests.support.xes_logs import LoggedEvent, LoggedTrace, at

pytestmark = pytest.mark.timeout(240)

TRACES = 100
SOON = 120.0


def traces() -> list[LoggedTrace]:
    """Some 1,600 events in an interleaved order, with something to skip and to infer early and late."""
    steps = ["schedule", "start", "suspend", "resume", "complete", "complete", "withdraw", "odd"]
    return [
        LoggedTrace(
            f"case-{number}",
            tuple(
                LoggedEvent(f"A{n % 2}", steps[n % 8], at(60 * n + number), f"agent-{(number + n) % 7}", {"n": n})
                for n in range(16)
            ),
            {"nel": "a\x85b"},
        )
        for number in range(TRACES)
    ]


@pytest.fixture
def into(tenant: str, tmp_path: Path, database_url: str, redis_url: str) -> Tenant:
    return Tenant(tenant, tmp_path / "home", database_url, redis_url)


@pytest.fixture(scope="module")
def whole(database_url: str, redis_url: str) -> Iterator[tuple[Tenant, ImportReport]]:
    """The same log imported without interruption."""
    name = new_name()
    with tempfile.TemporaryDirectory(prefix="dora-state-whole-") as home:
        tenant = Tenant(name, Path(home), database_url, redis_url)
        asyncio.run(migrate(database_url, name))
        yield tenant, asyncio.run(tenant.imports(tenant.write(*traces())))
        asyncio.run(drop_tenant(database_url, name))


def comparable(report: ImportReport) -> dict[str, object]:
    return {key: value for key, value in report.to_json().items() if key not in ("seconds", "rates")}


async def assert_is_whole(into: Tenant, report: ImportReport, whole: tuple[Tenant, ImportReport]) -> None:
    tenant, expected = whole
    assert comparable(report) == comparable(expected)
    assert [facts(event) for event in await into.log()] == [facts(event) for event in await tenant.log()]
    assert await into.documents() == await tenant.documents()
    assert not await into.importing()
    assert not into.scratch.exists()


async def events_of(into: Tenant) -> int:
    async with connected(into.database_url, into.name) as connection:
        found = await value(connection, "SELECT coalesce(max(position), 0) FROM events")
        assert isinstance(found, int)
        return found


@asynccontextmanager
async def redis_of(into: Tenant) -> AsyncIterator[Redis]:
    redis = Redis.from_url(into.redis_url)
    try:
        yield redis
    finally:
        await redis.aclose()


async def until(condition: Callable[[], bool]) -> None:
    for _ in range(int(SOON / 0.02)):
        if condition():
            return
        await asyncio.sleep(0.02)
    raise AssertionError("it did not come about")


async def until_recording(servers: EmbeddedServers) -> None:
    """Wait until the default tenant on servers that others are starting holds events."""
    into = Tenant("default", Path(), servers.database_url, servers.redis_url)
    async with asyncio.timeout(SOON):
        while True:
            with suppress(DoraStateError, psycopg.Error):  # not started, or not set up, yet
                if await events_of(into):
                    return
            await asyncio.sleep(0.02)


def child_of(process: subprocess.Popen[bytes]) -> psutil.Process | None:
    """The one that projects."""
    for child in psutil.Process(process.pid).children():
        if projecting.MODULE in child.cmdline():
            return child
    return None


async def start_and_reach(into: Tenant, path: Path, events: int) -> tuple[subprocess.Popen[bytes], psutil.Process]:
    """An import in a process, and a group, of its own that has recorded so many events; and its child."""
    kept = {name: text for name, text in os.environ.items() if not name.startswith("DORA_STATE_")}
    process = subprocess.Popen(  # noqa: ASYNC220  # it takes no time to begin
        [sys.executable, "-m", "dora_state", "import", "xes", str(path)],
        stdin=subprocess.PIPE,
        stderr=subprocess.PIPE,
        cwd=ROOT,
        env=kept | into.variables | {"DORA_STATE_HOME": str(into.home)},
        start_new_session=True,
    )
    async with asyncio.timeout(SOON):
        while (child := await reached(into, process, events)) is None:
            assert process.poll() is None, process.communicate()
            await asyncio.sleep(0.05)
    return process, child


async def reached(into: Tenant, process: subprocess.Popen[bytes], events: int) -> psutil.Process | None:
    """The child, once so many events are recorded. The import stands still while we look, or it may be over by then."""
    process.send_signal(signal.SIGSTOP)
    try:
        return child_of(process) if await events_of(into) >= events else None
    finally:
        process.send_signal(signal.SIGCONT)


async def test_killed_in_the_middle_it_says_what_is_there_and_goes_on(
    into: Tenant, whole: tuple[Tenant, ImportReport]
) -> None:
    path = into.write(*traces())
    process, child = await start_and_reach(into, path, 2_000)
    ended = finish(process, signal.SIGKILL)
    assert "Traceback" not in ended.err
    await until(lambda: not child.is_running())

    async with connected(into.database_url, into.name) as connection:
        await connection.execute("SELECT append_lock()")  # the server may still be at its last append
    events = await events_of(into)
    assert 2_000 <= events < whole[1].events_recorded
    with pytest.raises(DoraStateError, match=rf"log\.xes that was cut short after {events} events, up to 2011-10-01T"):
        await into.imports(path)
    other = into.write(LoggedTrace("other", (LoggedEvent(),)), name="other.xes")
    with pytest.raises(DoraStateError, match=r"an import of log\.xes, and other\.xes is another file"):
        await into.imports(other, "continue")
    assert await events_of(into) == events
    await assert_is_whole(into, await into.imports(path.rename(into.home / "renamed.xes"), "continue"), whole)


@pytest.mark.long
async def test_an_append_that_outlives_the_killed_run_is_waited_for(
    into: Tenant, whole: tuple[Tenant, ImportReport]
) -> None:
    path = into.write(*traces())
    process, child = await start_and_reach(into, path, 1)
    async with connected(into.database_url, into.name) as holder:
        async with holder.transaction():
            await holder.execute("SELECT append_lock()")
            assert await until_waiting_for_the_append_lock(into, 1)
            before = await events_of(into)
            finish(process, signal.SIGKILL)
            await until(lambda: not child.is_running())
            going_on = asyncio.create_task(into.imports(path, "continue"))
            assert await until_waiting_for_the_append_lock(into, 2)
            assert await events_of(into) == before
        await assert_is_whole(into, await going_on, whole)


async def test_an_end_that_outlives_the_killed_run_is_waited_for(into: Tenant) -> None:
    path = into.write(LoggedTrace("case", (LoggedEvent(),)))
    await into.imports(path)
    async with connected(into.database_url, into.name) as ends:
        await ends.execute("UPDATE mode SET import_id = gen_random_uuid()")  # as before the end
        async with ends.transaction():
            await ends.execute("SELECT end_import(import_id) FROM mode")
            again = asyncio.create_task(into.imports(path, "continue"))
            assert await until_waiting_for_the_append_lock(into, 1)
        with pytest.raises(DoraStateError, match=r"is not empty.*the whole import of log\.xes"):
            await again


async def test_a_run_that_fails_before_it_records_anything_leaves_an_empty_tenant(
    into: Tenant, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def fails(self: Importer) -> tuple[int, int]:
        raise LogUnavailable("gone")

    path = into.write(LoggedTrace("case", (LoggedEvent(),)))
    with monkeypatch.context() as patched:
        patched.setattr(Importer, "_place_reached", fails)
        with pytest.raises(LogUnavailable, match="gone"):
            await into.imports(path)
    assert not await into.importing()
    assert (await into.imports(path)).workflows == {"completed": 1}


async def test_whatever_else_is_written_meanwhile_is_noticed(into: Tenant, monkeypatch: pytest.MonkeyPatch) -> None:
    looks = Importer._place_reached

    async def looks_too_early(self: Importer) -> tuple[int, int]:
        found = await looks(self)
        other = await self._platform.log.begin_import(self._import_id)
        await other.ensure_months(at(0), at(0))
        (outcome,) = await other.append([command({"system-other": 0}, at=at(0))])
        assert isinstance(outcome, Appended)
        return found

    monkeypatch.setattr(Importer, "_place_reached", looks_too_early)
    with pytest.raises(LogError, match="written to this tenant after position 0"):
        await into.imports(into.write(LoggedTrace("case", (LoggedEvent(),))))


async def until_waiting_for_the_append_lock(into: Tenant, backends: int) -> bool:
    async with connected(into.database_url, into.name) as connection:
        for _ in range(int(SOON / 0.02)):
            waiting = await value(
                connection,
                "SELECT count(*) FROM pg_stat_activity WHERE wait_event = 'advisory' AND application_name LIKE %s",
                f"%{into.name}%",
            )
            if waiting == backends:
                return True
            await asyncio.sleep(0.02)
    return False


@pytest.mark.long
async def test_killed_and_started_anew_nothing_of_before_is_left(
    into: Tenant, whole: tuple[Tenant, ImportReport]
) -> None:
    first = into.write(LoggedTrace("gone", (LoggedEvent("A", "start", at(0)),)), *traces(), name="first.xes")
    process, _ = await start_and_reach(into, first, 1_500)
    finish(process, signal.SIGKILL)
    async with redis_of(into) as redis:
        copy = Keys(into.name).document("workflow", "gone")
        await redis.delete(Keys(into.name).mark)
        await redis.set(copy, b"a copy of then")
    with pytest.raises(DoraStateError):  # what can't be read replaces nothing
        await into.imports(into.home / "missing.xes", "anew")
    assert await events_of(into) >= 1_500

    await assert_is_whole(into, await into.imports(into.write(*traces()), "anew"), whole)
    async with redis_of(into) as redis:
        assert await redis.get(copy) is None
    async with into.manager() as manager:
        with pytest.raises(DoraStateError, match="There is no workflow gone"):
            await manager.state("workflow", "gone")


async def test_what_an_earlier_run_took_for_the_future_may_be_past_by_now(into: Tenant) -> None:
    path = into.write(LoggedTrace("case", (LoggedEvent("A", "start", at(0)), LoggedEvent("A", "complete", at(9)))))
    sort_xes(path, into.scratch, now=at(1))
    report = await into.imports(path)
    assert (report.events_imported, report.skipped) == (2, {})


async def test_killed_before_anything_is_recorded_the_tenant_is_as_good_as_new(into: Tenant) -> None:
    async with into.manager() as manager:
        await manager.platform.log.begin_import(uuid4())
    report = await into.imports(into.write(LoggedTrace("case", (LoggedEvent(),))), "continue")
    assert report.workflows == {"completed": 1}
    assert not await into.importing()


@pytest.mark.long
async def test_without_the_sorted_files_it_sorts_again_as_of_then(
    into: Tenant, whole: tuple[Tenant, ImportReport]
) -> None:
    path = into.write(*traces())
    process, _ = await start_and_reach(into, path, 1_500)
    finish(process, signal.SIGKILL)
    for file in into.scratch.iterdir():
        file.unlink()
    await assert_is_whole(into, await into.imports(path, "continue"), whole)


async def test_a_projecting_child_that_is_killed_costs_a_warning_and_nothing_else(
    into: Tenant, whole: tuple[Tenant, ImportReport]
) -> None:
    path = into.write(*traces())
    process, child = await start_and_reach(into, path, 1_000)
    child.kill()
    ended = finish(process)
    assert ended.code == 0, ended.err
    assert "Traceback" not in ended.err
    assert ended.err.count("The process that projects failed (exit code -9)") == 1
    tenant, _ = whole
    assert await into.documents() == await tenant.documents()
    assert not into.scratch.exists()


async def test_interrupted_it_leaves_without_a_word_too_much_and_goes_on(
    into: Tenant, whole: tuple[Tenant, ImportReport]
) -> None:
    path = into.write(*traces())
    process, child = await start_and_reach(into, path, 1_500)
    os.killpg(process.pid, signal.SIGINT)  # as a terminal does
    ended = finish(process)
    assert "Traceback" not in ended.err
    assert "failed" not in ended.err
    assert not child.is_running()
    await assert_is_whole(into, await into.imports(path, "continue"), whole)


@pytest.mark.long
async def test_a_crash_after_the_last_event_is_gone_on_from(
    into: Tenant, whole: tuple[Tenant, ImportReport], monkeypatch: pytest.MonkeyPatch
) -> None:
    async def crashes(self: Importer) -> None:
        raise RuntimeError("killed")

    path = into.write(*traces())
    monkeypatch.setattr(Importer, "end", crashes)
    with pytest.raises(RuntimeError):
        await into.imports(path)
    monkeypatch.undo()

    assert await into.importing()
    with pytest.raises(DoraStateError, match="--continue"):
        await into.imports(path)
    await assert_is_whole(into, await into.imports(path, "continue"), whole)


@pytest.mark.long
async def test_two_imports_at_once_do_not_touch_each_other(into: Tenant, whole: tuple[Tenant, ImportReport]) -> None:
    path = into.write(*traces())
    process, _ = await start_and_reach(into, path, 500)
    with pytest.raises(DoraStateError, match="Another import into tenant"):
        await into.imports(path, "anew")
    assert finish(process).code == 0
    assert await into.documents() == await whole[0].documents()


def test_the_embedded_servers_killed_the_next_run_goes_on(whole: tuple[Tenant, ImportReport]) -> None:
    with tempfile.TemporaryDirectory(prefix="dora-state-killed-") as directory:
        home = furnish(Path(directory) / "home")
        path = whole[0].home / "log.xes"
        command_line = CommandLine(home)
        process = command_line.start("import", "xes", str(path))
        asyncio.run(until_recording(EmbeddedServers(home)))
        os.kill(part(home, "postmaster"), signal.SIGKILL)
        ended = finish(process)
        assert ended.code == 4, ended
        assert ended.one_sentence()

        again = command_line("import", "xes", str(path))
        assert again.code == 1
        assert "--continue" in again.one_sentence()
        done = command_line("import", "xes", str(path), "--continue", "--json")
        assert done.code == 0, done.err
        for key in ("events_recorded", "tasks", "workflows", "skipped", "inferred", "agents"):
            assert done.json[key] == whole[1].to_json()[key]
        assert processes_of(home) == {}
