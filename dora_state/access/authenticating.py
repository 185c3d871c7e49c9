"""Who sends a request: by an API key, by a token, or, where nobody has a key, whoever is on this machine."""

import ipaddress
import time

from dora_state.access.api_key import PREFIX, ApiKey, parse_key
from dora_state.access.caller import Authenticator, Caller, CallerRole, Forbidden, Unauthenticated
from dora_state.access.key_ring import HeldKey, KeyRing
from dora_state.access.refusals import Refusals
from dora_state.access.tokens import Tokens

LONGEST = 24_000
"""Signs of a header; tokens with many claims are long."""
OPEN_HOUSE = (
    "Nobody has a key yet, so whoever is on this machine may do everything, and the server listens on loopback only;"
    " make a key with `dora-state keys create` and start it again to serve others."
)


class KeysAndTokens:
    """Takes keys of the tenant, and tokens where an issuer is set. What it refuses is logged."""

    def __init__(self, tenant: str, keys: KeyRing, tokens: Tokens | None, refusals: Refusals) -> None:
        self._tenant = tenant
        self._keys = keys
        self._tokens = tokens
        self._refusals = refusals

    async def caller(self, authorization: str | None) -> Caller:
        """By the header. Raises Unauthenticated, Forbidden, and LogError or IssuerUnavailable where nobody can tell."""
        try:
            return await self._caller(_bearer(authorization))
        except (Unauthenticated, Forbidden) as error:
            self._refusals.note(error)
            raise

    def remembered(self, authorization: str | None) -> Caller | None:
        try:
            credential = _bearer(authorization)
        except Unauthenticated:
            return None
        key = parse_key(credential)
        if key is None:
            return self._tokens.remembered(credential) if self._tokens is not None else None
        found = self._keys.last_known(key.id)
        return found.caller if found is not None and _is_good(found, key) else None

    async def _caller(self, credential: str) -> Caller:
        if credential.startswith(PREFIX):
            return await self._by_key(credential)
        if self._tokens is not None:
            return await self._tokens.caller(credential)
        raise Unauthenticated("That is no API key, and no tokens are taken here; send a key.", reason="malformed")

    async def _by_key(self, text: str) -> Caller:
        key = parse_key(text)
        if key is None:
            raise Unauthenticated("The API key is not whole; send it as it was given.", reason="malformed")
        found = await self._keys.find(key.id)
        if found is None or not _is_good(found, key):
            raise Unauthenticated(
                f"No good key of tenant {self._tenant} is like the one with the id {key.id}: it has expired, was"
                " revoked, is another tenant's or never was; send another.",
                reason="key",
                key=key.id,
            )
        self._keys.used(key.id)
        return found.caller


class OpenHouse:
    """Of a server without any key, which listens on loopback only: whoever is on this machine may do everything.

    It closes for good as soon as there is a key. Whoever sends a key or a token is held to it.
    """

    def __init__(self, tenant: str, keys: KeyRing, closed: Authenticator) -> None:
        self._caller = Caller("local", CallerRole.OPERATOR, tenant)
        self._keys = keys
        self._closed = closed
        self._is_open = True

    async def caller(self, authorization: str | None) -> Caller:
        """Raises what KeysAndTokens raises."""
        if self._is_open and authorization is None:
            self._is_open = await self._keys.is_empty()
            if self._is_open:
                return self._caller
        return await self._closed.caller(authorization)

    def remembered(self, authorization: str | None) -> Caller | None:
        if self._is_open and authorization is None:
            return self._caller
        return self._closed.remembered(authorization)


def may_listen(host: str) -> bool:
    """Whether an open house may listen there: only this machine reaches it."""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host.strip("[]")).is_loopback
    except ValueError:
        return False


def _is_good(found: HeldKey, key: ApiKey) -> bool:
    return key.is_of(found.secret_sha256) and found.until > time.time()


def _bearer(authorization: str | None) -> str:
    """The credential of a header (RFC 6750). Raises Unauthenticated."""
    if not authorization:
        raise Unauthenticated("Nobody is known without a key; send one as `Authorization: Bearer KEY`.", reason="none")
    if len(authorization) > LONGEST:
        raise Unauthenticated(
            f"The header Authorization is longer than {LONGEST} characters; send less.", reason="long"
        )
    scheme, _, credential = authorization.partition(" ")
    if scheme.lower() != "bearer" or not credential:
        raise Unauthenticated("Only Bearer is taken; send `Authorization: Bearer KEY`.", reason="scheme")
    return credential.strip(" ")
