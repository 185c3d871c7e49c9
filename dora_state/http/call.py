"""One request while it is answered, and what all requests of a server share."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from functools import lru_cache, partial
from typing import TypeVar, cast
from uuid import UUID

from starlette.requests import Request
from starlette.types import Message, Receive

from commands.edge import Edge
from domain.errors import Archived, CutOutOfRange, InvalidInput, NotFound
from dora_state.access.caller import Authenticator, Caller, Forbidden, Permission, Reading, Readings
from dora_state.access.refusals import Refusals
from dora_state.http.encoded import EncodedDocuments
from dora_state.http.feed import Feed
from dora_state.http.limits import BodyRoom, Limits, RateLimit
from dora_state.http.lock_room import LockRoom
from dora_state.http.operations import Operation
from dora_state.http.parameters import GivenHeaders, Query, parse_id, parse_query
from dora_state.http.pending import PendingAnswers
from dora_state.http.problems import RequestError
from dora_state.http.standing import SURE_SECONDS, Standing, Watch
from dora_state.platform import new_id, now
from dora_state.state_manager import StateManager

Q = TypeVar("Q", bound=Query)
TELLING = (NotFound, CutOutOfRange, Archived, InvalidInput)
"""What is raised by who looks at the past, and tells of it."""
DISCARDED = 8
"""So many times what a body may have is read of one that has more, so that who sends it hears of that."""
JSON_TYPES = ("application/json", "application/json;charset=utf-8")


class ClientGone(Exception):
    """Nobody waits for the answer any more."""


class Server:
    """What the requests of one process share. `is_open`: it knows no keys, and answers its own machine only."""

    def __init__(
        self,
        manager: StateManager,
        authenticator: Authenticator,
        readings: Readings,
        *,
        limits: Limits | None = None,
        is_open: bool = False,
        refusals: Refusals | None = None,
    ) -> None:
        self.manager = manager
        self.authenticator = authenticator
        self.readings = readings
        self.limits = limits or Limits()
        self.is_open = is_open
        self.refusals = refusals or Refusals(manager.platform.settings.tenant)
        self.rate = RateLimit(self.limits.rate, time.monotonic)
        self.bodies = BodyRoom(max(self.limits.bodies_bytes, self.limits.body_bytes))
        self.watch = Watch(lambda authorization: self.authenticator.caller(authorization))
        self.feed = Feed(manager.platform.log, manager.platform.signal)
        self.pending = PendingAnswers()
        self.encoded = EncodedDocuments(manager.platform.settings.near_bytes // 4)
        self.leaving = False
        self.locks = LockRoom()
        self._edges = lru_cache(maxsize=1_000)(self._new_edge)

    def edge_of(self, caller: Caller) -> Edge:
        """Commands that name no actor are the caller's."""
        return self._edges(caller.name)

    def _new_edge(self, actor: str) -> Edge:
        return Edge(tenant=self.manager.platform.settings.tenant, new_id=new_id, clock=now, default_actor=actor)


