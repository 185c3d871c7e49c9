"""What is being done, for whatever is logged meanwhile: kept by task, so that requests side by side don't mix."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar

NAMES = ("tenant", "correlation_id", "command_id", "trace_id", "job")
"""What a line of the log may say of it."""
_about: ContextVar[Mapping[str, str]] = ContextVar("about", default={})  # noqa: B039  # it is never changed


def about() -> Mapping[str, str]:
    return _about.get()


@contextmanager
def doing(**about: str) -> Iterator[None]:
    """Within the block, and in tasks that begin there, lines of the log say this, too."""
    before = _about.set({**_about.get(), **about})
    try:
        yield
    finally:
        _about.reset(before)
