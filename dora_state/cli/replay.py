"""`replay`: read models as of a moment in a schema of their own; or whether all that is kept agrees with the log."""

from dataclasses import asdict

from domain.log import Cut
from dora_state.cli.exits import Exit
from dora_state.cli.formats import number, when
from dora_state.cli.looking import cut_word, recorded
from dora_state.cli.output import Output, say
from dora_state.cli.progress import Bars
from dora_state.memory import spare_the_collector
from dora_state.replaying import begin_check, replay_until
from dora_state.settings import Settings
from dora_state.state_manager import open_state_manager


async def replay(settings: Settings, cut: Cut, schema: str, anew: bool, output: Output) -> int:
    """Raises InvalidInput, CutOutOfRange, ProjectionHalted."""
    spare_the_collector()
    async with (
        open_state_manager(settings, say=say, create=False) as manager,
        recorded(manager, "replay", f"into {schema}", {"until": cut_word(cut)}) as shown,
    ):
        with Bars() as bars:
            report = await replay_until(manager.platform, cut, schema, bars, anew=anew)
        shown.rows = report.events
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


async def check(settings: Settings, cut: Cut, output: Output) -> int:
    """Each thing that does not agree is told as it is found. Raises CutOutOfRange, LogError, ReadModelsUnavailable."""
    async with (
        open_state_manager(settings, say=say, create=False) as manager,
        recorded(manager, "replay", "check", {"until": cut_word(cut)}) as shown,
    ):
        with Bars() as bars:
            checking = await begin_check(manager.platform, cut, bars)
            async for finding in checking:
                shown.rows += 1
                if output.as_json:
                    output.json_line(asdict(finding))
                else:
                    output.line(f"{finding.what} of {finding.about}: {finding.says}")
    found, checked = shown.rows, asdict(checking.checked)
    if output.as_json:
        output.json_line({"position": checking.position, "findings": found} | checked)
    archived = checked.pop("archived")
    if not output.as_json:
        told = ", ".join(f"{number(count)} {name}" for name, count in checked.items())
        output.line(f"Compared as of position {checking.position}: {told}.")
        all_agree = "All of them agree." if archived else "All agree."
        output.line(f"{number(found)} do not agree." if found else all_agree)
    if archived:
        say(
            f"Error: {number(archived)} streams have events that are archived and were not compared; bring the archive"
            " back and check again."
        )
    return Exit.REFUSED if found else Exit.UNAVAILABLE if archived else Exit.DONE
