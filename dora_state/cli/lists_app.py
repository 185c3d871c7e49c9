"""`list`, `board` and `rates` with their options. What they do is imported when they run: help is to be quick."""

from typing import Annotated, Any

import typer

from domain.errors import InvalidInput
from dora_state.cli.options import Context, Json, Limit, Page
from dora_state.cli.output import Output

list_app = typer.Typer(help="List workflows, tasks, agents, pools or reservations.", no_args_is_help=True)
LIMIT = 50

States = Annotated[list[str] | None, typer.Option("--state", metavar="STATE", help="In this state; repeat it.")]
Priorities = Annotated[
    list[str] | None, typer.Option("--priority", metavar="PRIORITY", help="high, medium or low; repeat it.")
]
Definition = Annotated[str | None, typer.Option("--definition", metavar="ID", help="Of this definition.")]
OfAgent = Annotated[str | None, typer.Option("--agent", metavar="ID", help="Of this agent.")]
OfWorkflow = Annotated[str | None, typer.Option("--workflow", metavar="ID", help="Of this workflow.")]
Time = Annotated[str | None, typer.Option(metavar="TIME")]


@list_app.command("workflows")
def list_workflows(
    context: Context,
    state: States = None,
    definition: Definition = None,
    version: Annotated[str | None, typer.Option(metavar="TEXT", help="Of this version of a definition.")] = None,
    priority: Priorities = None,
    prefix: Annotated[str | None, typer.Option(metavar="TEXT", help="Whose id begins so.")] = None,
    overdue: Annotated[bool, typer.Option("--overdue", help="Meant to be done by now, and not ended.")] = False,
    created_from: Time = None,
    created_before: Time = None,
    started_from: Time = None,
    started_before: Time = None,
    ended_from: Time = None,
    ended_before: Time = None,
    sort: Annotated[
        str | None,
        typer.Option(
            metavar="KEY",
            help="created, updated, ended, priority, scheduled_completion or id; -KEY is the other way round.",
        ),
    ] = None,
    limit: Limit = LIMIT,
    page: Page = None,
    as_json: Json = False,
) -> int:
    """List workflows: the newest first, unless something else is asked for."""
    only = {
        "state": state or None,
        "definition_id": definition,
        "version": version,
        "priority": priority or None,
        "prefix": prefix,
        "overdue": overdue or None,
        **_times(
            created_from=created_from,
            created_before=created_before,
            started_from=started_from,
            started_before=started_before,
            ended_from=ended_from,
            ended_before=ended_before,
        ),
    }
    return _list(context, "workflows", only | {"sort": sort}, limit, page, as_json)


@list_app.command("tasks")
def list_tasks(
    context: Context,
    state: States = None,
    workflow: OfWorkflow = None,
    agent: OfAgent = None,
    definition: Definition = None,
    priority: Priorities = None,
    overdue: Annotated[bool, typer.Option("--overdue", help="Running past their deadline, the longest first.")] = False,
    stalled: Annotated[
        float | None,
        typer.Option(metavar="SECONDS", help="Overdue, or in an agent's hands and not heard of for so long."),
    ] = None,
    sort: Annotated[
        str | None,
        typer.Option(metavar="KEY", help="created, updated, priority or deadline; -KEY is the other way round."),
    ] = None,
    limit: Limit = LIMIT,
    page: Page = None,
    as_json: Json = False,
) -> int:
    """List tasks: the oldest first, unless something else is asked for."""
    if overdue and stalled is not None:
        raise InvalidInput("What is stalled includes what is overdue: give one of --overdue and --stalled.")
    if sort is not None and (overdue or stalled is not None):
        raise InvalidInput("What is overdue or stalled has an order of its own: leave out --sort.")
    if stalled is not None and not 0 <= stalled <= 10**9:
        raise InvalidInput(f"--stalled is a number of seconds from 0 to a billion, not {stalled:g}.", value=stalled)
    only: dict[str, Any] = {
        "state": state or None,
        "workflow_id": workflow,
        "agent_id": agent,
        "definition_id": definition,
        "priority": priority or None,
    }
    if overdue:
        return _list(context, "overdue", only, limit, page, as_json)
    if stalled is not None:
        return _list(context, "stalled", only | {"quiet_for": stalled}, limit, page, as_json)
    return _list(context, "tasks", only | {"sort": sort or "created"}, limit, page, as_json)


