"""What goes to stdout, for programs and for people, and the word or two that go to stderr."""

import contextlib
import os
import sys
from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from rich.console import Console, RenderableType

_JSON = orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS


class OutputClosed(Exception):
    """Whoever read stdout has gone (`| head`): there is nobody to write to, and nothing wrong."""


def say(text: str) -> None:
    """A word on stderr; never an error of its own."""
    with contextlib.suppress(OSError, ValueError):
        print(text, file=sys.stderr, flush=True)


def give_up_stdout() -> None:
    """Send what is still buffered nowhere, so that the interpreter does not stumble over it at its end."""
    with contextlib.suppress(OSError, ValueError):
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, sys.stdout.fileno())
        os.close(nowhere)


class Output:
    """stdout. Everything raises OutputClosed once its reader has gone."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json

    @cached_property
    def console(self) -> "Console":
        """For people: 80 columns where there is no terminal, and ids are never taken for markup."""
        from rich.console import Console

        return Console(markup=False, emoji=False, highlight=False)

    @property
    def is_terminal(self) -> bool:
        return sys.stdout.isatty()

    def line(self, text: str) -> None:
        self._write(f"{text}\n")

    def json_line(self, value: Mapping[str, Any]) -> None:
        """One document of many, on one line."""
        self._write(orjson.dumps(value, default=str, option=_JSON).decode() + "\n")

    def json_document(self, value: Mapping[str, Any]) -> None:
        """The one document of this run, indented."""
        self._write(orjson.dumps(value, default=str, option=_JSON | orjson.OPT_INDENT_2).decode() + "\n")

    def show(self, *parts: "RenderableType") -> None:
        with self.console.capture() as captured:
            for part in parts:
                self.console.print(part)
        # Tables fill their width with blanks; nobody wants those in a file.
        text = captured.get()
        self._write(text if self.is_terminal else "\n".join(row.rstrip() for row in text.split("\n")))

    def _write(self, text: str) -> None:
        try:
            sys.stdout.write(text)
            sys.stdout.flush()
        except BrokenPipeError:
            give_up_stdout()
            raise OutputClosed from None
