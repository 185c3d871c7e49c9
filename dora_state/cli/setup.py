"""`init` and `maintain`: make what a tenant needs, and say what was made."""

from dora_state.cli.exits import Exit
from dora_state.cli.output import Output, say
from dora_state.servers import open_servers
from dora_state.settings import Settings
from infrastructure.database import Role
from infrastructure.event_store import PostgresEventLog
from infrastructure.migrations import migrate, require_tenant
from infrastructure.pools import open_pool
from infrastructure.snapshots import PostgresSnapshots
from infrastructure.vitals import partitions
from projections.snapshotter import Snapshotter


async def init(settings: Settings, output: Output) -> int:
    """Harmless to repeat, and by many at once."""
    async with open_servers(settings, say) as servers:
        before = await partitions(servers.database_url, settings.tenant)
        applied = await migrate(servers.database_url, settings.tenant)
        months = await partitions(servers.database_url, settings.tenant)
    made = [month for month in months if month not in before]
    if output.as_json:
        output.json_document(
            {
                "tenant": settings.tenant,
                "servers": "embedded" if servers.embedded is not None else "configured",
                "migrations": applied,
                "months": made,
                "changed": bool(applied or made),
            }
        )
        return Exit.DONE
    if not applied and not made:
        output.line(f"Tenant {settings.tenant} is set up; there is nothing to do.")
        return Exit.DONE
    output.line(f"Tenant {settings.tenant} is set up{f' in {settings.home}' if servers.embedded else ''}.")
    if applied:
        output.line(f"  migrations: {', '.join(applied)}")
    if made:
        output.line(f"  months: {', '.join(made)}")
    return Exit.DONE


async def maintain(settings: Settings, again: bool, output: Output) -> int:
    """Make the months up to two ahead and take the snapshots that are due, as a worker does.

    For who runs none: once a month is enough. `again`: take those too that were deleted.
    """
    async with open_servers(settings, say) as servers:
        await require_tenant(servers.database_url, settings.tenant)
        async with (
            await open_pool(servers.database_url, settings.tenant, Role.WRITER, max_size=1) as writing,
            await open_pool(servers.database_url, settings.tenant, Role.PROJECTOR, max_size=1) as projecting,
        ):
            log = PostgresEventLog(writing)
            made = await log.maintain()
            taken = await Snapshotter(log, PostgresSnapshots(projecting)).catch_up(again=again)
    if output.as_json:
        output.json_document({"tenant": settings.tenant, "months": made, "snapshots": taken})
        return Exit.DONE
    if made:
        output.line(f"Months made: {', '.join(made)}.")
    if taken:
        output.line(f"Snapshots taken: {taken}.")
    if not made and not taken:
        output.line("The months ahead and the snapshots are there; there is nothing to do.")
    return Exit.DONE
