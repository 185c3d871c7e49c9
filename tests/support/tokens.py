"""An issuer of tokens: keys of its own, the set that it publishes, and tokens with any claims."""

import json
import time
from functools import cache
from typing import Any

import jwt
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, generate_private_key
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
from cryptography.hazmat.primitives.asymmetric.rsa import generate_private_key as generate_rsa_key
from jwt.algorithms import ECAlgorithm, OKPAlgorithm, RSAAlgorithm

ISSUER = "https://login.bank.example"
AUDIENCE = "dora-state"


@cache
def rsa_key(bits: int = 2048) -> RSAPrivateKey:
    return generate_rsa_key(65537, bits)


class FakeIssuer:
    """Publishes what is in `members`, and counts how often it is asked."""

    def __init__(self) -> None:
        self.members: list[Any] = []
        self.asked = 0
        self.failure: Exception | None = None
        self._keys: dict[str, tuple[Any, str]] = {}
        self.add("one", "ES256")

    def add(self, id: str, algorithm: str, *, key: Any = None, **said: object) -> None:
        """Another key, published at once."""
        private = key or _new_key(algorithm)
        self._keys[id] = (private, algorithm)
        self.members.append(published(private.public_key()) | {"kid": id} | said)

    async def keys(self) -> list[Any]:
        self.asked += 1
        if self.failure is not None:
            raise self.failure
        return list(self.members)

    def token(self, key: str = "one", *, headers: dict[str, Any] | None = None, **claims: Any) -> str:
        """Good for a minute, of a reader of the tenant bank, unless said otherwise; None leaves a claim out."""
        private, algorithm = self._keys[key]
        now = int(time.time())
        usual: dict[str, object] = {
            "iss": ISSUER,
            "aud": AUDIENCE,
            "sub": "ann",
            "iat": now,
            "exp": now + 60,
            "roles": ["reader"],
            "tenant": "bank",
        }
        said = {name: value for name, value in (usual | claims).items() if value is not None}
        return jwt.encode(said, private, algorithm, headers={"kid": key} | (headers or {}))


def published(key: Any) -> dict[str, Any]:
    """A key as a member of a set."""
    for kind in (RSAAlgorithm, ECAlgorithm, OKPAlgorithm):
        try:
            return dict(json.loads(str(kind.to_jwk(key))))
        except (AttributeError, jwt.InvalidKeyError):
            continue
    raise AssertionError(key)


def _new_key(algorithm: str) -> Any:
    if algorithm == "EdDSA":
        return Ed25519PrivateKey.generate()
    return generate_private_key(SECP256R1()) if algorithm == "ES256" else rsa_key()
