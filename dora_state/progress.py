"""Who hears how far long work is."""

from typing import Protocol


class Progress(Protocol):
    """Is told how far it is: one phase after the other, of so many steps if that is known."""

    def begin(self, phase: str, total: int | None) -> None: ...

    def advance(self, count: int) -> None: ...

    def end(self) -> None: ...


class Unwatched:
    """Nobody hears it."""

    def begin(self, phase: str, total: int | None) -> None: ...

    def advance(self, count: int) -> None: ...

    def end(self) -> None: ...
