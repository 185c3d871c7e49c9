"""`health`: the report, whatever is away; the exit code tells the worst of it."""

from dora_state.cli.exits import Exit
from dora_state.cli.formats import state, table
from dora_state.cli.output import Output, say
from dora_state.health import HealthReport, check_servers, check_without_servers
from dora_state.servers import open_servers
from dora_state.settings import Settings
from infrastructure.embedded import EmbeddedServerError

_EXITS = {"healthy": Exit.DONE, "warning": Exit.REFUSED, "unhealthy": Exit.UNAVAILABLE}


async def health(settings: Settings, output: Output) -> int:
    """Neither migrates nor writes anything; starts the embedded servers where those are the ones."""
    report = await _report(settings)
    if output.as_json:
        output.json_document(report.to_json())
    else:
        rows = table("check", "status", "")
        for name, check in report.checks.items():
            rows.add_row(name.replace("_", " "), state(check.status), check.message)
        output.show(rows)
    return _EXITS[report.status]


async def _report(settings: Settings) -> HealthReport:
    try:
        async with open_servers(settings, say) as servers:
            return await check_servers(settings, servers.database_url, servers.redis_url, servers.broker_url)
    except EmbeddedServerError as error:
        return check_without_servers(settings, error.message)
