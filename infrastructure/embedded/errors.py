"""What can go wrong with the embedded servers, said in one sentence."""

from __future__ import annotations

from collections.abc import Mapping


class EmbeddedServerError(Exception):
    """The embedded servers cannot be used.

    ``code`` is stable and starts with ``embedded.``; ``message`` is one sentence that says what to do
    next; ``facts`` are the values in it (paths, limits, exit codes, the last lines of a log), as JSON takes
    them.
    """

    def __init__(self, code: str, message: str, facts: Mapping[str, object] | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.message = message
        self.facts: dict[str, object] = dict(facts or {})
