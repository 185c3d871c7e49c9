"""What all commands of the model have in common: the rooms, the moment, and how a record is changed."""

from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any, TypeVar

from tests.models.house.rooms import Agent, Pool, Refused, Rooms, System, Task, Workflow

R = TypeVar("R")


@dataclass(frozen=True)
class Moment:
    """What there was after a command: the log's last position, its time, and the versions that the command left."""

    position: int
    at: datetime
    versions: dict[str, int]
    rooms: Rooms


class Floor:
    def __init__(self) -> None:
        self.rooms = Rooms()
        self.moments: list[Moment] = []
        self.now: datetime
        self.command_id = ""
        self.reservations_made = 0
        self.active_before = 0
        self.moved: set[str] = set()
        """Workflows of which something else is seen since an earlier one of several commands that are one."""

    # --- finding --------------------------------------------------------------------------------------------

    def workflow(self, workflow_id: str) -> Workflow:
        return _there(self.rooms.workflows, workflow_id)

    def task(self, task_id: str) -> Task:
        return _there(self.rooms.tasks, task_id)

    def agent(self, agent_id: str) -> Agent:
        return _there(self.rooms.agents, agent_id)

    def pool(self, pool_id: str) -> Pool:
        return _there(self.rooms.pools, pool_id)

    @property
    def system(self) -> System:
        return self.rooms.system or System()

    def tasks_of(self, workflow_id: str) -> dict[str, Task]:
        return {task_id: self.rooms.tasks[task_id] for task_id in self.workflow(workflow_id).tasks}

    # --- changing -------------------------------------------------------------------------------------------

    def change_workflow(self, workflow_id: str, **fields: Any) -> None:
        self.rooms.workflows[workflow_id] = replace(self.workflow(workflow_id), **fields)

    def change_task(self, task_id: str, **fields: Any) -> None:
        self.rooms.tasks[task_id] = replace(self.task(task_id), **fields)

    def change_agent(self, agent_id: str, **fields: Any) -> None:
        self.rooms.agents[agent_id] = replace(self.agent(agent_id), **fields)

    def change_pool(self, pool_id: str, **fields: Any) -> None:
        self.rooms.pools[pool_id] = replace(self.pool(pool_id), **fields)

    def change_system(self, **fields: Any) -> None:
        self.rooms = replace(self.rooms, system=replace(self.system, **fields))

    def next_reservation(self) -> str:
        self.reservations_made += 1
        return f"res-{self.command_id}-{self.reservations_made}"


def _there(records: dict[str, R], id: str) -> R:
    if id not in records:
        raise Refused("unknown_id")
    return records[id]
