"""The way in: runs one command and turns whatever happens into an exit code and one sentence."""

import os
import sys
import traceback
from collections.abc import Callable, Sequence

from domain.errors import DoraStateError
from dora_state.cli.exits import Exit, exit_of
from dora_state.cli.output import OutputClosed, OutputFailed, flush_stdout, give_up_stdout, say


def main(arguments: Sequence[str] | None = None) -> int:
    """Run `dora-state` with these arguments (sys.argv's if none) and give its exit code."""
    typed = list(sys.argv[1:] if arguments is None else arguments)
    debug = "--debug" in typed
    _hold_standard_streams()
    _be_lenient_about_letters()
    try:
        return _ended(typed, debug)
    except (OutputClosed, BrokenPipeError):
        give_up_stdout()
        return Exit.DONE
    except OutputFailed as failed:
        say(f"Error: the answer can't be written to stdout ({failed}); give it room, or another place to go.")
        return Exit.OUTPUT_FAILED


def _ended(typed: list[str], debug: bool) -> int:
    try:
        return _run(typed)
    except (OutputClosed, OutputFailed, BrokenPipeError):
        raise
    except KeyboardInterrupt:
        say("Interrupted.")
        return Exit.INTERRUPTED
    except Exception as error:
        if isinstance(error, OSError):
            # Help is not written by us: is it the output that fails?
            flush_stdout()
        return _tell(error, debug)


def _run(typed: list[str]) -> int:
    from typer.exceptions import Abort, TyperException

    from dora_state.cli.app import command

    try:
        result = command()(args=typed, prog_name="dora-state", standalone_mode=False)
    except TyperException as error:
        message = " ".join(error.format_message().split()).rstrip(".")
        say(f"Error: {message}{'' if message.endswith('?') else ';'} see `dora-state --help`.")
        return Exit.BAD_INPUT
    except Abort:
        return Exit.INTERRUPTED
    except SystemExit:
        # Only the help's printing leaves so, when nobody reads it to its end.
        return Exit.DONE
    return int(result or 0)


def _tell(error: Exception, debug: bool) -> int:
    """One sentence on stderr; the traceback only for those who ask for it."""
    redact = _redactor()
    if debug and sys.stderr is not None:
        sys.stderr.write(redact("".join(traceback.format_exception(error))))
    found = _expected(error)
    if isinstance(found, DoraStateError):
        say(f"Error: {found.message}")
        return exit_of(found)
    if found is not None:
        say(f"Error: {found}")
        return Exit.UNAVAILABLE
    told = redact(" ".join(str(error).split()))[:300]
    hint = "" if debug else "; run it again as `dora-state --debug ...` to see where"
    say(f"Error: something unexpected happened ({type(error).__name__}{f': {told}' if told else ''}){hint}.")
    return Exit.BUG


def _redactor() -> Callable[[str], str]:
    """Hides the secrets of the settings, or what of them can be known where they can't be read."""
    from dora_state.settings import load_settings
    from dora_state.watching.logs import secrets_of
    from dora_state.watching.redaction import redactor

    try:
        return redactor(secrets_of(load_settings()))
    except DoraStateError:
        said = [text for name, text in os.environ.items() if name.startswith("DORA_STATE_")]
        return redactor(text for text in said if "://" in text)


def _expected(error: BaseException) -> Exception | None:
    """The error that was expected, also when tasks that ran together wrap it in a group."""
    from infrastructure.embedded.errors import EmbeddedServerError

    if isinstance(error, DoraStateError | EmbeddedServerError):
        return error
    if isinstance(error, BaseExceptionGroup):
        found = [_expected(one) for one in error.exceptions]
        return found[0] if None not in found else None
    return None


def _hold_standard_streams() -> None:
    """Where one of the three was closed, nothing that is opened later may come to stand in its place."""
    for number, stream in enumerate((sys.stdin, sys.stdout, sys.stderr)):
        if stream is None:
            opened = os.open(os.devnull, os.O_RDWR)
            if opened != number:
                os.close(opened)  # it is not that one which is closed
            else:
                os.set_inheritable(opened, True)


def _be_lenient_about_letters() -> None:
    """A terminal that can't show a letter gets a question mark, and nobody gets an error for it."""
    for stream in (sys.stdout, sys.stderr):
        reconfigure = getattr(stream, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(errors="replace")