@list_app.command("agents")
def list_agents(
    context: Context,
    state: Annotated[str | None, typer.Option(metavar="STATE", help="In this state.")] = None,
    type: Annotated[str | None, typer.Option(metavar="TYPE", help="Of this type.")] = None,
    capability: Annotated[str | None, typer.Option(metavar="TEXT", help="That can do this.")] = None,
    node: Annotated[str | None, typer.Option(metavar="ID", help="On this node.")] = None,
    free_slots: Annotated[int | None, typer.Option(metavar="COUNT", help="With so many free slots at least.")] = None,
    presence: Annotated[str | None, typer.Option(metavar="PRESENCE", help="online, silent or unheard.")] = None,
    limit: Limit = LIMIT,
    page: Page = None,
    as_json: Json = False,
) -> int:
    """List agents: whether they are there, what they do, and what is held for them."""
    only = {
        "state": state,
        "agent_type": type,
        "capability": capability,
        "node_id": node,
        "free_slots": free_slots,
        "presence": presence,
    }
    return _list(context, "agents", only, limit, page, as_json)


@list_app.command("pools")
def list_pools(context: Context, limit: Limit = LIMIT, page: Page = None, as_json: Json = False) -> int:
    """List resource pools: how much of each is taken, and what expires next."""
    return _list(context, "pools", {}, limit, page, as_json)


@list_app.command("reservations")
def list_reservations(
    context: Context,
    pool: Annotated[str | None, typer.Option(metavar="ID", help="Of this pool.")] = None,
    agent: OfAgent = None,
    task: Annotated[str | None, typer.Option(metavar="ID", help="Of this task.")] = None,
    expires_before: Annotated[str | None, typer.Option(metavar="TIME", help="That expire before then.")] = None,
    limit: Limit = LIMIT,
    page: Page = None,
    as_json: Json = False,
) -> int:
    """List the active reservations of all pools, what expires first in front."""
    only = {"pool_id": pool, "agent_id": agent, "task_id": task, **_times(expires_before=expires_before)}
    return _list(context, "reservations", only, limit, page, as_json)


def board(
    context: Context,
    by: Annotated[
        str, typer.Option(metavar="WHAT", help="Columns by state, agent, definition, priority or workflow.")
    ] = "state",
    state: States = None,
    workflow: OfWorkflow = None,
    agent: OfAgent = None,
    definition: Definition = None,
    priority: Annotated[str | None, typer.Option(metavar="PRIORITY", help="high, medium or low.")] = None,
    limit: Limit = LIMIT,
    page: Page = None,
    as_json: Json = False,
) -> int:
    """Count tasks: how many are in which state, of whom or what."""
    from dora_state.cli.arguments import check_count
    from dora_state.cli.board import board
    from dora_state.cli.running import run

    check_count(limit, "--limit")
    only = {
        "state": state or None,
        "workflow_id": workflow,
        "agent_id": agent,
        "definition_id": definition,
        "priority": priority,
    }
    return run(board(context.obj.settings(), by, only, limit, page, Output(as_json=as_json)))


def rates(
    context: Context,
    per: Annotated[str, typer.Option(metavar="STRETCH", help="minute, hour or day.")] = "hour",
    begin: Annotated[str | None, typer.Option("--from", metavar="TIME", help="From when on.")] = None,
    end: Annotated[str | None, typer.Option("--to", metavar="TIME", help="Up to when; now by default.")] = None,
    agent: OfAgent = None,
    as_json: Json = False,
) -> int:
    """Tell what ended in each minute, hour or day: how much, how well, and how long it took."""
    from dora_state.cli.rates import rates
    from dora_state.cli.running import run

    times = _times(begin=begin, end=end)
    return run(rates(context.obj.settings(), per, times["begin"], times["end"], agent, Output(as_json=as_json)))


def _list(context: Context, what: str, only: dict[str, Any], limit: int, page: str | None, as_json: bool) -> int:
    from dora_state.cli.arguments import check_count
    from dora_state.cli.lists import show_list
    from dora_state.cli.running import run

    check_count(limit, "--limit")
    return run(show_list(context.obj.settings(), what, only, limit, page, Output(as_json=as_json)))


def _times(**given: str | None) -> dict[str, Any]:
    from dora_state.cli.arguments import parse_time

    names = {"begin": "--from", "end": "--to"}
    return {
        name: None if text is None else parse_time(text, names.get(name, "--" + name.replace("_", "-")))
        for name, text in given.items()
    }
