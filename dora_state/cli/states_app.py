"""`submit`, `show`, `history`, `diff`, `trace` and `rollback` with their options."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from domain.errors import InvalidInput
from dora_state.cli.options import AsOfPosition, AsOfTime, AsOfVersion, Context, Json
from dora_state.cli.output import Output

if TYPE_CHECKING:
    from domain.log import Cut

rollback_app = typer.Typer(help="Restore an earlier state; nothing is removed.")

Kind = Annotated[str, typer.Argument(metavar="KIND", help="workflow, task, agent, pool or system.")]
Id = Annotated[str | None, typer.Argument(metavar="ID", help="Its id; the system needs none.")]


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

    return run(submit(context.obj.settings(), file, actor or _login(), Output(as_json=as_json)))


Timeline = Annotated[bool, typer.Option("--timeline", help="Draw tasks over time: of a workflow, a task or an agent.")]
Page = Annotated[Path | None, typer.Option("--html", metavar="FILE", help="The timeline as a page, into a file.")]


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

    return run(show(context.obj.settings(), kind, checked, cut, freshness, Output(as_json=as_json)))


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
    from dora_state.cli.arguments import check_count, check_id, check_kind, make_cut, parse_time
    from dora_state.naming import check_types
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
            context.obj.settings(),
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
        return run(diff_everything(context.obj.settings(), begin, end, differences, output))
    return run(diff(context.obj.settings(), kind, check_id(kind, words[0]), begin, end, output))


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

    return run(trace(context.obj.settings(), correlation_id, begin, end, Output(as_json=as_json)))


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
            context.obj.settings(),
            checked,
            cut,
            reason=reason,
            operator=operator,
            workflow_only=workflow_only,
            dry_run=dry_run,
            output=Output(as_json=as_json),
        )
    )


def _timeline(context: Context, kind: str, id: str, cut: "Cut", html: Path | None, as_json: bool) -> int:
    from dora_state.cli.running import run
    from dora_state.cli.timeline import timeline

    return run(timeline(context.obj.settings(), kind, id, cut, html, Output(as_json=as_json)))


def _login() -> str:
    import getpass

    try:
        return getpass.getuser()
    except (OSError, KeyError, ImportError):
        return "unknown"
