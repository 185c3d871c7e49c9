"""What commands, locks and those who watch the server are answered."""

from typing import get_args

from commands.envelope import Outcome
from dora_state.health.judging import Status
from dora_state.http.schemas.words import (
    ANY_OBJECT,
    LINES,
    TEXT,
    TIME,
    UUID,
    WHOLE,
    YES_OR_NO,
    Schema,
    by_name,
    list_of,
    maybe,
    of,
    one_of,
    ref,
    told,
)

FACTS = told(ANY_OBJECT, "By names that belong to the code.")


def answers() -> dict[str, Schema]:
    answered = {
        "status": WHOLE, "command_id": maybe(UUID), "type": maybe(TEXT), "outcome": one_of(*get_args(Outcome)),
        "versions": told(by_name(WHOLE), "Of each stream that it moved, by the stream's id."), "position": maybe(WHOLE),
        "recorded_at": maybe(TIME), "repeated": YES_OR_NO,
    }  # fmt: skip
    reason = of({"code": TEXT, "message": TEXT, "facts": FACTS})
    return {
        "Problem": of(
            {"type": TEXT, "title": TEXT, "status": WHOLE, "detail": TEXT, "code": TEXT, "facts": FACTS},
            answer=told(of(answered), "Of a single command: what else became of it."),
        ),
        "ProblemSort": of({"type": TEXT, "code": TEXT, "status": WHOLE, "title": TEXT}),
        "Answer": of(answered | {"problem": maybe(ref("Problem"))}),
        "Accepted": of({"status": WHOLE, "command_id": UUID, "type": maybe(TEXT), "location": TEXT}),
        "RollbackPreview": of(
            {
                "workflow_id": TEXT, "before": ref("Workflow"), "after": ref("Workflow"), "patch": ref("Patch"),
                "lines": LINES, "effects": told(LINES, "On tasks, agents and pools."),
                "problem": told(maybe(reason), "Why it would be refused."),
            }
        ),
        "HeldLock": of(
            {
                "stream_id": TEXT, "holder": TEXT, "token": WHOLE, "process": TEXT, "since": TIME, "held_until": TIME,
                "waiters": told(list_of(of({"name": TEXT, "process": TEXT, "since": TIME})), "The next one first."),
            }
        ),
        "RenewedLock": of({"token": WHOLE, "held_until": TIME}),
        "Wellbeing": of({"status": TEXT}, reason=TEXT),
        "Health": of(
            {
                "overall": one_of("healthy", "degraded"), "status": told(one_of(*get_args(Status)), "The worst one's."),
                "checks": by_name(ref("Check")), "timestamp": TIME,
            }
        ),
        "Check": of({"status": one_of(*get_args(Status)), "message": TEXT, "figures": ANY_OBJECT}),
    }  # fmt: skip
