"""`replay`, `export` and `import` with their options."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from domain.errors import InvalidInput
from dora_state.cli.options import AsOfPosition, AsOfTime, AsOfVersion, Context, Json
from dora_state.cli.output import Output

if TYPE_CHECKING:
    from dora_state.importing import Resume

import_app = typer.Typer(help="Import an older log into an empty tenant.")


def replay(
    context: Context,
    until: Annotated[str, typer.Option(metavar="CUT", help="As of a time, a position like p120, or now.")] = "now",
    into: Annotated[str | None, typer.Option(metavar="SCHEMA", help="The schema to make.")] = None,
    anew: Annotated[bool, typer.Option("--anew", help="Drop what an earlier replay left there.")] = False,
    checking: Annotated[
        bool, typer.Option("--check", help="Prove that read models, snapshots and folds agree with the log.")
    ] = False,
    as_json: Json = False,
) -> int:
    """Build the read models as of a moment in a schema of their own, for SQL; or check all that is kept."""
    from dora_state.cli.arguments import parse_cut

    cut = parse_cut(until, "--until", versions=False)
    if checking and (into is not None or anew):
        raise InvalidInput("--check makes nothing: leave out --into and --anew, or --check.")
    if into is None and not checking:
        raise InvalidInput("Into which schema? Give --into SCHEMA, one that does not exist yet, or --check.")

    from dora_state.cli.replay import check, replay
    from dora_state.cli.running import run

    if into is None:
        return run(check(context.obj.settings(), cut, Output(as_json=as_json)))
    return run(replay(context.obj.settings(), cut, into, anew, Output(as_json=as_json)))


def export(
    context: Context,
    format: Annotated[
        str, typer.Argument(metavar="FORMAT", help="jsonl (exact), ocel (OCEL 2.0 as JSON), xes or csv.")
    ],
    workflow: Annotated[str | None, typer.Option(metavar="ID", help="Only what concerns this workflow.")] = None,
    since: Annotated[str | None, typer.Option(metavar="TIME", help="Only what was recorded from then on.")] = None,
    version: AsOfVersion = None,
    at: AsOfTime = None,
    position: AsOfPosition = None,
    file: Annotated[
        Path | None, typer.Option("--output", metavar="FILE", help="Where to; .gz is compressed. Else stdout.")
    ] = None,
    as_json: Json = False,
) -> int:
    """Export what was recorded: everything, a range of time, or one workflow."""
    from dora_state.cli.arguments import check_id, make_cut, parse_time

    cut = make_cut(version, at, position, ("--version", "--at", "--position"))
    workflow_id = None if workflow is None else check_id("workflow", workflow)
    if version is not None and workflow_id is None:
        raise InvalidInput("--version is one of a single workflow: give --workflow ID too, or --at or --position.")
    from_then = None if since is None else parse_time(since, "--since")

    from dora_state.cli.export import export
    from dora_state.cli.running import run

    return run(export(context.obj.settings(), format, workflow_id, from_then, cut, file, Output(as_json=as_json)))


@import_app.command("xes")
def import_xes(
    context: Context,
    file: Annotated[Path, typer.Argument(metavar="FILE", help="An XES log, plain or gzipped.")],
    go_on: Annotated[bool, typer.Option("--continue", help="Go on with an import that was cut short.")] = False,
    anew: Annotated[bool, typer.Option("--start-anew", help="Drop what an import left, and start again.")] = False,
    as_json: Json = False,
) -> int:
    """Import an XES event log into an empty tenant."""
    if go_on and anew:
        raise InvalidInput("--continue and --start-anew exclude each other: give one of them.")
    if not file.exists():
        raise InvalidInput(f"There is no file {file}; check the path.", file=str(file))

    from dora_state.cli.importing import run_import
    from dora_state.cli.running import run

    resume: Resume = "continue" if go_on else "anew" if anew else "new"
    return run(run_import(context.obj.settings(), file, resume, Output(as_json=as_json)))
