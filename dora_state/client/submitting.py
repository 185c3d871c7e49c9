"""Commands, transactions and locks."""

from abc import abstractmethod
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from datetime import datetime
from typing import Any, Unpack
from uuid import uuid4

import httpx

from domain.errors import InvalidInput
from dora_state.client.answers import Answer
from dora_state.client.locks import HeldLock, hold
from dora_state.client.paths import segment, told
from dora_state.client.transactions import Transaction
from dora_state.client.transport import Transport, require
from dora_state.client.wire import Submission, arrays, require_object, to_json, with_id
from dora_state.handing_back import HandingBack, How
from dora_state.holding import Holdings, patience
from dora_state.refusals import require_done
from dora_state.states import EditableState

MOST = 1_000
"""Commands in a request."""


class Submitting(HandingBack[Answer]):
    """Part of the client."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self._holdings: Holdings[HeldLock] = Holdings()

    @abstractmethod
    async def get(self, kind: str, aggregate_id: str) -> EditableState: ...

    # --- commands -------------------------------------------------------------------------------------------

    async def submit(self, submission: Submission) -> Answer:
        """Submit one command and wait for its durable answer; it is sent again under its id where that was lost."""
        try:
            body = with_id(submission)
            return _answer(await self._transport.ask("POST", "/v1/commands", content=body, headers=self._headers()))
        except InvalidInput as error:
            return Answer.invalid(error)

    async def submit_many(self, submissions: Iterable[Submission]) -> list[Answer]:
        """Submit commands in as few requests as they need: decided in their order, each answered on its own."""
        answers: list[Answer | None] = []
        bodies: list[bytes] = []
        for submission in submissions:
            try:
                body = with_id(submission)
                require_object(body)
            except InvalidInput as error:
                answers.append(Answer.invalid(error))
            else:
                bodies.append(body)
                answers.append(None)
        told = [answer for body in arrays(bodies, MOST) for answer in await self._submit_array(body)]
        answered = iter(told)
        return [next(answered) if answer is None else answer for answer in answers]

    async def _submit_array(self, body: bytes) -> list[Answer]:
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
        reason: str | None = None,
        operator: str | None = None,
        workflow_only: bool = False,
    ) -> Answer:
        """Restore an earlier state. Over HTTP a reason and an operator must be named; raises InvalidInput else."""
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
        body: Mapping[str, object],
        to_version: int | None,
        to_time: datetime | None,
        to_position: int | None,
    ) -> httpx.Response:
        where = {"to_version": to_version, "to_time": told(to_time), "to_position": to_position}
        asked = {name: value for name, value in {**body, **where}.items() if value is not None}
        headers = self._headers() | {"Idempotency-Key": str(uuid4())}
        path = f"/v1/workflows/{segment(workflow_id)}/rollback"
        return await self._transport.ask("POST", path, content=to_json(asked), headers=headers)

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
        response = await self._transport.ask("POST", "/v1/transactions", content=to_json(transaction), headers=headers)
        return require_done(_answer(response))

    async def _hand_back(self, state: EditableState, **how: Unpack[How]) -> Answer | None:
        async with self.transaction(actor=how.get("actor"), reason=how.get("reason")) as transaction:
            await transaction.update(state, how.get("expected_version"))
        return transaction.answer

    # --- locks ----------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def exclusive_lock(
        self, name: str, *, timeout: float = 30.0, holder: str | None = None
    ) -> AsyncIterator[HeldLock]:
        """Have `KIND:ID` to oneself, for as long as the block runs and the connection lasts; as in process.

        A server that is away or busy is asked again within `timeout`. Raises InvalidInput, LockTimeout, LockDeadlock,
        ServerUnavailable, ServerError; LockLost at the end, where it was lost meanwhile.
        """
        seconds = patience(timeout)

        def take() -> AbstractAsyncContextManager[HeldLock]:
            holds = tuple(lock.token for lock in self._holdings.locks)
            return hold(self._transport, name, seconds, holder, holds)

        async with self._holdings.hold(name, seconds, take) as lock:
            yield lock

    def _headers(self) -> dict[str, str]:
        held = self._holdings.locks
        headers = {"Content-Type": "application/json"}
        return headers | {"Lock-Token": ", ".join(str(lock.token) for lock in held)} if held else headers


def _answer(response: httpx.Response) -> Answer:
    """An answer, also that of what was refused. Raises what a problem without an answer says."""
    document = response.json() if response.headers.get("content-type", "").endswith("json") else {}
    if response.status_code >= 400 and "answer" not in document:
        require(response)
    return Answer.of(document)
