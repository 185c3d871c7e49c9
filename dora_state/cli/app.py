"""The commands and their options. What a command does is imported when it runs: help is to be quick."""

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from domain.errors import InvalidInput
from dora_state.cli.lists_app import board, list_app, rates
from dora_state.cli.operating_app import locks
from dora_state.cli.options import Context, Json
from dora_state.cli.output import Output
from dora_state.cli.read_models_app import audit, dead_letters_app, rebuild

if TYPE_CHECKING:
    from domain.log import Cut
    from dora_state.importing import Resume
    from dora_state.settings import Settings

app = typer.Typer(
    name="dora-state",
    help="Keeps the state of an AI-agent platform: submit commands, ask for states, now or in the past.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
rollback_app = typer.Typer(help="Restore an earlier state; nothing is removed.")
import_app = typer.Typer(help="Import an older log into an empty tenant.")
app.add_typer(rollback_app, name="rollback")
app.add_typer(import_app, name="import")
app.add_typer(list_app, name="list")
app.command()(board)
app.command()(rates)
app.command()(audit)
app.command()(rebuild)
app.command()(locks)
app.add_typer(dead_letters_app, name="dead-letters")


def command() -> Any:
    """The whole as one callable, as typer makes it."""
    return typer.main.get_command(app)


@dataclass(frozen=True, slots=True)
class Globals:
    """What was said before the command."""

    home: Path | None
    tenant: str | None

    def settings(self) -> "Settings":
        """The settings of the environment, with what was said instead. Raises InvalidInput."""
        from dora_state.cli.arguments import check_tenant
        from dora_state.settings import load_settings

        given = {"home": self.home and self.home.expanduser().absolute(), "tenant": check_tenant(self.tenant)}
        return load_settings(**{name: value for name, value in given.items() if value is not None})


Kind = Annotated[str, typer.Argument(metavar="KIND", help="workflow, task, agent, pool or system.")]
Id = Annotated[str | None, typer.Argument(metavar="ID", help="Its id; the system needs none.")]


@app.callback(invoke_without_command=True)
def everything(
    context: Context,
    home: Annotated[
        Path | None, typer.Option("--home", help="Where the embedded servers keep their data [DORA_STATE_HOME].")
    ] = None,
    tenant: Annotated[str | None, typer.Option("--tenant", help="Whose state [DORA_STATE_TENANT].")] = None,
    debug: Annotated[bool, typer.Option("--debug", help="Show the traceback of an error.")] = False,
    version: Annotated[bool, typer.Option("--version", help="Show the version and leave.")] = False,
) -> None:
    if version:
        Output(as_json=False).line(f"dora-state{_version()}")
        raise typer.Exit
    if context.invoked_subcommand is None:
        typer.echo(context.get_help())
        raise typer.Exit

    from dora_state.cli.logs import speak_warnings

    speak_warnings(debug=debug)
    context.obj = Globals(home, tenant)


@app.command()
def init(context: Context, as_json: Json = False) -> int:
    """Make what a tenant needs; harmless to repeat."""
    from dora_state.cli.running import run
    from dora_state.cli.setup import init

    return run(init(_settings(context), Output(as_json=as_json)))


@app.command()
def maintain(
    context: Context,
    again: Annotated[
        bool, typer.Option("--again", help="Look through the whole log for snapshots that were deleted.")
    ] = False,
    as_json: Json = False,
) -> int:
    """Make the log's months ahead and take snapshots, as a worker does; harmless to repeat."""
    from dora_state.cli.running import run
    from dora_state.cli.setup import maintain

    return run(maintain(_settings(context), again, Output(as_json=as_json)))


@app.command()
def submit(
    context: Context,
    file: Annotated[str, typer.Argument(metavar="FILE", help="JSON or JSON lines; - is stdin.")],
    actor: Annotated[
        str | None, typer.Option(help="Who asks, where a command does not say; by default your login.")
    ] = None,
    as_json: Json = False,
) -> int:
    """Submit commands, in order, and tell what became of each."""
    from dora_state.cli.running import run
    from dora_state.cli.submit import submit

    return run(submit(_settings(context), file, actor or _login(), Output(as_json=as_json)))


AsOfVersion = Annotated[int | None, typer.Option("--version", metavar="N", help="As of its version N.")]
AsOfTime = Annotated[str | None, typer.Option("--at", metavar="TIME", help="As of a moment: ISO 8601 with a zone.")]
Timeline = Annotated[bool, typer.Option("--timeline", help="Draw tasks over time: of a workflow, a task or an agent.")]
Page = Annotated[Path | None, typer.Option("--html", metavar="FILE", help="The timeline as a page, into a file.")]
AsOfPosition = Annotated[int | None, typer.Option("--position", metavar="P", help="As of a position in the log.")]


@app.command()
def show(
    context: Context,
    kind: Kind,
    id: Id = None,
    version: AsOfVersion = None,
    at: AsOfTime = None,
    position: AsOfPosition = None,
    consistency: Annotated[
        str | None,
        typer.Option(
            metavar="HOW",
            help="cached, projected (what the read models have now) or live (folded from the log). "
            "Else the read models are brought to the log's end first.",
        ),
    ] = None,
    min_position: Annotated[
        int | None, typer.Option("--min-position", metavar="P", help="A state that includes position P.")
    ] = None,
    wait: Annotated[
        float | None, typer.Option("--wait", metavar="SECONDS", help="How long that may take; 5 by default.")
    ] = None,
    timeline: Timeline = False,
    html: Page = None,
    as_json: Json = False,
) -> int:
    """Show a state, now or in the past."""
    from dora_state.cli.arguments import check_freshness, check_id, check_kind, make_cut

    cut = make_cut(version, at, position, ("--version", "--at", "--position"))
    checked = check_id(check_kind(kind), id)
    freshness = check_freshness(consistency, min_position, wait, now=cut.is_now and not timeline and html is None)

    if timeline or html is not None:
        return _timeline(context, kind, checked, cut, html, as_json)

    from dora_state.cli.running import run
    from dora_state.cli.show import show

    return run(show(_settings(context), kind, checked, cut, freshness, Output(as_json=as_json)))


@app.command()
def history(
    context: Context,
    kind: Kind,
    id: Id = None,
    version: AsOfVersion = None,
    at: AsOfTime = None,
    position: AsOfPosition = None,
    timeline: Timeline = False,
    html: Page = None,
    since: Annotated[str | None, typer.Option(metavar="TIME", help="Only what was recorded from then on.")] = None,
    type: Annotated[
        list[str] | None, typer.Option(metavar="EVENT", help="Only events of this type; repeat it.")
    ] = None,
    actor: Annotated[str | None, typer.Option(help="Only what this one asked for.")] = None,
    occurred_since: Annotated[
        str | None, typer.Option(metavar="TIME", help="Only what, as its caller said, occurred from then on.")
    ] = None,
    occurred_until: Annotated[
        str | None, typer.Option(metavar="TIME", help="Only what, as its caller said, occurred up to then.")
    ] = None,
    after: Annotated[int, typer.Option(metavar="N", help="Only versions after N: the next page.")] = 0,
    limit: Annotated[int | None, typer.Option(metavar="COUNT", help="So many at most.")] = None,
    newest_first: Annotated[bool, typer.Option("--newest-first", help="Backwards.")] = False,
    as_json: Json = False,
) -> int:
    """List every version: when, who, why, and what changed."""
    from dora_state.cli.arguments import check_count, check_id, check_kind, check_types, make_cut, parse_time
    from projections.history import HistoryFilter

    cut = make_cut(version, at, position, ("--version", "--at", "--position"))
    checked = check_id(check_kind(kind), id)
    if timeline or html is not None:
        filters = {
            "--since": since,
            "--type": type,
            "--actor": actor,
            "--occurred-since": occurred_since,
            "--occurred-until": occurred_until,
            "--after": after,
            "--limit": limit,
            "--newest-first": newest_first,
        }
        if given := [name for name, value in filters.items() if value]:
            raise InvalidInput(f"A timeline shows everything up to a cut: leave out {' and '.join(given)}.")
        return _timeline(context, kind, checked, cut, html, as_json)
    if after < 0:
        raise InvalidInput(f"--after counts from 0, so {after} is none.", value=after)
    only = HistoryFilter(
        types=check_types(type or []),
        actor=actor,
        since=None if since is None else parse_time(since, "--since"),
        occurred_since=None if occurred_since is None else parse_time(occurred_since, "--occurred-since"),
        occurred_until=None if occurred_until is None else parse_time(occurred_until, "--occurred-until"),
    )

    from dora_state.cli.history import history
    from dora_state.cli.running import run

    return run(
        history(
            _settings(context),
            kind,
            checked,
            cut,
            only,
            Output(as_json=as_json),
            after_version=after,
            newest_first=newest_first,
            limit=check_count(limit, "--limit"),
        )
    )


@app.command()
def diff(
    context: Context,
    kind: Annotated[str, typer.Argument(metavar="KIND", help="workflow, task, agent or pool; system: everything.")],
    words: Annotated[
        list[str],
        typer.Argument(metavar="[ID] FROM TO", help="Two cuts: 3 (a version), p120 (a position), a time, start, now."),
    ],
    differences: Annotated[
        bool, typer.Option("--differences", help="Of everything: what changed in each, too.")
    ] = False,
    as_json: Json = False,
) -> int:
    """Tell what changed between two cuts."""
    from dora_state.cli.arguments import check_id, check_kind, parse_cut

    of_everything = check_kind(kind) == "system"
    if len(words) != (2 if of_everything else 3):
        raise InvalidInput(
            "Between which two cuts? Write diff system FROM TO."
            if of_everything
            else f"Write diff {kind} ID FROM TO: the {kind}'s id and two cuts."
        )
    begin, end = (
        parse_cut(word, name, versions=not of_everything) for word, name in zip(words[-2:], ("FROM", "TO"), strict=True)
    )

    from dora_state.cli.diff import diff, diff_everything
    from dora_state.cli.running import run

    output = Output(as_json=as_json)
    if of_everything:
        return run(diff_everything(_settings(context), begin, end, differences, output))
    return run(diff(_settings(context), kind, check_id(kind, words[0]), begin, end, output))


@app.command()
def trace(
    context: Context,
    correlation_id: Annotated[str, typer.Argument(metavar="CORRELATION_ID", help="Which conversation.")],
    since: Annotated[
        str, typer.Option(metavar="CUT", help="From where on to look: a time or a position like p120.")
    ] = "start",
    until: Annotated[str, typer.Option(metavar="CUT", help="Up to where to look.")] = "now",
    as_json: Json = False,
) -> int:
    """Show what one request caused, over all aggregates, as a tree."""
    from dora_state.cli.arguments import parse_cut

    if not correlation_id.strip():
        raise InvalidInput("Which conversation? Give its correlation id.")
    begin, end = parse_cut(since, "--since", versions=False), parse_cut(until, "--until", versions=False)

    from dora_state.cli.running import run
    from dora_state.cli.trace import trace

    return run(trace(_settings(context), correlation_id, begin, end, Output(as_json=as_json)))


@app.command()
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
        return run(check(_settings(context), cut, Output(as_json=as_json)))
    return run(replay(_settings(context), cut, into, anew, Output(as_json=as_json)))


@app.command()
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

    return run(export(_settings(context), format, workflow_id, from_then, cut, file, Output(as_json=as_json)))


@rollback_app.command("workflow")
def rollback_workflow(
    context: Context,
    id: Annotated[str, typer.Argument(metavar="ID", help="The workflow's id.")],
    to_version: Annotated[int | None, typer.Option(metavar="N", help="To its version N.")] = None,
    to_time: Annotated[str | None, typer.Option(metavar="TIME", help="To a moment: ISO 8601 with a zone.")] = None,
    to_position: Annotated[int | None, typer.Option(metavar="P", help="To a position in the log.")] = None,
    reason: Annotated[str | None, typer.Option(help="Why; it is recorded.")] = None,
    operator: Annotated[str | None, typer.Option(help="Who; it is recorded.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only tell what would change.")] = False,
    workflow_only: Annotated[
        bool, typer.Option("--workflow-only", help="Leave its tasks; refused where one would differ.")
    ] = False,
    as_json: Json = False,
) -> int:
    """Restore an earlier state of a workflow and its tasks."""
    from dora_state.cli.arguments import check_id, make_cut

    cut = make_cut(to_version, to_time, to_position, ("--to-version", "--to-time", "--to-position"))
    if cut.is_now:
        raise InvalidInput("Back to where? Give one of --to-version, --to-time and --to-position.")
    checked = check_id("workflow", id)

    from dora_state.cli.rollback import rollback
    from dora_state.cli.running import run

    return run(
        rollback(
            _settings(context),
            checked,
            cut,
            reason=reason,
            operator=operator,
            workflow_only=workflow_only,
            dry_run=dry_run,
            output=Output(as_json=as_json),
        )
    )


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
    return run(run_import(_settings(context), file, resume, Output(as_json=as_json)))


@app.command()
def worker(
    context: Context,
    role: Annotated[
        list[str] | None,
        typer.Option(help="What to do: projector, snapshots, months, rebuild, chores, queue; repeatable, all if none."),
    ] = None,
    as_json: Json = False,
) -> int:
    """Keep the read models up with the log and do what time asks for, until told to stop."""
    import asyncio

    from dora_state.cli.running import run
    from dora_state.cli.working import work
    from dora_state.worker.roles import roles_of

    roles, stop = roles_of(role or ()), asyncio.Event()
    return run(work(_settings(context), stop, roles, Output(as_json=as_json)), on_signal=stop.set)


@app.command()
def health(context: Context, as_json: Json = False) -> int:
    """Tell how everything is; 0 is healthy, 1 a warning, 4 unhealthy."""
    from dora_state.cli.health import health
    from dora_state.cli.running import run

    return run(health(_settings(context), Output(as_json=as_json)))


@app.command()
def demo(context: Context, as_json: Json = False) -> int:
    """Watch a DORA compliance assessment happen."""
    from dora_state.cli.running import run
    from dora_state.demo import TENANT, perform

    settings = _settings(context)
    if context.obj.tenant is None:
        # A tenant that the environment names has a state of its own; only one asked for is played on.
        settings = settings.model_copy(update={"tenant": TENANT})
    return run(perform(settings, Output(as_json=as_json)))


def _timeline(context: Context, kind: str, id: str, cut: "Cut", html: Path | None, as_json: bool) -> int:
    from dora_state.cli.running import run
    from dora_state.cli.timeline import timeline

    return run(timeline(_settings(context), kind, id, cut, html, Output(as_json=as_json)))


def _settings(context: Context) -> "Settings":
    said: Globals = context.obj
    return said.settings()


def _login() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return "unknown"


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f" {version('dora-state')}"
    except PackageNotFoundError:
        return ", not installed"
