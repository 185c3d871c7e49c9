"""Tries the mutants of one part's SQL, each with a run of pytest that makes its tenants of the mutated script."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from fnmatch import fnmatch
from pathlib import Path
from threading import Lock

from tests.mutation.laying_out import ENVIRONMENT, ROOT, NotRun, copy_to, run_alone, servers
from tests.mutation.mutants import Fate, Mutant
from tests.mutation.mutated_sql import MUTATED
from tests.mutation.parts import Part
from tests.mutation.statements import MutantText, mutants_of

PYTEST = (
    *(sys.executable, "-m", "pytest", "-x", "-q", "-n", "0", "-p", "no:cacheprovider"),
    *("-p", "tests.mutation.mutated_sql"),
)
TIMES, SECONDS = 3, 30
"""A mutant has as long as all tests take without one, so many times, and some seconds more."""
_FATES: dict[int, Fate] = {0: "survived", 1: "killed"}


def run(part: Part, place: Path, names: Sequence[str], at_once: int, goes_on: bool = False) -> list[Mutant]:
    """Tries a part's mutants of SQL, or those whose names fit, and tells what became of all. Where some are named, or
    it `goes_on`, others are as they were found before. Raises NotRun.
    """
    every = list(_mutants(part))
    kept = place / "fates.json"
    fates: dict[str, Fate] = json.loads(kept.read_text()) if (names or goes_on) and kept.exists() else {}
    chosen = [
        one for one in every if (any(fnmatch(one.name, name) for name in names) if names else one.name not in fates)
    ]
    tree = place / "tree"
    copy_to(tree)
    with servers() as variables:
        environment = os.environ | ENVIRONMENT | variables
        command = [*PYTEST, *part.on_servers]
        began = time.monotonic()
        if chosen and run_alone(command, tree, environment):
            raise NotRun(part.name)
        seconds = TIMES * at_once * (time.monotonic() - began) + SECONDS
        written = Lock()

        def try_one(one: MutantText) -> None:
            fate = _tried(one, command, tree, environment, seconds)
            with written:
                fates[one.name] = fate
                kept.write_text(json.dumps(fates))
                print(f"{len(fates)}/{len(every)} {one.name}: {fate}", flush=True)

        with ThreadPoolExecutor(at_once) as threads:
            list(threads.map(try_one, chosen))
    return [Mutant(one.name, one.change, fates.get(one.name, "not tried")) for one in every]


def _mutants(part: Part) -> Iterator[MutantText]:
    for file in part.sql:
        module = ".".join(Path(file).with_suffix("").parts)
        yield from mutants_of(module, (ROOT / file).read_text())


def _tried(one: MutantText, command: Sequence[str], tree: Path, environment: Mapping[str, str], seconds: float) -> Fate:
    *_, script, number = one.name.split(".")
    file = tree / "mutated" / number / f"{script}.sql"
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text(one.text)
    try:
        code = run_alone(command, tree, {**environment, MUTATED: str(file)}, seconds, quiet=True)
    except subprocess.TimeoutExpired:
        return "timed out"
    return _FATES.get(code, "not tried")
