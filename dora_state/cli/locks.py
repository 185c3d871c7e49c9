"""`locks`: who has a stream to himself, and who waits for it."""

from dataclasses import asdict

from dora_state.cli.exits import Exit
from dora_state.cli.formats import when
from dora_state.cli.output import Output, say
from dora_state.settings import Settings
from dora_state.state_manager import open_state_manager


async def show_locks(settings: Settings, output: Output) -> int:
    async with open_state_manager(settings, say=say, create=False) as manager:
        held = await manager.locks()
    for one in held:
        if output.as_json:
            output.json_line(asdict(one))
            continue
        output.line(f"{one.stream_id}  {one.holder}, since {when(one.since)} ({one.process}, token {one.token})")
        for waiter in one.waiters:
            output.line(f"    {waiter.name} waits, since {when(waiter.since)} ({waiter.process})")
    if not held and not output.as_json:
        output.line("Nobody holds a lock.")
    return Exit.DONE
