"""The keys that an issuer of tokens publishes, over HTTPS. A thread of its own waits for them, never the event loop."""

import asyncio
import time
from typing import Any

import orjson
import urllib3

from domain.errors import DoraStateError
from infrastructure.hosts import can_be_host

SECONDS_TO_ANSWER = 5.0
MOST_BYTES = 512 * 1024
_DISCOVERY = "/.well-known/openid-configuration"
_CHUNK = 16_384


class IssuerUnavailable(DoraStateError):
    """The issuer of the tokens can't be asked for its keys just now; try again later."""

    code = "issuer_unavailable"


class Issuer:
    """An issuer by its URL; `jwks_url` is where its keys are, or None where it tells so itself (discovery)."""

    def __init__(self, url: str, jwks_url: str | None) -> None:
        self.url = url
        self._jwks_url = jwks_url

    async def keys(self) -> list[Any]:
        """The members of its JWK Set (RFC 7517), as they came. Raises IssuerUnavailable."""
        return await asyncio.to_thread(self._keys)

    def _keys(self) -> list[Any]:
        with urllib3.PoolManager(num_pools=2, retries=False) as http:
            url = self._jwks_url or self._discovered(_fetch(http, self.url.rstrip("/") + _DISCOVERY))
            keys = _fetch(http, url).get("keys")
        if not isinstance(keys, list):
            raise IssuerUnavailable(f"What {url} answers is no set of keys; correct DORA_STATE_OIDC_JWKS_URL.")
        return keys

    def _discovered(self, told: dict[str, Any]) -> str:
        """Raises IssuerUnavailable where the document is another issuer's, or names a place that can't be trusted."""
        url = told.get("jwks_uri")
        if told.get("issuer") != self.url or not isinstance(url, str) or not is_trusted_url(url):
            raise IssuerUnavailable(
                f"What is found at {self.url}{_DISCOVERY} does not describe that issuer; correct"
                " DORA_STATE_OIDC_ISSUER, or give DORA_STATE_OIDC_JWKS_URL."
            )
        return url


def is_trusted_url(url: str) -> bool:
    """Whether what comes from there is what its owner sent: by HTTPS, or from this machine."""
    try:
        parts = urllib3.util.parse_url(url)
    except urllib3.exceptions.LocationParseError:
        return False
    host = (parts.host or "").removeprefix("[").removesuffix("]")
    if not can_be_host(host) or parts.auth is not None or parts.fragment is not None:
        return False
    return parts.scheme == "https" or (parts.scheme == "http" and host in ("localhost", "127.0.0.1", "::1"))


def _fetch(http: urllib3.PoolManager, url: str) -> dict[str, Any]:
    """A JSON object. Whatever a server sends, it ends in time and in bounded memory. Raises IssuerUnavailable."""
    end = time.monotonic() + SECONDS_TO_ANSWER
    headers = {"Accept": "application/json", "User-Agent": "dora-state"}
    try:
        response = http.request(
            "GET", url, headers=headers, timeout=SECONDS_TO_ANSWER, redirect=False, preload_content=False
        )
        try:
            body = _read(response, end)
        finally:
            response.close()
    except urllib3.exceptions.HTTPError as error:
        raise _unavailable(url, type(error).__name__) from error
    if response.status != 200:
        raise _unavailable(url, f"status {response.status}")
    try:
        told = orjson.loads(body)
    except orjson.JSONDecodeError:
        told = None
    if not isinstance(told, dict):
        raise _unavailable(url, "no JSON object")
    return told


def _read(response: urllib3.BaseHTTPResponse, end: float) -> bytes:
    body = b""
    while chunk := response.read1(_CHUNK):
        body += chunk
        if len(body) > MOST_BYTES or time.monotonic() > end:
            raise urllib3.exceptions.HTTPError("too much, or too slow")
    return body


def _unavailable(url: str, reason: str) -> IssuerUnavailable:
    return IssuerUnavailable(
        f"The issuer's keys can't be had from {url} ({reason}): mend that, or correct DORA_STATE_OIDC_ISSUER and"
        " DORA_STATE_OIDC_JWKS_URL.",
        url=url,
    )
