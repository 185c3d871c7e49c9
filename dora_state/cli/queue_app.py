"""`queue` with its options; what it does is imported when it runs."""

from typing import Annotated

import typer

from domain.errors import InvalidInput
from dora_state.cli.options import Context, Json
from dora_state.cli.output import Output

queue_app = typer.Typer(help="The queue of commands, and its messages that became no command.")

Message = Annotated[str, typer.Argument(metavar="ID", help="As the list names it.")]
Messages = Annotated[list[str] | None, typer.Argument(metavar="[ID...]", help="As the list names them.")]
All = Annotated[bool, typer.Option("--all", help="All of them.")]


@queue_app.command("status")
def status(context: Context, as_json: Json = False) -> int:
    """Tell what waits, for how long, and what is in hand."""
    from dora_state.cli.queue import status
    from dora_state.cli.running import run

    return run(status(context.obj.settings(), Output(as_json=as_json)))


@queue_app.command("list")
def list_messages(context: Context, as_json: Json = False) -> int:
    """Name the messages that became no command, the oldest first, each with why."""
    from dora_state.cli.queue import list_them
    from dora_state.cli.running import run

    return run(list_them(context.obj.settings(), Output(as_json=as_json)))


@queue_app.command("show")
def show(context: Context, id: Message, as_json: Json = False) -> int:
    """Show such a message as it was sent."""
    from dora_state.cli.queue import show
    from dora_state.cli.running import run

    return run(show(context.obj.settings(), id, Output(as_json=as_json)))


@queue_app.command("retry")
def retry(context: Context, ids: Messages = None, all: All = False, as_json: Json = False) -> int:
    """Have such messages carried out after all, after what was wrong is mended."""
    return _about(context, "retry", ids, all, as_json)


@queue_app.command("drop")
def drop(context: Context, ids: Messages = None, all: All = False, as_json: Json = False) -> int:
    """Delete such messages."""
    return _about(context, "drop", ids, all, as_json)


def _about(context: Context, what: str, ids: list[str] | None, all: bool, as_json: bool) -> int:
    if bool(ids) == all:
        raise InvalidInput(f"Which ones? Write queue {what} ID, or --all.")

    from dora_state.cli.queue import do
    from dora_state.cli.running import run

    return run(do(context.obj.settings(), what, None if all else ids, Output(as_json=as_json)))
