"""What is sent, as JSON has it: times without a zone are UTC, and nothing is turned into a text that was none."""

import json
from collections.abc import Iterable, Mapping
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

from domain.errors import InvalidInput

Submission = Mapping[str, object] | bytes | str


def plain(value: Any) -> Any:
    """Raises InvalidInput for what is no JSON."""
    if value is None or isinstance(value, bool | int | float | str):
        return value
    if isinstance(value, datetime):
        return (value if value.tzinfo is not None else value.replace(tzinfo=UTC)).isoformat()
    if isinstance(value, UUID):
        return str(value)
    if isinstance(value, Mapping):
        return {_key(key): plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    raise InvalidInput(f"A {type(value).__name__} can't be sent: give texts, numbers, lists and objects of them.")


def _key(key: Any) -> str:
    if not isinstance(key, str):
        raise InvalidInput(f"{key!r} is no key of an object: it must be a text.")
    return key


def to_json(value: Any) -> bytes:
    """Raises InvalidInput for what is no JSON."""
    try:
        return json.dumps(plain(value), allow_nan=False).encode()
    except ValueError:
        raise InvalidInput("A number that is no number, or infinite, can't be sent; leave it out.") from None
    except RecursionError:
        raise InvalidInput("What is nested without an end can't be sent; send less deep objects.") from None


def with_id(submission: Submission) -> bytes:
    """With a command id, under which it may be sent again. What can't be read stays as it is: the server says why.

    Raises InvalidInput for what is no JSON.
    """
    if isinstance(submission, Mapping):
        return to_json({"command_id": str(uuid4()), **submission})
    if not isinstance(submission, bytes | str):
        told = type(submission).__name__
        raise InvalidInput(f"A submission must be an object, or one as JSON text, and this is a {told}.")
    raw = submission.encode("utf-8", "surrogatepass") if isinstance(submission, str) else submission
    text = raw.decode("utf-8", "surrogateescape")
    if not names_no_id(text):
        return raw
    _, _, rest = text.partition("{")
    comma = "" if rest.lstrip().startswith("}") else ","
    return f'{{"command_id":"{uuid4()}"{comma}{rest}'.encode("utf-8", "surrogateescape")


def names_no_id(text: str) -> bool:
    """Whether it is an object without one."""
    try:
        found = json.loads(text)
    except (ValueError, RecursionError):
        return False
    return isinstance(found, dict) and "command_id" not in found


def require_object(body: bytes) -> None:
    """So that one which is none spoils no others in an array. Raises InvalidInput."""
    try:
        found = json.loads(body)
    except (ValueError, RecursionError):
        raise InvalidInput("A submission is no JSON; write it as an object.") from None
    if not isinstance(found, dict):
        raise InvalidInput("A submission must be an object.")


def arrays(bodies: Iterable[bytes], most: int) -> list[bytes]:
    """As arrays of so many at most."""
    all_of_them = list(bodies)
    return [b"[" + b",".join(all_of_them[first : first + most]) + b"]" for first in range(0, len(all_of_them), most)]
