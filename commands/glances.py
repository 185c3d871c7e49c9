"""Looks at what handlers will read, before they are asked: so that it is loaded for many commands at once."""

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from commands.handlers import HANDLERS
from commands.messages import Command
from commands.work import Key, Memory, Needs, Work
from domain.aggregate import Aggregate, Event


class Glance(Work):
    """What is decided in it is not carried out, so it costs little."""

    def record(self, aggregate: Aggregate[Any], aggregate_id: str, events: Sequence[Event]) -> None:
        self._enter(aggregate, aggregate_id)


def glance(
    asking: Iterable[tuple[UUID, Command]], now: datetime, recall: Memory
) -> tuple[dict[str, Key[Any]], list[tuple[UUID, Command]]]:
    """What the handlers of commands will read and is not in memory, and those commands."""
    missing: dict[str, Key[Any]] = {}
    cold: list[tuple[UUID, Command]] = []
    for command_id, command in asking:
        try:
            HANDLERS[type(command)](Glance(recall, now, command_id), command)
        except Needs as needs:
            missing.update((key.stream_id, key) for key in needs.streams)
            cold.append((command_id, command))
        except Exception:  # a refusal, or what whoever decides it will say
            continue
    return missing, cold
