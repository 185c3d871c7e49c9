"""The live board: what the read models say now, and in one sentence what is happening."""

import asyncio
from collections import deque
from collections.abc import Mapping

from rich import box
from rich.console import Console, Group, RenderableType
from rich.live import Live
from rich.panel import Panel
from rich.progress_bar import ProgressBar
from rich.rule import Rule
from rich.table import Table
from rich.text import Text

from dora_state.demo.assessment import Assessment
from dora_state.demo.cast import AGENTS, POOL_ID, TASKS, TaskPart
from dora_state.demo.picture import Picture, clock, plain, take_picture, took
from dora_state.demo.scenario import RollBack, Step, Tone
from dora_state.state_manager import RollbackPreview, StateManager
from projections.documents.values import Document

REFRESH_SECONDS = 0.15
LAST_PICTURE_SECONDS = 2.0
"""How long the end of the demo waits for a picture that is being taken."""
WIDE, HIGH = 100, 32
"""From these columns and rows on there is room for more."""
STATE_STYLES = {
    "running": "bold cyan",
    "paused": "yellow",
    "completed": "green",
    "healthy": "green",
    "assigned": "cyan",
    "failed": "bold red",
    "timed_out": "bold red",
    "unhealthy": "bold red",
    "offline": "bold red",
    "degraded": "yellow",
    "warning": "yellow",
    "cancelled": "dim",
}
TONE_STYLES: Mapping[Tone, str] = {
    "work": "cyan",
    "good": "green",
    "trouble": "bold red",
    "waiting": "yellow",
    "person": "bold magenta",
}


def state_text(state: str) -> Text:
    return Text(plain(state), style=STATE_STYLES.get(state, ""))


class Board:
    """An audience with a screen. Use as an async context manager; it redraws itself in the background."""

    def __init__(self, console: Console, manager: StateManager, run: Assessment) -> None:
        self._console = console
        self._manager = manager
        self._run = run
        self._picture = Picture()
        self._said: deque[tuple[Tone, str]] = deque(maxlen=6)
        self._preview: RollbackPreview | None = None
        self._step: Step | RollBack | None = None
        self._live = Live(console=console, auto_refresh=False, transient=True)
        self._drawing: asyncio.Task[None] | None = None
        self._ended = False

    async def __aenter__(self) -> "Board":
        self._live.start()
        self._drawing = asyncio.create_task(self._redraw())
        return self

    async def __aexit__(self, *_: object) -> None:
        """A flag besides the cancellation, and a bound: no library in between may keep the demo from its end."""
        self._ended = True
        if self._drawing is not None:
            self._drawing.cancel()
            await asyncio.wait({self._drawing}, timeout=LAST_PICTURE_SECONDS)
            if self._drawing.done() and not self._drawing.cancelled():
                self._drawing.exception()  # looked at: what broke the board at its end is nobody's loss
        self._live.stop()

    def tell(self, step: Step | RollBack, says: str) -> None:
        """A sentence on the same step that begins alike takes the place of the one before."""
        if self._step is step and self._said and says.startswith(self._said[-1][1]):
            self._said.pop()
        self._step = step
        self._said.append((step.tone, says))

    def show_difference(self, preview: RollbackPreview | None) -> None:
        self._preview = preview

    async def pause(self, seconds: float) -> None:
        await asyncio.sleep(seconds)
        if self._drawing is not None and self._drawing.done():
            self._drawing.result()  # what broke the board ends the demo

    async def _redraw(self) -> None:
        while not self._ended:
            self._picture = await take_picture(self._manager, self._run)
            self._live.update(self.render(), refresh=True)
            await asyncio.sleep(REFRESH_SECONDS)

    def render(self) -> RenderableType:
        size = self._console.size
        wide, high = size.width >= WIDE, size.height >= HIGH
        middle = (
            difference_panel(self._preview, self._run, room=6)
            if self._preview is not None
            else Group(agents_table(self._picture, wide), pool_line(self._picture.pool, size.width))
        )
        blank: tuple[RenderableType, ...] = (Text(),) if high else ()
        return Group(
            headline(self._picture, self._run),
            progress_line(self._picture.workflow, size.width),
            *blank,
            tasks_table(self._picture, self._run, wide),
            *blank,
            middle,
            *blank,
            Rule("what happens", style="dim", align="left"),
            *self._sentences(6 if high else 1),
        )

    def _sentences(self, room: int) -> list[Text]:
        """The last ones; the one that is going on is last and stands out."""
        shown = list(self._said)[-room:]
        earlier = [Text(says, style="dim", overflow="ellipsis", no_wrap=True) for _, says in shown[:-1]]
        current = [Text(says, style=TONE_STYLES[tone]) for tone, says in shown[-1:]]
        return [*earlier, *current]


def headline(picture: Picture, run: Assessment) -> Text:
    line = Text("DORA compliance assessment", style="bold")
    line.append(f"  {run.workflow_id}  ", style="dim")
    if picture.workflow is not None:
        line.append(state_text(picture.workflow["state"]))
        line.append(f"  version {picture.workflow['stream_version']}", style="dim")
    line.no_wrap = True
    return line


def progress_line(workflow: Document | None, width: int) -> RenderableType:
    metrics = workflow["metrics"] if workflow else {}
    done, total = metrics.get("completed_tasks", 0), metrics.get("total_tasks", 0)
    pending = workflow["dependencies"]["pending"] if workflow else ()
    waits = Text(f"  waits for {', '.join(pending)}" if pending else "", style="yellow", no_wrap=True)
    line = Table.grid(padding=(0, 1))
    percentage = metrics.get("progress_percentage", 0.0)
    line.add_row(bar(percentage, max(width - 67, 12)), Text(f"{done} of {total} tasks done"), waits)
    return line


