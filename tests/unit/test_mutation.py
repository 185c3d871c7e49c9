"""What `make mutate` reads of a run of mutmut, and what it says to that."""

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import pytest

from infrastructure import sql
from tests.mutation import __main__ as mutation
from tests.mutation import hanging, telling_first
from tests.mutation.in_children import require_servers, use
from tests.mutation.laying_out import ROOT, NotRun, run_alone
from tests.mutation.mutants import Change, Mutant, read_mutants
from tests.mutation.on_python import ARGUMENTS
from tests.mutation.parts import PARTS, Part
from tests.mutation.statements import mutants_of
from tests.mutation.survivors import FILE, judge, read_known

MUTATED = """
def x_room__mutmut_orig(
    used: int, limit: int = 2
) -> bool:
    return used < limit
def x_room__mutmut_1(
    used: int, limit: int = 3
) -> bool:
    return used < limit
def x_room__mutmut_2(
    used: int, limit: int = 2
) -> bool:
    return used <= limit
class Pool:
    async def xǁPoolǁtake__mutmut_orig(self):
        return await self.one()
    async def xǁPoolǁtake__mutmut_1(self):
        return None
"""
LIMIT = Change("domain.pool.room", "used: int, limit: int = 2", "used: int, limit: int = 3")
ROOM = Change("domain.pool.room", "return used < limit", "return used <= limit")
TAKE = Change("domain.pool.Pool.take", "return await self.one()", "return None")


def ran(place: Path, **codes: int | None) -> Path:
    (place / "domain").mkdir(exist_ok=True, parents=True)
    (place / "domain" / "pool.py").write_text(MUTATED)
    names = {"limit": "x_room__mutmut_1", "room": "x_room__mutmut_2", "take": "xǁPoolǁtake__mutmut_1"}
    told = {"exit_code_by_key": {f"domain.pool.{names[name]}": code for name, code in codes.items()}}
    (place / "domain" / "pool.py.meta").write_text(json.dumps(told))
    (place / "domain" / "errors.py.meta").write_text(json.dumps({"exit_code_by_key": {}}))
    return place


def mutant(change: Change, fate: str) -> Mutant:
    return Mutant("domain.pool.x", change, fate)  # type: ignore[arg-type]  # one of the fates, as the test says


def test_mutants_are_read_as_the_lines_that_changed_with_what_became_of_them(tmp_path: Path) -> None:
    found = read_mutants([ran(tmp_path, limit=1, room=0, take=36)])
    assert [(one.change, one.fate) for one in found] == [(LIMIT, "killed"), (ROOM, "survived"), (TAKE, "timed out")]


def test_what_survives_one_round_is_what_the_next_makes_of_it(tmp_path: Path) -> None:
    rounds = [ran(tmp_path / "1", limit=1, room=0, take=33), ran(tmp_path / "2", limit=0, room=1, take=None)]
    assert [one.fate for one in read_mutants(rounds)] == ["killed", "killed", "survived"]


@pytest.mark.parametrize(
    ("code", "fate"),
    [
        *((1, "killed"), (2, "killed"), (3, "killed"), (0, "survived"), (5, "survived"), (33, "survived")),
        *((-11, "killed"), (-6, "killed")),
        *((-24, "timed out"), (-9, "timed out"), (None, "not tried"), (255, "not tried"), (4, "not tried")),
    ],
)
def test_a_mutant_is_killed_by_a_test_and_by_nothing_else(tmp_path: Path, code: int | None, fate: str) -> None:
    assert [one.fate for one in read_mutants([ran(tmp_path, room=code)])] == [fate]


