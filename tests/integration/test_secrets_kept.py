"""Passwords and keys are told to nobody: by no process, no answer and no log, whatever goes wrong."""

import asyncio
import base64
import contextlib
import re
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import quote

import httpx
import psutil
import pytest
from redis import Redis

from dora_state.access.api_key import new_key
from dora_state.http.api import OPERATIONS
from dora_state.settings import load_settings
from tests.support.between import Between
from tests.support.command_line import CommandLine, lines
from tests.support.locked_house import House, locked_redis
from tests.support.redis_server import execute
from tests.support.secrets import Secrets, of_process
from tests.support.serving import ServerProcess
from tests.support.working import WorkerProcess
from tests.support.xes_logs import LoggedEvent, LoggedTrace, xes

pytestmark = pytest.mark.timeout(240)
REGISTER = {"type": "RegisterAgent", "data": {"agent_id": "a", "agent_type": "t"}}
WELL = (("--help",), ("serve", "--help"), ("--debug", "health"))
AWAY = (("--debug", "health"), ("--debug", "queue", "status"), ("--debug", "show", "agent", "a"))


@pytest.fixture
async def house(database_url: str, tenant: str) -> AsyncIterator[House]:
    with tempfile.TemporaryDirectory(prefix="dora-") as directory:  # short, as sockets lie in it
        short = Path(directory)
        with locked_redis(short / "c", "cache") as cache, locked_redis(short / "b", "broker") as broker:
            async with Between(database_url, short).serving() as between:
                yield House(short / "h", between, cache, broker, tenant)


async def heard(process: WorkerProcess, words: str) -> str:
    return await asyncio.to_thread(process.wait_for, words)


@contextlib.asynccontextmanager
async def running(house: House, name: str, line: CommandLine, *arguments: str) -> AsyncIterator[ServerProcess]:
    """A process of which all is heard: what it says, and what others see of it."""
    with tempfile.TemporaryFile() as out:
        process = ServerProcess(line.start(*arguments, stdout=out))
        try:
            yield process
            assert (await asyncio.to_thread(process.end)).code == 0
        finally:
            await asyncio.to_thread(process.leave_nothing)
            out.seek(0)
            house.secrets.hear(f"stdout of {name}", out.read().decode())
            house.secrets.hear(name, "\n".join(process.said))


async def ask_everything(house: House, url: str, key: str, *names: str) -> dict[str, int]:
    """Each operation that has no body, by the good key, by bad ones, and with the key where it does not belong."""
    credentials = {
        "good": f"Bearer {key}",
        "bad": f"Bearer {key[:-1]}{'A' if key[-1] != 'A' else 'B'}",
        "other": f"Bearer {house.secrets.keys[1]}",
        "basic": f"Basic {base64.b64encode(f'key:{key}'.encode()).decode()}",
        "plain": key,
    }
    paths = [re.sub("[{}]", "", one.path) for one in OPERATIONS if one.method == "GET"]
    statuses = {}
    async with httpx.AsyncClient(base_url=url, timeout=60) as client:

        async def ask(name: str, path: str) -> None:
            method = "HEAD" if path == "/v1/events" else "GET"
            answer = await client.request(method, path, headers={"Authorization": credentials[name]})
            statuses[f"{name} {path}"] = answer.status_code
            # What a caller has put into a path may come back to him.
            text = answer.text.replace(key, "") if key in path else answer.text
            house.secrets.hear(f"{name} {path.replace(key, 'KEY')}", f"{answer.headers}{text}")

        async def send(content: bytes) -> None:
            answer = await client.post("/v1/commands", content=content, headers={"Authorization": credentials["bad"]})
            house.secrets.hear("a body of who is not let in", answer.text)

        hidden = [f"/v1/agents/{key}", f"/v1/board?key={key}", f"/v1/{key}", "/openapi.json"]
        bodies = (b"{", f'{{"type": "{key}"}}'.encode(), f'{{"key": "{key}"}}'.encode())
        await asyncio.gather(
            *(ask(name, path) for name in names or credentials for path in [*paths, *hidden]),
            *(send(body) for body in bodies),
        )
    return statuses


async def until_nobody_is_known(house: House, url: str, key: str) -> None:
    """Keys are known for some seconds longer than the database."""
    async with asyncio.timeout(30), httpx.AsyncClient(base_url=url, timeout=30) as client:
        while True:
            answer = await client.get("/v1/board", headers={"Authorization": f"Bearer {key}"})
            house.secrets.hear("an outage", answer.text)
            if "unknown" in answer.text or answer.status_code == 503:
                return
            await asyncio.sleep(0.1)


def look_at(house: House, *processes: WorkerProcess) -> None:
    for process in processes:
        for what, text in of_process(process.pid):
            house.secrets.hear(what, text)


async def made_keys(house: House) -> str:
    """One that is printed to whoever makes it, and one that nobody knows."""
    ended = await asyncio.to_thread(house.line, "keys", "create", "ann", "--role", "operator")
    key = ended.out.strip()
    assert key.startswith("ds_"), ended.err
    house.secrets.hear("keys create", ended.err)
    house.secrets.keys += [key, new_key().text]
    return key


async def fail_everywhere(house: House) -> None:
    house.cache.kill()
    house.broker.kill()
    await house.between.cut()


