"""Whose request a command is a part of, as W3C's trace context names it, and where its way is told to.

The name goes with the command into the metadata of its events, so that whatever comes of them later can be linked to
the request, also where nobody is told.
"""

import re
from contextvars import ContextVar
from typing import Protocol

from commands.envelope import Answer, Envelope

TRACEPARENT: ContextVar[str | None] = ContextVar("traceparent", default=None)
"""That of the request which is being served, by task: the edge puts it into each command."""
_FORM = re.compile(r"00-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}")


def traceparent_of(header: str | None) -> str | None:
    """What a caller sent, if it is of the form of version 00; else None, as the standard asks for."""
    return header if header is not None and _FORM.fullmatch(header) else None


class Span(Protocol):
    """The way of one command. `traceparent` names it."""

    @property
    def traceparent(self) -> str: ...

    def sent(self, commands: int) -> None:
        """It is on its way to the log, in a group of so many; again where it is decided again."""
        ...

    def landed(self) -> None:
        """It is known what became of the group."""
        ...

    def answered(self, answer: Answer | None) -> None:
        """None: the log could not take it."""
        ...


class CommandTracing(Protocol):
    """Is told of commands; must not raise, and be quick."""

    def begin(self, envelope: Envelope) -> Span | None:
        """A command is submitted, as a part of what it names; None where nobody wants to know of it."""
        ...


class NobodyAsks:
    """For a house in which nobody is told of anything."""

    def begin(self, envelope: Envelope) -> Span | None:
        return None


NOBODY_ASKS = NobodyAsks()
