"""Who a server process is: the user that starts it, or, when root does, somebody who is not uid 0.

PostgreSQL refuses to run as uid 0. No user is created and no permission outside the home is changed, so
an unprivileged uid may not be able to reach a home or a venv below a directory such as ``/root``. What
then lets it through, in the order in which it is tried:

1. nothing: everything can be reached;
2. the ambient capability CAP_DAC_READ_SEARCH: directories are passed and files read, whatever their mode;
3. CAP_DAC_OVERRIDE: containers often have it and not the one above; also for programs that only root may run;
4. a user namespace in which root goes by another number: where root cannot become anybody else.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import pwd
import signal
import subprocess
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from .errors import EmbeddedServerError
from .home import SERVER_UID, Home
from .wheels import Programs

_PR_SET_PDEATHSIG = 1
_PR_SET_SECUREBITS = 28
_SECBIT_NO_SETUID_FIXUP = 4
_PR_CAP_AMBIENT = 47
_PR_CAP_AMBIENT_RAISE = 2
_CAPABILITY_VERSION_3 = 0x20080522
_CAP_DAC_OVERRIDE = 1
_CAP_DAC_READ_SEARCH = 2
_CLONE_NEWUSER = 0x10000000

_libc = ctypes.CDLL(None, use_errno=True)


@dataclass(frozen=True)
class Identity:
    """``uid`` and ``gid`` own the servers' files. ``name`` is for the supervisor's log.

    In a namespace of its own it is still the user that starts it, who goes by ``inside_uid`` there.
    """

    name: str
    uid: int
    gid: int
    capability: int | None = None
    inside_uid: int | None = None

    def assume(self, directory: Path, death_signal: signal.Signals) -> Callable[[], None]:
        """What a child does between fork and exec: become this user, in this directory.

        It gets ``death_signal`` when the process that forked it dies. Only for a process with one thread.
        """
        parent = os.getpid()

        def become() -> None:
            signal.pthread_sigmask(signal.SIG_SETMASK, ())
            os.umask(0o077)
            if self.inside_uid is not None:
                _enter_namespace(self.inside_uid)
            elif os.geteuid() != self.uid:
                self._leave_root()
            os.chdir(directory)
            # Last, because a change of user clears it.
            _prctl(_PR_SET_PDEATHSIG, death_signal)
            if os.getppid() != parent:
                os._exit(1)

        return become

    def give(self, path: Path) -> None:
        """Make this user the owner of a file or directory of the home."""
        if os.geteuid() == 0:
            os.chown(path, self.uid, self.gid, follow_symlinks=False)

    def _leave_root(self) -> None:
        if self.capability is not None:
            # Keeps capabilities over the change of user, and lets access(2) count them, by which
            # PostgreSQL looks for its own programs.
            _prctl(_PR_SET_SECUREBITS, _SECBIT_NO_SETUID_FIXUP)
        os.setgroups([])
        os.setresgid(self.gid, self.gid, self.gid)
        os.setresuid(self.uid, self.uid, self.uid)
        if self.capability is not None:
            _keep_only(self.capability)
            _prctl(_PR_CAP_AMBIENT, _PR_CAP_AMBIENT_RAISE, self.capability)


def choose_identity(home: Home, programs: Programs) -> Identity:
    """Who runs the servers: the first under whom the programs run and the home is reached."""
    if os.geteuid() != 0:
        return _ordinary(home)
    identity = _first_that_works(_candidates(home), home.run, programs)
    identity.give(home.valkey)
    return identity


def choose_maker(runs: Identity, directory: Path, programs: Programs) -> Identity:
    """Who makes PostgreSQL's data in the directory: ``initdb`` insists on a user that has a name.

    Who runs the servers, if that one has a name; else root lends its child the number of somebody who has,
    and a user without a name goes by such a number in a user namespace.
    """
    if runs.inside_uid is not None or _has_name(runs.uid):
        return _first_that_works([runs], directory, programs)
    named, group = _somebody()
    candidates = [_namespace(os.geteuid(), os.getegid(), named)]
    if os.geteuid() == 0:
        candidates = [*_with_capabilities(named, group), *candidates]
    return _first_that_works(candidates, directory, programs)


def _first_that_works(candidates: Sequence[Identity], directory: Path, programs: Programs) -> Identity:
    """The first that can be assumed, reach the directory (which it is given) and run the programs."""
    tried = []
    for identity in candidates:
        try:
            identity.give(directory)
            for program in (programs.postgres, programs.initdb, programs.valkey_server):
                _try(program, identity.assume(directory, signal.SIGKILL))
        except (OSError, subprocess.SubprocessError) as error:
            tried.append(f"{identity.name}: {error}")
        else:
            return identity
    raise EmbeddedServerError(
        "embedded.no_user",
        f"PostgreSQL runs neither as root nor, while its data is made, as a user without a name, and no "
        f"other user could be made to reach {directory} and {programs.postgres_bin} from here: run "
        "dora-state as an ordinary user, or name a real server in DORA_STATE_DATABASE_URL.",
        {"directory": str(directory), "programs": str(programs.postgres_bin), "tried": tried},
    )


def _try(program: Path, become: Callable[[], None]) -> None:
    def become_and_look() -> None:
        become()
        # PostgreSQL asks this too, and the answer may differ from whether the program can be run.
        if not os.access(program, os.R_OK | os.X_OK):
            raise PermissionError(program)

    subprocess.run(
        [program, "--version"],
        preexec_fn=become_and_look,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        check=True,
        env={},
    )


def _ordinary(home: Home) -> Identity:
    me = Identity("the user itself", os.geteuid(), os.getegid())
    if home.pgdata.exists() and (owner := home.pgdata.stat().st_uid) != me.uid:
        raise EmbeddedServerError(
            "embedded.home_not_usable",
            f"The data in {home.pgdata} belongs to the user with number {owner}, not to {me.uid}: run as "
            "that user, or choose another DORA_STATE_HOME.",
            {"home": str(home.path), "owner": owner, "user": me.uid},
        )
    return me


def _candidates(home: Home) -> list[Identity]:
    """Whoever owns the data stays its owner; the owner of the home is the next that has a claim on it."""
    namespace = _namespace(0, 0, _somebody()[0])
    if home.pgdata.exists():
        owner = home.pgdata.stat()
        return [namespace] if owner.st_uid == 0 else _with_capabilities(owner.st_uid, owner.st_gid)
    owner = home.path.stat()
    if owner.st_uid != 0:
        return [*_with_capabilities(owner.st_uid, owner.st_gid), namespace]
    return [*_with_capabilities(SERVER_UID, SERVER_UID), namespace]


def _with_capabilities(uid: int, gid: int) -> list[Identity]:
    return [
        Identity(f"user {uid}", uid, gid),
        Identity(f"user {uid} with CAP_DAC_READ_SEARCH", uid, gid, _CAP_DAC_READ_SEARCH),
        Identity(f"user {uid} with CAP_DAC_OVERRIDE", uid, gid, _CAP_DAC_OVERRIDE),
    ]


def _namespace(uid: int, gid: int, inside_uid: int) -> Identity:
    return Identity(f"user {inside_uid} of a user namespace", uid, gid, inside_uid=inside_uid)


def _has_name(uid: int) -> bool:
    try:
        pwd.getpwuid(uid)
    except KeyError:
        return False
    return True


def _somebody() -> tuple[int, int]:
    """The numbers of a user and a group that have a name and are not root's."""
    with contextlib.suppress(KeyError):
        nobody = pwd.getpwnam("nobody")
        return nobody.pw_uid, nobody.pw_gid
    named = (entry for entry in pwd.getpwall() if entry.pw_uid != 0)
    return next(((entry.pw_uid, entry.pw_gid) for entry in named), (SERVER_UID, SERVER_UID))


def _enter_namespace(inside_uid: int) -> None:
    uid, gid = os.geteuid(), os.getegid()
    if _libc.unshare(_CLONE_NEWUSER) != 0:
        raise OSError(ctypes.get_errno(), "unshare")
    Path("/proc/self/setgroups").write_text("deny")
    Path("/proc/self/gid_map").write_text(f"{inside_uid} {gid} 1")
    Path("/proc/self/uid_map").write_text(f"{inside_uid} {uid} 1")


def _prctl(option: int, *arguments: int) -> None:
    values = [ctypes.c_ulong(value) for value in (*arguments, 0, 0, 0, 0)[:4]]
    if _libc.prctl(ctypes.c_int(option), *values) != 0:
        raise OSError(ctypes.get_errno(), f"prctl {option}")


def _keep_only(capability: int) -> None:
    header = (ctypes.c_uint32 * 2)(_CAPABILITY_VERSION_3, 0)
    bit = 1 << capability
    effective_permitted_inheritable = (ctypes.c_uint32 * 6)(bit, bit, bit, 0, 0, 0)
    if _libc.capset(header, effective_permitted_inheritable) != 0:
        raise OSError(ctypes.get_errno(), "capset")
