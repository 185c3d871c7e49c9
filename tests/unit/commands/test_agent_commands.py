"""What the commands on an agent do: to it, and to the tasks that it has."""

import pytest

from commands.messages import Command
from commands.messages import agent as agents
from commands.messages import task as tasks
from commands.messages import workflow as workflows
from commands.work import Telemetry
from tests.support.command_world import World, add_task, assign, create_workflow, register_agent, running_world, start

HEARTBEAT = agents.Heartbeat(
    agent_id="agent",
    usage=agents.ResourceUsage(cpu_percent=65.2, network_io=agents.NetworkIO(rx=1, tx=2)),
    queue_size=1,
)
OFFLINE = agents.MarkOffline(agent_id="agent", reason="no heartbeat")
DEREGISTER = agents.DeregisterAgent(agent_id="agent", reason="scaled down")
HEALTHY = agents.ReportHealth(agent_id="agent", state="healthy", checks={"cpu": "warning"})


@pytest.mark.parametrize(
    "command",
    [
        HEALTHY, OFFLINE, DEREGISTER,
        agents.ChangeCapacity(agent_id="agent", max_concurrent_tasks=1),
        agents.UpdateConfiguration(agent_id="agent", version="1"),
    ],
    ids=lambda command: command.type,
)  # fmt: skip
def test_an_agent_that_is_not_there_is_refused(command: Command) -> None:
    World().refuse(command, "unknown_id")


def test_a_deregistered_agent_must_be_registered_again_first() -> None:
    world = World()
    world.given(register_agent(), DEREGISTER)

    for command in (
        HEALTHY,
        OFFLINE,
        agents.ChangeCapacity(agent_id="agent", max_concurrent_tasks=1),
        agents.UpdateConfiguration(agent_id="agent", version="1"),
    ):
        world.refuse(command, "agent_deregistered")
    world.unchanged(DEREGISTER)
    assert world.do(HEARTBEAT).outcome == "refused"


def test_an_agent_is_registered_once_and_otherwise_only_after_it_was_deregistered() -> None:
    world = World()
    register = register_agent(capabilities=("read",), node_id="node-3", configuration_version="1")

    world.accept(register)
    assert (world.agent().state, world.agent().configured_at) == ("healthy", world.clock())
    world.unchanged(register)
    world.refuse(register_agent(slots=2), "agent_exists")
    world.given(DEREGISTER)
    world.accept(register_agent(slots=2, state="registered"))
    assert (world.agent().state, world.agent().max_concurrent_tasks) == ("registered", 2)


def test_an_agent_that_comes_back_keeps_its_record() -> None:
    world = running_world("t1")
    start(world, "t1")
    world.given(tasks.CompleteTask(task_id="t1"), DEREGISTER, register_agent())

    assert (world.agent().completed, world.agent().timed) == (1, 1)


def test_health_capacity_and_configuration_change_when_something_is_new() -> None:
    world = running_world("t1", "t2")
    start(world, "t1", "t2")
    capacity = agents.ChangeCapacity(agent_id="agent", max_concurrent_tasks=2)
    configuration = agents.UpdateConfiguration(agent_id="agent", version="2", config_hash="sha256:abc")

    for command in (HEALTHY, capacity, configuration):
        world.accept(command)
        world.unchanged(command)
    world.refuse(agents.ChangeCapacity(agent_id="agent", max_concurrent_tasks=1), "capacity_in_use")
    agent = world.agent()
    assert (agent.available_slots, agent.configuration_version, agent.checks) == (0, "2", {"cpu": "warning"})


def test_an_unhealthy_agent_keeps_its_tasks_and_gets_no_new_ones() -> None:
    world = running_world("t1", "t2")
    start(world, "t1")
    world.given(agents.ReportHealth(agent_id="agent", state="unhealthy"))

    world.refuse(assign("t2"), "agent_unable")
    world.given(tasks.CompleteTask(task_id="t1"), agents.ReportHealth(agent_id="agent", state="degraded"))
    world.accept(assign("t2"))


# --- presence -------------------------------------------------------------------------------------------------


