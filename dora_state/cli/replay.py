"""`replay`: read models as of a moment, in a schema of their own."""

from dataclasses import asdict

from domain.log import Cut
from dora_state.cli.exits import Exit
from dora_state.cli.formats import number, when
from dora_state.cli.output import Output, say
from dora_state.cli.progress import Bars
from dora_state.replaying import replay_until
from dora_state.settings import Settings
from dora_state.state_manager import open_state_manager


async def replay(settings: Settings, cut: Cut, schema: str, anew: bool, output: Output) -> int:
    """Raises InvalidInput, CutOutOfRange, ProjectionHalted."""
    async with open_state_manager(settings, say=say, create=False) as manager:
        with Bars() as bars:
            report = await replay_until(manager.platform, cut, schema, bars, anew=anew)
    if output.as_json:
        output.json_document(asdict(report))
        return Exit.DONE
    output.line(
        f"The schema {schema} holds tenant {report.tenant} as of {when(report.until_at, fraction=True)}, position"
        f" {report.until_position}."
    )
    if not report.events:
        output.line("It was complete already.")
        return Exit.DONE
    rate = f", {number(round(report.events / report.seconds))} a second" if report.seconds else ""
    output.line(f"{number(report.events)} events were applied in {report.seconds:.1f} s{rate}.")
    if report.parked:
        output.line(f"{number(report.parked)} could not be: the table {schema}.dead_letters names them.")
    return Exit.DONE
