"""The base of all commands: immutable, strict, and aware of the aggregate that each one names."""

from typing import Any, ClassVar

from pydantic import BaseModel, ConfigDict

from domain.aggregate import Aggregate


class WrongField(ValueError):
    """What is wrong with one field in the light of others; `field` is its path within the data."""

    def __init__(self, field: str, message: str) -> None:
        self.field = field
        super().__init__(message)


class Command(BaseModel):
    """A request in the imperative; may be refused.

    `aggregate` and `key` say which aggregate the command names: an envelope's expected version is its.
    """

    # Of the few that a process is given, what validates is built when they first come.
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True, defer_build=True)

    type: ClassVar[str]
    aggregate: ClassVar[Aggregate[Any]]
    key: ClassVar[str]

    @property
    def stream_id(self) -> str:
        """The stream of the aggregate that this command names."""
        return self.aggregate.stream_id(getattr(self, self.key))
