"""Which faults have happened: those that were felt, also where another broke them off, and none that did not begin."""

import random
import subprocess
from collections.abc import Awaitable, Callable, Iterator
from types import SimpleNamespace

import psutil
import psycopg
import pytest

from tests.torture import faults
from tests.torture.faults import Faults


@pytest.fixture
def childless() -> Iterator[subprocess.Popen[bytes]]:
    with subprocess.Popen(["sleep", "60"]) as process:
        yield process
        process.kill()


async def _carried_out(monkeypatch: pytest.MonkeyPatch, kind: Callable[[Faults], Awaitable[bool]]) -> Faults:
    monkeypatch.setitem(faults.KINDS, "kind", kind)
    tried = Faults(None, random.Random(1))  # type: ignore[arg-type]  # nothing is on the stage
    await tried.carry_out("kind")
    assert not tried._begun
    return tried


async def _begins_and_is_broken_off(tried: Faults) -> bool:
    await tried._last(0.01)
    raise psycopg.OperationalError("the connection is closed")


async def _finds_nothing(tried: Faults) -> bool:
    raise psycopg.OperationalError("the server is away")


async def _fails(tried: Faults) -> bool:
    raise AssertionError("the rig is wrong")


async def test_one_that_was_broken_off_has_happened(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = await _carried_out(monkeypatch, _begins_and_is_broken_off)
    (happened,) = tried.happened
    assert happened.name == "kind"
    assert happened.felt >= 0.01
    assert not tried.skipped


async def test_one_that_could_not_begin_has_not(monkeypatch: pytest.MonkeyPatch) -> None:
    tried = await _carried_out(monkeypatch, _finds_nothing)
    assert tried.happened == []
    assert tried.skipped == {"kind": 1}


async def test_a_server_that_ends_has_no_backend_to_kill(childless: subprocess.Popen[bytes]) -> None:
    tried = Faults(SimpleNamespace(postmaster=psutil.Process(childless.pid)), random.Random(1))  # type: ignore[arg-type]
    for times in (1, 2):
        await tried.carry_out("kill a backend of PostgreSQL")
        assert tried.skipped == {"kill a backend of PostgreSQL": times}
        childless.kill()


async def test_what_is_wrong_with_the_rig_is_no_fault_of_the_house(monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(AssertionError, match="the rig is wrong"):
        await _carried_out(monkeypatch, _fails)
