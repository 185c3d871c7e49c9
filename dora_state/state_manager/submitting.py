"""What a StateManager changes: by commands, by states that are handed back, and under locks."""

import asyncio
from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import islice
from typing import Unpack
from uuid import UUID

from commands.edge import Edge
from commands.envelope import Answer, Envelope, Problem
from commands.locks import Claim, HeldLock, Lock, stream_of
from domain.errors import DoraStateError, InvalidInput
from domain.log import Cut
from dora_state.editing import EditableState
from dora_state.handing_back import HandingBack, How
from dora_state.holding import Holdings, patience
from dora_state.naming import Submission, check_told
from dora_state.platform import Platform, new_id, now
from dora_state.state_manager.rollbacks import RollingBack
from dora_state.transactions import Transaction
from infrastructure.process_memory import process_name

LOCK_TIMEOUT = 30.0
TOGETHER = 500
"""Commands that wait for their answers at once."""


class Submitting(RollingBack, HandingBack[Answer]):
    """Commands, transactions and locks of one tenant."""

    def __init__(self, platform: Platform, *, default_actor: str | None = None) -> None:
        self.platform = platform
        self._default_actor = default_actor
        self._edge = Edge(tenant=platform.settings.tenant, new_id=new_id, clock=now, default_actor=default_actor)
        self._holdings: Holdings[Lock] = Holdings()

    def parse(self, submission: Submission) -> Envelope:
        """Check one submission. Raises InvalidInput that names the field and the reason."""
        if isinstance(submission, str):
            submission = submission.encode(errors="surrogatepass")  # what is half a letter is no JSON
        return self._edge.parse(submission) if isinstance(submission, bytes) else self._edge.check(submission)

    async def submit(self, submission: Submission | Envelope) -> Answer:
        """Submit one command and wait for its durable answer; nothing that is wrong with it raises."""
        try:
            envelope = submission if isinstance(submission, Envelope) else self.parse(submission)
        except InvalidInput as error:
            answer = _invalid(error)
            self.platform.bus.figures.invalid(answer.type)
            return answer
        locks = self._holdings.locks
        if locks:
            envelope = replace(envelope, tokens=tuple(lock.token for lock in locks))
        try:
            return await self.platform.bus.submit(envelope)
        except DoraStateError as error:
            problem = Problem(error.code, error.message, error.facts)
            return Answer(envelope.command_id, envelope.command.type, "failed", problem=problem)

    async def submit_many(self, submissions: Iterable[Submission | Envelope]) -> list[Answer]:
        """Submit commands together, in bounded numbers: each is decided on what the ones before it left."""
        waiting, answers = iter(submissions), []
        while some := list(islice(waiting, TOGETHER)):
            # The bus takes them in the order in which these begin.
            answers += await asyncio.gather(*[asyncio.create_task(self.submit(one)) for one in some])
        return answers

    # --- transactions ---------------------------------------------------------------------------------------

    @asynccontextmanager
    async def transaction(
        self, *, actor: str | None = None, reason: str | None = None, correlation_id: str | None = None
    ) -> AsyncIterator[Transaction]:
        """What is done within the block is decided at one moment and recorded as one. Reads are as of its beginning.

        Raises InvalidInput at its beginning, and at its end what `Transaction.commit` raises; an exception leaves
        nothing behind.
        """
        who = actor or self._default_actor or "unnamed"
        check_told("The transaction", actor=who, reason=reason, correlation_id=correlation_id)
        begun = Cut(position=(await self.platform.log.head()).position)
        about: dict[str, object] = {"actor": who}
        if correlation_id is not None:
            about["correlation_id"] = correlation_id
        transaction = Transaction(self, begun, about, reason)
        yield transaction
        if transaction.is_open:
            await transaction.commit()

    async def _hand_back(self, state: EditableState, **how: Unpack[How]) -> Answer | None:
        async with self.transaction(actor=how.get("actor"), reason=how.get("reason")) as transaction:
            await transaction.update(state, how.get("expected_version"))
        return transaction.answer

    # --- locks ----------------------------------------------------------------------------------------------

    @asynccontextmanager
    async def exclusive_lock(
        self, name: str, *, timeout: float = LOCK_TIMEOUT, holder: str | None = None
    ) -> AsyncIterator[Lock]:
        """Have `KIND:ID` to oneself: until the block ends, commands of others on it are not appended.

        Within the block, and in tasks that begin there, commands are submitted under the lock. Taken again within,
        it is the same: tasks that do so have it in turn, and it is let go of when all have left. Raises InvalidInput,
        LockTimeout after `timeout` seconds (LogUnavailable where the log is away then), LockDeadlock; at the end
        LockLost, where it was lost meanwhile.
        """
        stream_id, seconds = stream_of(name), patience(timeout)
        check_told("The lock", holder=holder or self._default_actor)
        who = holder or f"{self._default_actor or 'unnamed'} at {process_name()}"

        @asynccontextmanager
        async def take() -> AsyncIterator[Lock]:
            holds = tuple(lock.token for lock in self._holdings.locks)
            lock = await self.platform.locks.take(Claim(stream_id, who, holds=holds), seconds)
            try:
                yield lock
            finally:
                await self.platform.locks.let_go(lock)

        async with self._holdings.hold(stream_id, seconds, take) as lock:
            yield lock

    async def locks(self) -> list[HeldLock]:
        """Who holds what, and who waits for it."""
        return await self.platform.locks.held()


def _invalid(error: InvalidInput) -> Answer:
    """As much of what was asked as could be read stands in the answer."""
    command_id, name = error.facts.pop("command_id", None), error.facts.get("type")
    problem = Problem(error.code, error.message, error.facts)
    return Answer(
        UUID(command_id) if isinstance(command_id, str) else None,
        name if isinstance(name, str) else None,
        "invalid",
        problem=problem,
    )
