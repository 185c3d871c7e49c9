"""What is wrong with a submission, in one sentence that names the fields in the words of JSON."""

import difflib
from collections.abc import Sequence
from inspect import isclass
from typing import get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from commands.messages import Command
from commands.messages.base import WrongField
from domain.errors import InvalidInput
from domain.text import visible


def invalid(error: ValidationError, model: type[BaseModel], within: str | None, what: str = "command") -> InvalidInput:
    """One sentence that names each field and what is wrong with it."""
    findings = []
    for finding in error.errors(include_url=False, include_input=False):
        cause = finding.get("ctx", {}).get("error")
        path = cause.field if isinstance(cause, WrongField) else _path(finding["loc"])
        field = ".".join(part for part in (within, path) if part) or "command"
        findings.append((field, _in_words(finding, model)))
    told = "; ".join(f"{field}: {message}" for field, message in findings[:5])
    more = f"; and {len(findings) - 5} more" if len(findings) > 5 else ""
    what = model.type if issubclass(model, Command) else what
    return InvalidInput(f"{what} is not valid: {told}{more}.", field=findings[0][0], fields=[f for f, _ in findings])


def _path(location: Sequence[int | str]) -> str:
    """Of a key that is wrong, pydantic says so after it; the place is told by the key itself."""
    return ".".join(visible(str(part)[:60]) for part in location if part != "[key]")


_WORDS = {
    "missing": "must be given",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "string_type": "must be text",
    "string_unicode": "must not contain half a character (a lone surrogate)",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "string_too_short": "must not be empty",
    "string_too_long": "must have at most {max_length} characters",
    "too_short": "must not be empty",
    "too_long": "must have at most {max_length}",
    "literal_error": "must be {expected}",
    "greater_than_equal": "must be at least {ge:.12g}",
    "greater_than": "must be more than {gt:.12g}",
    "less_than_equal": "must be at most {le:.12g}",
    "timezone_aware": "must have a zone, for example 2024-01-17T10:00:00Z",
    "datetime_type": "must be an ISO 8601 time, for example 2024-01-17T10:00:00Z",
}
"""What pydantic finds, in the words of JSON."""


def _in_words(finding: ErrorDetails, model: type[BaseModel]) -> str:
    kind, context = finding["type"], finding.get("ctx", {})
    if kind == "extra_forbidden":
        return _unknown_field(finding["loc"], model)
    if kind == "string_too_short" and context["min_length"] > 1:
        return f"must have at least {context['min_length']} characters"
    if kind in _WORDS:
        return _WORDS[kind].format_map(context)
    message = finding["msg"].removeprefix("Value error, ")
    return message[:1].lower() + message[1:]


def _unknown_field(location: Sequence[int | str], model: type[BaseModel]) -> str:
    """With the closest that there is, else with all that there are."""
    for part in location[:-1]:
        if isinstance(part, str):
            inner = model.model_fields[part].annotation
            model = next(one for one in (inner, *get_args(inner)) if isclass(one) and issubclass(one, BaseModel))
    alike = difflib.get_close_matches(str(location[-1]), model.model_fields, n=1)
    if alike:
        return f"is no field of it, the closest is {alike[0]}"
    return f"is no field of it, there are {', '.join(model.model_fields)}"
