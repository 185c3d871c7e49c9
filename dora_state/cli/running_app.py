"""`init`, `maintain`, `worker`, `health` and `demo` with their options."""

from typing import TYPE_CHECKING, Annotated

import typer

from dora_state.cli.options import Context, Json
from dora_state.cli.output import Output

if TYPE_CHECKING:
    pass


def init(context: Context, as_json: Json = False) -> int:
    """Make what a tenant needs; harmless to repeat."""
    from dora_state.cli.running import run
    from dora_state.cli.setup import init

    return run(init(context.obj.settings(), Output(as_json=as_json)))


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

    return run(maintain(context.obj.settings(), again, Output(as_json=as_json)))


def worker(
    context: Context,
    role: Annotated[
        list[str] | None,
        typer.Option(help="What to do: projector, snapshots, months, rebuild or chores; repeatable, all if none."),
    ] = None,
    as_json: Json = False,
) -> int:
    """Keep the read models up with the log and do what time asks for, until told to stop."""
    import asyncio

    from dora_state.cli.running import run
    from dora_state.cli.working import work
    from dora_state.worker.roles import roles_of

    roles, stop = roles_of(role or ()), asyncio.Event()
    return run(work(context.obj.settings(), stop, roles, Output(as_json=as_json)), on_signal=stop.set)


def health(context: Context, as_json: Json = False) -> int:
    """Tell how everything is; 0 is healthy, 1 a warning, 4 unhealthy."""
    from dora_state.cli.health import health
    from dora_state.cli.running import run

    return run(health(context.obj.settings(), Output(as_json=as_json)))


def demo(context: Context, as_json: Json = False) -> int:
    """Watch a DORA compliance assessment happen."""
    from dora_state.cli.running import run
    from dora_state.demo import TENANT, perform

    settings = context.obj.settings()
    if context.obj.tenant is None:
        # A tenant that the environment names has a state of its own; only one asked for is played on.
        settings = settings.model_copy(update={"tenant": TENANT})
    return run(perform(settings, Output(as_json=as_json)))
