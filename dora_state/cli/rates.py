"""`rates`: what ended in each minute, hour or day."""

from dataclasses import asdict
from datetime import datetime

from rich.table import Table

from dora_state.cli.exits import Exit
from dora_state.cli.formats import lasting, number, table, when
from dora_state.cli.lists import bring_up
from dora_state.cli.output import Output, say
from dora_state.settings import Settings
from dora_state.state_manager import open_state_manager
from projections.rates import Rate


async def rates(
    settings: Settings, per: str, begin: datetime | None, end: datetime | None, agent_id: str | None, output: Output
) -> int:
    """Raises InvalidInput."""
    async with open_state_manager(settings, say=say, create=False) as manager:
        await bring_up(manager)
        found = await manager.rates(per, begin, end, agent_id=agent_id)
    if output.as_json:
        for rate in found:
            output.json_line(asdict(rate))
    else:
        output.show(_rows(found))
    return Exit.DONE


def _rows(found: list[Rate]) -> Table:
    rows = table("from", "completed", "failed", "timed out", "cancelled", "errors", "waited", "ran", "workflows")
    for column in rows.columns[1:]:
        column.justify = "right"
    for rate in found:
        ended = rate.tasks_completed + rate.tasks_failed + rate.tasks_timed_out
        rows.add_row(
            when(rate.begin),
            *(_count(count) for count in _counts(rate)),
            f"{100 * rate.error_rate:.2f} %" if ended else "-",
            lasting(rate.average_response_time),
            lasting(rate.average_execution_time),
            _count(rate.workflows_completed),
        )
    return rows


def _counts(rate: Rate) -> tuple[int, ...]:
    return rate.tasks_completed, rate.tasks_failed, rate.tasks_timed_out, rate.tasks_cancelled


def _count(count: int) -> str:
    return number(count) if count else "-"