def test_a_heartbeat_is_telemetry_no_event_and_no_recorded_command() -> None:
    world = World()
    world.given(register_agent())
    appends, commands = world.log.appends, len(world.log.commands)

    answer = world.do(HEARTBEAT)

    assert (answer.outcome, answer.versions, answer.position) == ("accepted", {}, None)
    assert (world.log.appends, len(world.log.commands), len(world.log.events)) == (appends, commands, 1)
    usage = {"cpu_percent": 65.2, "network_io": {"rx": 1, "tx": 2}}
    assert world.presence.heard == [Telemetry("agent", world.clock(), usage, 1)]


def test_a_heartbeat_of_an_agent_that_is_not_there_is_refused_and_not_heard() -> None:
    world = World()

    answer = world.do(HEARTBEAT)
    assert answer.problem is not None
    assert (answer.outcome, answer.problem.code) == ("refused", "unknown_id")
    assert world.presence.heard == []


def test_a_heartbeat_brings_an_agent_that_was_offline_back_as_healthy_as_it_was() -> None:
    world = World()
    world.given(register_agent(), agents.ReportHealth(agent_id="agent", state="degraded"), OFFLINE)

    world.accept(HEARTBEAT)
    assert world.agent().state == "degraded"
    assert world.types("agent-agent")[-1] == "AgentReturned"
    assert [one.heartbeat for one in world.presence.heard] == [False, True]  # a report of health is a sign of life


def test_a_heartbeat_sees_that_another_process_took_the_agent_off() -> None:
    world = World()
    world.given(register_agent())
    other = World(world.log, world.clock)
    world.do(HEARTBEAT)
    other.given(OFFLINE)

    world.accept(HEARTBEAT)
    assert world.agent().state == "healthy"


# --- what an agent's loss means -------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("command", "reason"),
    [
        (OFFLINE, "agent agent went offline: no heartbeat"),
        (DEREGISTER, "agent agent was deregistered: scaled down"),
        (agents.DeregisterAgent(agent_id="agent"), "agent agent was deregistered"),
    ],
)
def test_an_agent_that_is_lost_fails_its_running_tasks_and_frees_its_assigned_ones_in_one_append(
    command: Command, reason: str
) -> None:
    world = running_world("t1", on_task_failure="continue")
    world.given(add_task("t2", max_attempts=2), tasks.ScheduleTask(task_id="t2"))
    world.given(create_workflow("w2"), add_task("t3", "w2"), tasks.ScheduleTask(task_id="t3"))
    world.given(workflows.StartWorkflow(workflow_id="w2"))
    start(world, "t2")
    start(world, "t3")
    world.given(assign("t1", pool_id="pool"))

    world.accept(command)

    assert [world.task(one).state for one in ("t1", "t2", "t3")] == ["scheduled", "failed", "failed"]
    assert world.task("t1").agent_id is None
    assert world.task("t2").last_error == world.task("t3").last_error == reason
    assert (world.workflow().state, world.workflow("w2").state) == ("running", "failed")
    assert (world.agent().slots, world.pool().reservations) == ({}, {})
    assert world.agent().failed == 2
    world.unchanged(command)


def test_tasks_of_one_workflow_that_lose_their_agent_together_end_once() -> None:
    world = running_world("t1", "t2", "t3")
    start(world, "t1", "t2")
    world.given(assign("t3", pool_id="pool"))

    world.accept(OFFLINE)

    assert (world.task("t1").last_error, world.task("t2").last_error) == (
        "agent agent went offline: no heartbeat",
        "workflow failed",
    )
    assert world.task("t3").state == "scheduled"
    assert (world.workflow().state, world.agent().slots, world.pool().reservations) == ("failed", {}, {})


def test_registering_again_is_a_sign_of_life_and_registering_first_is_none() -> None:
    world = World()
    world.given(register_agent())
    assert world.presence.heard == []
    world.given(OFFLINE, register_agent())
    assert [(one.agent_id, one.heartbeat) for one in world.presence.heard] == [("agent", False)]
