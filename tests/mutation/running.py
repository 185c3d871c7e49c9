"""Runs mutmut over one part, in a copy of the tree: it changes what it mutates, and looks at all that lies about."""

import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterable, Iterator, Mapping, Sequence
from configparser import RawConfigParser
from contextlib import contextmanager, suppress
from pathlib import Path

from infrastructure.embedded import EmbeddedServers
from tests.mutation.mutants import read_mutants
from tests.mutation.parts import Part, Round

ROOT = Path(__file__).resolve().parents[2]
CODE = ("domain", "commands", "projections", "infrastructure", "dora_state")
LEFT = shutil.ignore_patterns(".*", "__pycache__", "build", "dist", "htmlcov", "*.egg-info", "results")
SERVERS = ("DORA_STATE_TEST_DATABASE_URL", "DORA_STATE_TEST_REDIS_URL")
ENVIRONMENT = {"HYPOTHESIS_PROFILE": "mutation"}


class NotRun(Exception):
    """mutmut did not come to its end; what it told is above."""


def run(
    part: Part, place: Path, left_out: Iterable[str], names: Sequence[str], at_once: int, goes_on: bool = False
) -> list[Path]:
    """Mutates a part and tries its mutants, or those whose names fit. The folder of each round with what became of
    them there.

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
            with _servers(each) as variables:
                mutmut = Path(sys.executable).with_name("mutmut")
                command: list[str | Path] = [mutmut, "run", "--max-children", str(at_once), *names]
                if run_alone(command, folder, os.environ | ENVIRONMENT | variables):
                    raise NotRun(part.name)
        tried.append(folder / "mutants")
    return tried


def _survivors(places: Sequence[Path], but_not: Path | None) -> list[str]:
    """Those of which a later round has not told yet."""
    told = {one.name for one in read_mutants([but_not]) if one.fate != "not tried"} if but_not is not None else set()
    return [one.name for one in read_mutants(places) if one.fate == "survived" and one.name not in told]


def run_alone(command: Sequence[str | Path], place: Path, environment: Mapping[str, str]) -> int:
    """The exit code. A mutant may hang where no signal of mutmut's reaches it: nothing outlives the run."""
    with subprocess.Popen(command, cwd=place, env=environment, start_new_session=True) as running:
        try:
            return running.wait()
        finally:
            with suppress(ProcessLookupError):
                os.killpg(running.pid, signal.SIGKILL)


def _lay_out(part: Part, each: Round, place: Path, left_out: Iterable[str]) -> None:
    shutil.copytree(ROOT, place, ignore=LEFT, dirs_exist_ok=True)
    config = RawConfigParser()
    config["mutmut"] = {
        "source_paths": _lines(CODE),
        "only_mutate": _lines(part.files),
        "do_not_mutate_patterns": _lines(left_out),
        "also_copy": _lines(sorted(entry.name for entry in place.iterdir() if entry.name not in (*CODE, "mutants"))),
        "pytest_add_cli_args_test_selection": _lines(each.tests),
        "pytest_add_cli_args": _lines(["-n", "0", "-p", "no:cacheprovider", "-p", "tests.mutation.fastest_first"]),
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


@contextmanager
def _servers(each: Round) -> Iterator[dict[str, str]]:
    """One pair for all mutants, or the ones that the environment names: otherwise each mutant would start its own."""
    if not each.on_servers or all(name in os.environ for name in SERVERS):
        yield {}
        return
    home = Path(f"/tmp/dora-state-mutation-{os.getpid()}")  # a short path: there are sockets in it
    try:
        with EmbeddedServers(home) as servers:
            yield dict(zip(SERVERS, (servers.database_url, servers.redis_url), strict=True))
    finally:
        shutil.rmtree(home, ignore_errors=True)
