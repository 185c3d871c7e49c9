"""What a server needs to know who may, wired and running."""

from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass

from domain.errors import InvalidInput
from dora_state.access.authenticating import OPEN_HOUSE, KeysAndTokens, OpenHouse, may_listen
from dora_state.access.caller import Authenticator, Readings
from dora_state.access.key_ring import KeyRing
from dora_state.access.recording import RecordedReadings
from dora_state.access.refusals import Refusals
from dora_state.access.signing_keys import SigningKeys
from dora_state.access.tokens import Expected, Tokens
from dora_state.servers import Servers
from dora_state.settings import Settings
from infrastructure.access_keys import PostgresKeys
from infrastructure.control import open_control_pool
from infrastructure.issuer import Issuer
from infrastructure.readings import ReadingBook


@dataclass(frozen=True, slots=True)
class Access:
    """Who may, and who looked. `notice` is to be said where nobody needs a key; then it is loopback only."""

    authenticator: Authenticator
    readings: Readings
    refusals: Refusals
    notice: str | None

    def require_may_listen(self, host: str) -> None:
        """Raises InvalidInput where others than this machine would reach an open house."""
        if self.notice is not None and not may_listen(host):
            raise InvalidInput(
                f"Without any key the server listens on loopback only, not on {host}: make a key with `dora-state keys"
                " create` or set DORA_STATE_OIDC_ISSUER, or listen on 127.0.0.1.",
                host=host,
            )


@asynccontextmanager
async def open_access(settings: Settings, servers: Servers) -> AsyncIterator[Access]:
    """For one server of one tenant whose schema is up to date. Raises LogUnavailable or LogError."""
    async with AsyncExitStack() as stack:
        pool = await open_control_pool(servers.database_url)
        stack.push_async_callback(pool.close)
        book = ReadingBook(pool)
        stack.push_async_callback(book.close)
        keys = KeyRing(PostgresKeys(pool, settings.tenant), settings.tenant)
        stack.push_async_callback(keys.close)
        tokens = _tokens(settings, stack)
        refusals = Refusals(settings.tenant)
        closed = KeysAndTokens(settings.tenant, keys, tokens, refusals)
        is_open = tokens is None and await keys.is_empty()
        yield Access(
            authenticator=OpenHouse(settings.tenant, keys, closed) if is_open else closed,
            readings=RecordedReadings(book),
            refusals=refusals,
            notice=OPEN_HOUSE if is_open else None,
        )


def _tokens(settings: Settings, stack: AsyncExitStack) -> Tokens | None:
    if settings.oidc_issuer is None or settings.oidc_audience is None:
        return None
    keys = SigningKeys(Issuer(settings.oidc_issuer, settings.oidc_jwks_url).keys)
    stack.push_async_callback(keys.close)
    expected = Expected(
        issuer=settings.oidc_issuer,
        audience=settings.oidc_audience,
        tenant=settings.tenant,
        role_claim=settings.oidc_role_claim,
        tenant_claim=settings.oidc_tenant_claim,
        clock_skew=settings.oidc_clock_skew,
    )
    return Tokens(expected, keys)
