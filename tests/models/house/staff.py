"""Agents of the model, and the system."""

from typing import Any

from tests.models.house.rooms import Agent, Window, refuse
from tests.models.house.work import Working

SETTINGS = (
    *("system_id", "environment", "version", "deployment_id"),
    *("max_concurrent_workflows", "max_workflow_duration", "default_timeout", "retry_attempts"),
)


class Staff(Working):
    def register_agent(self, told: Any) -> None:
        as_told = (told.agent_type, told.instance_id, told.node_id, frozenset(told.capabilities))
        configuration = (told.configuration_version, told.config_hash)
        before = self.rooms.agents.get(told.agent_id)
        if before is None or before.state == "deregistered":
            new = Agent(
                as_told,
                told.capabilities,
                told.max_concurrent_tasks,
                told.state,
                told.state,
                configuration,
                heard=self.now,
            )
            kept = {} if before is None else {name: getattr(before, name) for name in ("completed", "failed", "times")}
            self.rooms.agents[told.agent_id] = new
            self.change_agent(told.agent_id, **kept)
            return
        refuse(agent_exists=(as_told, told.max_concurrent_tasks) != (before.told, before.slots_at_most))
        if before.state == "offline":
            self.hear_from(told.agent_id)
        if told.state == "healthy" and self.agent(told.agent_id).state == "registered":
            self.change_agent(told.agent_id, state="healthy", health="healthy", heard=self.now)
        if told.configuration_version is not None:
            self.change_agent(told.agent_id, configuration=configuration)

    def known(self, agent_id: str) -> Agent:
        agent = self.agent(agent_id)
        refuse(agent_deregistered=agent.state == "deregistered")
        return agent

    def hear_from(self, agent_id: str) -> None:
        agent = self.agent(agent_id)
        if agent.state == "offline":
            self.change_agent(agent_id, state=agent.health, heard=self.now)

    def heartbeat(self, told: Any) -> None:
        self.known(told.agent_id)
        self.hear_from(told.agent_id)

    def report_health(self, told: Any) -> None:
        agent = self.known(told.agent_id)
        if (agent.state, agent.checks) != (told.state, told.checks):
            self.change_agent(
                told.agent_id, state=told.state, health=told.state, checks={**told.checks}, heard=self.now
            )

    def change_capacity(self, told: Any) -> None:
        agent = self.known(told.agent_id)
        refuse(capacity_in_use=len(agent.slots) > told.max_concurrent_tasks)
        self.change_agent(told.agent_id, slots_at_most=told.max_concurrent_tasks)

    def update_configuration(self, told: Any) -> None:
        self.known(told.agent_id)
        self.change_agent(told.agent_id, configuration=(told.version, told.config_hash))

    def mark_offline(self, told: Any) -> None:
        agent = self.known(told.agent_id)
        if agent.state == "offline":
            return
        since = told.silent_since
        refuse(agent_not_silent=since is not None and agent.heard is not None and agent.heard > since)
        self.lose(told.agent_id, f"agent {told.agent_id} went offline: {told.reason}")
        self.change_agent(told.agent_id, state="offline")

    def deregister_agent(self, told: Any) -> None:
        agent = self.agent(told.agent_id)
        if agent.state == "deregistered":
            return
        why = f": {told.reason}" if told.reason else ""
        self.lose(told.agent_id, f"agent {told.agent_id} was deregistered{why}")
        self.change_agent(told.agent_id, state="deregistered")

    def lose(self, agent_id: str, reason: str) -> None:
        """Its running tasks fail, its assigned ones wait for another."""
        for task_id in self.agent(agent_id).slots:
            match self.task(task_id).state:
                case "running":
                    self.end_task(task_id, "failed", reason)
                case "assigned":
                    self.unassign(task_id)

    # --- the system -----------------------------------------------------------------------------------------

    def configure_system(self, told: Any) -> None:
        given = {name: value for name in SETTINGS if (value := getattr(told, name)) is not None}
        kept = {name: value for name, value in self.system.settings.items() if name not in told.unset}
        self.change_system(settings=kept | given)

    def report_component_health(self, told: Any) -> None:
        self.change_system(health={**self.system.health, told.component: told.health})

    def schedule_maintenance(self, told: Any) -> None:
        window = Window(told.start, told.end, told.kind, told.description, told.blocks_starts)
        before = self.system.windows.get(told.window_id)
        if before == window:
            return
        refuse(maintenance_times=told.end <= max(told.start, self.now), maintenance_exists=before is not None)
        self.change_system(windows={**self.system.windows, told.window_id: window})

    def cancel_maintenance(self, told: Any) -> None:
        if told.window_id in self.system.windows:
            left = {one: window for one, window in self.system.windows.items() if one != told.window_id}
            self.change_system(windows=left)
