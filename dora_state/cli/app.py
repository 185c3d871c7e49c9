"""The commands and their options. What a command does is imported when it runs: help is to be quick."""

from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from dora_state.cli.access_app import keys_app, readings, tenants_app
from dora_state.cli.lists_app import board, list_app, rates
from dora_state.cli.logs_app import export, import_app, replay
from dora_state.cli.operating_app import locks
from dora_state.cli.options import Context
from dora_state.cli.output import Output
from dora_state.cli.queue_app import queue_app
from dora_state.cli.read_models_app import audit, dead_letters_app, rebuild
from dora_state.cli.running_app import demo, health, init, maintain, worker
from dora_state.cli.serving_app import serve
from dora_state.cli.states_app import diff, history, rollback_app, show, submit, trace

if TYPE_CHECKING:
    from dora_state.settings import Settings

app = typer.Typer(
    name="dora-state",
    help="Keeps the state of an AI-agent platform: submit commands, ask for states, now or in the past.",
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode="rich",
)
app.add_typer(rollback_app, name="rollback")
app.add_typer(import_app, name="import")
app.add_typer(list_app, name="list")
for one in (
    *(init, maintain, submit, show, history, diff, trace, replay, export),
    *(board, rates, audit, rebuild, locks, readings, serve, worker, health, demo),
):
    app.command()(one)
app.add_typer(dead_letters_app, name="dead-letters")
app.add_typer(keys_app, name="keys")
app.add_typer(tenants_app, name="tenants")
app.add_typer(queue_app, name="queue")


@cache
def command() -> Any:
    """The whole as one callable, as typer makes it, which takes a while."""
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


def _version() -> str:
    from importlib.metadata import PackageNotFoundError, version

    try:
        return f" {version('dora-state')}"
    except PackageNotFoundError:
        return ", not installed"
