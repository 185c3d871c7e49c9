"""The command line. `docs/cli.md` has the commands, the exit codes and the shapes of the JSON."""

from dora_state.cli.entry import main

__all__ = ["main"]
