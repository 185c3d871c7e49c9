"""The application: every operation on its path, and one way from a request to an answer."""

import asyncio
import logging
import re
from collections.abc import Sequence
from urllib.parse import unquote

from fastapi import FastAPI
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, Route
from starlette.types import ASGIApp, Receive, Scope, Send

from domain.errors import DoraStateError
from domain.text import visible
from dora_state.access.caller import Caller, CallerRole, Forbidden, Unauthenticated
from dora_state.http.api import OPERATIONS
from dora_state.http.call import Call, ClientGone, Server
from dora_state.http.cors import allow_origins
from dora_state.http.description import openapi_document
from dora_state.http.operations import JSON, Operation
from dora_state.http.parameters import SLASH, GivenHeaders, Headers
from dora_state.http.problems import as_json, problem_response, response_of
from dora_state.http.streams import PieceStream

LOCAL_NAMES = (b"127.0.0.1", b"localhost", b"[::1]")
NOBODY = Caller("nobody", CallerRole.READER, "")
"""Whoever asks for what everybody may know."""
_PORT = re.compile(rb":[0-9]+$")
SERVER_FAULT = "The server met a fault of its own, which its log tells of; try again, and tell who runs it."
logger = logging.getLogger(__name__)


def make_app(server: Server, *, cors: Sequence[str] = ()) -> FastAPI:
    """`cors`: origins whose pages may ask from within a browser; none if empty."""
    app = FastAPI(title="dora-state", openapi_url=None, docs_url=None, redoc_url=None, redirect_slashes=False)
    app.router.routes.clear()
    for operation in (*OPERATIONS, _description()):
        app.router.routes.append(_OperationRoute(server, operation))
    app.add_exception_handler(HTTPException, _no_route)
    app.add_exception_handler(Exception, _fault)
    app.add_middleware(_Paths)
    if server.is_open:
        app.add_middleware(_OwnHostOnly)
    if cors:
        allow_origins(app, cors, OPERATIONS)
    return app


class _OperationRoute(Route):
    """Whoever watches the request from without finds it in the scope."""

    def __init__(self, server: Server, operation: Operation) -> None:
        async def endpoint(request: Request) -> Response:
            return await _answer(server, operation, request)

        super().__init__(operation.path, endpoint, methods=[operation.method], name=operation.id)

    def matches(self, scope: Scope) -> tuple[Match, Scope]:
        match, found = super().matches(scope)
        return match, found if match is Match.NONE else {**found, "route": self}


def _description() -> Operation:
    """It describes the others, and not itself."""
    document = as_json(openapi_document(OPERATIONS))

    async def describe(call: Call) -> Response:
        return Response(document, 200, None, JSON)

    return Operation("GET", "/openapi.json", "getDescription", "This document", describe, None, {}, "health")


async def _answer(server: Server, operation: Operation, request: Request) -> Response:
    call: Call | None = None
    try:
        headers = GivenHeaders(request.scope["headers"])
        caller = await _caller(server, operation, headers)
        call = Call(request, headers, caller, server, operation)
        if operation.permission is not None:
            call.require(operation.permission)
        call.query(operation.query)  # also where the operation has no use for any
        if operation.body is not None:
            await call.body()  # how long that may take is the sender's affair, and no part of the answer's time
        if not operation.timed:
            return await _handled(call)
        async with asyncio.timeout(server.limits.answer_seconds):
            return await _handled(call)
    except DoraStateError as error:
        return response_of(error)
    except TimeoutError:
        return problem_response(
            "took_too_long",
            "The answer was not there in time; what was sent may have been recorded: send it again with the same ids.",
        )
    except ClientGone:
        return Response(None, 400)
    except Exception:
        logger.exception("%s %s met a fault", operation.method, operation.path)
        return problem_response("internal_error", SERVER_FAULT)
    finally:
        if call is not None:
            call.let_go()


async def _handled(call: Call) -> Response:
    response = await call.operation.handle(call)
    if call.operation.permission is None:
        return response
    if call.operation.method == "GET" and not call.operation.in_outages:
        try:
            await call.still_allowed()
        except DoraStateError:
            if isinstance(response, PieceStream):
                response.unshown()
            raise
    if isinstance(response, PieceStream):
        response.standing = call.standing
    return response


async def _caller(server: Server, operation: Operation, headers: GivenHeaders) -> Caller:
    """Who asks, where somebody must be known for it. Raises Unauthenticated, Forbidden, RequestError."""
    if operation.permission is None:
        return NOBODY
    authorization = headers.get(b"authorization")
    try:
        caller = await server.authenticator.caller(authorization)
    except (Unauthenticated, Forbidden):
        raise
    except DoraStateError:
        remembered = server.authenticator.remembered(authorization) if operation.in_outages else None
        if remembered is None:
            raise
        caller = remembered
    server.rate.take(caller.credential or caller.name)
    return caller


async def _no_route(request: Request, error: Exception) -> Response:
    """What the router itself says."""
    assert isinstance(error, HTTPException)
    path = visible(request.scope["path"][:200].replace(SLASH, "/"))
    if error.status_code == 405:
        allowed = (error.headers or {}).get("Allow", "")
        told = f"{request.method} is nothing that {path} knows; it knows {allowed}."
        return problem_response("method_not_allowed", told, headers={"Allow": allowed})
    return problem_response("no_such_path", f"There is no path {path}; /openapi.json tells which there are.")


async def _fault(request: Request, error: Exception) -> Response:
    return problem_response("internal_error", SERVER_FAULT)


class _Paths:
    """Decoded strictly, as no other id is to be found than the one that was asked for; a slash that an id has (`%2F`)
    divides no path."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        raw = scope.get("raw_path")
        if not raw or b"%" not in raw:
            await self._app(scope, receive, send)
            return
        try:
            parts = [unquote(part, errors="strict") for part in re.split("%2[Ff]", raw.decode("ascii"))]
        except UnicodeDecodeError:
            told = "path: must be percent-encoded UTF-8; correct it."
            await problem_response("invalid_input", told, {"field": "path", "fields": ["path"]})(scope, receive, send)
            return
        within = {**scope, "path": SLASH.join(parts)}
        try:
            await self._app(within, receive, send)
        finally:
            if "route" in within:
                scope["route"] = within["route"]  # whoever watches from without asks for it


class _OwnHostOnly:
    """A page in a browser on this machine must not reach a server without keys under a name of its own choice."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and not _is_local(scope["headers"]):
            response = problem_response(
                "misdirected_request",
                "A server without keys answers to the names of its own machine only, such as 127.0.0.1.",
            )
            await response(scope, receive, send)
            return
        await self._app(scope, receive, send)


def _is_local(headers: Headers) -> bool:
    hosts = [value for name, value in headers if name == b"host"]
    return all(_PORT.sub(b"", host).lower() in LOCAL_NAMES for host in hosts)
