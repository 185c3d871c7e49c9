"""The edge: what comes from outside is validated here, once and strictly, and nowhere else.

The form of a submission is a JSON object: `type` and `data`, and beside them `command_id`, `actor`,
`correlation_id`, `causation_id`, `occurred_at`, `expected_version` and `tenant`, all but `actor` optional.
"""

import difflib
import json
import re
from collections import Counter
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from inspect import isclass
from typing import Annotated, Any, get_args
from uuid import UUID

import orjson
from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic_core import ErrorDetails

from commands.envelope import Envelope
from commands.messages import COMMANDS, Command
from commands.messages.base import WrongField
from domain.errors import InvalidInput
from domain.values import Id, Time, iso

MAX_BYTES = 1_048_576
CLOCK_SKEW = timedelta(minutes=1)
"""How far a caller's clock may be ahead of ours before `occurred_at` counts as in the future."""


def _parse_uuid(value: object) -> object:
    if isinstance(value, str):
        try:
            return UUID(value)
        except ValueError:
            raise ValueError("must be a UUID, for example 0190d8a4-7c3e-7b1f-9a52-3f1de6a1c001") from None
    return value


_KEY = re.compile(rb'"[ \t\r\n]*:')
_LONG_NUMBER = re.compile(rb"[0-9]{19}")
_UNREADABLE = object()


class _Submission(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)

    type: str
    data: dict[str, Any]
    command_id: Annotated[UUID, BeforeValidator(_parse_uuid)] | None = None
    actor: Id
    correlation_id: Id | None = None
    causation_id: Id | None = None
    occurred_at: Time | None = None
    expected_version: Annotated[int, Field(ge=0, le=2**62)] | None = None
    tenant: Id | None = None


class Edge:
    """Turns submissions to one tenant into envelopes."""

    def __init__(
        self,
        *,
        tenant: str,
        new_id: Callable[[], UUID],
        clock: Callable[[], datetime],
        default_actor: str | None = None,
    ) -> None:
        self._tenant = tenant
        self._new_id = new_id
        self._clock = clock
        self._default_actor = default_actor

    def parse(self, raw: bytes) -> Envelope:
        """One submission as JSON text. Raises InvalidInput that names the field and the reason."""
        if len(raw) > MAX_BYTES:
            raise InvalidInput(
                f"The command has {len(raw)} bytes and the limit is {MAX_BYTES}; send less.",
                bytes=len(raw),
                limit=MAX_BYTES,
            )
        return self.check(_parse_json(raw))

    def check(self, value: object) -> Envelope:
        """The same for a value that is parsed already."""
        if not isinstance(value, dict):
            raise InvalidInput('A command is a JSON object with "type" and "data"; this is something else.')
        if self._default_actor is not None and "actor" not in value:
            value = value | {"actor": self._default_actor}
        try:
            submission = _Submission.model_validate(value)
        except ValidationError as error:
            raise _invalid(error, _Submission, None) from error
        try:
            command = self._check_command(submission)
        except InvalidInput as error:
            # So that the answer can be matched with what was asked.
            error.facts["type"] = submission.type[:60]
            error.facts["command_id"] = str(submission.command_id) if submission.command_id else None
            raise
        command_id = submission.command_id or self._new_id()
        return Envelope(
            command_id=command_id,
            command=command,
            actor=submission.actor,
            correlation_id=submission.correlation_id or str(command_id),
            causation_id=submission.causation_id,
            occurred_at=submission.occurred_at,
            expected_version=submission.expected_version,
        )

    def _check_command(self, submission: _Submission) -> Command:
        self._check_circumstances(submission)
        command_type = COMMANDS.get(submission.type)
        if command_type is None:
            raise _unknown_command(submission.type[:60])
        try:
            return command_type.model_validate(submission.data)
        except ValidationError as error:
            raise _invalid(error, command_type, "data") from error

    def _check_circumstances(self, submission: _Submission) -> None:
        if submission.tenant is not None and submission.tenant != self._tenant:
            raise InvalidInput(
                f"tenant: the command is for {submission.tenant} and this is {self._tenant}; submit it there.",
                field="tenant",
                tenant=submission.tenant,
            )
        if submission.occurred_at is not None and submission.occurred_at > self._clock() + CLOCK_SKEW:
            raise InvalidInput(
                f"occurred_at: {iso(submission.occurred_at)} lies in the future; say when it happened.",
                field="occurred_at",
                occurred_at=iso(submission.occurred_at),
            )


