"""Whether a workflow that was rolled back became what it was: its document, and its own account of its tasks.

Not looked at is what became of the tasks themselves, of which a rollback does not tell the moment: invariants hold them
to what their workflow says. What an event restores is held to what is folded now, so that an upcast of a workflow's
events must be one of what they restored, too.
"""

from collections.abc import Iterator
from itertools import islice

from domain.workflow import TaskView, Workflow, WorkflowRolledBack, from_json, to_json, with_tasks
from dora_state.testing.contents import digest


class Pasts:
    """Memory is that of a digest for each version of a workflow with which a command ended."""

    def __init__(self) -> None:
        self._was: dict[tuple[str, int], tuple[int, str]] = {}
        """How many tasks it had, as they only become more, and what it was."""

    def keep(self, stream_id: str, version: int, state: object) -> None:
        """What a command left."""
        if isinstance(state, Workflow):
            self._was[stream_id, version] = len(state.tasks), _digest(state, state.tasks)

    def forbidden(self, stream_id: str, event: object, before: object, after: object) -> Iterator[str]:
        """What is wrong with a rollback, each in a sentence, given the states around it; nothing of any other event."""
        if not (isinstance(event, WorkflowRolledBack) and isinstance(before, Workflow) and isinstance(after, Workflow)):
            return
        says = f"{event.type} of {stream_id}: version {event.to_version}"
        then = self._was.get((stream_id, event.to_version))
        if then is None:
            yield f"{says} is none that a command ended with."
            return
        tasks, was = then
        restored = from_json(event.restored)
        if _digest(restored, dict(islice(restored.tasks.items(), tasks))) != was:
            yield f"{says} was otherwise than what came back."
        if list(after.tasks) != list(before.tasks):
            yield f"{says} came back with other tasks than there were."
        later = [task_id for task_id, view in list(after.tasks.items())[tasks:] if view.state != "cancelled"]
        if later:
            yield f"{says} had no task {', '.join(later)}, which is not cancelled."


def _digest(workflow: Workflow, tasks: dict[str, TaskView]) -> str:
    """Of its whole state, with these of its tasks."""
    return digest(to_json(with_tasks(workflow, tasks)))
