"""A timeline for the terminal: a bar a task, waiting and running apart, and who ran it."""

import sys
from collections.abc import Iterator
from datetime import datetime, timedelta

from rich.console import Console, ConsoleOptions, RenderableType, RenderResult
from rich.text import Text

from dora_state.cli.formats import heading, lasting, state, when
from projections.timelines import Row, Segment, Timeline

SIGNS = {"created": "·", "scheduled": "·", "assigned": "░", "running": "█"}
PLAIN_SIGNS = {"created": ".", "scheduled": ".", "assigned": "-", "running": "#"}
COLOURS = ("cyan", "magenta", "blue", "yellow", "green", "bright_red", "bright_cyan", "bright_magenta")
LONGEST_NAME, NARROWEST_BAR = 28, 16


def parts(timeline: Timeline) -> Iterator[RenderableType]:
    yield heading(timeline.kind.capitalize(), timeline.id)
    lasted = lasting(_span(timeline).total_seconds())
    yield Text(f"{when(timeline.begin)} to {timeline.upto} at {when(timeline.end)}, {lasted}", style="dim")
    yield _Bars(timeline)
    if timeline.omitted:
        yield Text(f"{timeline.omitted} earlier tasks are left out.", style="dim")


def _span(timeline: Timeline) -> timedelta:
    return timeline.end - timeline.begin


def _signs() -> dict[str, str]:
    """What this terminal can show."""
    try:
        "█░·│▲".encode(getattr(sys.stdout, "encoding", None) or "ascii")
    except (UnicodeEncodeError, LookupError):
        return PLAIN_SIGNS | {"cut": "|", "mark": "^"}
    return SIGNS | {"cut": "│", "mark": "▲"}


class _Bars:
    def __init__(self, timeline: Timeline) -> None:
        self._timeline = timeline
        names = dict.fromkeys(agent for row in timeline.rows for agent in row.agents)
        self._colours = {agent: COLOURS[place % len(COLOURS)] for place, agent in enumerate(names)}

    def __rich_console__(self, console: Console, options: ConsoleOptions) -> RenderResult:
        timeline, signs = self._timeline, _signs()
        longest = max([len(row.task_id) for row in timeline.rows], default=4)
        name = min(longest, LONGEST_NAME)
        ending = max([len(self._ending(row).plain) for row in timeline.rows], default=0)
        width = max(options.max_width - name - ending - 4, NARROWEST_BAR)
        for row in timeline.rows:
            line = Text(no_wrap=True, overflow="crop")
            line.append(row.task_id if len(row.task_id) <= name else f"{row.task_id[: name - 1]}…")
            line.pad_right(name + 1 - line.cell_len)
            line.append_text(self._bar(row, width, signs))
            line.append(signs["cut"], style="bold red" if timeline.upto == "the cut" else "dim")
            line.append(" ")
            line.append_text(self._ending(row))
            yield line
        if timeline.marks:
            marks = [" "] * width
            for mark in timeline.marks:
                marks[self._column(mark.at, width)] = signs["mark"]
            yield Text(" " * (name + 1) + "".join(marks), style="dim", no_wrap=True, overflow="crop")
            told = ", ".join(f"{mark.text} {when(mark.at)}" for mark in timeline.marks)
            yield Text(told, style="dim")

    def _column(self, at: datetime, width: int) -> int:
        span = _span(self._timeline)
        part = (at - self._timeline.begin) / span if span else 0.0
        return min(max(int(part * width), 0), width - 1)

    def _bar(self, row: Row, width: int, signs: dict[str, str]) -> Text:
        cells: list[tuple[str, str]] = [(" ", "")] * width
        for segment in row.segments:
            begin = self._column(segment.begin, width)
            end = self._column(segment.end or self._timeline.end, width)
            for place in range(begin, max(end, begin + 1) if segment.end else width):
                cells[place] = (signs[segment.state], self._style(segment))
        return Text.assemble(*cells)

    def _style(self, segment: Segment) -> str:
        if segment.state != "running":
            return "dim"
        return self._colours.get(segment.agent or "", "white")

    def _ending(self, row: Row) -> Text:
        ran = sum(
            [
                ((one.end or self._timeline.end) - one.begin).total_seconds()
                for one in row.segments
                if one.state == "running"
            ]
        )
        told = Text()
        told.append_text(state(row.state))
        if ran:
            told.append(f" {lasting(ran)}")
        if row.agents and self._timeline.kind != "agent":
            told.append(" ")
            told.append(row.agents[-1], style=self._colours[row.agents[-1]])
        return told
