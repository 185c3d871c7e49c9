"""The keys by which an issuer signs tokens, as a process knows them: followed as they change, kept while it is away."""

import asyncio
import logging
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from infrastructure.issuer import IssuerUnavailable

logger = logging.getLogger(__name__)

FRESH_SECONDS = 300.0
AGAIN_SECONDS = 10.0
"""Between two questions to the issuer, whatever keys strangers name."""
KEPT_SECONDS = 86_400.0
"""So long keys are believed while the issuer can't be asked."""
MOST_KEYS = 100
MOST_WAITING = 100
"""Requests with unknown keys that may wait for the issuer; the others are refused at once."""
SMALLEST_RSA_BITS = 2048

_RSA = ("RS256", "RS384", "RS512", "PS256", "PS384", "PS512")
_BY_KIND: Mapping[tuple[object, object], tuple[str, ...]] = {
    ("EC", "P-256"): ("ES256",),
    ("EC", "P-384"): ("ES384",),
    ("EC", "P-521"): ("ES512",),
    ("OKP", "Ed25519"): ("EdDSA",),
}
ALGORITHMS = frozenset({*_RSA, *(name for names in _BY_KIND.values() for name in names)})
"""Asymmetric ones only: who can check a token must not be able to make one."""


@dataclass(frozen=True, slots=True)
class SigningKey:
    """A public key and the algorithms that go with it."""

    id: str | None
    algorithms: tuple[str, ...]
    key: Any


class SigningKeys:
    """`fetch` gives the members of the issuer's JWK Set, or raises IssuerUnavailable. Close it after use."""

    def __init__(self, fetch: Callable[[], Awaitable[list[Any]]], clock: Callable[[], float] = time.monotonic) -> None:
        self._fetch = fetch
        self._clock = clock
        self._keys: list[SigningKey] = []
        self._members: list[Any] = []
        self._as_of = self._tried = float("-inf")
        self._fetching: asyncio.Task[None] | None = None
        self._waiting = 0
        self.generation = 0
        """Another one as soon as the issuer has other keys."""

    async def ready(self) -> None:
        """See that there are keys to believe. Raises IssuerUnavailable."""
        age = self._clock() - self._as_of
        if age >= KEPT_SECONDS:
            await self._ask()
            if self._clock() - self._as_of >= KEPT_SECONDS:
                raise IssuerUnavailable("The issuer of the tokens can't be asked for its keys; try again later.")
        elif age >= FRESH_SECONDS:
            self._begin()

    async def find(self, id: str | None, algorithm: str) -> SigningKey | None:
        """The key of that id, or without an id the only one that goes with the algorithm; the issuer is asked for one
        that nobody knows. Raises IssuerUnavailable."""
        await self.ready()
        found = self._known(id, algorithm)
        if found is not None or self._waiting >= MOST_WAITING:
            return found
        self._waiting += 1
        try:
            await self._ask()
        finally:
            self._waiting -= 1
        return self._known(id, algorithm)

    async def close(self) -> None:
        if self._fetching is not None:
            self._fetching.cancel()
            await asyncio.wait({self._fetching})

    def _known(self, id: str | None, algorithm: str) -> SigningKey | None:
        fitting = [key for key in self._keys if algorithm in key.algorithms and id in (None, key.id)]
        return fitting[0] if len(fitting) == 1 else None

    async def _ask(self) -> None:
        fetching = self._begin()
        if fetching is not None:
            await asyncio.shield(fetching)

    def _begin(self) -> asyncio.Task[None] | None:
        """The question that is under way; None where the last one is too young for another."""
        if self._fetching is not None and not self._fetching.done():
            return self._fetching
        if self._clock() - self._tried < AGAIN_SECONDS:
            return None
        self._tried = self._clock()
        self._fetching = asyncio.create_task(self._load(self._tried), name="signing keys")
        return self._fetching

    async def _load(self, begun: float) -> None:
        try:
            members = await self._fetch()
        except IssuerUnavailable as error:
            logger.warning("%s", error)
            return
        self._as_of = begun
        if members != self._members:
            self._keys = [key for member in members[:MOST_KEYS] if (key := signing_key(member)) is not None]
            self._members = members
            self.generation += 1


def signing_key(member: Any) -> SigningKey | None:
    """A member of a JWK Set (RFC 7517); None for what signs no token of ours, such as a symmetric key."""
    if not isinstance(member, dict) or member.get("use", "sig") != "sig" or "d" in member:
        return None
    kind = member.get("kty")
    algorithms = _RSA if kind == "RSA" else _BY_KIND.get((kind, member.get("crv")), ()) if isinstance(kind, str) else ()
    said, id = member.get("alg"), member.get("kid")
    if said is not None:
        algorithms = tuple(name for name in algorithms if name == said)
    if not algorithms or not isinstance(id, str | None):
        return None
    try:
        key = jwt.PyJWK(member, algorithms[0]).key
    except (jwt.PyJWTError, ValueError, TypeError, KeyError):
        return None
    if isinstance(key, RSAPublicKey) and key.key_size < SMALLEST_RSA_BITS:
        return None
    return SigningKey(id, algorithms, key)
