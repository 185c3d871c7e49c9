"""Turns of processes that share a log, given and answered when a test says so."""

import asyncio
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from uuid import UUID

from commands import answers, transfer
from commands.asking import NoTurns
from commands.envelope import Envelope
from commands.groups import Pending
from domain.log import AlreadyRecorded


class MonotonicClock:
    """In place of `time`, of a machine that has just started; it moves when a test says so."""

    def __init__(self) -> None:
        self.now = 1 / 2

    def monotonic(self) -> float:
        return self.now


class GatedTurns(NoTurns):
    """`turn` says who gets it; `left` is asked of others, in the form `packed`, and `others` is what they ask.

    `broken_off`: calls that were cut short.
    """

    def __init__(self) -> None:
        self.is_held = True
        self.takes = self.given = self.asks = self.looks = 0
        self.turn: asyncio.Queue[bool] = asyncio.Queue()
        self.others: list[bytes] = []
        self.may_ask = asyncio.Event()
        self.may_ask.set()
        self.left: list[UUID] = []
        self.packed: list[bytes] = []
        self.recorded: dict[UUID, AlreadyRecorded] = {}
        self.broken_off: list[str] = []

    async def take(self) -> bool:
        self.takes += 1
        try:
            return await self.turn.get()
        except asyncio.CancelledError:
            self.broken_off.append("take")
            raise

    async def give(self) -> None:
        self.given += 1

    async def ask(self, submissions: Mapping[UUID, bytes]) -> Mapping[UUID, AlreadyRecorded]:
        self.left += submissions
        self.packed += submissions.values()
        return {one: self.recorded[one] for one in submissions if one in self.recorded}

    async def asked(self) -> list[bytes]:
        self.asks += 1
        try:
            await self.may_ask.wait()
        except asyncio.CancelledError:
            self.broken_off.append("asked")
            raise
        told, self.others = self.others, []
        return told

    async def answered(self, command_ids: Sequence[UUID]) -> Mapping[UUID, AlreadyRecorded]:
        self.looks += 1
        return {one: self.recorded[one] for one in command_ids if one in self.recorded}

    def record(self, pending: Pending) -> None:
        answer = answers.to_bytes(pending.envelope, {"workflow-wf": 1}, None)
        self.recorded[pending.envelope.command_id] = AlreadyRecorded(answer, datetime(2026, 3, 1, tzinfo=UTC), 1, 1)


def packed(one: Envelope) -> bytes:
    submission = transfer.to_bytes(one)
    assert submission is not None
    return submission
