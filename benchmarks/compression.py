"""`python -m benchmarks.compression`: what compressing a copy costs and saves, by its size.

The documents are workflows with more and more tasks, as the read models render them. This chose `COMPRESSED_FROM` in
`infrastructure/hot_copies/values.py`.
"""

import statistics
import time
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from functools import partial

import zstandard
from rich.console import Console
from rich.table import Table

from domain.aggregate import Event
from domain.workflow import (
    WORKFLOW,
    Workflow,
    WorkflowCreated,
    WorkflowStarted,
    WorkflowTaskAdded,
    WorkflowTaskChanged,
)
from projections.documents import RENDERINGS

LEVELS = (1, 3, 9)
TASKS = (0, 1, 2, 4, 6, 10, 20, 50, 200, 1_000)
ROUNDS = 200
BEGIN = datetime(2026, 1, 1, 8, tzinfo=UTC)


def document(tasks: int) -> bytes:
    """A workflow of an assessment, half of it done."""
    state: Workflow | None = None
    for event in _events(tasks):
        state = WORKFLOW.evolve(state, event)
    return RENDERINGS["workflow"].render(state, 3 * tasks + 2, 123_456, BEGIN)


def _events(tasks: int) -> Iterator[Event]:
    yield WorkflowCreated(
        at=BEGIN,
        workflow_id="0197f1c2-6a3e-7c41-9d0b-5a1f3e2d4c6b",
        definition_id="dora-compliance-assessment",
        definition_version="1.2.0",
        context={"organization": "example-bank", "priority": "high", "scope": ["ict-risk", "incidents"]},
    )
    yield WorkflowStarted(at=BEGIN)
    for number in range(tasks):
        at = BEGIN + timedelta(seconds=37 * number)
        task_id = f"task-{number}-{number * 7919 % 0xFFFFFF:06x}"
        yield WorkflowTaskAdded(at=at, task_id=task_id, definition_id=f"step-{number % 7}")
        yield WorkflowTaskChanged(at=at, task_id=task_id, state="running", assigned_agent=f"agent-{number % 12}")
        if number % 2:
            yield WorkflowTaskChanged(
                at=at, task_id=task_id, state="completed", end_time=at, outputs={"score": number * 0.0137, "ok": True}
            )


def microseconds(work: Callable[[], object]) -> float:
    taken = []
    for _ in range(ROUNDS):
        began = time.perf_counter()
        work()
        taken.append(time.perf_counter() - began)
    return 1e6 * statistics.median(taken)


def main() -> None:
    table = Table("tasks", "bytes", "level", "compressed", "saved", "compress, us", "decompress, us")
    decompressor = zstandard.ZstdDecompressor()
    for tasks in TASKS:
        body = document(tasks)
        for level in LEVELS:
            compressor = zstandard.ZstdCompressor(level=level)
            small = compressor.compress(body)
            table.add_row(
                str(tasks),
                f"{len(body):,}",
                str(level),
                f"{len(small):,}",
                f"{1 - len(small) / len(body):.0%}",
                f"{microseconds(partial(compressor.compress, body)):.1f}",
                f"{microseconds(partial(decompressor.decompress, small)):.1f}",
            )
    Console(width=100).print(table)


if __name__ == "__main__":
    main()
