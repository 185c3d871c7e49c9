"""`submit`: streams commands into the bus, in order, and tells what became of each."""

import asyncio
import re
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from typing import Any

from commands.envelope import Answer, Problem
from domain.errors import InvalidInput, LogUnavailable
from dora_state.cli.exits import Exit
from dora_state.cli.output import Output, OutputClosed, OutputFailed, say
from dora_state.cli.progress import Bars
from dora_state.cli.reading import Source
from dora_state.cli.submissions import Piece, Splitter
from dora_state.memory import spare_the_collector
from dora_state.settings import Settings
from dora_state.state_manager import StateManager, open_state_manager
from projections.errors import ProjectionHalted, ReadModelsUnavailable

IN_FLIGHT = 64
"""Commands that may be under way at once: enough for groups, and little to lose sight of."""
_STOPPING = frozenset({"log_unavailable", "importing", "clock_ahead", "closed"})
"""With these, all that follows would fail too."""
_JSON_PLACE = re.compile(r": line 1 column (\d+) \(char \d+\)")


@dataclass(frozen=True, slots=True)
class _Submitted:
    line: int
    answer: "asyncio.Task[Answer]"


async def submit(settings: Settings, file: str, actor: str, output: Output) -> int:
    """Submit all that the source holds; the exit code tells of the worst that happened."""
    source = Source(file)
    # With both on one terminal the results themselves show how far it is.
    bars = Bars(wanted=source.size is not None and not output.is_terminal)
    spare_the_collector()
    async with open_state_manager(settings, default_actor=actor, say=say) as manager:
        run = _Run(manager, output, min(IN_FLIGHT, settings.queue_size))
        with bars:
            bars.begin("submitting", source.size)
            try:
                await run.submit_all(source, bars)
            except asyncio.CancelledError:
                if run.told:
                    say(f"Stopped after the answer to line {run.told}; what follows it may have been recorded.")
                raise
        run.summarise()
        try:
            if not await manager.catch_up(everything=True):
                say("The read models are behind; they come up as soon as a worker or another command runs.")
        except (ProjectionHalted, ReadModelsUnavailable, LogUnavailable) as behind:  # what was submitted is recorded
            say(f"The read models are behind: {behind.message}")
        return run.exit_code()


class _Run:
    def __init__(self, manager: StateManager, output: Output, in_flight: int) -> None:
        self.told = 0
        self._manager = manager
        self._output = output
        self._waiting: asyncio.Queue[_Submitted | None] = asyncio.Queue(in_flight)
        self._outcomes: Counter[str] = Counter()
        self._stopped: Problem | None = None
        self._reader_is_there = True

    async def submit_all(self, source: Source, bars: Bars) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._tell_all())
            async for piece in _pieces(source, bars):
                if self._stopped is not None:
                    break
                # Tasks begin in the order in which they are made, so the bus decides in that of the file.
                task = asyncio.create_task(self._submit(piece))
                await self._waiting.put(_Submitted(piece.line, task))
            await self._waiting.put(None)

    async def _submit(self, piece: Piece) -> Answer:
        if piece.problem is not None:
            return Answer(None, None, "invalid", problem=Problem(InvalidInput.code, piece.problem))
        answer = await self._manager.submit(piece.raw)
        if answer.problem is None or answer.outcome != "invalid":
            return answer
        message = _JSON_PLACE.sub(r" at column \1", answer.problem.message)
        return replace(answer, problem=replace(answer.problem, message=message))

    async def _tell_all(self) -> None:
        while (submitted := await self._waiting.get()) is not None:
            answer = await submitted.answer
            self._outcomes[answer.outcome] += 1
            self.told = submitted.line
            if answer.problem is not None and answer.problem.code in _STOPPING:
                self._stopped = self._stopped or answer.problem
            if self._reader_is_there:
                self._tell(submitted.line, answer)

    def _tell(self, line: int, answer: Answer) -> None:
        try:
            if self._output.as_json:
                self._output.json_line(answer_document(answer, line))
            else:
                for text in answer_lines(answer, f"line {line}"):
                    self._output.line(text)
        except OutputClosed:
            # Nobody reads the answers any more; the commands are wanted all the same.
            self._reader_is_there = False
        except OutputFailed as failed:
            self._reader_is_there = False
            say(f"The answers can't be written to stdout ({failed}); submitting goes on without them.")

    def summarise(self) -> None:
        total = sum(self._outcomes.values())
        told = ", ".join(f"{count} {outcome}" for outcome, count in self._outcomes.most_common())
        if total == 0:
            say("There was no command in it.")
        elif total > 1:
            say(f"{total} commands: {told}.")
        if self._stopped is not None:
            # People have read why with the answer; the others' answers are for programs.
            why = f": {self._stopped.message}" if self._output.as_json else ", the log can take nothing more."
            say(f"Stopped there{why}")

    def exit_code(self) -> Exit:
        return exit_of_outcomes(self._outcomes)


async def _pieces(source: Source, bars: Bars) -> AsyncIterator[Piece]:
    splitter = Splitter()
    async for chunk in source.chunks():
        for piece in splitter.feed(chunk):
            yield piece
        bars.advance(len(chunk))
    for piece in splitter.finish():
        yield piece


def exit_of_outcomes(outcomes: Counter[str]) -> Exit:
    """Done if all were accepted; a sort of trouble has its own code if it was the only one."""
    if outcomes["failed"]:
        return Exit.UNAVAILABLE
    codes = {"refused": Exit.REFUSED, "invalid": Exit.BAD_INPUT, "conflict": Exit.CONFLICT}
    found = [code for outcome, code in codes.items() if outcomes[outcome]]
    if not found:
        return Exit.DONE
    return found[0] if len(found) == 1 else Exit.REFUSED


def answer_document(answer: Answer, line: int | None = None) -> dict[str, Any]:
    """An answer as JSON; `line` is where in the file the command began."""
    problem = answer.problem
    document = {
        "command_id": answer.command_id,
        "type": answer.type,
        "outcome": answer.outcome,
        "versions": dict(answer.versions),
        "position": answer.position,
        "recorded_at": answer.recorded_at,
        "repeated": answer.repeated,
        "problem": None
        if problem is None
        else {"code": problem.code, "message": problem.message, "facts": dict(problem.facts)},
    }
    return document if line is None else {"line": line} | document


def answer_lines(answer: Answer, where: str) -> list[str]:
    """An answer for people: one line, and one more if there is a problem."""
    first = f"{where}: {answer.type or 'command'} {answer.outcome}"
    if answer.repeated:
        first += " before (this is the answer it got then)"
    if answer.position is not None:
        first += f" at position {answer.position}"
    if answer.versions:
        streams = [f"{stream} v{version}" for stream, version in answer.versions.items()]
        first += f": {', '.join(streams[:4])}{f' and {len(streams) - 4} more' if len(streams) > 4 else ''}"
    return [first] if answer.problem is None else [first, f"  {answer.problem.message}"]