def test_tests_that_told_the_last_mutants_come_first_then_the_fastest(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    items: list[Any] = [SimpleNamespace(nodeid=name) for name in ("slow", "fast", "told long ago", "told last")]
    telling_first.pytest_collection_modifyitems(items)
    assert [item.nodeid for item in items] == ["slow", "fast", "told long ago", "told last"]
    took = {"slow": 3.0, "fast": 1.0, "told long ago": 2.0, "told last": 4.0}
    telling_first.STATS.write_text(json.dumps({"duration_by_test": took}))
    told = (("told last", True), ("told long ago", True), ("slow", False), ("told last", True))
    for name, failed in told:
        report = SimpleNamespace(nodeid=name, failed=failed, longreprtext="AssertionError")
        telling_first.pytest_runtest_logreport(cast(pytest.TestReport, report))
    hung = SimpleNamespace(nodeid="fast", failed=True, longreprtext="Failed: Timeout (>40.0s) from pytest-timeout.")
    telling_first.pytest_runtest_logreport(cast(pytest.TestReport, hung))
    telling_first.pytest_collection_modifyitems(items)
    assert [item.nodeid for item in items] == ["told last", "told long ago", "fast", "slow"]


@pytest.mark.parametrize(
    ("tests", "code"), [("hangs", hanging.TOOK_TOO_LONG), ("passes", 0), ("fails", 1), ("hangs or fails", 1)]
)
def test_who_was_waited_for_in_vain_has_told_no_mutant(tmp_path: Path, tests: str, code: int) -> None:
    (tmp_path / "test_some.py").write_text(
        "import time\ndef test_hangs(): time.sleep(60)\ndef test_passes(): pass\ndef test_fails(): assert False\n"
    )
    settings = ("-c", str(ROOT / "pyproject.toml"), "--rootdir", ".", "--timeout=2", "-k", tests)
    command = [sys.executable, "-m", "pytest", *ARGUMENTS, *settings, "test_some.py"]
    ran = subprocess.run(
        command, cwd=tmp_path, env=os.environ | {"PYTHONPATH": str(ROOT)}, check=False, capture_output=True
    )
    assert ran.returncode == code, ran.stdout


def test_nothing_outlives_a_run(tmp_path: Path) -> None:
    """Who is left behind would keep the lock."""
    hangs = "import fcntl, os, signal; held = open('held', 'w'); fcntl.flock(held, fcntl.LOCK_EX)\n"
    hangs += "if os.fork() == 0: signal.pause()\nos._exit(3)"
    assert run_alone([sys.executable, "-c", hangs], tmp_path, os.environ) == 3
    with (tmp_path / "held").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)


def test_a_survivor_needs_an_explanation_and_an_explanation_a_mutant() -> None:
    tried = [mutant(ROOM, "survived"), mutant(LIMIT, "survived"), mutant(TAKE, "killed")]
    gone = Change("domain.pool.Pool.give", "a", "b")
    elsewhere = Change("commands.bus.submit", "a", "b")
    verdict = judge(tried, dict.fromkeys((LIMIT, TAKE, gone, elsewhere), "as it should be"))
    assert [one.change for one in verdict.unexplained] == [ROOM]
    assert (verdict.explained, verdict.gone, verdict.killed_now) == (1, (gone,), (TAKE,))
    assert not verdict.is_good
    assert judge(tried, dict.fromkeys((LIMIT, ROOM), "as it should be")).is_good
    assert not judge([], {}).is_good
    assert not judge([*tried[2:], mutant(ROOM, "not tried")], {}).is_good


def test_where_some_are_tried_again_nothing_is_said_of_the_others() -> None:
    tried = [mutant(ROOM, "not tried"), mutant(TAKE, "killed")]
    assert judge(tried, {LIMIT: "as it should be"}, whole=False).is_good


def test_what_may_survive_has_a_reason_and_is_there_once() -> None:
    entry = '[[survivor]]\nfunction = "a.b"\nwas = "x"\nnow = ["y", "z"]\nwhy = "{}"\n'
    assert list(read_known(entry.format("both do")).explained) == [Change("a.b", "x", "y"), Change("a.b", "x", "z")]
    with pytest.raises(ValueError, match="no reason"):
        read_known(entry.format(""))
    with pytest.raises(ValueError, match="explained twice"):
        read_known(entry.format("a") + entry.format("b"))


def test_what_is_explained_is_of_a_part_and_every_part_has_its_tests() -> None:
    known = read_known(FILE.read_text())
    files = {file.relative_to(ROOT) for part in PARTS for glob in (*part.files, *part.sql) for file in ROOT.glob(glob)}
    modules = {".".join(file.with_suffix("").parts) for file in files}
    assert [
        one for one in known.explained if not any(f"{one.function}.".startswith(f"{name}.") for name in modules)
    ] == []
    assert [test for part in PARTS for test in (*part.tests, *part.on_servers) if not (ROOT / test).exists()] == []


