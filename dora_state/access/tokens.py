"""Bearer tokens of an OIDC issuer: who a token speaks for, with which role, in which tenant."""

import re
import time
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from typing import Any

import jwt

from domain.values import MAX_ID_LENGTH
from dora_state.access.caller import PERMISSIONS, Caller, CallerRole, Forbidden, Unauthenticated
from dora_state.access.signing_keys import ALGORITHMS, SigningKeys

MOST_REMEMBERED = 10_000
_FORM = re.compile(r"[A-Za-z0-9_-]{1,4096}\.[A-Za-z0-9_-]{1,16384}\.[A-Za-z0-9_-]{1,4096}")
_REQUIRED = ("iss", "aud", "exp", "iat", "sub")
_SAID: Mapping[type[Exception], tuple[str, str]] = {
    jwt.ExpiredSignatureError: ("expired", "The token has expired; get a new one from its issuer."),
    jwt.ImmatureSignatureError: (
        "not_yet",
        "The token is not valid yet; wait, or see that the clocks of its issuer and of this service agree.",
    ),
    jwt.InvalidIssuerError: ("issuer", "The token is of another issuer; get one from the issuer of this service."),
    jwt.InvalidAudienceError: ("audience", "The token is meant for another service; ask its issuer for one for this."),
    jwt.MissingRequiredClaimError: (
        "claims",
        f"The token lacks one of the claims {', '.join(_REQUIRED)}; ask its issuer for an access token.",
    ),
}


@dataclass(frozen=True, slots=True)
class Expected:
    """What a token must say. A claim is found by its name, or by a path of names with dots between them.

    `clock_skew` is how many seconds the issuer's clock may differ from ours.
    """

    issuer: str
    audience: str
    tenant: str
    role_claim: str
    tenant_claim: str
    clock_skew: float


@dataclass(frozen=True, slots=True)
class _Remembered:
    caller: Caller
    until: float
    generation: int


class Tokens:
    """Checks tokens by the issuer's keys. A token that was checked is remembered by its digest until it expires, or the
    issuer has other keys."""

    def __init__(self, expected: Expected, keys: SigningKeys) -> None:
        self._expected = expected
        self._keys = keys
        self._remembered: OrderedDict[bytes, _Remembered] = OrderedDict()

    async def caller(self, token: str) -> Caller:
        """Raises Unauthenticated, Forbidden for a token of another tenant or role, and IssuerUnavailable."""
        await self._keys.ready()
        digest = sha256(token.encode(errors="replace")).digest()
        known = self._remembered.get(digest)
        if known is not None and known.generation == self._keys.generation and known.until > time.time():
            return known.caller
        claims = await self._claims(token)
        caller = self._caller(claims, digest)
        self._remember(digest, _Remembered(caller, int(claims["exp"]), self._keys.generation))
        return caller

    def remembered(self, token: str) -> Caller | None:
        """Of one that was checked before, whatever has become of the issuer, until it expires."""
        known = self._remembered.get(sha256(token.encode(errors="replace")).digest())
        return known.caller if known is not None and known.until > time.time() else None

    async def _claims(self, token: str) -> Mapping[str, Any]:
        if not _FORM.fullmatch(token):
            raise _unauthenticated("malformed", "That is neither a key nor a token; send one of them as it was given.")
        try:
            header = jwt.get_unverified_header(token)
        except (jwt.PyJWTError, ValueError, TypeError):
            raise _unauthenticated("malformed", "The token's header can't be read; send it as it was given.") from None
        algorithm, id = header.get("alg"), header.get("kid")
        if not isinstance(algorithm, str) or algorithm not in ALGORITHMS:
            known = ", ".join(sorted(ALGORITHMS))
            raise _unauthenticated("algorithm", f"Tokens are taken that are signed by one of {known}; get such a one.")
        key = await self._keys.find(id if isinstance(id, str) else None, algorithm)
        if key is None:
            raise _unauthenticated(
                "unknown_key", "The token is signed by a key that its issuer does not publish; get a new one from it."
            )
        return self._verified(token, key.key, algorithm)

    def _verified(self, token: str, key: Any, algorithm: str) -> Mapping[str, Any]:
        """What it claims is looked at only when the signature is right."""
        expected = self._expected
        try:
            return jwt.decode(
                token,
                key,
                algorithms=[algorithm],
                issuer=expected.issuer,
                audience=expected.audience,
                leeway=expected.clock_skew,
                options={"require": list(_REQUIRED)},
            )
        except (jwt.PyJWTError, ValueError, TypeError) as error:
            reason, said = _SAID.get(
                type(error), ("signature", "The token is not as its issuer signed it; get a new one from it.")
            )
            raise _unauthenticated(reason, said) from None

    def _caller(self, claims: Mapping[str, Any], digest: bytes) -> Caller:
        subject, expected = claims["sub"], self._expected
        if not isinstance(subject, str) or not 1 <= len(subject) <= MAX_ID_LENGTH or not subject.isprintable():
            raise _unauthenticated("subject", "The token's subject can't be the name of an actor; get another token.")
        if expected.tenant not in _texts(claims, expected.tenant_claim):
            raise Forbidden(
                f"The token is not for tenant {expected.tenant} (claim {expected.tenant_claim}); ask its issuer for one"
                " that is, or ask where its tenant is served.",
                subject=subject,
                reason="tenant",
            )
        role = _role(_texts(claims, expected.role_claim), expected.role_claim, subject)
        return Caller(subject, role, expected.tenant, f"token {_name(claims, digest)}")

    def _remember(self, digest: bytes, what: _Remembered) -> None:
        self._remembered[digest] = what
        self._remembered.move_to_end(digest)
        if len(self._remembered) > MOST_REMEMBERED:
            self._remembered.popitem(last=False)


def _unauthenticated(reason: str, message: str) -> Unauthenticated:
    return Unauthenticated(message, reason=reason)


def _texts(claims: Mapping[str, Any], name: str) -> list[str]:
    """A claim that is a text or a list of texts; none of what is something else."""
    value = claims.get(name)
    if value is None:
        value = claims
        for part in name.split("."):
            value = value.get(part) if isinstance(value, dict) else None
    values = value if isinstance(value, list) else [value]
    return [one for one in values if isinstance(one, str)]


def _role(said: list[str], claim: str, subject: str) -> CallerRole:
    """Of several the one that may all that the others may. Raises Forbidden for none, or where no one may all."""
    roles = [role for role in CallerRole if role in said]
    widest = [role for role in roles if all(PERMISSIONS[other] <= PERMISSIONS[role] for other in roles)]
    if len(widest) == 1:
        return widest[0]
    what = f"the roles {' and '.join(roles)}, and none of them includes the other" if roles else "no role"
    raise Forbidden(
        f"The token gives {what} (claim {claim}): ask its issuer for one of {', '.join(CallerRole)}.",
        subject=subject,
        reason="role",
    )


def _name(claims: Mapping[str, Any], digest: bytes) -> str:
    """What names a token and is no secret: its own id, or the beginning of its digest."""
    id = claims.get("jti")
    return id if isinstance(id, str) and 1 <= len(id) <= 100 and id.isprintable() else digest.hex()[:16]
