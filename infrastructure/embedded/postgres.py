"""The embedded PostgreSQL: how its data is made, and the settings that it runs with."""

from __future__ import annotations

import os
import shutil
import signal
import struct
import subprocess
from pathlib import Path

from .errors import EmbeddedServerError
from .home import Home
from .identity import Identity, choose_maker
from .logs import last_lines, open_log
from .server_process import ENVIRONMENT, ServerSpec
from .wheels import Programs

OWNER = DATABASE = "dora_state"

# ControlFileData of PostgreSQL: the system's identifier, two versions, and then the state.
_CONTROL_STATE = struct.Struct("=16xi")
_RECOVERY_STATES = frozenset({4, 5})  # DB_IN_CRASH_RECOVERY, DB_IN_ARCHIVE_RECOVERY

_DURABLE = {"fsync": "on", "synchronous_commit": "on", "full_page_writes": "on"}
_SETTINGS = {
    **_DURABLE,
    "listen_addresses": "",
    "unix_socket_permissions": "0700",
    "max_connections": "200",
    # A tenant of a hundred years is dropped in one transaction, which locks each of its 1,200 months.
    "max_locks_per_transaction": "256",
    "shared_buffers": "128MB",
    "max_wal_size": "2GB",
    "min_wal_size": "160MB",
    "jit": "off",
    "timezone": "UTC",
    "log_timezone": "UTC",
    # Files under pgdata instead of /dev/shm: nothing outside the home, and containers have little of it.
    # What parallel queries share is kept in memory by the second setting.
    "dynamic_shared_memory_type": "mmap",
    "min_dynamic_shared_memory": "32MB",
    # Conflicts are answers here, not faults. A line each is enough, without statements and values, which
    # may hold personal data.
    "log_error_verbosity": "terse",
    "log_min_error_statement": "panic",
    "log_line_prefix": "%m [%p] ",
}


def postgres_spec(home: Home, programs: Programs, identity: Identity) -> ServerSpec:
    """PostgreSQL on a socket in the home; `prepare` makes its data if there is none."""

    def prepare(lock: int) -> None:
        if not home.pgdata.exists():
            _make_data(home, programs, identity, lock)
        _check_release(home, programs)
        # The lock says that no process of this server is alive, so the pid in these files is of nobody, or
        # by now of somebody else, and PostgreSQL would take that one for a postmaster.
        for stale in (
            home.pgdata / "postmaster.pid",
            home.postgres_socket,
            Path(f"{home.postgres_socket}.lock"),
        ):
            stale.unlink(missing_ok=True)

    # The setting is a list, in which a quoted name may hold anything but a quote, which is doubled.
    directories = '"' + str(home.run).replace('"', '""') + '"'
    settings = {**_SETTINGS, "unix_socket_directories": directories}
    return ServerSpec(
        name="PostgreSQL",
        command=(
            programs.postgres,
            "-D",
            home.pgdata,
            *(f"--{name}={value}" for name, value in settings.items()),
        ),
        directory=home.pgdata,
        lock=home.postgres_lock,
        log=postgres_log(home),
        prepare=prepare,
        gentle=signal.SIGINT,  # "fast": transactions are rolled back, a checkpoint is written
        firm=signal.SIGQUIT,  # "immediate": the next start recovers from the log
    )


def postgres_log(home: Home) -> Path:
    return home.log / "postgresql.log"


def is_recovering(home: Home) -> bool:
    """Whether PostgreSQL replays its log at this moment, as its control file says; False if there is none."""
    try:
        with (home.pgdata / "global" / "pg_control").open("rb") as control:
            (state,) = _CONTROL_STATE.unpack(control.read(_CONTROL_STATE.size))
    except (OSError, struct.error):
        return False
    return state in _RECOVERY_STATES


def _make_data(home: Home, programs: Programs, identity: Identity, lock: int) -> None:
    """Make the data beside its place and move it there when it is complete and on the disk.

    So a start that is killed in the middle leaves only something to throw away. The children hold the lock.
    """
    new = home.unfinished_pgdata
    if new.exists():
        shutil.rmtree(new)
    new.mkdir(mode=0o700)
    maker = choose_maker(identity, new, programs)
    initdb: tuple[str | Path, ...] = (
        programs.initdb,
        f"--pgdata={new}",
        f"--username={OWNER}",
        "--encoding=UTF8",
        "--locale=C",
        "--locale-provider=builtin",
        "--builtin-locale=C.UTF-8",
        "--data-checksums",
        "--auth-local=trust",
        "--auth-host=reject",
        "--set=timezone=UTC",
        "--set=log_timezone=UTC",
        "--set=dynamic_shared_memory_type=mmap",
    )
    single_user = (programs.postgres, "--single", "-D", new, "-c", "exit_on_error=on", "postgres")
    create_database = (Path(__file__).parent / "create_database.sql").read_bytes()
    for command, standard_input in ((initdb, b""), (single_user, create_database)):
        with open_log(postgres_log(home)) as log:
            done = subprocess.run(
                command,
                input=standard_input,
                preexec_fn=maker.assume(new, signal.SIGKILL),
                pass_fds=(lock,),
                stdout=log,
                stderr=log,
                env=ENVIRONMENT,
                start_new_session=True,
                check=False,
            )
        if done.returncode != 0:
            raise _initdb_failed(home, done.returncode)
    if maker != identity:
        for directory, _, files in os.walk(new):
            for path in (directory, *(os.path.join(directory, file) for file in files)):
                identity.give(Path(path))
    os.rename(new, home.pgdata)
    _sync_directory(home.path)


def _sync_directory(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _check_release(home: Home, programs: Programs) -> None:
    command = [str(programs.postgres), "--version"]
    said = subprocess.run(command, capture_output=True, text=True, check=True, env={}).stdout
    ours = said.split()[2].split(".")[0]  # postgres (PostgreSQL) 18.6
    theirs = (home.pgdata / "PG_VERSION").read_text().strip()
    if ours != theirs:
        raise EmbeddedServerError(
            "embedded.other_release",
            f"The data in {home.pgdata} was made by PostgreSQL {theirs}, and the one installed is {ours}: "
            f"export it with the release of dora-state that made it, or choose another DORA_STATE_HOME.",
            {"home": str(home.path), "data_release": theirs, "installed_release": ours},
        )


def _initdb_failed(home: Home, exit_code: int) -> EmbeddedServerError:
    log = postgres_log(home)
    lines = last_lines(log)
    last = lines[-1] if lines else "it did not say why"
    said = next((line for line in lines if "error:" in line or "FATAL" in line or "PANIC" in line), last)
    return EmbeddedServerError(
        "embedded.database_not_made",
        f"PostgreSQL's data could not be made in {home.path} ({said.strip()}): mend that and start again; "
        f"the log is {log}.",
        {"home": str(home.path), "exit_code": exit_code, "log": str(log), "last_lines": lines},
    )
