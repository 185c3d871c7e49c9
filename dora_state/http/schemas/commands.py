"""What is submitted: commands by their models, rollbacks, transactions, locks."""

from pydantic import BaseModel
from pydantic.json_schema import models_json_schema

from commands.messages import COMMANDS
from dora_state.http.locking import LockBody
from dora_state.http.rollbacks import RollbackBody
from dora_state.http.schemas.words import ANY_OBJECT, REF, TIME, UUID, Schema, of, ref
from dora_state.http.transactions import TransactionBody


def commands() -> dict[str, Schema]:
    """A submission is one of a command's type and data, with what else may be said of it."""
    models: list[type[BaseModel]] = [*COMMANDS.values(), RollbackBody, TransactionBody, LockBody]
    _, generated = models_json_schema([(model, "validation") for model in models], ref_template=REF + "{model}")
    found: dict[str, Schema] = generated["$defs"]
    found["Rollback"] = found.pop("RollbackBody")
    steps = of({"type": {"type": "string", "enum": list(COMMANDS)}, "data": ANY_OBJECT})
    steps["additionalProperties"] = False
    found["Transaction"] = {
        "type": "object",
        "description": "Commands that are accepted together or not at all.",
        "additionalProperties": False,
        "required": ["commands"],
        "properties": {
            "commands": {"type": "array", "minItems": 1, "maxItems": 1000, "items": steps},
            "expected": {"type": "object", "additionalProperties": {"type": "integer", "minimum": 0}},
        },
    }
    named = [*COMMANDS, "Transaction"]
    found["Submission"] = {
        "oneOf": [_submission(name) for name in named],
    }
    found["Submissions"] = {
        "anyOf": [ref("Submission"), {"type": "array", "minItems": 1, "maxItems": 1000, "items": ref("Submission")}]
    }
    return found


def _submission(name: str) -> Schema:
    id_text = {"type": "string", "minLength": 1, "maxLength": 255}
    return {
        "type": "object",
        "title": f"Submit{name}",
        "additionalProperties": False,
        "required": ["type", "data"],
        "properties": {
            "type": {"const": name},
            "data": ref(name),
            "command_id": {**UUID, "description": "The idempotency key: sent again, it gets its first answer."},
            "actor": {**id_text, "description": "Who asks; the caller, unless an orchestrator names another."},
            "correlation_id": id_text,
            "causation_id": id_text,
            "occurred_at": {**TIME, "description": "When it happened, if that was earlier."},
            "expected_version": {"type": "integer", "minimum": 0},
            "tenant": id_text,
        },
    }
