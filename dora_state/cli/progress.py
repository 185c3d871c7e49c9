"""Progress bars on stderr: seen on a terminal, silent everywhere else."""

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    Progress,
    SpinnerColumn,
    TaskProgressColumn,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)


class Bars:
    """One bar a phase, the way long work tells how far it is. Use as a context manager."""

    def __init__(self, *, wanted: bool = True) -> None:
        console = Console(stderr=True, markup=False, emoji=False, highlight=False)
        self._progress = Progress(
            SpinnerColumn(),
            TextColumn("{task.description}", markup=False),
            BarColumn(bar_width=24),
            TaskProgressColumn(),
            TimeElapsedColumn(),
            TimeRemainingColumn(elapsed_when_finished=True),
            console=console,
            # Answers that are printed meanwhile go where they were going.
            redirect_stdout=False,
            disable=not (wanted and console.is_terminal),
        )
        self._phase = self._progress.add_task("", visible=False)
        self._begun = False

    def __enter__(self) -> Self:
        self._progress.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._progress.stop()

    def begin(self, phase: str, total: int | None) -> None:
        """A new phase of `total` steps, None where that is not known."""
        self.end()
        self._phase = self._progress.add_task(phase, total=total)
        self._begun = True

    def advance(self, count: int) -> None:
        self._progress.advance(self._phase, count)

    def end(self) -> None:
        """The phase is over, however many steps it had."""
        if self._begun:
            (task,) = (task for task in self._progress.tasks if task.id == self._phase)
            self._progress.update(self._phase, total=task.completed or 1, completed=task.completed or 1)
            self._progress.stop_task(self._phase)
            self._begun = False
