"""Several commands as one."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import Field, InstanceOf, field_serializer

from commands.messages.base import Command
from commands.streams import StreamId

MOST_COMMANDS = 1_000
MOST_EXPECTED = 1_000
Version = Annotated[int, Field(ge=0, le=2**62)]
Expected = Annotated[Mapping[StreamId, Version], Field(max_length=MOST_EXPECTED)]


class Transaction(Command):
    """Commands that are accepted together or not at all. They are decided one after the other, at one moment, each on
    what those before it left, and recorded as one: no reader and no cut ever divides them.

    `expected` are versions, by stream id, that must be current; also of streams that no command touches, 0 for those
    that must not be there.
    """

    type: ClassVar = "Transaction"

    commands: Annotated[tuple[InstanceOf[Command], ...], Field(min_length=1, max_length=MOST_COMMANDS)]
    expected: Expected = Field(default_factory=dict)

    @property
    def stream_id(self) -> str:
        """Of what the first command names."""
        return self.commands[0].stream_id

    @field_serializer("commands")
    def _named(self, commands: tuple[Command, ...]) -> list[dict[str, Any]]:
        return [{"type": one.type, "data": one.model_dump(mode="json")} for one in commands]
