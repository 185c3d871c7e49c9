"""`keys`, `tenants` and `readings` with their options; what they do is imported when they run."""

from typing import Annotated

import typer

from domain.errors import InvalidInput
from dora_state.cli.options import Context, Json, Limit, Page
from dora_state.cli.output import Output

keys_app = typer.Typer(help="API keys of the tenant: who may use the server.")
tenants_app = typer.Typer(help="The tenants of the database.")


@keys_app.command("create")
def create(
    context: Context,
    name: Annotated[str, typer.Argument(metavar="NAME", help="Whose it is: the actor of what is done with it.")],
    role: Annotated[str, typer.Option(help="orchestrator, reader, auditor or operator.")],
    expires: Annotated[
        str, typer.Option(metavar="WHEN", help="Until when it is good: so many days, like 90d, or a time.")
    ] = "90d",
    as_json: Json = False,
) -> int:
    """Make a key and print it, this once; only a digest is kept."""
    from dora_state.cli.keys import check_expiry, check_name, check_role, create_key
    from dora_state.cli.running import run
    from dora_state.platform import now

    wanted = check_name(name), check_role(role), check_expiry(expires, now())
    return run(create_key(context.obj.settings(), *wanted, Output(as_json=as_json)))


@keys_app.command("list")
def list_keys(context: Context, as_json: Json = False) -> int:
    """List all keys that the tenant ever had; no secret is among what is kept."""
    from dora_state.cli.keys import list_keys
    from dora_state.cli.running import run

    return run(list_keys(context.obj.settings(), Output(as_json=as_json)))


@keys_app.command("revoke")
def revoke(
    context: Context,
    id: Annotated[str, typer.Argument(metavar="ID", help="The key's id, as the list names it.")],
    as_json: Json = False,
) -> int:
    """End a key: within five seconds nobody takes it any more."""
    from dora_state.cli.keys import check_key_id, revoke_key
    from dora_state.cli.running import run

    return run(revoke_key(context.obj.settings(), check_key_id(id), Output(as_json=as_json)))


Name = Annotated[str, typer.Argument(metavar="NAME", help="The tenant's name.")]


@tenants_app.command("list")
def list_tenants(context: Context, as_json: Json = False) -> int:
    """List the tenants, each with how many good keys it has."""
    from dora_state.cli.running import run
    from dora_state.cli.tenants import list_tenants

    return run(list_tenants(context.obj.settings(), Output(as_json=as_json)))


@tenants_app.command("create")
def create_tenant(context: Context, name: Name, as_json: Json = False) -> int:
    """Make a tenant with all that it needs, as `init` does; harmless to repeat."""
    from dora_state.cli.arguments import check_tenant
    from dora_state.cli.running import run
    from dora_state.cli.setup import init

    check_tenant(name)
    settings = context.obj.settings().model_copy(update={"tenant": name})
    return run(init(settings, Output(as_json=as_json)))


@tenants_app.command("drop")
def drop_tenant(
    context: Context,
    name: Name,
    yes: Annotated[str | None, typer.Option("--yes", metavar="NAME", help="The name once more.")] = None,
    as_json: Json = False,
) -> int:
    """Drop a tenant with its log and its keys, for good; the record of who looked at it stays."""
    from dora_state.cli.arguments import check_tenant
    from dora_state.cli.running import run
    from dora_state.cli.tenants import drop

    check_tenant(name)
    if yes != name:
        raise InvalidInput(f"That drops {name} with all that was recorded, for good: if so, add --yes {name}.")
    settings = context.obj.settings().model_copy(update={"tenant": name})
    return run(drop(settings, Output(as_json=as_json)))


def readings(
    context: Context,
    actor: Annotated[str | None, typer.Option(help="Only what this one looked at.")] = None,
    since: Annotated[str | None, typer.Option(metavar="TIME", help="Only from then on.")] = None,
    until: Annotated[str | None, typer.Option(metavar="TIME", help="Only up to then.")] = None,
    limit: Limit = 50,
    page: Page = None,
    as_json: Json = False,
) -> int:
    """List who looked at the past of the tenant, newest first: history, differences, traces, exports, replays."""
    from dora_state.cli.arguments import check_count, parse_time
    from dora_state.cli.readings import Asked, check_mark, list_readings
    from dora_state.cli.running import run

    asked = Asked(
        actor=actor,
        since=None if since is None else parse_time(since, "--since"),
        until=None if until is None else parse_time(until, "--until"),
        before=None if page is None else check_mark(page),
        limit=check_count(limit, "--limit") or limit,
    )
    return run(list_readings(context.obj.settings(), asked, Output(as_json=as_json)))
