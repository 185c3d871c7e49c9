"""Processes of an earlier server that outlived it: found by the lock they inherited, not by a pid file.

After a ``kill -9`` of the postmaster a backend in the middle of a long query goes on, with the old shared
memory attached, and no new server may start beside it.
"""

from __future__ import annotations

import os
import signal
import time
from pathlib import Path

from . import locks
from .errors import EmbeddedServerError

_PATIENCE_SECONDS = 3.0
_PAUSE_SECONDS = 0.02


def seize(lock: Path, name: str, firm_signal: signal.Signals, give_up_after: float = 30.0) -> int:
    """Hold the server's lock, which proves that no process of an earlier one is alive; its descriptor.

    An earlier one gets three seconds to end by itself, then the firm signal, then SIGKILL.
    """
    descriptor = locks.open_lock(lock)
    steps: list[tuple[float, signal.Signals]] = [
        (_PATIENCE_SECONDS, firm_signal),
        (2 * _PATIENCE_SECONDS, signal.SIGKILL),
    ]
    began = time.monotonic()
    while not locks.try_exclusive(descriptor):
        waited = time.monotonic() - began
        if steps and waited > steps[0][0]:
            _signal_holders(lock, steps.pop(0)[1])
        if waited > give_up_after:
            os.close(descriptor)
            pids = sorted(_holders(lock))
            raise EmbeddedServerError(
                "embedded.stragglers",
                f"Processes of an earlier {name} still hold {lock} and cannot be ended "
                f"({', '.join(map(str, pids)) or 'none that may be seen'}): end them and start again.",
                {"lock": str(lock), "pids": pids},
            )
        time.sleep(_PAUSE_SECONDS)
    return descriptor


def _signal_holders(lock: Path, number: signal.Signals) -> None:
    for pid in _holders(lock):
        try:
            process = os.pidfd_open(pid)
        except ProcessLookupError:
            continue
        try:
            # The handle is of this process for good; so ask again whether it is the one that holds the lock.
            if _holds(pid, lock.stat()):
                signal.pidfd_send_signal(process, number)
        except (ProcessLookupError, PermissionError):
            continue
        finally:
            os.close(process)


def _holders(lock: Path) -> list[int]:
    wanted = lock.stat()
    pids = [int(entry) for entry in os.listdir("/proc") if entry.isdigit()]
    return [pid for pid in pids if pid != os.getpid() and _holds(pid, wanted)]


def _holds(pid: int, wanted: os.stat_result) -> bool:
    try:
        descriptors = os.listdir(f"/proc/{pid}/fd")
    except OSError:
        return False
    return any(_is_same(f"/proc/{pid}/fd/{descriptor}", wanted) for descriptor in descriptors)


def _is_same(path: str, wanted: os.stat_result) -> bool:
    try:
        return os.path.samestat(os.stat(path), wanted)
    except OSError:
        return False
