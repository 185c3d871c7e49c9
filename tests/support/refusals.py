"""What is said of input that is refused."""

import traceback
from collections.abc import Callable

from domain.errors import DoraStateError


def refusal_of(work: Callable[[], object]) -> DoraStateError | None:
    """The one sentence with which it is refused; None where it is taken. Anything else that is raised is a fault."""
    refused = _raised_by(work)
    assert refused is None or len(refused.message.strip().splitlines()) == 1, refused
    return refused


def all_told(error: Exception) -> str:
    """What `--debug` or a log may show of it: its facts, and with its traceback the errors that stand behind it."""
    facts = getattr(error, "facts", {})
    return f"{facts!r}\n{''.join(traceback.format_exception(error))}"


def _raised_by(work: Callable[[], object]) -> DoraStateError | None:
    try:
        work()
    except DoraStateError as error:
        return error
    return None
