"""Requests and their answers: problems become the exceptions that they are in process, and outages are waited out."""

import asyncio
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

import httpx

from domain.errors import (
    Archived,
    ConflictError,
    CutOutOfRange,
    DoraStateError,
    InvalidInput,
    LockDeadlock,
    LockLost,
    LockTimeout,
    NotFound,
)
from dora_state.client.paths import sendable

PATIENCE = 30.0
"""Seconds for which a server that is away or busy is asked again."""
PAUSE = 0.2
AGAIN = frozenset({429, 502, 503, 504})
"""Answers of who may well give another a moment later, a proxy among them."""
_ERRORS: Mapping[str, type[DoraStateError]] = {
    error.code: error
    for error in (
        Archived,
        ConflictError,
        CutOutOfRange,
        InvalidInput,
        LockDeadlock,
        LockLost,
        LockTimeout,
        NotFound,
    )
}


class ServerError(DoraStateError):
    """The server could not do what was asked; its answer says why."""

    def __init__(self, code: str, message: str, **facts: object) -> None:
        super().__init__(message, **facts)
        self.reason = code
        self.again_after: float | None = None
        """Seconds after which it may well be able to; None where that would not help."""


class ServerUnavailable(DoraStateError):
    """The server can't be reached; what was sent may have been recorded: send it again with the same ids."""

    code = "server_unavailable"


class Transport:
    """One server. `patience`: for how many seconds it is asked again where it is away; commands carry ids, so that
    nothing is done twice."""

    def __init__(self, http: httpx.AsyncClient, patience: float = PATIENCE) -> None:
        self._http = http
        self._patience = patience

    async def ask(self, method: str, path: str, *, patience: float | None = None, **request: Any) -> httpx.Response:
        """The answer, whatever its status; `patience` is this question's own. Raises ServerUnavailable."""
        until = time.monotonic() + (self._patience if patience is None else patience)
        while True:
            try:
                response = await self._http.request(method, path, **request)
            except httpx.TransportError as error:
                if time.monotonic() >= until:
                    raise self._unreachable(error) from error
                await asyncio.sleep(PAUSE)
                continue
            if response.status_code not in AGAIN or time.monotonic() >= until:
                return response
            await asyncio.sleep(min(_retry_after(response), max(until - time.monotonic(), 0.0)))

    async def get(self, path: str, params: Mapping[str, Any]) -> Any:
        """What stands at a path. Raises what the problem says."""
        response = await self.ask("GET", path, params=given(params))
        require(response)
        return response.json()

    @asynccontextmanager
    async def stream(self, method: str, path: str, **request: Any) -> AsyncIterator[httpx.Response]:
        """An answer of any length. Raises what the problem says, and ServerUnavailable where it breaks off."""
        try:
            async with self._http.stream(method, path, **request) as response:
                if response.status_code >= 400:
                    await response.aread()
                    require(response)
                yield response
        except httpx.ConnectError as error:
            raise self._unreachable(error) from error
        except httpx.TransportError as error:
            raise ServerUnavailable(f"The answer of {self._where} broke off ({type(error).__name__}).") from error

    @property
    def _where(self) -> httpx.URL:
        """Without a password that the URL may have."""
        return self._http.base_url.copy_with(userinfo=b"")

    def _unreachable(self, error: httpx.TransportError) -> ServerUnavailable:
        return ServerUnavailable(
            f"{self._where} can't be reached ({type(error).__name__}): start it, and send it again with the same ids."
        )


async def lines_of(response: httpx.Response) -> AsyncIterator[str]:
    """By line feeds alone: texts may have other characters that are ends of lines elsewhere."""
    rest = b""
    async for piece in response.aiter_bytes():
        *whole, rest = (rest + piece).split(b"\n")
        for line in whole:
            yield line.decode()
    if rest:
        yield rest.decode()


def given(params: Mapping[str, Any]) -> dict[str, Any]:
    """What was said; times as text, true and false as JSON writes them. Raises InvalidInput."""
    told: dict[str, Any] = {}
    for name, value in params.items():
        if value is None or value == ():
            continue
        told[name] = _text(value) if not isinstance(value, list | tuple) else [_text(one) for one in value]
    return told


def _text(value: Any) -> Any:
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, str):
        return sendable(value)
    return value.isoformat() if hasattr(value, "isoformat") else value


def require(response: httpx.Response) -> None:
    """Raises what a problem says."""
    if response.status_code < 400:
        return
    try:
        told = response.json()
        code, message, facts = told["code"], told["detail"], dict(told["facts"])
    except (ValueError, KeyError, TypeError):
        told = f"The server answered {response.status_code} and did not say why."
        raise _server_error(response, "no_problem", told, {}) from None
    error = _ERRORS.get(code)
    if error is not None:
        raise error(message, **facts)
    raise _server_error(response, code, message, facts)


def _server_error(response: httpx.Response, code: str, message: str, facts: Mapping[str, Any]) -> ServerError:
    error = ServerError(code, message, **{**facts, "status": response.status_code})
    if response.status_code in AGAIN:
        error.again_after = _retry_after(response)
    return error


def _retry_after(response: httpx.Response) -> float:
    said = response.headers.get("Retry-After", "")
    return float(said) if said.isdecimal() else PAUSE
