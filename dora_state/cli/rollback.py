"""`rollback workflow`: restore an earlier state, or only tell what that would change."""

from collections import Counter
from typing import Any

from domain.errors import DoraStateError, InvalidInput
from domain.log import Cut
from dora_state.cli.exits import Exit
from dora_state.cli.looking import cut_facts, recorded
from dora_state.cli.output import Output, say
from dora_state.cli.submit import answer_document, answer_lines, exit_of_outcomes
from dora_state.settings import Settings
from dora_state.state_manager import RollbackPreview, StateManager, open_state_manager


async def rollback(
    settings: Settings,
    id: str,
    cut: Cut,
    *,
    reason: str | None,
    operator: str | None,
    workflow_only: bool,
    dry_run: bool,
    output: Output,
) -> int:
    """A dry run needs no reason and no operator. Raises NotFound, InvalidInput."""
    reason, operator = _given(reason), _given(operator)
    if not dry_run and (reason is None or operator is None):
        raise InvalidInput("A rollback is recorded with --reason and --operator: give both, not blank, or --dry-run.")
    where: dict[str, Any] = {
        "to_version": cut.version,
        "to_time": cut.at,
        "to_position": cut.position,
        "reason": reason,
        "operator": operator,
        "workflow_only": workflow_only,
    }
    others = {"dry_run": dry_run, "workflow_only": workflow_only}
    async with (
        open_state_manager(settings, say=say, create=False) as manager,
        recorded(manager, "rollback", f"workflow {id}", cut_facts(cut), **others) as shown,
    ):
        shown.rows = 1
        if dry_run:
            return _tell_preview(id, await manager.preview_rollback(id, **where), output)
        return await _roll_back(manager, id, where, output)


def _given(text: str | None) -> str | None:
    """Blanks say nothing."""
    return text if text is not None and text.strip() else None


async def _roll_back(manager: StateManager, id: str, where: dict[str, Any], output: Output) -> int:
    answer = await manager.rollback_workflow(id, **where)
    if output.as_json:
        output.json_document(answer_document(answer))
    elif answer.ok:
        for line in answer_lines(answer, f"workflow {id}"):
            output.line(line)
    if answer.problem is not None:
        say(f"Error: {answer.problem.message}")
    try:
        await manager.catch_up()
    except DoraStateError as error:  # what was answered stands
        say(f"The read models are behind: {error.message}")
    return exit_of_outcomes(Counter([answer.outcome]))


def _tell_preview(id: str, preview: RollbackPreview, output: Output) -> int:
    problem = preview.problem
    if output.as_json:
        output.json_document(preview_document(id, preview))
    elif problem is None:
        for line in preview_lines(id, preview):
            output.line(line)
    if problem is None:
        return Exit.DONE
    say(f"Error: {problem.message}")
    return Exit.REFUSED


def preview_document(id: str, preview: RollbackPreview) -> dict[str, Any]:
    problem = preview.problem
    return {
        "workflow_id": id,
        "before": preview.before,
        "after": preview.after,
        "patch": preview.patch,
        "lines": preview.lines,
        "effects": [str(effect) for effect in preview.effects],
        "problem": None
        if problem is None
        else {"code": problem.code, "message": problem.message, "facts": dict(problem.facts)},
    }


def preview_lines(id: str, preview: RollbackPreview) -> list[str]:
    """What would change, for people."""
    if not preview.lines and not preview.effects:
        return [f"Rolling back workflow {id} to there would change nothing."]
    lines = [f"Rolling back workflow {id} would change:"]
    lines += [f"  {line}" for line in preview.lines]
    if preview.effects:
        lines += ["and with it:", *(f"  {effect.in_words()}" for effect in preview.effects)]
    return [*lines, "Nothing was recorded: this was a dry run."]
