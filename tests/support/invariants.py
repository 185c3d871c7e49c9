"""What must hold between the aggregates after every command, whatever commands arrived in whatever order."""

from collections.abc import Iterable, Mapping
from types import MappingProxyType
from typing import Any

from domain.folding import FOLDER
from domain.log import RecordedEvent
from domain.system import SYSTEM, LogImportBegun
from domain.workflow import WORKFLOW
from dora_state.testing.invariants import broken
from dora_state.testing.moves import forbidden
from dora_state.testing.rollbacks import Pasts
from tests.support.command_world import BEGINNING, World


def check_world(world: World) -> None:
    folded = world.everything()
    states = {stream_id: one.state for stream_id, one in folded.items()}
    assert list(broken(states, states)) == []
    tasks = {stream_id for stream_id in states if stream_id.startswith("task-")}
    assert tasks == {f"task-{one}" for workflow in world.of_kind(WORKFLOW).values() for one in workflow.tasks}
    # What the committer has in mind is what is in the log.
    for stream_id, loaded in world.decider._cache.items():
        there = folded.get(stream_id)
        if world.shared and there and loaded.version < there.version:
            continue  # it will hear of that when it next writes
        assert (loaded.version, loaded.state) == ((there.version, there.state) if there else (0, None)), stream_id


IMPORTING: Mapping[str, Any] = {
    "system-platform": SYSTEM.fold([LogImportBegun(at=BEGINNING, file_name="x", sha256="x", imported_at=BEGINNING)])
}
"""An import that goes on."""


def check_moves(log: Iterable[RecordedEvent], begin: Mapping[str, Any] = MappingProxyType({})) -> None:
    """What was there before each event of a whole log allowed it, and rollbacks brought back what was."""
    states, pasts, touched = dict(begin), Pasts(), dict[str, int]()
    for event in log:
        assert list(forbidden(states, event)) == [], event.position
        before = states.get(event.stream_id)
        said, after = FOLDER.step(event, before)
        assert list(pasts.forbidden(event.stream_id, said, before, after)) == [], event.position
        states[event.stream_id] = after
        touched[event.stream_id] = event.version
        if event.following == 0:
            for stream_id, version in touched.items():
                pasts.keep(stream_id, version, states[stream_id])
            touched.clear()
