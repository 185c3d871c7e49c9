"""Whoever goes back sees what was, by a preview, a refusal, or what comes of it: that is kept as a look at the past."""

import asyncio
from collections.abc import Iterable, Mapping

from commands.envelope import Envelope
from commands.messages.transaction import Transaction
from commands.messages.workflow import RollBackWorkflow
from dora_state.http.call import Call

ASKED = ("reason", "operator", "workflow_only", "dry_run")
CUTS = {"to_version": "version", "to_time": "at", "to_position": "position"}


async def looks_back(call: Call, rollback: Mapping[str, object]) -> None:
    """Before it is decided. Raises what keeping it raises."""
    cut = {name: rollback.get(given) for given, name in CUTS.items()}
    asked = {name: rollback[name] for name in ASKED if name in rollback}
    await call.looks_at("rollback", f"workflow {rollback.get('workflow_id')}", cut, 1, asked=asked)


async def look_back(call: Call, envelopes: Iterable[Envelope]) -> None:
    """All rollbacks among commands, and within transactions. Raises what keeping them raises."""
    rollbacks = [one for envelope in envelopes for one in _rollbacks(envelope)]
    if rollbacks:
        await asyncio.gather(*(looks_back(call, one.model_dump()) for one in rollbacks))


def _rollbacks(envelope: Envelope) -> list[RollBackWorkflow]:
    command = envelope.command
    among = command.commands if isinstance(command, Transaction) else (command,)
    return [one for one in among if isinstance(one, RollBackWorkflow)]