async def test_no_secret_is_told_by_anybody(house: House) -> None:
    key = await made_keys(house)
    json, text = house.with_settings(LOG="json"), house.line
    async with (
        running(house, "the server", json, "serve", "--port", "0") as server,
        running(house, "a worker", json, "worker", "--role", "projector", "--role", "chores") as worker,
        running(house, "a worker of the queue", text, "worker", "--role", "queue", "--role", "snapshots") as other,
    ):
        url = re.findall(r"http://[0-9.:]+", await heard(server, "Listening on"))[0]
        await asyncio.gather(heard(worker, "is running"), heard(other, "is running"))
        assert (await house.run("submit", "-", given=lines(REGISTER))).code == 0
        statuses = await ask_everything(house, url, key)
        assert (statuses["good /v1/board"], statuses["bad /v1/board"], statuses["good /metrics"]) == (200, 401, 200)
        await asyncio.gather(*(house.run(*command) for command in WELL))
        look_at(house, server, worker, other)
        await fail_everywhere(house)
        await until_nobody_is_known(house, url, key)
        await ask_everything(house, url, key, "good", "plain")
        await asyncio.gather(*(house.run(*command) for command in AWAY))
        await asyncio.gather(*(heard(process, "can't be reached") for process in (server, worker, other)))
        look_at(house, server, worker, other)
        house.between.mend()
    assert house.secrets.heard() == []


async def test_a_server_that_refuses_a_password_is_told_without_it(house: House) -> None:
    for name in ("REDIS_URL", "BROKER_URL"):
        with contextlib.closing(Redis.from_url(house.settings[name])) as client:
            execute(client, "CONFIG", "SET", "requirepass", "another")
    for command in (("--debug", "health"), ("--debug", "queue", "status")):
        assert (await house.run(*command)).code != 0
    settings = {"DATABASE_URL": f"postgresql://u:{house.secrets.in_url('database')}@127.0.0.1:1/x"}
    for wrong in (settings, {"DATABASE_URL": settings["DATABASE_URL"].replace(":1/", ":port/")}):
        assert (await house.run("--debug", "health", line=house.with_settings(**wrong))).code != 0
    assert house.secrets.heard() == []


async def test_an_error_that_nobody_expected_is_told_without_secrets_too(house: House) -> None:
    line = house.with_settings()
    line.program = ["-c", UNEXPECTED]
    for arguments in (("health",), ("--debug", "health")):
        ended = await house.run(*arguments, line=line)
        assert "something unexpected happened (RuntimeError: could not use postgresql://" in ended.err
    assert "Traceback" in ended.err
    assert house.secrets.heard() == []


UNEXPECTED = """
import os, sys
from urllib.parse import unquote
import dora_state.cli.health
def broken(*_, **__):
    url = os.environ["DORA_STATE_DATABASE_URL"]
    raise RuntimeError(f"could not use {url} with {unquote(url.split(':')[2].split('@')[0])}")
dora_state.cli.health.open_servers = broken
from dora_state.cli import main
sys.exit(main(sys.argv[1:]))
"""


async def test_passwords_in_files_are_told_to_the_processes_that_we_start_and_to_nobody(
    house: House, tmp_path: Path
) -> None:
    files = {}
    for name in ("DATABASE_URL", "REDIS_URL", "BROKER_URL"):
        (tmp_path / name).write_text(house.settings.pop(name))
        files[f"{name}_FILE"] = str(tmp_path / name)
    del house.settings["READ_DATABASE_URL"]
    (tmp_path / "log.xes").write_text(xes(*(LoggedTrace(f"case {n}", (LoggedEvent(),) * 16) for n in range(100))))
    line = house.with_settings(**files, LOG_LEVEL="warning")
    process = line.start("import", "xes", str(tmp_path / "log.xes"))
    seen = await asyncio.to_thread(watched, house, process.pid)
    out, err = await asyncio.to_thread(process.communicate)
    said = house.secrets.hear("import", (out + err).decode())
    assert process.returncode == 0, said
    assert "The process that projects failed" not in said
    assert seen > 1
    assert house.secrets.heard() == []


def watched(house: House, pid: int) -> int:
    """Look at a process until it ends; gives how many there were with its children."""
    pids = set()
    with contextlib.suppress(psutil.NoSuchProcess):
        while (process := psutil.Process(pid)).status() != psutil.STATUS_ZOMBIE:
            for what, text in of_process(pid):
                house.secrets.hear(what, text)
            pids |= {pid, *(child.pid for child in process.children(recursive=True))}
            time.sleep(0.02)  # it is to get on
    return len(pids)


def test_settings_show_no_secret(monkeypatch: pytest.MonkeyPatch) -> None:
    secrets = Secrets()
    where = "10.0.0.1:5432/state"
    settings = load_settings(
        database_url=f"postgresql://u:{secrets.in_url('database')}@{where}",
        read_database_url=f"postgresql://u:{secrets.in_url('replica')}@{where}",
        redis_url=f"redis://:{secrets.in_url('cache')}@10.0.0.1/0",
        broker_url=f"redis://:{secrets.in_url('broker')}@10.0.0.1/0",
        traces_url=f"http://u:{secrets.in_url('collector')}@10.0.0.1/v1/traces",
    )
    for show in (
        repr,
        str,
        lambda one: one.model_dump_json(),
        lambda one: str(one.model_dump()),
        lambda one: f"{one!r}",
    ):
        secrets.hear("settings", show(settings))
    assert secrets.heard() == []


def test_a_secret_that_is_told_is_heard() -> None:
    secrets = Secrets(keys=[new_key().text])
    key, password = secrets.keys[0], secrets.passwords["cache"]
    for told in (
        password,
        quote(password, safe=""),
        password.encode("unicode_escape").decode(),
        f"x{key}x",
        key.split("_", 2)[2],
        base64.b64encode(f"key:{key}".encode()).decode(),
    ):
        secrets.told.clear()
        secrets.hear("somebody", f"it said {told}.")
        assert secrets.heard(), told
