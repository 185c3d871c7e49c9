"""`keys`: make, list and revoke them. Whoever has the login that migrates may."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import asdict
from datetime import datetime, timedelta

from domain.errors import InvalidInput
from domain.values import MAX_ID_LENGTH
from dora_state.access.api_key import PREFIX, new_key, parse_key
from dora_state.access.caller import CallerRole
from dora_state.cli.arguments import parse_time
from dora_state.cli.exits import Exit
from dora_state.cli.formats import Listing, when
from dora_state.cli.looking import os_user
from dora_state.cli.output import Output, say
from dora_state.servers import open_servers
from dora_state.settings import Settings
from infrastructure import access_keys
from infrastructure.access_keys import GoodKey
from infrastructure.migrations import migrate, require_tenant

LONGEST_DAYS = 3660
_DAYS = re.compile("([0-9]+)d")
_ID = re.compile("[a-z2-7]{12}")


def check_name(name: str) -> str:
    if not 1 <= len(name) <= MAX_ID_LENGTH or not name.isprintable() or not name.strip():
        raise InvalidInput(f"A key's name has 1 to {MAX_ID_LENGTH} characters, all of which can be seen; give another.")
    return name


def check_role(role: str) -> CallerRole:
    try:
        return CallerRole(role)
    except ValueError:
        known = ", ".join(CallerRole)
        raise InvalidInput(f"There is no role {role!r} for keys: use one of {known}.", role=role) from None


def check_expiry(text: str, now: datetime) -> datetime:
    """So many days, or a moment; in the future, and not for ever."""
    days = _DAYS.fullmatch(text)
    moment = now + _days(days[1]) if days else parse_time(text, "--expires", also="or days, like 90d")
    if not now < moment <= now + timedelta(days=LONGEST_DAYS):
        raise InvalidInput(f"--expires: {text} is over, or more than {LONGEST_DAYS} days away.", value=text)
    return moment


def _days(digits: str) -> timedelta:
    """Of any number of digits, though Python makes no number of too many. Raises InvalidInput."""
    counted = digits.lstrip("0")
    if not 1 <= len(counted) <= len(str(LONGEST_DAYS)) or int(counted) > LONGEST_DAYS:
        raise InvalidInput(f"--expires takes 1d to {LONGEST_DAYS}d, not {digits}d.", value=f"{digits}d")
    return timedelta(days=int(counted))


def check_key_id(text: str) -> str:
    """An id. A whole key is taken for its id, but told of without its secret."""
    key = parse_key(text)
    if key is not None:
        return key.id
    id = text.removeprefix(PREFIX)
    if not _ID.fullmatch(id):
        raise InvalidInput("That is no id of a key: it has twelve letters and digits; `dora-state keys list` names it.")
    return id


async def create_key(settings: Settings, name: str, role: CallerRole, expires_at: datetime, output: Output) -> int:
    """The key alone goes to stdout, so that it can be piped where it belongs. Raises NotFound, InvalidInput."""
    key = new_key()
    async with _database(settings) as url:
        made = GoodKey(key.id, key.digest, name, role, expires_at)
        await access_keys.create_key(url, settings.tenant, made, os_user())
    about = {"id": key.id, "name": name, "role": role, "tenant": settings.tenant, "expires_at": expires_at}
    if output.as_json:
        output.json_document({"key": key.text} | about)
        return Exit.DONE
    output.line(key.text)
    say(
        f"Key {key.id} of {name} may work as {role} on tenant {settings.tenant} until {when(expires_at)}; keep it safe,"
        " as it is not shown again."
    )
    return Exit.DONE


async def list_keys(settings: Settings, output: Output) -> int:
    async with _database(settings) as url:
        found = await access_keys.list_keys(url, settings.tenant)
    if output.as_json:
        for key in found:
            output.json_line(asdict(key))
        return Exit.DONE
    if not found:
        output.line(f"Tenant {settings.tenant} has no keys; make one with `dora-state keys create`.")
        return Exit.DONE
    listing = Listing("id", "name", "role", "state", "expires", "last used", "made by")
    for key in found:
        used, state = when(key.last_used_at), key.state
        listing.add_row(key.id, key.name, key.role, state, when(key.expires_at), used, key.created_by)
    output.show(listing)
    return Exit.DONE


async def revoke_key(settings: Settings, key_id: str, output: Output) -> int:
    """Raises NotFound."""
    async with _database(settings) as url:
        revoked_at = await access_keys.revoke_key(url, settings.tenant, key_id, os_user())
    if output.as_json:
        output.json_document({"id": key_id, "revoked_at": revoked_at})
    else:
        output.line(f"Key {key_id} is revoked since {when(revoked_at)}; within five seconds no server takes it.")
    return Exit.DONE


@asynccontextmanager
async def _database(settings: Settings) -> AsyncIterator[str]:
    """Where a tenant is that was set up, by this release too. Raises NotFound."""
    async with open_servers(settings, say) as servers:
        await require_tenant(servers.database_url, settings.tenant)
        await migrate(servers.database_url, settings.tenant)
        yield servers.database_url
