"""Whatever is changed in a state that is handed back is so afterwards, or is refused; nothing is left out silently."""

from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest
import pytest_asyncio

from domain.errors import InvalidInput
from dora_state import EditableState
from dora_state.settings import load_settings
from dora_state.state_manager import StateManager, open_state_manager
from tests.support.tenants import lent

pytestmark = pytest.mark.asyncio(loop_scope="module")
Change = Callable[[EditableState], object]


@pytest_asyncio.fixture(scope="module", loop_scope="module")
async def manager(database_url: str, redis_url: str) -> AsyncIterator[StateManager]:
    async with lent(database_url) as tenant:
        settings = load_settings(database_url=database_url, redis_url=redis_url, tenant=tenant)
        async with open_state_manager(settings, default_actor="test") as manager:
            async with manager.transaction() as txn:
                await txn.submit("CreatePool", pool_id="p", total={"cpu": "4", "memory": "8G"})
                await txn.submit("RegisterAgent", agent_id="a", agent_type="t", state="healthy")
                await txn.submit("CreateWorkflow", workflow_id="w", definition_id="d", dependencies=["approval"])
                await txn.submit("StartWorkflow", workflow_id="w")
                await txn.submit("AddTask", workflow_id="w", task_id="t", definition_id="d")
                await txn.submit("ScheduleTask", task_id="t")
                await txn.submit("ConfigureSystem", environment="test")
            yield manager


def window(**more: Any) -> dict[str, Any]:
    return {"window_id": "m", "start": "2031-01-01T00:00:00Z", "end": "2031-01-01T01:00:00Z", **more}


UNSAYABLE: list[tuple[str, str, Change, str]] = [
    ("pool", "p", lambda pool: pool.total_capacity.update(tpu_units=4), "total_capacity.tpu_units"),
    ("pool", "p", lambda pool: pool.total_capacity.update(memory_gb=None), "total_capacity.memory_gb"),
    ("workflow", "w", lambda workflow: workflow.update(priority=None), "priority"),
    ("workflow", "w", lambda workflow: workflow.dependencies.update(foo=1), "dependencies.foo"),
    ("workflow", "w", lambda workflow: workflow.dependencies.update(pending=["approval", "x"]), "dependencies.pending"),
    (
        "workflow",
        "w",
        lambda workflow: workflow.update(state="failed", error_info={"message": "broken", "code": 5}),
        "error_info.code",
    ),
    (
        "agent",
        "a",
        lambda agent: (agent.update(state="degraded"), agent.health_status.update(overall="unhealthy")),
        "health_status.overall",
    ),
    (
        "task",
        "t",
        lambda task: task.update(state="assigned", assigned_agent={"agent_id": "a", "foo": 1}),
        "assigned_agent.foo",
    ),
    (
        "task",
        "t",
        lambda task: task.update(
            state="assigned", assigned_agent={"agent_id": "a", "assigned_at": "1999-01-01T00:00:00Z"}
        ),
        "assigned_agent.assigned_at",
    ),
    (
        "system",
        "",
        lambda system: system.update(maintenance_windows=[window(description="d", foo=1)]),
        "maintenance_windows",
    ),
]


@pytest.mark.parametrize(("kind", "id", "change", "field"), UNSAYABLE, ids=lambda one: one if type(one) is str else "")
async def test_what_would_be_left_out_is_refused(
    manager: StateManager, kind: str, id: str, change: Change, field: str
) -> None:
    before = await manager.platform.log.head()
    state = await read(manager, kind, id)
    change(state)
    with pytest.raises(InvalidInput) as refused:
        await getattr(manager, f"update_{kind}")(state)
    assert refused.value.facts["field"] == field
    assert await manager.platform.log.head() == before


SAYABLE: list[tuple[str, str, Change]] = [
    ("pool", "p", lambda pool: pool.total_capacity.update(memory_gb=12.5)),
    ("workflow", "w", lambda workflow: workflow.context.update(a={"b": [1, {"c": "x"}]})),
    ("agent", "a", lambda agent: agent.health_status["checks"].update(cpu="warning")),
    ("task", "t", lambda task: task.update(state="assigned", assigned_agent={"agent_id": "a"})),
    ("task", "t", lambda task: (task.update(state="running"), task.progress.update(percentage=10, note="begun"))),
    ("system", "", lambda system: system.update(maintenance_windows=[window(description="patching")])),
]


@pytest.mark.parametrize(("kind", "id", "change"), SAYABLE, ids=lambda one: one if type(one) is str else "")
async def test_what_commands_can_say_is_so_afterwards(
    manager: StateManager, kind: str, id: str, change: Change
) -> None:
    state = await read(manager, kind, id)
    change(state)
    answer = await getattr(manager, f"update_{kind}")(state)
    assert answer is not None
    assert answer.outcome == "accepted"
    after = await read(manager, kind, id)
    change(after)  # once more: there is nothing left to say
    assert {name for name in after.changes if name not in ("maintenance_windows", "assigned_agent")} == set()


async def read(manager: StateManager, kind: str, id: str) -> EditableState:
    async with manager.transaction() as txn:
        return await txn.get(kind, id)
