"""What an API key looks like: `ds_`, twelve characters that name it, `_`, and 256 random bits as base64url."""

import base64
import hmac
import re
import secrets
from hashlib import sha256
from typing import NamedTuple

PREFIX = "ds_"
_FORM = re.compile(r"ds_([a-z2-7]{12})_([A-Za-z0-9_-]{43})")
_SECRET_BYTES = 32
_ID_BYTES, _ID_LENGTH = 8, 12


class ApiKey(NamedTuple):
    """`id` may be told to anybody."""

    id: str
    secret: str

    @property
    def text(self) -> str:
        return f"{PREFIX}{self.id}_{self.secret}"

    @property
    def digest(self) -> bytes:
        """What is kept of the secret. It has 256 random bits, so that a slow hash would protect nothing more."""
        return sha256(self.secret.encode()).digest()

    def is_of(self, digest: bytes) -> bool:
        """Whether it is the one of which a digest was kept; in the same time, however much of it is right."""
        return hmac.compare_digest(self.digest, digest)


def new_key() -> ApiKey:
    id = base64.b32encode(secrets.token_bytes(_ID_BYTES)).decode().lower()[:_ID_LENGTH]
    return ApiKey(id, secrets.token_urlsafe(_SECRET_BYTES))


def parse_key(text: str) -> ApiKey | None:
    """None for what is no key."""
    found = _FORM.fullmatch(text)
    return ApiKey(*found.groups()) if found is not None else None
