"""How much an aggregate may hold. What is shown whole, and written whole with each change, must stay of a size that
can be: what is larger belongs elsewhere, and here the place where it is."""

import orjson

MOST_TASKS = 10_000
"""Of one workflow."""
LARGEST_WORKFLOW = 8 * 1024 * 1024
"""Bytes, as JSON, of what callers tell of a workflow and its tasks. A rollback's event holds all of it at once."""
MOST_PHASES = 1_000
"""That a task without phases of its own may complete."""
MOST_COMPONENTS = 1_000
MOST_WINDOWS = 1_000
"""Maintenance windows that are not cancelled, those that are over included."""


def size_of(*told: object) -> int:
    """Bytes as JSON."""
    return len(orjson.dumps(told))
