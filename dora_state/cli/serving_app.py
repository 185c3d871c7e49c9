"""`serve` with its options; what it does is imported when it runs."""

from typing import Annotated

import typer

from dora_state.cli.options import Context


def serve(
    context: Context,
    host: Annotated[
        str, typer.Option("--host", help="Where to listen; without keys on this machine only.")
    ] = "127.0.0.1",
    port: Annotated[
        int, typer.Option("--port", min=0, max=65535, help="On which port; 0 for one that is free.")
    ] = 8000,
) -> int:
    """Answer over HTTP until told to stop; what was taken is answered first."""
    import asyncio

    import uvloop

    from dora_state.cli.exits import Exit
    from dora_state.cli.running import run
    from dora_state.cli.service_log import begin_log
    from dora_state.http.serving import serve

    stop, settings = asyncio.Event(), context.obj.settings()

    async def serving() -> int:
        await serve(settings, host, port, stop, begin_log(settings))
        return Exit.DONE

    return run(serving(), on_signal=stop.set, loop_factory=uvloop.new_event_loop)