def _parse_json(raw: bytes) -> object:
    """The value that was written, exactly.

    The fast parser turns a whole number beyond 64 bits into a fraction and refuses NaN without saying where;
    the slow one keeps both, so that the check that follows can name the field.
    """
    try:
        value = orjson.loads(raw)
    except orjson.JSONDecodeError as error:
        value = _parse_slowly(raw)
        if value is _UNREADABLE:
            raise InvalidInput(f"The command is not well-formed JSON: {error}; mend it and send it again.") from error
        return value
    if _LONG_NUMBER.search(raw) is None and _keys_written(raw) == _count_keys(value):
        return value
    exact = _parse_slowly(raw)
    if exact is _UNREADABLE:
        raise InvalidInput("The command has a number that is too long to be read; write it as text.")
    return exact


def _keys_written(raw: bytes) -> int:
    """How many keys a JSON text writes, or more where texts in it look like keys: then it is looked at slowly.

    Most writers put the colon right after the quotation mark, and that is quicker to count.
    """
    if b'" ' in raw or b'"\n' in raw or b'"\t' in raw or b'"\r' in raw:
        return len(_KEY.findall(raw))
    return raw.count(b'":')


def _count_keys(value: object) -> int:
    """How many keys all objects within have: fewer than are written if one comes twice."""
    count = 0
    left = [value]
    for one in left:
        if isinstance(one, dict):
            count += len(one)
            left.extend(one.values())
        elif isinstance(one, list):
            left.extend(one)
    return count


def _parse_slowly(raw: bytes) -> object:
    """What Python's own parser makes of it; `_UNREADABLE` if nothing, or if it takes what JSON has not.

    Raises InvalidInput for a key that an object has twice: one of its values would be lost unseen.
    """
    try:
        value = json.loads(raw, object_pairs_hook=_without_repetition)
    except (ValueError, RecursionError):
        return _UNREADABLE
    return value


def _without_repetition(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    value = dict(pairs)
    if len(value) < len(pairs):
        times = Counter(name for name, _ in pairs)
        key = next(name for name in times if times[name] > 1)
        name = _visible(key[:60])
        raise InvalidInput(f'The command has the key "{name}" twice in one object; give it once.', key=name)
    return value


def _visible(text: str) -> str:
    """A name from outside as a message may show it: what a terminal would obey is written out."""
    return "".join(one if one.isprintable() else f"\\x{ord(one):02x}" for one in text)


def _unknown_command(name: str) -> InvalidInput:
    name = _visible(name)
    alike = difflib.get_close_matches(name, COMMANDS, n=3)
    advice = f"did you mean {' or '.join(alike)}?" if alike else "docs/rules.md lists the commands."
    return InvalidInput(f'type: there is no command "{name}"; {advice}', field="type", type=name)


def _invalid(error: ValidationError, model: type[BaseModel], within: str | None) -> InvalidInput:
    """One sentence that names each field and what is wrong with it."""
    findings = []
    for finding in error.errors(include_url=False, include_input=False):
        cause = finding.get("ctx", {}).get("error")
        path = cause.field if isinstance(cause, WrongField) else _path(finding["loc"])
        field = ".".join(part for part in (within, path) if part) or "command"
        findings.append((field, _in_words(finding, model)))
    told = "; ".join(f"{field}: {message}" for field, message in findings[:5])
    more = f"; and {len(findings) - 5} more" if len(findings) > 5 else ""
    what = model.type if issubclass(model, Command) else "command"
    return InvalidInput(f"{what} is not valid: {told}{more}.", field=findings[0][0], fields=[f for f, _ in findings])


def _path(location: Sequence[int | str]) -> str:
    return ".".join(_visible(str(part)[:60]) for part in location)


_WORDS = {
    "missing": "must be given",
    "tuple_type": "must be a list",
    "list_type": "must be a list",
    "dict_type": "must be an object",
    "model_type": "must be an object",
    "model_attributes_type": "must be an object",
    "string_type": "must be text",
    "int_type": "must be a whole number",
    "float_type": "must be a number",
    "finite_number": "must be a finite number",
    "bool_type": "must be true or false",
    "string_too_short": "must not be empty",
    "string_too_long": "must have at most {max_length} characters",
    "too_short": "must not be empty",
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
    if kind in _WORDS:
        return _WORDS[kind].format_map(context)
    message = finding["msg"].removeprefix("Value error, ")
    return message[:1].lower() + message[1:]


def _unknown_field(location: Sequence[int | str], model: type[BaseModel]) -> str:
    """With the closest that there is, else with all that there are."""
    for part in location[:-1]:
        inner = model.model_fields[str(part)].annotation
        model = next(one for one in (inner, *get_args(inner)) if isclass(one) and issubclass(one, BaseModel))
    alike = difflib.get_close_matches(str(location[-1]), model.model_fields, n=1)
    if alike:
        return f"is no field of it, the closest is {alike[0]}"
    return f"is no field of it, there are {', '.join(model.model_fields)}"
