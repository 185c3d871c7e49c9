"""What the supervisor tells those who wait for it, in a file that is replaced as a whole."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass

from .errors import EmbeddedServerError
from .home import Home
from .ownership import open_for_owner

PREPARING = "preparing"
LAUNCHED = "launched"
FAILED = "failed"


@dataclass(frozen=True)
class SupervisorState:
    """``phase`` is preparing, launched or failed; ``failure`` is set with the last."""

    phase: str
    failure: EmbeddedServerError | None = None


def write_state(home: Home, state: SupervisorState) -> None:
    """Tell how far the supervisor is."""
    failure = state.failure
    document = {
        "phase": state.phase,
        "code": failure.code if failure else None,
        "message": failure.message if failure else None,
        "facts": failure.facts if failure else {},
    }
    new = home.supervisor_state.with_suffix(".new")
    # One that was left by a start that was killed may be of somebody else.
    new.unlink(missing_ok=True)
    with os.fdopen(open_for_owner(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "w") as file:
        file.write(json.dumps(document))
    os.replace(new, home.supervisor_state)


def read_state(home: Home) -> SupervisorState | None:
    """How far the supervisor is; None before it said anything."""
    try:
        document = json.loads(home.supervisor_state.read_text())
    except (FileNotFoundError, json.JSONDecodeError):
        return None
    failure = None
    if document["phase"] == FAILED:
        failure = EmbeddedServerError(document["code"], document["message"], document["facts"])
    return SupervisorState(document["phase"], failure)
