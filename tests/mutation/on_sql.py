"""Tries the mutants of one part's SQL, each by tests that take the mutated script for the one of the house."""

import json
import os
import shutil
import sys
from collections.abc import Sequence
from fnmatch import fnmatch
from pathlib import Path

import psycopg

from tests.mutation.in_children import PLAN
from tests.mutation.laying_out import ENVIRONMENT, ROOT, NotRun, copy_to, run_alone, servers
from tests.mutation.mutants import Fate, Mutant
from tests.mutation.parts import SQL, Part
from tests.mutation.statements import MutantText, mutants_of

STATEMENT_SECONDS = 30
PYTEST = (
    *(sys.executable, "-m", "pytest", "-q", "-n", "0", "-p", "no:cacheprovider"),
    *("-p", "tests.mutation.in_children"),
)


def run(part: Part, place: Path, names: Sequence[str], at_once: int, goes_on: bool = False) -> list[Mutant]:
    """Tries a part's mutants of SQL, or those whose names fit, and tells what became of all.

    Where some are named, or it `goes_on`, others are as they were found before. Raises NotRun.
    """
    every = [one for file in part.sql for one in mutants_of(_module(file), (ROOT / file).read_text())]
    if not names and not goes_on:
        shutil.rmtree(place, ignore_errors=True)
    found = place / "fates"
    known = _read(found)
    chosen = [one for one in every if any(fnmatch(one.name, name) for name in names)]
    if not names:
        chosen = [one for one in every if one.name not in known]
    if chosen:
        tree = place / "tree"
        copy_to(tree)
        plan = {"mutants": [str(_laid_out(one, place)) for one in chosen], "at_once": at_once, "fates": str(found)}
        (place / "plan.json").write_text(json.dumps(plan))
        with servers() as variables:
            if variables:  # others' servers are left as they are
                _end_loops(variables["DORA_STATE_TEST_DATABASE_URL"])
            environment = os.environ | ENVIRONMENT | variables | {PLAN: str(place / "plan.json")}
            if run_alone([*PYTEST, *part.on_servers], tree, environment):
                raise NotRun(part.name)
    fates = _read(found)
    return [Mutant(one.name, one.change, fates.get(one.name, "not tried")) for one in every]


def _end_loops(database_url: str) -> None:
    """A mutant may never come to its end, and goes on in its session when whoever asked is gone."""
    with psycopg.connect(database_url, autocommit=True) as connection:
        connection.execute(f"ALTER ROLE ALL SET statement_timeout = '{STATEMENT_SECONDS}s'".encode())


def _module(file: str) -> str:
    return ".".join(Path(file).with_suffix("").parts)


def _file(module: str) -> str:
    return f"{module.replace('.', '/')}.sql"


def _laid_out(one: MutantText, place: Path) -> Path:
    """In a folder of the mutant's, where it has the place that the script has in ours."""
    folder = place / "mutants" / one.name
    file = folder.joinpath(*Path(_file(one.change.function)).relative_to(SQL).parts)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(one.text)
    return folder


def _read(found: Path) -> dict[str, Fate]:
    """The last that was found of each."""
    lines = found.read_text().splitlines() if found.exists() else []
    return dict(json.loads(line) for line in lines)
