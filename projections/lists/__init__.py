"""Lists of documents: what operators and orchestrators look through, and what the worker has to act on."""

from projections.lists.boards import Board, Boards, Column
from projections.lists.due import DueLists
from projections.lists.fleet import AgentFilter, FleetLists, ReservationFilter
from projections.lists.tasks import TaskFilter, TaskLists
from projections.lists.workflows import WorkflowFilter, WorkflowLists


class Lists(TaskLists, WorkflowLists, FleetLists, Boards, DueLists):
    """All lists of one tenant. What depends on the moment of asking is as of then."""


__all__ = [
    "AgentFilter",
    "Board",
    "Column",
    "Lists",
    "ReservationFilter",
    "TaskFilter",
    "WorkflowFilter",
]
