"""The client: StateManager's names over HTTP."""

import json
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import asynccontextmanager
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import httpx

from domain.errors import InvalidInput, LockLost
from dora_state.client.answers import Answer
from dora_state.client.events import follow
from dora_state.client.locks import HeldLock, hold
from dora_state.client.transactions import Transaction
from dora_state.client.transport import PATIENCE, Transport, given, require
from dora_state.refusals import require_done
from dora_state.state_events import StateChangeEvent
from dora_state.states import EditableState

KINDS = ("workflow", "task", "agent", "pool", "system")
Submission = Mapping[str, object] | bytes | str


class Client:
    """One tenant's state on a server. Make it with `open_client`. Times without a zone are UTC.

    Raises what StateManager raises, and ServerUnavailable where the server can't be reached for `patience` seconds.
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._holding: ContextVar[tuple[HeldLock, ...]] = ContextVar("locks that are held here", default=())

    # --- commands -------------------------------------------------------------------------------------------

    async def submit(self, submission: Submission) -> Answer:
        """Submit one command and wait for its durable answer; it is sent again under its id where that was lost."""
        response = await self._transport.ask("POST", "/v1/commands", content=_body(submission), headers=self._headers())
        return _answer(response)

    async def submit_many(self, submissions: Iterable[Submission]) -> list[Answer]:
        """Submit commands in one request: decided in their order, each answered on its own."""
        body = b"[" + b",".join(_body(one) for one in submissions) + b"]"
        response = await self._transport.ask("POST", "/v1/commands", content=body, headers=self._headers())
        require(response)
        return [Answer.of(one) for one in response.json()]

    async def rollback_workflow(
        self,
        workflow_id: str,
        *,
        to_version: int | None = None,
        to_time: datetime | None = None,
        to_position: int | None = None,
        reason: str,
        operator: str,
        workflow_only: bool = False,
    ) -> Answer:
        """Restore an earlier state. Over HTTP a reason and an operator must be named."""
        body = {"reason": reason, "operator": operator, "workflow_only": workflow_only}
        response = await self._roll_back(workflow_id, body, to_version, to_time, to_position)
        return _answer(response)

    async def preview_rollback(
        self,
        workflow_id: str,
        *,
        to_version: int | None = None,
        to_time: datetime | None = None,
        to_position: int | None = None,
        workflow_only: bool = False,
    ) -> dict[str, Any]:
        """What a rollback would do, and why it would be refused."""
        body = {"dry_run": True, "workflow_only": workflow_only}
        response = await self._roll_back(workflow_id, body, to_version, to_time, to_position)
        require(response)
        return dict(response.json())

    async def _roll_back(
        self,
        workflow_id: str,
        body: dict[str, object],
        to_version: int | None,
        to_time: datetime | None,
        to_position: int | None,
    ) -> httpx.Response:
        where = {"to_version": to_version, "to_time": _told(to_time), "to_position": to_position}
        told = body | {name: value for name, value in where.items() if value is not None}
        headers = self._headers() | {"Idempotency-Key": str(uuid4())}
        path = f"/v1/workflows/{quote(workflow_id, safe='')}/rollback"
        return await self._transport.ask("POST", path, content=json.dumps(told), headers=headers)

    @asynccontextmanager
    async def transaction(
        self, *, actor: str | None = None, reason: str | None = None, correlation_id: str | None = None
    ) -> AsyncIterator[Transaction]:
        """As in process: decided at one moment, recorded as one. What was read is checked at the commit."""
        about = {"actor": actor, "reason": reason, "correlation_id": correlation_id}
        transaction = Transaction(self, {name: value for name, value in about.items() if value is not None})
        yield transaction
        if transaction.is_open:
            await transaction.commit()

    async def commit(self, transaction: Mapping[str, object]) -> Answer:
        """What a transaction has gathered. Raises OptimisticLockException, CommandRefused, InvalidInput."""
        headers = self._headers() | {"Idempotency-Key": str(uuid4())}
        response = await self._transport.ask(
            "POST", "/v1/transactions", content=json.dumps(transaction), headers=headers
        )
        return require_done(_answer(response))

    async def update_workflow(
        self,
        workflow: EditableState,
        *,
        expected_version: int | None = None,
        actor: str | None = None,
        reason: str | None = None,
    ) -> Answer | None:
        """Hand back a state that was changed; None where nothing was."""
        async with self.transaction(actor=actor, reason=reason) as transaction:
            await transaction.update(workflow, expected_version)
        return transaction.answer

    update_task = update_agent = update_pool = update_system = update_workflow

    # --- locks ----------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def exclusive_lock(
        self, name: str, *, timeout: float = 30.0, holder: str | None = None
    ) -> AsyncIterator[HeldLock]:
        """Have `KIND:ID` to oneself, for as long as the block runs and the connection lasts.

        Raises LockTimeout, LockDeadlock; LockLost at the end, where it was lost meanwhile.
        """
        held = self._holding.get()
        known = next((lock for lock in held if lock.name == name), None)
        if known is not None:
            yield known
            return
        async with hold(self._transport, name, timeout, holder) as lock:
            before = self._holding.set((*held, lock))
            try:
                yield lock
            finally:
                self._holding.reset(before)
        if lock.is_lost:
            raise LockLost(stream_id=lock.stream_id)

    # --- states ---------------------------------------------------------------------------------------------

    async def state(
        self,
        kind: str,
        aggregate_id: str,
        *,
        version: int | None = None,
        at_time: datetime | None = None,
        position: int | None = None,
        consistency: str | None = None,
        min_position: int | None = None,
        patience: float | None = None,
    ) -> dict[str, Any]:
        """The document of one aggregate. Raises NotFound, CutOutOfRange, InvalidInput."""
        asked = {
            "version": version,
            "at": _told(at_time),
            "position": position,
            "consistency": consistency,
            "min_position": min_position,
            "patience": patience,
        }
        return dict(await self._transport.get(_path(kind, aggregate_id), asked))

    query = state

    async def get_workflow_state(self, workflow_id: str, **asked: Any) -> dict[str, Any]:
        return await self.state("workflow", workflow_id, **asked)

    async def get_task_state(self, task_id: str, **asked: Any) -> dict[str, Any]:
        return await self.state("task", task_id, **asked)

    async def get_agent_state(self, agent_id: str, **asked: Any) -> dict[str, Any]:
        return await self.state("agent", agent_id, **asked)

    async def get_pool_state(self, pool_id: str, **asked: Any) -> dict[str, Any]:
        return await self.state("pool", pool_id, **asked)

    async def get_system_state(self, **asked: Any) -> dict[str, Any]:
        return await self.state("system", "", **asked)

    async def get(
        self, kind: str, aggregate_id: str, *, version: int | None = None, at_time: datetime | None = None
    ) -> EditableState:
        """The state itself, folded from the log, to be changed and handed back."""
        consistency = "live" if version is None and at_time is None else None
        found = await self.state(kind, aggregate_id, version=version, at_time=at_time, consistency=consistency)
        return EditableState(kind, found)

    async def get_workflow(self, workflow_id: str, **cut: Any) -> EditableState:
        return await self.get("workflow", workflow_id, **cut)

    async def get_task(self, task_id: str, **cut: Any) -> EditableState:
        return await self.get("task", task_id, **cut)

    async def get_agent(self, agent_id: str, **cut: Any) -> EditableState:
        return await self.get("agent", agent_id, **cut)

    async def get_pool(self, pool_id: str, **cut: Any) -> EditableState:
        return await self.get("pool", pool_id, **cut)

    async def get_system(self, **cut: Any) -> EditableState:
        return await self.get("system", "", **cut)

    async def get_workflow_with_version(self, workflow_id: str) -> tuple[EditableState, int]:
        return _with_version(await self.get_workflow(workflow_id))

    async def get_task_with_version(self, task_id: str) -> tuple[EditableState, int]:
        return _with_version(await self.get_task(task_id))

    async def get_agent_with_version(self, agent_id: str) -> tuple[EditableState, int]:
        return _with_version(await self.get_agent(agent_id))

    async def get_pool_with_version(self, pool_id: str) -> tuple[EditableState, int]:
        return _with_version(await self.get_pool(pool_id))

    async def get_system_with_version(self) -> tuple[EditableState, int]:
        return _with_version(await self.get_system())

    # --- lists and the past ---------------------------------------------------------------------------------

    async def list(self, what: str, **asked: Any) -> AsyncIterator[dict[str, Any]]:
        """All of a list, page by page: `workflows`, `tasks`, `overdue`, `stalled`, `pending`, `agents`, `pools` or
        `reservations`, with its filters.
        """
        page: str | None = None
        while True:
            found = await self._transport.get(f"/v1/{what}", {**asked, "page": page})
            for item in found["items"]:
                yield item
            page = found["next"]
            if page is None:
                return

    async def board(self, by: str = "state", **only: Any) -> dict[str, Any]:
        return dict(await self._transport.get("/v1/board", {"by": by, **only}))

    async def rates(self, per: str, begin: datetime | None = None, end: datetime | None = None) -> list[dict[str, Any]]:
        found = await self._transport.get("/v1/rates", {"per": per, "begin": _told(begin), "end": _told(end)})
        return [dict(one) for one in found["items"]]

    async def history(self, kind: str, aggregate_id: str, **asked: Any) -> AsyncIterator[dict[str, Any]]:
        """Every version with when, who, why and what changed."""
        params = given({**asked, "stream": True})
        path = f"{_path(kind, aggregate_id)}/history"
        async with self._transport.stream("GET", path, params=params, timeout=None) as response:
            async for line in response.aiter_lines():
                yield json.loads(line)

    async def get_workflow_history(self, workflow_id: str) -> "list[dict[str, Any]]":
        return [entry async for entry in self.history("workflow", workflow_id)]

    async def diff(self, kind: str, aggregate_id: str, begin: str, end: str = "now") -> dict[str, Any]:
        """One aggregate at two cuts: `v3`, `p120`, a time, `start` or `now`."""
        asked = {"begin": begin, "end": end}
        return dict(await self._transport.get(f"{_path(kind, aggregate_id)}/diff", asked))

    async def trace(self, correlation_id: str) -> "list[dict[str, Any]]":
        """All that one request caused, causes first."""
        found = await self._transport.get(f"/v1/traces/{quote(correlation_id, safe='')}", {})
        return [dict(one) for one in found["commands"]]

    async def export(self, format: str, **chosen: Any) -> AsyncIterator[bytes]:
        """What was recorded, as `jsonl`, `ocel`, `xes` or `csv`, in pieces."""
        params = given({"format": format, **chosen})
        async with self._transport.stream("GET", "/v1/export", params=params, timeout=None) as response:
            async for piece in response.aiter_bytes():
                yield piece

    def follow(
        self, after_position: int = 0, *, kinds: Iterable[str] = (), types: Iterable[str] = ()
    ) -> AsyncIterator[StateChangeEvent]:
        """Every event after a position as soon as it is recorded, in order and each once, also over restarts."""
        return follow(self._transport, after_position, kinds, types)

    async def health_check(self) -> dict[str, Any]:
        """`overall`, `checks` by name, `timestamp`; also where something is unhealthy."""
        response = await self._transport.ask("GET", "/health")
        return dict(response.json())

    def _headers(self) -> dict[str, str]:
        held = self._holding.get()
        told = {"Content-Type": "application/json"}
        return told | {"Lock-Token": ", ".join(str(lock.token) for lock in held)} if held else told


@asynccontextmanager
async def open_client(
    url: str, *, key: str | None = None, patience: float = PATIENCE, timeout: float = 35.0
) -> AsyncIterator[Client]:
    """A client of the server at `url`, for as long as the block runs. `key`: an API key or a bearer token."""
    headers = {} if key is None else {"Authorization": f"Bearer {key}"}
    async with httpx.AsyncClient(base_url=url, headers=headers, timeout=timeout) as http:
        yield Client(Transport(http, patience))


def _body(submission: Submission) -> bytes:
    """With a command id, under which it may be sent again."""
    if isinstance(submission, Mapping):
        told = {"command_id": str(uuid4()), **submission}
        return json.dumps(told, default=_jsonable).encode()
    return submission.encode() if isinstance(submission, str) else submission


def _jsonable(value: Any) -> Any:
    if isinstance(value, datetime):
        return _told(value)
    return str(value)


def _answer(response: httpx.Response) -> Answer:
    """An answer, also that of what was refused. Raises what a problem without an answer says."""
    told = response.json() if response.headers.get("content-type", "").endswith("json") else {}
    if response.status_code >= 400 and "answer" not in told:
        require(response)
    return Answer.of(told)


def _path(kind: str, aggregate_id: str) -> str:
    if kind not in KINDS:
        raise InvalidInput(f"There is no kind {kind}; the kinds are {', '.join(KINDS)}.", kind=kind)
    return "/v1/system" if kind == "system" else f"/v1/{kind}s/{quote(aggregate_id, safe='')}"


def _told(moment: datetime | None) -> str | None:
    if moment is None:
        return None
    return (moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)).isoformat()


def _with_version(state: EditableState) -> tuple[EditableState, int]:
    return state, state["stream_version"]
