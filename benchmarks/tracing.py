"""What traces cost the write side: processor time a command, with none, with names only, and with spans."""

import asyncio
import tempfile
import time
from collections.abc import Sequence
from contextlib import AsyncExitStack
from itertools import count
from pathlib import Path

from opentelemetry.sdk.trace import ReadableSpan
from opentelemetry.sdk.trace.export import SpanExporter, SpanExportResult

from benchmarks.rows import Row, row
from commands.tracing import NOBODY_ASKS, TRACEPARENT, CommandTracing
from dora_state.settings import load_settings
from dora_state.state_manager import StateManager, open_state_manager
from infrastructure.telemetry import OpenTelemetryTraces

NAME = "tracing"
SUBMITTERS = 64
CALLER = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-00"


class Nowhere(SpanExporter):
    """Takes spans and sends none: what a collector does is not the write side's."""

    def export(self, spans: Sequence[ReadableSpan]) -> SpanExportResult:
        return SpanExportResult.SUCCESS

    def shutdown(self) -> None:
        return None


async def run(quick: bool) -> list[Row]:
    rounds, seconds = (2, 0.5) if quick else (9, 1.5)
    with tempfile.TemporaryDirectory() as home:
        async with AsyncExitStack() as stack:
            manager = await stack.enter_async_context(open_state_manager(load_settings(home=Path(home))))
            told = {
                share: OpenTelemetryTraces(Nowhere(), tenant="bench", release="", sample=share) for share in (0.01, 1.0)
            }
            for traces in told.values():
                stack.push_async_callback(traces.close)
            cases: dict[str, tuple[CommandTracing, str | None]] = {
                "no collector": (NOBODY_ASKS, None),
                "no collector, callers send traceparent": (NOBODY_ASKS, CALLER),
                "one command in a hundred is told": (told[0.01], None),
                "every command is told": (told[1.0], None),
            }
            numbers = count()
            found: dict[str, list[float]] = {case: [] for case in cases}
            await _round(manager, numbers, seconds, NOBODY_ASKS, None)
            for _ in range(rounds):
                for case, (tracing, name) in cases.items():
                    found[case].append(await _round(manager, numbers, seconds, tracing, name))
    base = found["no collector"]
    return [row(NAME, case, "processor time a command", "us", times, base) for case, times in found.items()]


async def _round(
    manager: StateManager, numbers: "count[int]", seconds: float, tracing: CommandTracing, name: str | None
) -> float:
    """Microseconds of this process's time a command."""
    manager.platform.bus._tracing = tracing
    before = TRACEPARENT.set(name)
    end, begun, commands = time.perf_counter() + seconds, time.process_time(), 0

    async def submit() -> int:
        done = 0
        while time.perf_counter() < end:
            data = {"workflow_id": f"wf-{next(numbers)}", "definition_id": "bench"}
            await manager.submit({"type": "CreateWorkflow", "actor": "bench", "data": data})
            done += 1
        return done

    commands = sum(await asyncio.gather(*(submit() for _ in range(SUBMITTERS))))
    TRACEPARENT.reset(before)
    return 1e6 * (time.process_time() - begun) / commands