def tasks_table(picture: Picture, run: Assessment, wide: bool) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), expand=wide, header_style="dim")
    for name, width in (("task", 20), ("state", 9), ("agent", 19), ("progress", 10)):
        table.add_column(name, width=width, no_wrap=True)
    table.add_column("started", width=8, no_wrap=True)
    table.add_column("took", width=6, justify="right", no_wrap=True)
    if wide:
        table.add_column("now", ratio=1, no_wrap=True, overflow="ellipsis")
    for part in TASKS:
        cells = task_cells(part, picture, run)
        table.add_row(*(cells if wide else cells[:-1]))
    return table


def task_cells(part: TaskPart, picture: Picture, run: Assessment) -> tuple[RenderableType, ...]:
    task = picture.tasks.get(part.name)
    if task is None:
        return (Text(part.title, style="dim"), *("" for _ in range(6)))
    agent = (task["assigned_agent"] or {}).get("agent_id", "")
    percentage = task["progress"]["percentage"]
    progress = Table.grid(padding=(0, 1, 0, 0))
    progress.add_row(bar(percentage, 5), Text(f"{percentage:.0f}%", style="" if percentage else "dim"))
    return (
        Text(part.title),
        state_text(task["state"]),
        Text(agent),
        progress,
        Text(clock(task["started_at"]), style="dim"),
        took(task["started_at"], task["ended_at"], picture.taken_at),
        task_note(task, run),
    )


def task_note(task: Document, run: Assessment) -> Text:
    """What a person wants to know of a task in its state: its phase, its error, what it waits for."""
    attempt = task["retry_info"]["attempt"]
    again = f", attempt {attempt}" if attempt > 1 else ""
    if task["state"] == "failed":
        return Text(task["retry_info"]["last_error"] or "", style="red")
    if task["state"] == "running":
        return Text(f"{task['progress']['current_phase'] or 'at work'}{again}", style="cyan")
    if task["state"] == "completed":
        return Text(outputs_text(task["outputs"]), style="dim")
    blocked = [run.short(name) for name in task["dependencies"]["blocked_by"]]
    waits_for = f"{len(blocked)} others" if len(blocked) > 1 else "".join(blocked)
    return Text(f"after {waits_for}", style="yellow") if blocked else Text("ready", style="dim")


def outputs_text(outputs: Document) -> str:
    shown = (f"{plain(key)} {value}" for key, value in outputs.items() if not isinstance(value, list | dict))
    return ", ".join(shown)


def agents_table(picture: Picture, wide: bool) -> Table:
    table = Table(box=None, padding=(0, 1, 0, 0), header_style="dim")
    table.add_column("agent", width=20, no_wrap=True)
    table.add_column("health", width=9, no_wrap=True)
    table.add_column("slots in use", width=19, no_wrap=True)
    for name, width in (("cpu", 6), ("memory", 6), ("done", 5), ("failed", 6)):
        table.add_column(name, width=width, justify="right", no_wrap=True)
    if wide:
        table.add_column("last heartbeat", width=15, justify="right", no_wrap=True)
    for part in AGENTS:
        agent = picture.agents.get(part.agent_id)
        if agent is None:
            table.add_row(Text(part.agent_id, style="dim"))
            continue
        used, slots = agent["capacity"]["current_tasks"], agent["capacity"]["max_concurrent_tasks"]
        usage, record = agent["resource_usage"], agent["performance_metrics"]
        offline = agent["state"] == "offline"
        slot_cells = Table.grid(padding=(0, 1, 0, 0))
        slot_cells.add_row(bar(100 * used / slots, 4 * slots), Text(f"{used} of {slots}"))
        table.add_row(
            part.agent_id,
            state_text(agent["state"]),
            slot_cells,
            percent_text(None if offline else usage["cpu_percent"]),
            percent_text(None if offline else usage["memory_percent"]),
            str(record["tasks_completed"]),
            Text(str(record["error_count"]), style="red" if record["error_count"] else ""),
            *((Text(clock(agent["last_heartbeat"]), style="dim"),) if wide else ()),
        )
    return table


def percent_text(value: float | None) -> Text:
    return Text("" if value is None else f"{value:.0f} %", style="yellow" if value and value > 85 else "")


def pool_line(pool: Document | None, width: int) -> RenderableType:
    if pool is None:
        return Text(POOL_ID, style="dim")
    line = Table.grid(padding=(0, 1, 0, 0))
    cells: list[RenderableType] = [Text(POOL_ID, style="bold")]
    for kind in ("cpu", "memory"):
        used = pool["utilization_metrics"][f"{kind}_utilization"]
        cells += [kind, bar(used, 20 if width >= WIDE else 8), Text(f"{used:3.0f} %")]
    held = len(pool["reservations"])
    line.add_row(*cells, Text(f"{held} reservation{'' if held == 1 else 's'}", no_wrap=True))
    return line


def bar(percentage: float, width: int) -> ProgressBar:
    return ProgressBar(total=100, completed=percentage, width=width, finished_style="green", complete_style="cyan")


def difference_panel(preview: RollbackPreview, run: Assessment, room: int) -> Panel:
    """The most telling lines of a difference, and how many more there are."""
    total = len(preview.lines) + len(preview.effects)
    telling = [line for line in preview.lines if not line.startswith("metrics") and "_time: " not in line]
    shown = telling[: room - 1]
    text = Text("\n".join(run.short(line) for line in shown), no_wrap=True, overflow="ellipsis")
    if total > len(shown):
        text.append(f"\nand {total - len(shown)} more", style="dim")
    return Panel(text, title="dry run of the rollback", title_align="left", border_style="magenta", box=box.ROUNDED)
