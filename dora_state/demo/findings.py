"""What is asked once the story has been told: the present, the past, the difference, the health."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from domain.log import Cut
from dora_state.demo.picture import Picture, take_picture
from dora_state.demo.scenario import AGENT_LOST
from dora_state.demo.stage import DemoStopped, Moment, Played
from dora_state.health import HealthReport
from dora_state.state_manager import StateManager
from projections.changes import lines
from projections.documents.values import Document
from projections.history import HistoryEntry


@dataclass(frozen=True, slots=True)
class Findings:
    """All that the report shows. `difference` are the lines by which the rollback changed the workflow."""

    played: Played
    picture: Picture
    workflow: Document
    history: list[HistoryEntry]
    moment: Moment
    then: Document
    rollback: HistoryEntry
    difference: list[str]
    system: Document
    health: HealthReport


async def find_out(manager: StateManager, played: Played) -> Findings:
    """Ask as anybody would, once the read models are where the log is. Raises DemoStopped if they don't get there."""
    if not await manager.catch_up(everything=True):
        raise DemoStopped("The read models did not catch up with the log in time; try again on a quieter machine.")
    run = played.run
    picture = await take_picture(manager, run)
    if picture.workflow is None or picture.workflow["state"] != "completed":
        state = picture.workflow["state"] if picture.workflow else "missing"
        raise DemoStopped(f"Workflow {run.workflow_id} should have completed and is {state}.")
    history = await manager.get_workflow_history(run.workflow_id)
    rollback = next((entry for entry in history if entry.type == "WorkflowRolledBack"), None)
    if rollback is None:
        raise DemoStopped(f"The history of {run.workflow_id} holds no rollback, and should.")
    moment = played.moments[AGENT_LOST]
    before = await manager.state("workflow", run.workflow_id, cut=Cut(version=rollback.version - 1))
    after = await manager.state("workflow", run.workflow_id, cut=Cut(version=rollback.version))
    return Findings(
        played=played,
        picture=picture,
        workflow=picture.workflow,
        history=history,
        moment=moment,
        then=await manager.state("workflow", run.workflow_id, cut=Cut(at=moment.recorded_at)),
        rollback=rollback,
        difference=list(lines(before, after)),
        system=await manager.get_system_state(),
        health=await manager.platform.health.check(),
    )


def as_document(findings: Findings, commands: list[str]) -> Mapping[str, Any]:
    """The findings as one JSON document."""
    played, moment, rollback = findings.played, findings.moment, findings.rollback
    return {
        "workflow_id": played.run.workflow_id,
        "outcome": findings.workflow["state"],
        "commands_submitted": played.submitted,
        "expected_refusals": played.refusals,
        "story": [{"at": at, "says": says} for at, says in played.said],
        "workflow": findings.workflow,
        "tasks": list(findings.picture.tasks.values()),
        "agents": list(findings.picture.agents.values()),
        "pool": findings.picture.pool,
        "history": [
            {
                "version": entry.version,
                "recorded_at": entry.recorded_at,
                "type": entry.type,
                "actor": entry.actor,
                "reason": entry.reason,
                "changes": entry.lines,
            }
            for entry in findings.history
        ],
        "as_of": {
            "at": moment.recorded_at,
            "version": moment.version,
            "says": moment.says,
            "workflow": findings.then,
        },
        "rollback": {
            "version": rollback.version,
            "to_version": rollback.data["to_version"],
            "reason": rollback.data["reason"],
            "operator": rollback.data["operator"],
            "difference": findings.difference,
            "effects": [str(effect) for effect in played.preview.effects] if played.preview else [],
        },
        "system": findings.system,
        "health": findings.health.to_json(),
        "next": commands,
    }
