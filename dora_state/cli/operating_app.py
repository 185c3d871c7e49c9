"""`locks` with its options; what it does is imported when it runs."""

from dora_state.cli.options import Context, Json
from dora_state.cli.output import Output


def locks(context: Context, as_json: Json = False) -> int:
    """Show who has a workflow, task, agent or pool to himself, and who waits for it."""
    from dora_state.cli.locks import show_locks
    from dora_state.cli.running import run

    return run(show_locks(context.obj.settings(), Output(as_json=as_json)))
