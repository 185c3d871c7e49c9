"""`audit`, `rebuild` and `dead-letters` with their options; what they do is imported when they run."""

from typing import Annotated, Literal

import typer

from domain.errors import InvalidInput
from dora_state.cli.options import Context, Json
from dora_state.cli.output import Output

dead_letters_app = typer.Typer(help="Events that their document could not take.")


def audit(
    context: Context,
    actor: Annotated[str | None, typer.Argument(metavar="[ACTOR]", help="Whose doings; without: who there is.")] = None,
    since: Annotated[str | None, typer.Option(metavar="TIME", help="Only what was recorded from then on.")] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Only what was recorded up to then.")] = None,
    command: Annotated[str | None, typer.Option("--command", metavar="TYPE", help="Only such commands.")] = None,
    limit: Annotated[int | None, typer.Option(metavar="COUNT", help="So many at most.")] = None,
    page: Annotated[str | None, typer.Option(metavar="MARK", help="Go on where an earlier answer ended.")] = None,
    as_json: Json = False,
) -> int:
    """List what one actor did, newest first: every command that changed something."""
    from dora_state.cli.arguments import check_count, parse_time
    from dora_state.cli.audit import Asked, actions, actors
    from dora_state.cli.running import run
    from dora_state.naming import check_command

    settings, output = context.obj.settings(), Output(as_json=as_json)
    if actor is None:
        if any(option is not None for option in (since, until, command, limit, page)):
            raise InvalidInput("Whose? Give the actor whose doings are asked for; alone, audit names who there is.")
        return run(actors(settings, output))
    if not actor.strip():
        raise InvalidInput("Whose? The actor is empty; is a variable not set? Alone, audit names who there is.")
    asked = Asked(
        since=None if since is None else parse_time(since, "--since"),
        until=None if until is None else parse_time(until, "--until"),
        command_type=None if command is None else check_command(command),
        mark=page,
        limit=check_count(limit, "--limit"),
    )
    return run(actions(settings, actor, asked, output))


@dead_letters_app.command("list")
def list_dead_letters(context: Context, as_json: Json = False) -> int:
    """Name the streams of which events could not be applied, each with its first error."""
    from dora_state.cli.dead_letters import list_them
    from dora_state.cli.running import run

    return run(list_them(context.obj.settings(), Output(as_json=as_json)))


Stream = Annotated[str, typer.Argument(metavar="STREAM", help="As the list names it, for example task-wf-1-review.")]
Streams = Annotated[list[str] | None, typer.Argument(metavar="[STREAM...]", help="As the list names them.")]
All = Annotated[bool, typer.Option("--all", help="All of them.")]


@dead_letters_app.command("show")
def show_dead_letter(context: Context, stream: Stream, as_json: Json = False) -> int:
    """Show the event that could not be applied, the error, and the document as it stands."""
    from dora_state.cli.dead_letters import show
    from dora_state.cli.running import run

    return run(show(context.obj.settings(), stream, Output(as_json=as_json)))


@dead_letters_app.command("retry")
def retry_dead_letters(context: Context, streams: Streams = None, all: All = False, as_json: Json = False) -> int:
    """Apply what was parked again, in order, after what was wrong is mended."""
    return _about_dead_letters(context, "retry", streams, all, as_json)


@dead_letters_app.command("drop")
def drop_dead_letters(context: Context, streams: Streams = None, all: All = False, as_json: Json = False) -> int:
    """Let what was parked be; the document follows again from its stream's next event."""
    return _about_dead_letters(context, "drop", streams, all, as_json)


def _about_dead_letters(
    context: Context, what: Literal["retry", "drop"], streams: list[str] | None, all: bool, as_json: bool
) -> int:
    if bool(streams) == all:
        raise InvalidInput(f"Which ones? Write dead-letters {what} STREAM, or --all.")

    from dora_state.cli.dead_letters import do
    from dora_state.cli.running import run

    return run(do(context.obj.settings(), what, None if all else streams, Output(as_json=as_json)))


def rebuild(
    context: Context,
    name: Annotated[str, typer.Argument(metavar="NAME|all", help="states, actions, or all of them.")],
    keep_old: Annotated[bool, typer.Option("--keep-old", help="Keep those that ran before, for going back.")] = False,
    back: Annotated[bool, typer.Option("--back", help="Switch to those that were kept.")] = False,
    anew: Annotated[
        bool, typer.Option("--anew", help="From the beginning, though another run was broken off.")
    ] = False,
    accept_differences: Annotated[
        bool, typer.Option("--accept-differences", help="Switch though what was built differs from what runs.")
    ] = False,
    as_json: Json = False,
) -> int:
    """Build read models anew beside those that run, compare them, and switch at once."""
    if back and (keep_old or anew or accept_differences):
        raise InvalidInput("Going back needs no other option: write rebuild NAME --back.")

    from dora_state.cli.rebuild import go_back, rebuild
    from dora_state.cli.running import run
    from dora_state.rebuilding import Wish

    settings, output = context.obj.settings(), Output(as_json=as_json)
    if back:
        return run(go_back(settings, name, output))
    return run(rebuild(settings, name, Wish(keep_old, anew, accept_differences), output))