@pytest.mark.parametrize(("codes", "exit_code"), [({"room": 1, "limit": 1}, 0), ({"room": 1, "limit": 0}, 1)])
def test_a_run_fails_for_a_survivor_that_nobody_has_explained(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], codes: dict[str, int], exit_code: int
) -> None:
    asked = []

    def run(
        part: Part, place: Path, left_out: Iterable[str], names: Sequence[str], at_once: int, goes_on: bool
    ) -> list[Mutant]:
        asked.append((part.name, list(names), at_once, goes_on))
        return read_mutants([ran(tmp_path, **codes)])

    name = "domain.pool.*"
    assert mutation.main(["--only", "domain", "--at-once", "3", name], run) == exit_code
    assert asked == [("domain", [name], 3, False)]
    told = capsys.readouterr().out
    assert "domain: 2 mutants" in told
    assert ("- used: int, limit: int = 2" in told) is (exit_code == 1)


SCRIPT = """-- Nothing < 1 AND nothing else.
CREATE OR REPLACE FUNCTION judge(p_count int DEFAULT 0) RETURNS boolean LANGUAGE plpgsql AS $$
DECLARE
    v_place int := 1;
BEGIN
    IF p_count BETWEEN 3 AND p_most AND NOT known THEN  -- OR not
        RAISE EXCEPTION USING MESSAGE = 'fewer than 1 AND that is that';
    END IF;
    v_place := coalesce(p_first, 7)
        + p_count;
    EXECUTE format('SELECT %1$s FROM places ORDER BY place DESC');
    RETURN v_place <= p_count;
END $$;

REVOKE EXECUTE ON FUNCTION judge FROM PUBLIC;
"""


def test_sql_is_mutated_where_it_is_code() -> None:
    found = list(mutants_of("sql.judge", SCRIPT))
    between = "IF p_count BETWEEN 3 AND p_most AND NOT known THEN  -- OR not"
    assigned = "v_place := coalesce(p_first, 7)\n+ p_count;"
    assert [(one.change.was, one.change.now) for one in found] == [
        ("v_place int := 1;", "v_place int := 2;"),
        (between, between.replace("3", "4")),
        (between, between.replace("most AND", "most OR")),
        (between, between.replace("NOT known", "known")),
        (assigned, "NULL;"),
        ("v_place := coalesce(p_first, 7)", "v_place := p_first"),
        ("v_place := coalesce(p_first, 7)", "v_place := coalesce(p_first, 8)"),
        ("+ p_count;", "- p_count;"),
        (
            "EXECUTE format('SELECT %1$s FROM places ORDER BY place DESC');",
            "EXECUTE format('SELECT %1$s FROM places ORDER BY place');",
        ),
        ("RETURN v_place <= p_count;", "RETURN v_place < p_count;"),
    ]
    assert [one.name for one in found] == [f"sql.judge.{number}" for number in range(1, len(found) + 1)]
    assert len({one.text for one in found} | {SCRIPT}) == len(found) + 1
    assert found[-1].text == SCRIPT.replace("<=", "<")


def test_what_fails_because_servers_are_gone_is_not_told_by_a_test(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DORA_STATE_TEST_DATABASE_URL", "postgresql://nobody@127.0.0.1:1/none")
    monkeypatch.setenv("DORA_STATE_TEST_REDIS_URL", "redis://127.0.0.1:1/0")
    with pytest.raises(NotRun, match="The servers are gone"):
        require_servers()


def test_a_script_that_is_mutated_stands_for_the_one_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    functions, views, query = sql.scripts("functions"), sql.scripts("views"), sql.load("read_models/counts")
    for name in ("load", "scripts"):
        monkeypatch.setattr(sql, name, getattr(sql, name))
    for place in ("functions/append_lock.sql", "queries/checkpoints/find.sql"):
        (tmp_path / place).parent.mkdir(parents=True)
        (tmp_path / place).write_text("SELECT 1;")
    use(tmp_path)
    assert [one.name for one in sql.scripts("functions")] == [one.name for one in functions]
    assert set(sql.scripts("functions")) - {*functions} == {sql.Script("append_lock", b"SELECT 1;")}
    assert sql.scripts("views") == views
    assert (sql.load("checkpoints/find"), sql.load("read_models/counts")) == (b"SELECT 1;", query)
    assert sql.named("checkpoints/find") == b"SELECT 1;"
