"""Plays the story: submits, checks every answer, remembers the moments, takes the workflow back."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Protocol

from commands.envelope import Answer
from domain.errors import NotFound
from dora_state.demo.assessment import Assessment, Submission
from dora_state.demo.cast import AGENTS, SCHEDULER
from dora_state.demo.scenario import RollBack, Step, Story
from dora_state.state_manager import RollbackPreview, StateManager
from projections.documents.values import moment

STILL_PLAYING = timedelta(seconds=15)
"""A run that changed something so short a time ago is not left over: somebody is watching it."""


class DemoStopped(Exception):
    """The story took a turn that it should not; one sentence for people."""


class Audience(Protocol):
    """Is told what happens. `pause` gives a person the time to look."""

    def tell(self, step: Step | RollBack, says: str) -> None: ...

    def show_difference(self, preview: RollbackPreview | None) -> None: ...

    async def pause(self, seconds: float) -> None: ...


class Nobody:
    """Nobody watches, so nothing is waited for."""

    def tell(self, step: Step | RollBack, says: str) -> None:
        return None

    def show_difference(self, preview: RollbackPreview | None) -> None:
        return None

    async def pause(self, seconds: float) -> None:
        return None


@dataclass(frozen=True, slots=True)
class Moment:
    """Where the workflow was when something happened."""

    version: int
    recorded_at: datetime
    says: str


@dataclass(slots=True)
class Played:
    """What is known when the story has been played."""

    run: Assessment
    said: list[tuple[datetime, str]] = field(default_factory=list)
    moments: dict[str, Moment] = field(default_factory=dict)
    refusals: list[str] = field(default_factory=list)
    submitted: int = 0
    preview: RollbackPreview | None = None
    rollback: Answer | None = None

    def version(self, answer: Answer) -> int:
        """The workflow's version after an answered command."""
        return answer.versions[f"workflow-{self.run.workflow_id}"]


async def play(manager: StateManager, run: Assessment, story: Story, audience: Audience) -> Played:
    """Play all of it. Raises DemoStopped at the first answer that the story does not expect."""
    await clear_stage(manager, run)
    played = Played(run)
    try:
        for step in story:
            if isinstance(step, RollBack):
                await _roll_back(manager, step, played, audience)
            else:
                await _play(manager, step, played, audience)
    except asyncio.CancelledError:
        # Whoever interrupts the demo leaves no agent busy for the next one.
        await manager.submit(run.on_workflow("CancelWorkflow", SCHEDULER, reason="the demo was interrupted"))
        raise
    return played


async def clear_stage(manager: StateManager, run: Assessment, still_playing: timedelta = STILL_PLAYING) -> None:
    """Cancel what a run that was killed has left in the agents' hands. Raises DemoStopped if one still plays."""
    await manager.catch_up()
    left: set[str] = set()
    for agent in AGENTS:
        try:
            document = await manager.state("agent", agent.agent_id)
        except NotFound:
            continue
        left |= {task["workflow_id"] for task in document["current_tasks"]}
    for workflow_id in sorted(left):
        updated_at = moment((await manager.state("workflow", workflow_id))["updated_at"])
        if updated_at is not None and datetime.now(UTC) - updated_at < still_playing:
            raise DemoStopped(
                "Another demo is running on these servers, or was killed only just now; "
                f"try again in {still_playing.seconds} seconds."
            )
        reason = "left over from a demo that was killed"
        cancelled = run.submission("CancelWorkflow", SCHEDULER, workflow_id=workflow_id, reason=reason)
        _check(cancelled, await manager.submit(cancelled), None)


async def _play(manager: StateManager, step: Step, played: Played, audience: Audience) -> None:
    played.said.append((datetime.now(UTC), step.says))
    audience.tell(step, step.says)
    last = len(step.submissions) - 1
    share = step.seconds / 2 / max(last + 1, 1)
    latest: Answer | None = None
    for index, submission in enumerate(step.submissions):
        answer = await manager.submit(submission)
        played.submitted += 1
        expected = step.refused if index == last and step.refused else step.known
        _check(submission, answer, expected, must=index == last and step.refused is not None)
        if step.refused and index == last and answer.problem is not None:
            played.refusals.append(answer.problem.message)
            message = played.run.short(answer.problem.message)
            audience.tell(step, f"{step.says} The answer: “{message}”")
        if answer.outcome == "accepted" and answer.recorded_at is not None:
            latest = answer
        await audience.pause(share)
    if step.mark is not None and latest is not None and latest.recorded_at is not None:
        played.moments[step.mark] = Moment(played.version(latest), latest.recorded_at, step.says)
    await audience.pause(step.seconds - share * (last + 1))


async def _roll_back(manager: StateManager, step: RollBack, played: Played, audience: Audience) -> None:
    workflow_id, version = played.run.workflow_id, played.moments[step.to].version
    preview = await manager.preview_rollback(
        workflow_id, to_version=version, reason=step.reason, operator=step.operator
    )
    if preview.problem is not None:
        raise DemoStopped(f"The dry run of the rollback was refused: {preview.problem.message}")
    played.preview = preview
    played.said.append((datetime.now(UTC), step.previews))
    audience.tell(step, step.previews)
    audience.show_difference(preview)
    await audience.pause(step.seconds)
    audience.show_difference(None)
    answer = await manager.rollback_workflow(
        workflow_id, to_version=version, reason=step.reason, operator=step.operator
    )
    played.submitted += 1
    if answer.outcome != "accepted":
        raise DemoStopped(f"The rollback was {answer.outcome}{_why(answer)}")
    played.rollback = answer
    played.said.append((datetime.now(UTC), step.says))
    audience.tell(step, step.says)
    await audience.pause(step.seconds)


def _check(submission: Submission, answer: Answer, allowed: str | None, *, must: bool = False) -> None:
    code = answer.problem.code if answer.problem is not None else None
    if must and code != allowed:
        raise DemoStopped(f"{submission['type']} was {answer.outcome}, and should have been refused: {allowed}.")
    if not answer.ok and code != allowed:
        raise DemoStopped(f"{submission['type']} was {answer.outcome}{_why(answer)}")


def _why(answer: Answer) -> str:
    return f": {answer.problem.message}" if answer.problem is not None else "."
