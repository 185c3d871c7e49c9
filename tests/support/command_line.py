"""`dora-state` as its users run it: a process of its own, in a home, with what it printed and how it ended."""

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from tests.support.warm_line import Forked, warm_line

ROOT = Path(__file__).parents[2]
PATIENCE = 90.0
PROGRAM = ["-m", "dora_state"]


@dataclass(frozen=True, slots=True)
class Ended:
    code: int
    out: str
    err: str

    @property
    def json(self) -> Any:
        return json.loads(self.out)

    @property
    def json_lines(self) -> list[Any]:
        return [json.loads(line) for line in self.out.splitlines()]

    def one_sentence(self) -> str:
        """What stderr says of an error: one line, and never a traceback."""
        lines = [line for line in self.err.splitlines() if line.startswith("Error: ")]
        assert len(lines) == 1, self.err
        assert "Traceback" not in self.err
        return lines[0]


class CommandLine:
    """Runs commands in one home. Variables of our own that the surroundings have set don't reach it."""

    def __init__(self, home: Path, *, directory: Path = ROOT, **variables: str) -> None:
        """`directory` is where they run. `program` and `python` may be others that take the same arguments."""
        self.program = PROGRAM
        self.python = sys.executable
        self.is_warm = True
        """Whether what runs to its end may be this very program, forked where it has started already."""
        self.directory = directory
        kept = {name: value for name, value in os.environ.items() if not name.startswith("DORA_STATE_")}
        self._environment = kept | {"DORA_STATE_HOME": str(home), "COLUMNS": "80"} | variables

    def __call__(self, *arguments: str, given: str = "") -> Ended:
        """Run to the end; `given` comes in by stdin."""
        if self._may_be_warm:
            code, out, err = warm_line().run(arguments, given.encode(), self.directory, self._environment, PATIENCE)
            return Ended(code, out.decode(), err.decode())
        done = subprocess.run(
            self._command(arguments),
            input=given.encode(),
            capture_output=True,
            cwd=self.directory,
            env=self._environment,
            timeout=PATIENCE,
            check=False,
        )
        return Ended(done.returncode, done.stdout.decode(), done.stderr.decode())

    def start(
        self, *arguments: str, stdout: int | IO[bytes] = subprocess.PIPE, stderr: int = subprocess.PIPE
    ) -> subprocess.Popen[bytes]:
        """Start and leave it running; end it with `finish`."""
        return subprocess.Popen(
            self._command(arguments),
            stdin=subprocess.PIPE,
            stdout=stdout,
            stderr=stderr,
            cwd=self.directory,
            env=self._environment,
        )

    def begin(self, *arguments: str) -> subprocess.Popen[bytes] | Forked:
        """The same, forked where it may be."""
        if self._may_be_warm:
            return warm_line().start(arguments, self.directory, self._environment)
        return self.start(*arguments)

    @property
    def _may_be_warm(self) -> bool:
        return self.is_warm and self.program == PROGRAM and warm_line().fits(self._environment)

    def _command(self, arguments: tuple[str, ...]) -> list[str]:
        return [self.python, *self.program, *arguments]


def lines(*commands: dict[str, Any]) -> str:
    """Commands as JSON lines."""
    return "".join(f"{json.dumps(command)}\n" for command in commands)


def finish(process: subprocess.Popen[bytes], number: signal.Signals | None = None) -> Ended:
    """Send a signal, if any, and wait for the end."""
    if number is not None:
        process.send_signal(number)
    try:
        if number is not None and process.stdin is not None:
            # An open stdin is what it waits for, so it must leave in spite of it.
            process.wait(PATIENCE)
        out, err = process.communicate(timeout=PATIENCE)
    finally:
        process.kill()
    return Ended(process.returncode, (out or b"").decode(), (err or b"").decode())
