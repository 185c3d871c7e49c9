"""Runs mutmut over one part, in a copy of the tree: it changes what it mutates, and looks at all that lies about."""

import os
import shutil
import sys
from collections.abc import Iterable, Sequence
from configparser import RawConfigParser
from pathlib import Path

from tests.mutation.laying_out import ENVIRONMENT, NotRun, copy_to, run_alone, servers
from tests.mutation.mutants import Mutant, read_mutants
from tests.mutation.parts import Part, Round

CODE = ("domain", "commands", "projections", "infrastructure", "dora_state")
ARGUMENTS = ("-n", "0", "-p", "no:cacheprovider", "-p", "tests.mutation.hanging", "-p", "tests.mutation.telling_first")
TEST_SECONDS = 40
"""What one test may take: far more than any of these does, and far less than all of them together, after which mutmut
gives a mutant up that waits for ever."""


def run(
    part: Part, place: Path, left_out: Iterable[str], names: Sequence[str], at_once: int, goes_on: bool = False
) -> list[Mutant]:
    """Mutates a part and tries its mutants, or those whose names fit, and tells what became of all.

    Where some are named, or it `goes_on`, a copy that is there is gone on with. Raises NotRun.
    """
    if not names and not goes_on:
        shutil.rmtree(place, ignore_errors=True)
    tried: list[Path] = []
    for each in part.rounds():
        folder = place / each.name
        if tried:
            names = _survivors(tried, but_not=folder / "mutants" if goes_on else None)
        if names or not tried:
            _lay_out(part, each, folder, left_out)
            with servers(wanted=each.on_servers) as variables:
                mutmut = Path(sys.executable).with_name("mutmut")
                command: list[str | Path] = [mutmut, "run", "--max-children", str(at_once), *names]
                if run_alone(command, folder, os.environ | ENVIRONMENT | variables):
                    raise NotRun(part.name)
        tried.append(folder / "mutants")
    return read_mutants(tried)


def _survivors(places: Sequence[Path], but_not: Path | None) -> list[str]:
    """Those of which a later round has not told yet."""
    told = {one.name for one in read_mutants([but_not]) if one.fate != "not tried"} if but_not is not None else set()
    return [one.name for one in read_mutants(places) if one.fate == "survived" and one.name not in told]


def _lay_out(part: Part, each: Round, place: Path, left_out: Iterable[str]) -> None:
    copy_to(place)
    config = RawConfigParser()
    config["mutmut"] = {
        "source_paths": _lines(CODE),
        "only_mutate": _lines(part.files),
        "do_not_mutate_patterns": _lines(left_out),
        "also_copy": _lines(sorted(entry.name for entry in place.iterdir() if entry.name not in (*CODE, "mutants"))),
        "pytest_add_cli_args_test_selection": _lines(each.tests),
        "pytest_add_cli_args": _lines([*ARGUMENTS, f"--timeout={TEST_SECONDS}"]),
        "use_git_change_detection": "false",
        # A mutant that waits for ever is ended after this; mutmut's own figures are for tests that wait for nobody.
        "timeout_constant": "2.0",
        "timeout_multiplier": "8.0",
        # Tests leave threads and connections behind, which no child must inherit.
        "process_isolation": "forkserver" if each.on_servers else "fork",
    }
    with (place / "setup.cfg").open("w") as file:
        config.write(file)


def _lines(values: Iterable[object]) -> str:
    return "\n" + "\n".join(str(value) for value in values)
