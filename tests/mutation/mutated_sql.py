"""A plugin of pytest for the run: one script is another one, wherever a tenant is made."""

import os
from dataclasses import replace
from pathlib import Path

from infrastructure import sql

MUTATED = "DORA_STATE_TEST_MUTATED"
"""A file: the script's name is that of the file, without the ending."""

_scripts = sql.scripts


def mutated(directory: str) -> tuple[sql.Script, ...]:
    file = Path(os.environ[MUTATED])
    return tuple(
        replace(one, text=file.read_bytes()) if (directory, one.name) == ("functions", file.stem) else one
        for one in _scripts(directory)
    )


if MUTATED in os.environ:
    sql.scripts = mutated  # type: ignore[assignment]  # what keeps it in mind is not needed here
