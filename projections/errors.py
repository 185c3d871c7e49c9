"""What can go wrong between the log and the read models."""

from domain.errors import DoraStateError, NotFound


class ProjectionHalted(DoraStateError):
    """The projection can't go on: the message says why, and what to do. Others go on."""

    code = "projection_halted"


class ProjectionChanged(ProjectionHalted):
    """Another version of the projection wrote what is there; build it anew, or leave it to that release."""

    code = "projection_changed"


class CheckpointNotInLog(ProjectionHalted):
    """What is there was made from another log; build it anew."""

    code = "checkpoint_not_in_log"


class RebuildRefused(DoraStateError):
    """The rebuild can't begin, or what it built is not to be switched to; those that run are as they were."""

    code = "rebuild_refused"


class CheckpointMoved(DoraStateError):
    """Another has written these events already, or other tables took the place of these; nothing was written."""

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
