"""`rebuild`: read models built anew beside those that run, compared with them, and switched to at once."""

from dataclasses import asdict

from domain.errors import InvalidInput
from dora_state.cli.exits import Exit
from dora_state.cli.formats import number
from dora_state.cli.output import Output, say
from dora_state.cli.progress import Bars
from dora_state.memory import spare_the_collector
from dora_state.rebuilding import RebuildReport, Wish
from dora_state.rebuilding import go_back as go_back_to
from dora_state.rebuilding import rebuild as build_anew
from dora_state.settings import Settings
from dora_state.state_manager import open_state_manager
from projections.projection import PROJECTIONS, Projection


async def rebuild(settings: Settings, name: str, wish: Wish, output: Output) -> int:
    """Builds them at the same time, and switches to one after the other. Raises RebuildRefused, ProjectionHalted."""
    wanted = _named(name)
    spare_the_collector()
    async with open_state_manager(settings, say=say, create=False) as manager:
        with Bars() as bars:
            async for report in build_anew(manager.platform, wanted, bars, wish):
                _tell(report, "was built anew up to", output)
    return Exit.DONE


async def go_back(settings: Settings, name: str, output: Output) -> int:
    """Raises RebuildRefused, ProjectionHalted."""
    wanted = _named(name)
    async with open_state_manager(settings, say=say, create=False) as manager:
        with Bars() as bars:
            async for report in go_back_to(manager.platform, wanted, bars):
                _tell(report, "is again the one that was kept, brought up to", output)
    return Exit.DONE


def _named(name: str) -> tuple[Projection, ...]:
    if name == "all":
        return tuple(PROJECTIONS.values())
    if name not in PROJECTIONS:
        raise InvalidInput(f"There is no projection {name}: name one of {', '.join(PROJECTIONS)}, or all.", name=name)
    return (PROJECTIONS[name],)


def _tell(report: RebuildReport, done: str, output: Output) -> None:
    if output.as_json:
        output.json_line(asdict(report))
        return
    rate = f", {number(round(report.events / report.seconds))} a second" if report.events and report.seconds else ""
    output.line(
        f"The projection {report.projection} {done} position {report.position}:"
        f" {number(report.events)} events in {report.seconds:.1f} s{rate}."
    )
    compared = report.compared
    if compared is not None:
        mended = f"; {number(compared.mended)} are of documents that had stopped" if compared.mended else ""
        differing = number(compared.differing) if compared.differing else "none"
        output.line(
            f"  {number(compared.compared)} rows were compared with those that ran, {differing} differed{mended}."
        )
    if report.parked:
        output.line(f"  {number(report.parked)} streams wait among the dead letters.")
    if report.kept_as:
        output.line(
            f"  Those that ran before are kept as {report.kept_as}: `dora-state rebuild {report.projection} --back`."
        )
