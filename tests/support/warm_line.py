"""Commands in processes of their own that need not start: each is forked from one that has imported the program.

A command imports for longer than it works, and tests run hundreds of them. What is forked is the program from its
`main` on, with its own arguments, environment, directory and standard streams, and the umask of whoever runs it; how
it starts is tried by those that `CommandLine.start` begins, and by the walk-through of the README.
"""

import atexit
import gc
import io
import json
import os
import signal
import socket
import struct
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import IO

ROOT = Path(__file__).parents[2]
LARGEST = 1 << 17
_STATUS = struct.Struct("i")
_DECIDES = ("PYTHON", "LC_", "LANG")
"""What the environment must say when a Python starts; later it is too late."""


class Forked:
    """A command that goes on beside its test. What is here of `subprocess.Popen` is as it is there."""

    def __init__(self, arguments: Sequence[str], told: socket.socket, stdin: int, stdout: int, stderr: int) -> None:
        self.args = arguments
        self.returncode: int | None = None
        self.stdin = os.fdopen(stdin, "wb", buffering=0)
        self.stdout: IO[bytes] = os.fdopen(stdout, "rb")
        self.stderr: IO[bytes] = os.fdopen(stderr, "rb")
        (self.pid,) = _STATUS.unpack(told.recv(_STATUS.size))
        self._listening = threading.Thread(target=self._listen, args=(told,), daemon=True)
        self._listening.start()

    def _listen(self, told: socket.socket) -> None:
        with told:
            (status,) = _STATUS.unpack(told.recv(_STATUS.size))
        self.returncode = os.waitstatus_to_exitcode(status)

    def wait(self, timeout: float | None = None) -> int:
        self._listening.join(timeout)
        if self.returncode is None:
            raise subprocess.TimeoutExpired(self.args, timeout or 0)
        return self.returncode

    def poll(self) -> int | None:
        with suppress(subprocess.TimeoutExpired):
            return self.wait(0)
        return None

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, number)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)


class WarmLine:
    """Where commands are forked from. It ends with this process."""

    def __init__(self) -> None:
        self._control, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self._turn = threading.Lock()
        self._decided = _decisive(os.environ)
        self._process = subprocess.Popen(
            [sys.executable, "-m", __name__, str(theirs.fileno())],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            pass_fds=(theirs.fileno(),),
        )
        theirs.close()

    def fits(self, environment: Mapping[str, str]) -> bool:
        """Whether a Python that starts there would be as the one that is forked."""
        return _decisive(environment) == self._decided

    def start(self, arguments: Sequence[str], directory: Path, environment: Mapping[str, str]) -> Forked:
        """It goes on by itself; whoever starts it sees to its end, and closes its streams."""
        ours, theirs = socket.socketpair()
        (stdin, to_stdin), (from_stdout, stdout), (from_stderr, stderr) = [os.pipe() for _ in range(3)]
        told = json.dumps([list(arguments), str(directory), dict(environment), _umask()]).encode()
        with self._turn:
            socket.send_fds(self._control, [told], [theirs.fileno(), stdin, stdout, stderr])
        theirs.close()
        for end in (stdin, stdout, stderr):
            os.close(end)
        return Forked(arguments, ours, to_stdin, from_stdout, from_stderr)

    def run(
        self, arguments: Sequence[str], given: bytes, directory: Path, environment: Mapping[str, str], patience: float
    ) -> tuple[int, bytes, bytes]:
        """Its exit code, stdout and stderr. Raises TimeoutExpired where it has not ended in time; then it is killed."""
        command = self.start(arguments, directory, environment)
        with ThreadPoolExecutor(3) as threads:
            threads.submit(_write, command.stdin, given)
            said = [threads.submit(_read, stream) for stream in (command.stdout, command.stderr)]
            try:
                code = command.wait(patience)
            except subprocess.TimeoutExpired:
                command.kill()
                raise
            return code, said[0].result(), said[1].result()

    def close(self) -> None:
        self._control.close()
        self._process.wait()


@cache
def warm_line() -> WarmLine:
    """The one of this process."""
    line = WarmLine()
    atexit.register(line.close)
    return line


def _decisive(environment: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in environment.items() if name.startswith(_DECIDES)}


def _umask() -> int:
    os.umask(now := os.umask(0o077))
    return now


def _write(stream: io.FileIO, given: bytes) -> None:
    with suppress(BrokenPipeError), stream:  # it may want no more
        left = memoryview(given)
        while left:
            left = left[stream.write(left) :]


def _read(stream: IO[bytes]) -> bytes:
    with stream:
        return stream.read()


# --- in the process that commands are forked from -------------------------------------------------------


def _serve(control: socket.socket) -> None:
    """Until nobody is there who could ask. In a command's process, this ends by SystemExit."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)
    while True:
        told, ends, _, _ = socket.recv_fds(control, LARGEST, 4)
        if not told:
            return
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            control.close()
            _keep(socket.socket(fileno=ends[0]), told, ends[1:])
        for end in ends:
            os.close(end)


def _keep(asker: socket.socket, told: bytes, streams: Sequence[int]) -> None:
    """Stay beside a command, and tell how it ended."""
    pid = os.fork()
    if pid == 0:
        asker.close()
        raise SystemExit(_command(told, streams))
    for stream in streams:
        os.close(stream)
    asker.sendall(_STATUS.pack(pid))
    _, status = os.waitpid(pid, 0)
    asker.sendall(_STATUS.pack(status))
    os._exit(0)


def _command(told: bytes, streams: Sequence[int]) -> int:
    from dora_state.cli import main

    arguments, directory, environment, umask = json.loads(told)
    os.umask(umask)
    for number, stream in enumerate(streams):
        os.dup2(stream, number)
        os.close(stream)
    # What stood there before was of another kind of file.
    for number, (name, mode) in enumerate((("stdin", "rb"), ("stdout", "wb"), ("stderr", "wb"))):
        setattr(sys, name, _text(os.fdopen(number, mode, closefd=False), getattr(sys, name)))
    os.chdir(directory)
    os.environ.clear()
    os.environ.update(environment)
    sys.argv = ["dora-state", *arguments]
    return main()


def _text(stream: IO[bytes], like: io.TextIOWrapper) -> io.TextIOWrapper:
    return io.TextIOWrapper(stream, like.encoding, like.errors, line_buffering=like.line_buffering)


def _prepare() -> None:
    """All that each command would begin with. What is there by then is nobody's to collect: to look for garbage in it
    would copy it."""
    import pkgutil
    from importlib import import_module

    import dora_state.cli
    from domain.folding import FOLDER
    from dora_state.cli.app import command

    command()
    for module in pkgutil.walk_packages(dora_state.cli.__path__, "dora_state.cli."):
        import_module(module.name)
    dict(FOLDER.stamps)
    gc.collect()
    gc.freeze()


if __name__ == "__main__":
    _prepare()
    _serve(socket.socket(fileno=int(sys.argv[1])))
