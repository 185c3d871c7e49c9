"""What a transaction does: all that its commands do, or nothing."""

from collections.abc import Callable, Mapping
from typing import Any

from commands.messages import Command
from commands.messages.transaction import Transaction
from commands.work import Key, Work
from domain.errors import Refusal


def carry_out(
    handlers: Mapping[type[Command], Callable[[Work, Any], None]], work: Work, transaction: Transaction
) -> None:
    """Refused as the first of its commands that is refused. Run again, it goes on after the last that was decided."""
    if not work.steps:
        read = [Key.of_stream(stream_id) for stream_id in transaction.expected]
        work.fetch([*read, *(Key.of_stream(one.stream_id) for one in transaction.commands)])
        for key in read:
            work.find(key.aggregate, key.aggregate_id)
    for command in transaction.commands[len(work.steps) :]:
        try:
            handlers[type(command)](work, command)
        except Refusal as refusal:
            facts = {**refusal.facts, "command": len(work.steps) + 1, "command_type": command.type}
            raise Refusal(refusal.reason, refusal.message, **facts) from None
        work.end_step(command.type)
