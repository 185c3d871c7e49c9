"""Tries the mutants of one part's SQL, each with a run of pytest that makes its tenants of the mutated script."""

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from fnmatch import fnmatch
from pathlib import Path

from tests.mutation.laying_out import ENVIRONMENT, ROOT, NotRun, copy_to, run_alone, servers
from tests.mutation.mutants import Fate, Mutant
from tests.mutation.mutated_sql import MUTATED, ORDER, TOLD
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
    if chosen:
        tree = place / "tree"
        copy_to(tree)
        with servers() as variables:
            for one, fate in _fates(
                [*PYTEST, *part.on_servers], tree, os.environ | ENVIRONMENT | variables, chosen, at_once
            ):
                fates[one.name] = fate
                kept.write_text(json.dumps(fates))
                print(f"{len(fates)}/{len(every)} {one.name}: {fate}", flush=True)
    return [Mutant(one.name, one.change, fates.get(one.name, "not tried")) for one in every]


def _fates(
    command: Sequence[str], tree: Path, environment: Mapping[str, str], chosen: Sequence[MutantText], at_once: int
) -> Iterator[tuple[MutantText, Fate]]:
    (tree / ORDER).unlink(missing_ok=True)
    began = time.monotonic()
    if run_alone(command, tree, environment):
        raise NotRun
    seconds = TIMES * at_once * (time.monotonic() - began) + SECONDS
    order = _Order(tree)
    with ThreadPoolExecutor(at_once) as threads:
        trying = {threads.submit(_tried, one, command, tree, environment, seconds): one for one in chosen}
        for tried in as_completed(trying):
            order.learn(_folder(tree, trying[tried]))
            yield trying[tried], tried.result()


class _Order:
    """In which tests are run: those that told mutants from the code first, the last one before all."""

    def __init__(self, tree: Path) -> None:
        self._file = tree / ORDER
        self._took = json.loads((tree / TOLD).read_text())["took"]
        self._first: list[str] = []
        self._write()

    def learn(self, folder: Path) -> None:
        told = folder / TOLD
        for name in json.loads(told.read_text())["failed"] if told.exists() else ():
            self._first = [name, *(one for one in self._first if one != name)]
        self._write()

    def _write(self) -> None:
        beside = self._file.with_suffix(".new")
        beside.write_text(json.dumps({"first": self._first, "took": self._took}))
        beside.replace(self._file)  # others may be reading it


def _folder(tree: Path, one: MutantText) -> Path:
    """Of its own, for the script and what its tests told."""
    return tree / "mutated" / one.name


def _mutants(part: Part) -> Iterator[MutantText]:
    for file in part.sql:
        module = ".".join(Path(file).with_suffix("").parts)
        yield from mutants_of(module, (ROOT / file).read_text())


def _tried(one: MutantText, command: Sequence[str], tree: Path, environment: Mapping[str, str], seconds: float) -> Fate:
    folder = _folder(tree, one)
    folder.mkdir(parents=True, exist_ok=True)
    file = folder / f"{one.change.function.rpartition('.')[2]}.sql"
    file.write_text(one.text)
    try:
        code = run_alone(command, tree, {**environment, MUTATED: str(file)}, seconds, quiet=True)
    except subprocess.TimeoutExpired:
        return "timed out"
    return _FATES.get(code, "not tried")
