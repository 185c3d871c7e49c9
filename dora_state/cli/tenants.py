"""`tenants`: which there are, and how one ends. Whoever has the login that migrates may."""

from dataclasses import asdict

from dora_state.caches import make_caches
from dora_state.cli.exits import Exit
from dora_state.cli.formats import Listing, number, when
from dora_state.cli.looking import os_user
from dora_state.cli.output import Output, say
from dora_state.servers import Servers, open_servers
from dora_state.settings import Settings
from infrastructure import access_keys
from infrastructure.migrations import drop_tenant, migrate_control, require_tenant
from infrastructure.redis_client import open_redis


async def list_tenants(settings: Settings, output: Output) -> int:
    async with open_servers(settings, say) as servers:
        await migrate_control(servers.database_url)
        found = await access_keys.list_tenants(servers.database_url)
    if output.as_json:
        for tenant in found:
            output.json_line(asdict(tenant))
        return Exit.DONE
    if not found:
        output.line("There are no tenants yet; make one with `dora-state tenants create NAME`.")
        return Exit.DONE
    listing = Listing("name", "created", "keys")
    for tenant in found:
        listing.add_row(tenant.name, when(tenant.created_at), number(tenant.keys))
    output.show(listing)
    return Exit.DONE


async def drop(settings: Settings, output: Output) -> int:
    """Its keys end first, and once more when no other can be made: a tenant that gets its name is another.

    Raises NotFound.
    """
    tenant = settings.tenant
    async with open_servers(settings, say) as servers:
        url = servers.database_url
        await require_tenant(url, tenant)
        await migrate_control(url)
        await access_keys.revoke_keys(url, tenant, os_user())
        await drop_tenant(url, tenant)
        await access_keys.revoke_keys(url, tenant, os_user())
        await _clear_copies(servers, settings)
    if output.as_json:
        output.json_document({"tenant": tenant, "dropped": True})
    else:
        output.line(f"Tenant {tenant} is dropped with all that was recorded, and its keys are revoked.")
    return Exit.DONE


async def _clear_copies(servers: Servers, settings: Settings) -> None:
    if servers.redis_url is None:
        return
    size, cluster = settings.redis_pool_size, settings.redis_cluster
    async with open_redis(servers.redis_url, settings.tenant, size, cluster=cluster) as redis:
        copies = make_caches(redis, settings.tenant, 0).redis_copies
        if copies is not None:
            await copies.clear()
