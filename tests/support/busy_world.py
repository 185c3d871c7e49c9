"""A world with work in it, to which any commands happen."""

from commands.messages import Command, pool, task, workflow
from dora_state.testing.commands import TASKS
from tests.support.command_world import World, add_task, create_pool, create_workflow, register_agent
from tests.support.memory_log import MemoryEventLog


def busy_world() -> World:
    """Two workflows with tasks at work, so that any command may find something to do."""
    world = World()
    world.given(create_pool("p1", "6"), pool.ResizePool(pool_id="p1", total={"cpu": "6", "memory": "4Gi"}))
    world.given(create_pool("p2", "2"), register_agent("a1", 5), register_agent("a2", 2))
    for workflow_id, task_ids in TASKS.items():
        world.given(create_workflow(workflow_id, on_task_failure="continue"))
        world.given(*(add_task(task_id, workflow_id, resource_requirements={"cpu": "1"}) for task_id in task_ids))
        world.given(workflow.StartWorkflow(workflow_id=workflow_id))
        for task_id in task_ids[:2]:
            world.given(
                task.ScheduleTask(task_id=task_id),
                task.AssignTask(task_id=task_id, agent_id="a1", reason="test", pool_id="p1"),
                task.StartTask(task_id=task_id),
            )
    return world


def happened(commands: list[tuple[Command, int]]) -> MemoryEventLog:
    world = busy_world()
    for command, seconds in commands:
        answer = world.do(command)
        assert answer.outcome in ("accepted", "unchanged", "refused"), answer
        world.clock.pass_(seconds)
    return world.log
