"""Going back: tried first, or done."""

from dataclasses import asdict, replace
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError
from starlette.responses import Response

from commands.messages.workflow import RollBackWorkflow
from commands.strict_json import parse_sound_json
from commands.wording import invalid
from domain.errors import InvalidInput
from domain.values import Id, Text, Time
from dora_state.http.call import Call
from dora_state.http.going_back import looks_back
from dora_state.http.operations import JSON
from dora_state.http.problems import as_json
from dora_state.http.submissions import Said, submit_one


class RollbackBody(BaseModel):
    """Where to go back to (one of the three), why, and who is responsible.

    A dry run needs no reason and no operator.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    to_version: Annotated[int, Field(ge=1, le=2**62)] | None = None
    to_time: Time | None = None
    to_position: Annotated[int, Field(ge=1, le=2**62)] | None = None
    reason: Text | None = None
    operator: Id | None = None
    workflow_only: bool = False
    dry_run: bool = False


async def roll_back(call: Call) -> Response:
    said, raw, id = await Said.by(call), await call.body(), call.id()
    try:
        asked = RollbackBody.model_validate(parse_sound_json(raw))
    except ValidationError as error:
        raise invalid(error, RollbackBody, None, "The rollback") from None
    where = {"to_version": asked.to_version, "to_time": asked.to_time, "to_position": asked.to_position}
    if asked.dry_run:
        await looks_back(call, {"workflow_id": id, "workflow_only": asked.workflow_only, "dry_run": True, **where})
        return await _preview(call, id, asked, where)
    if not (asked.reason or "").strip() or asked.operator is None:
        missing = "operator" if (asked.reason or "").strip() else "reason"
        raise InvalidInput(
            f"{missing}: a rollback is recorded with its reason and its operator: give both, or dry_run.", field=missing
        )
    data = where | {
        "workflow_id": id,
        "to_time": None if asked.to_time is None else asked.to_time.isoformat(),
        "reason": asked.reason,
        "operator": asked.operator,
        "workflow_only": asked.workflow_only,
    }
    return await submit_one(call, said, {"type": RollBackWorkflow.type, "actor": asked.operator, "data": data})


async def _preview(call: Call, id: str, asked: RollbackBody, where: dict[str, Any]) -> Response:
    preview = await call.manager.preview_rollback(
        id, **where, reason=asked.reason, operator=asked.operator, workflow_only=asked.workflow_only
    )
    await call.still_allowed()
    problem = preview.problem
    document = {
        "workflow_id": id,
        "before": preview.before,
        "after": preview.after,
        "patch": preview.patch,
        "lines": preview.lines,
        "effects": [str(effect) for effect in preview.effects],
        "problem": None if problem is None else asdict(replace(problem, facts=dict(problem.facts))),
    }
    return Response(as_json(document), 200, None, JSON)
