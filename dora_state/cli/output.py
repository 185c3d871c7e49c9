"""What goes to stdout, for programs and for people, and the word or two that go to stderr."""

import contextlib
import os
import sys
import unicodedata
from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any

import orjson

if TYPE_CHECKING:
    from rich.console import Console, ConsoleOptions, RenderableType
    from rich.segment import Segment

_JSON = orjson.OPT_UTC_Z | orjson.OPT_NON_STR_KEYS


class OutputClosed(Exception):
    """Whoever read stdout has gone (`| head`): there is nobody to write to, and nothing wrong."""


class OutputFailed(Exception):
    """stdout takes nothing: its disk is full, or it was closed before we began. The reason is its text."""


def printable(text: str) -> str:
    """What a terminal would act upon, or show elsewhere than it stands, as `\\x1b` and the like; one line."""
    if text.isprintable():
        return text
    return "".join(sign if _is_seen(sign) else sign.encode("unicode_escape").decode() for sign in text)


def _is_seen(sign: str) -> bool:
    # Blanks that are no ASCII count as not printable, and do no harm.
    return sign.isprintable() or unicodedata.category(sign) == "Zs"


def say(text: str) -> None:
    """A word on stderr, on one line; never an error of its own."""
    if sys.stderr is None:
        return  # `print` would take that for stdout
    with contextlib.suppress(OSError, ValueError):
        print(printable(text), file=sys.stderr, flush=True)


def give_up_stdout() -> None:
    """Send what is still buffered nowhere, so that the interpreter does not stumble over it at its end."""
    with contextlib.suppress(OSError, ValueError, AttributeError):
        number = sys.stdout.fileno()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, number)
        os.close(nowhere)


def flush_stdout() -> None:
    """Raises OutputFailed or OutputClosed where something that others wrote can't go out."""
    if sys.stdout is not None:
        _write_out("")


def _write_out(text: str) -> None:
    if sys.stdout is None:
        raise OutputFailed("it is closed")
    try:
        sys.stdout.write(text)
        sys.stdout.flush()
    except BrokenPipeError:
        give_up_stdout()
        raise OutputClosed from None
    except OSError as error:
        give_up_stdout()
        raise OutputFailed(error.strerror or str(error)) from None


def _write_bytes(data: bytes) -> None:
    if sys.stdout is None:
        raise OutputFailed("it is closed")
    try:
        sys.stdout.flush()
        sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
    except BrokenPipeError:
        give_up_stdout()
        raise OutputClosed from None
    except OSError as error:
        give_up_stdout()
        raise OutputFailed(error.strerror or str(error)) from None


class _Printable:
    """Something to show, with every text in it made printable; its styles are ours and stay."""

    def __init__(self, part: "RenderableType") -> None:
        self._part = part

    def __rich_console__(self, console: "Console", options: "ConsoleOptions") -> "Iterator[Segment]":
        from rich.segment import Segment

        for text, style, control in console.render(self._part, options):
            shown = text if control else "\n".join(map(printable, text.split("\n")))
            yield Segment(shown, style, control)


class Output:
    """stdout. Everything raises OutputClosed once its reader has gone, and OutputFailed if it takes nothing."""

    def __init__(self, *, as_json: bool) -> None:
        self.as_json = as_json

    @cached_property
    def console(self) -> "Console":
        """For people: 80 columns where there is no terminal, and ids are never taken for markup."""
        from rich.console import Console

        return Console(markup=False, emoji=False, highlight=False)

    @property
    def is_terminal(self) -> bool:
        return sys.stdout is not None and sys.stdout.isatty()

    def line(self, text: str) -> None:
        """One line for people."""
        _write_out(f"{printable(text)}\n")

    def raw(self, data: bytes) -> None:
        """As it is, for other programs."""
        _write_bytes(data)

    def json_line(self, value: Mapping[str, Any]) -> None:
        """One document of many, on one line."""
        _write_out(orjson.dumps(value, default=str, option=_JSON).decode() + "\n")

    def json_document(self, value: Mapping[str, Any]) -> None:
        """The one document of this run, indented."""
        _write_out(orjson.dumps(value, default=str, option=_JSON | orjson.OPT_INDENT_2).decode() + "\n")

    def value(self, value: Any) -> None:
        """A JSON value for people, indented."""
        for row in orjson.dumps(value, default=str, option=_JSON | orjson.OPT_INDENT_2).decode().split("\n"):
            self.line(f"  {row}")

    def show(self, *parts: "RenderableType") -> None:
        """For people, laid out for the width that there is."""
        with self.console.capture() as captured:
            for part in parts:
                self.console.print(_Printable(part))
        # Tables fill their width with blanks; nobody wants those in a file.
        text = captured.get()
        _write_out(text if self.is_terminal else "\n".join(row.rstrip() for row in text.split("\n")))