class Call:
    """One request: who asks, and for what. What it takes from it is checked: it raises InvalidInput."""

    __slots__ = (
        "_begun",
        "_body",
        "_headers",
        "_held",
        "_query",
        "_standing",
        "caller",
        "operation",
        "request",
        "server",
    )

    def __init__(
        self, request: Request, headers: GivenHeaders, caller: Caller, server: Server, operation: Operation
    ) -> None:
        self.request = request
        self._headers = headers
        self._query: Query | None = None
        self._standing: Standing | None = None
        self._begun = time.monotonic()
        self.caller = caller
        self.server = server
        self.operation = operation
        self._body: bytes | None = None
        self._held = 0

    @property
    def manager(self) -> StateManager:
        return self.server.manager

    def query(self, model: type[Q]) -> Q:
        asked = parse_query(self.request.scope["query_string"], model)
        self._query = asked
        return asked

    def header(self, name: bytes) -> str | None:
        return self._headers.get(name)

    def id(self, name: str = "id") -> str:
        return parse_id(self.request.scope["path_params"][name], name)

    async def body(self) -> bytes:
        """The whole body, which must be JSON by its type. Raises RequestError, ClientGone."""
        if self._body is None:
            self._body = await self._whole_body()
        return self._body

    async def _whole_body(self) -> bytes:
        self._require_json()
        limits = self.server.limits
        length = self.header(b"content-length")
        try:
            async with asyncio.timeout(limits.body_seconds):
                if length is None or (length.isdecimal() and int(length[:19]) <= limits.body_bytes):
                    return await self._read(limits)
                if self.header(b"expect") is None:  # who asks first whether it may send has sent nothing yet
                    await _discard(self.request.receive, DISCARDED * limits.body_bytes)
            raise _too_large(limits)
        except TimeoutError:
            raise RequestError(
                "request_too_slow",
                f"The body was not there within {limits.body_seconds:g} s; send it again, faster.",
                {"Connection": "close"},
            ) from None

    async def _read(self, limits: Limits) -> bytes:
        """Raises RequestError as soon as it is too much; the rest is not kept."""
        receive, parts, size, more = self.request.receive, [], 0, True
        problem: RequestError | None = None
        while more and problem is None:
            message = await receive()
            part, more = _body_of(message), message.get("more_body", False)
            size += len(part)
            problem = _too_large(limits) if size > limits.body_bytes else self.server.bodies.take(len(part))
            if problem is None:
                self._held += len(part)
                parts.append(part)
        if problem is None:
            return b"".join(parts)
        if more:
            await _discard(receive, DISCARDED * limits.body_bytes)
        raise problem

    def let_go(self) -> None:
        """It is answered: its body is in hand no more."""
        self.server.bodies.give_back(self._held)
        self._held = 0

    def _require_json(self) -> None:
        said = self.header(b"content-type")
        if said is None or said.lower().replace(" ", "") not in JSON_TYPES:
            raise RequestError(
                "unsupported_media_type",
                "Content-Type: must be application/json; send the body as JSON in UTF-8.",
                {"Accept-Post": "application/json"},
                field="Content-Type",
            )
        if self.header(b"content-encoding") not in (None, "identity"):
            raise RequestError(
                "unsupported_media_type",
                "Content-Encoding: bodies are not unpacked; send the body as it is.",
                field="Content-Encoding",
            )

    def require(self, permission: Permission) -> None:
        """Raises Forbidden, which is logged as a refusal."""
        try:
            self.caller.require(permission)
        except Forbidden as error:
            self.note_refusal(error)
            raise

    @property
    def standing(self) -> Standing:
        """Whether the caller is still let in, for an answer that goes on."""
        if self._standing is None:
            self._standing = Standing(self.server.watch, self.header(b"authorization"), self._begun)
        return self._standing

    async def still_allowed(self) -> None:
        """What took long to find is shown only to who is still let in. Raises what an Authenticator raises."""
        if time.monotonic() - self._begun >= SURE_SECONDS:
            await self.standing.confirm()

    def note_refusal(self, error: Forbidden) -> None:
        self.server.refusals.note(error, caller=self.caller.name, asked=self.operation.id)

    async def looks_at(
        self,
        what: str,
        about: str,
        cut: Mapping[str, object],
        rows: int | None = None,
        *,
        asked: Mapping[str, object] | None = None,
    ) -> Callable[[int], None]:
        """Keep who looks at what, before it is shown. Where rows are known only in the end, what it gives is told them.

        `asked`: what else was asked for; by default all that the query says besides the cut. Raises what keeping it
        raises: what can't be kept is not shown.
        """
        told = {name: value for name, value in cut.items() if value is not None}
        if asked is None and self._query is not None:
            asked = self._query.model_dump(mode="json", exclude_unset=True)
        others = {name: value for name, value in (asked or {}).items() if name not in told and value is not None}
        reading = Reading(self.caller, what, about, told, rows, asked=others)
        await self.server.readings.record(reading)
        return partial(self.server.readings.ended, reading)

    @asynccontextmanager
    async def finding(self, what: str, about: str, cut: Mapping[str, object]) -> AsyncIterator[None]:
        """Around what looks. That there is nothing, or only so much, is of the past too, and kept before it is told."""
        try:
            yield
        except TELLING:
            await self.looks_at(what, about, cut, 0)
            raise

    def idempotency_key(self) -> UUID | None:
        key = self.header(b"idempotency-key")
        if key is None:
            return None
        try:
            return UUID(key.strip('"'))
        except ValueError:
            raise InvalidInput(
                "Idempotency-Key: must be a UUID, for example 0190d8a4-7c3e-7b1f-9a52-3f1de6a1c001.",
                field="Idempotency-Key",
            ) from None


async def _discard(receive: Receive, most: int) -> None:
    """A client that is still sending would not hear the answer: its connection would be reset."""
    size = 0
    while size < most:
        message = await receive()
        size += len(_body_of(message))
        if not message.get("more_body", False):
            return


def _body_of(message: Message) -> bytes:
    if message["type"] == "http.disconnect":
        raise ClientGone
    return cast(bytes, message.get("body", b""))


def _too_large(limits: Limits) -> RequestError:
    return RequestError(
        "body_too_large",
        f"A body may have {limits.body_bytes} bytes; send less, or in several requests.",
        {"Connection": "close"},
        limit=limits.body_bytes,
    )
