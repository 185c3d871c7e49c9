"""States to be changed and handed back, and changes to them."""

from collections.abc import Callable

from commands.messages import agent, pool, task, workflow
from dora_state.editing import EditableState
from projections.documents import RENDERINGS
from projections.documents.system import unheard_of
from projections.documents.values import decode, encode
from tests.support.command_world import BEGINNING, World, add_task, create_pool, create_workflow, register_agent, start

Change = Callable[[EditableState], None]


def full_world() -> World:
    """With one of each kind, and what can be changed in it."""
    world = World()
    world.given(
        create_workflow(dependencies=("approval", "data"), context={"bank": "b", "priority": "high"}),
        register_agent(capabilities=("read",)),
        create_pool(),
        add_task("t1", phases=("one", "two"), resource_requirements={"cpu": "2"}),
        add_task("t2"),
        add_task("t3"),
        workflow.StartWorkflow(workflow_id="wf"),
        task.ScheduleTask(task_id="t1"),
        task.ScheduleTask(task_id="t2"),
        workflow.SatisfyDependency(workflow_id="wf", dependency="data"),
        pool.Reserve(pool_id="pool", resources={"cpu": "1"}),
        agent.ReportHealth(agent_id="agent", state="healthy", checks={"cpu": "ok"}),
    )
    start(world, "t1")
    return world


def state(world: World, kind: str, id: str) -> EditableState:
    if kind == "system":
        return EditableState(kind, decode(encode(unheard_of(BEGINNING))))
    found = world.everything()[f"{kind}-{id}"]
    return EditableState(kind, decode(RENDERINGS[kind].render(found.state, found.version, 1, BEGINNING)))


def setting(name: str, value: object) -> Change:
    return lambda state: setattr(state, name, value)


def within(key: str, name: str, value: object) -> Change:
    def change(state: EditableState) -> None:
        state[key][name] = value

    return change


def both(*changes: Change) -> Change:
    def change(state: EditableState) -> None:
        for one in changes:
            one(state)

    return change
