"""`readings`: who looked at the past of a tenant."""

from dataclasses import asdict, dataclass
from datetime import datetime

import orjson

from domain.errors import InvalidInput
from domain.text import require_text
from dora_state.cli.exits import Exit
from dora_state.cli.formats import number, when
from dora_state.cli.output import Output, say
from dora_state.servers import open_servers
from dora_state.settings import Settings
from infrastructure import readings
from infrastructure.migrations import migrate_control
from infrastructure.readings import RecordedReading

PAGE = 500


@dataclass(frozen=True, slots=True)
class Asked:
    """Whose, in which time, and from before which number on."""

    actor: str | None
    since: datetime | None
    until: datetime | None
    before: int | None
    limit: int


def check_mark(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 18):
        raise InvalidInput("That is no page mark which an earlier answer gave; begin with the first page.", mark=text)
    return int(text)


async def list_readings(settings: Settings, asked: Asked, output: Output) -> int:
    """The newest first, in bounded memory; of a tenant that was dropped too. Raises InvalidInput, LogUnavailable."""
    if asked.actor is not None:
        require_text("--actor", asked.actor)
    told, before, more = 0, asked.before, True
    async with open_servers(settings, say) as servers:
        await migrate_control(servers.database_url)
        while more and told < asked.limit:
            wanted = min(PAGE, asked.limit - told)
            found = await readings.list_readings(
                servers.database_url,
                settings.tenant,
                actor=asked.actor,
                since=asked.since,
                until=asked.until,
                before=before,
                limit=wanted + 1,
            )
            more = len(found) > wanted
            for reading in found[:wanted]:
                _tell(reading, output)
                told, before = told + 1, reading.number
    if not told and not output.as_json:
        output.line("Nobody looked at anything like that.")
    if more and before is not None:
        say(f"There is more: go on with --page {before}")
    return Exit.DONE


def _tell(reading: RecordedReading, output: Output) -> None:
    if output.as_json:
        output.json_line(asdict(reading))
        return
    rows = "rows unknown" if reading.rows is None else f"{number(reading.rows)} row{'s' if reading.rows != 1 else ''}"
    cut = f"  {orjson.dumps(reading.cut).decode()}" if reading.cut else ""
    asked = f"  asked for {orjson.dumps(reading.asked).decode()}" if reading.asked else ""
    at = when(reading.at, fraction=True)
    output.line(f"{at}  {reading.actor}  {reading.what} of {reading.about}{cut}{asked}  {rows}")
    by = f"{reading.credential}, " if reading.credential else ""
    output.line(f"    as {reading.role}, by {by}database login {reading.login}")
