"""What can go wrong between the log and the read models."""

from domain.errors import DoraStateError, NotFound


class ProjectionHalted(DoraStateError):
    """The projector met an event that this release does not know; run a later release."""

    code = "projection_halted"


class CheckpointMoved(DoraStateError):
    """Another projector has written these events already; nothing was written, read on from its checkpoint."""

    code = "checkpoint_moved"


class ReadModelsUnavailable(DoraStateError):
    """The read models can't be reached just now; try again later."""

    code = "read_models_unavailable"


class NotProjectedYet(DoraStateError):
    """The read models have not come as far as was asked; try again, or ask for less."""

    code = "not_projected_yet"


class InvalidPage(DoraStateError):
    """That is no page mark which an earlier answer gave; begin with the first page."""

    code = "invalid_page"


def named(kind: str, id: str) -> str:
    """At the beginning of a sentence; nobody gives an id for the system."""
    return "The system" if kind == "system" else f"The {kind} {id}"


def nothing_there(kind: str, id: str) -> NotFound:
    """There is nothing of that id; nobody gives one for the system."""
    if kind == "system":
        return NotFound("Nothing has been recorded of the system yet; configure it first.", kind=kind)
    return NotFound(f"There is no {kind} {id}; check the id.", kind=kind, id=id)
