"""A timeline as one page of HTML that needs nothing from elsewhere: no scripts, no fonts, no pictures.

What is drawn is told in a table, too: colours are not for everybody, and hovering is not for phones.
"""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from html import escape

from projections.timelines import Row, Segment, Timeline

WIDTH, NAME, ENDING = 1100, 220, 100
"""Of the drawing; of what stands to the left and to the right of the bars."""
BAR, GAP, TOP, BOTTOM, LANES = 18, 6, 64, 28, 2
LETTER = 6.6
"""How wide a letter of the drawing is, on average."""
COLOURS = ("#1f6bc4", "#ad4288", "#23794a", "#96600f", "#6a5cc8", "#177272", "#75652a", "#646c79")
"""Of agents: white on them, and they on white and on black, can be told apart."""
BAD = {"failed": "bad", "timed_out": "bad", "cancelled": "off"}
_STEPS = [
    *(timedelta(microseconds=number * 10**power) for power in range(6) for number in (1, 2, 5)),
    *(timedelta(seconds=number) for number in (1, 2, 5, 10, 15, 30)),
    *(timedelta(minutes=number) for number in (1, 2, 5, 10, 15, 30)),
    *(timedelta(hours=number) for number in (1, 2, 3, 6, 12)),
    *(timedelta(days=number) for number in (1, 2, 7, 14, 30, 91, 365, 3650, 36500)),
]
_MOST_TICKS = 7
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_LIGHT = "--ink:#1c2733;--soft:#4a5663;--paper:#fff;--grid:#e1e5ea;--waiting:#eceff2;--edge:#75808c;--assigned:#b4bec9"
_DARK = (
    "--ink:#e6eaee;--soft:#aab4be;--paper:#14191f;--grid:#2b333c;--waiting:#242c35;--edge:#8a95a1;--assigned:#566370"
)
_STYLE = (
    f":root{{color-scheme:light dark;{_LIGHT};--bad:#b3261e;--off:#5f6873}}"
    f"@media(prefers-color-scheme:dark){{:root{{{_DARK};--bad:#ff8a80;--off:#a5aeb8}}}}"
    "body{font:14px/1.4 system-ui,sans-serif;margin:24px;color:var(--ink);background:var(--paper)}"
    "h1{font-size:20px;margin:0 0 4px;overflow-wrap:anywhere}p{margin:4px 0 12px;color:var(--soft)}"
    ".drawing{overflow-x:auto}svg{width:100%;min-width:1000px;max-width:1600px;height:auto;display:block}"
    "svg text{font:12px system-ui,sans-serif;fill:var(--ink)}svg .soft{fill:var(--soft)}"
    "svg .in{fill:#fff;font-size:11px}"
    "svg .bad{fill:var(--bad)}svg .off{fill:var(--off)}.grid{stroke:var(--grid)}"
    ".mark{stroke:var(--edge);stroke-dasharray:2 3}.end{stroke:var(--edge);stroke-width:2}"
    ".cut{stroke:var(--bad);stroke-width:2}"
    ".waiting{fill:var(--waiting);stroke:var(--edge)}.assigned{fill:var(--assigned);stroke:var(--edge)}"
    ".key{list-style:none;display:flex;flex-wrap:wrap;gap:4px 16px;margin:0 0 12px;padding:0;color:var(--soft)}"
    ".key svg{width:12px;min-width:12px;height:12px;display:inline-block;margin-right:6px;vertical-align:-1px}"
    "table{border-collapse:collapse;margin:8px 0}th,td{text-align:left;padding:2px 16px 2px 0;overflow-wrap:anywhere}"
    "td{border-top:1px solid var(--grid);font-variant-numeric:tabular-nums}"
)


def page(timeline: Timeline) -> str:
    """Everything in it that came from outside is escaped."""
    agents = list(dict.fromkeys(agent for row in timeline.rows for agent in row.agents))
    colours = {agent: COLOURS[place % len(COLOURS)] for place, agent in enumerate(agents)}
    title = escape(f"{timeline.kind.capitalize()} {timeline.id}")
    omitted = f"<p>{timeline.omitted} earlier tasks are left out.</p>" if timeline.omitted else ""
    marks = ", ".join(f"{escape(mark.text)} {_when(mark.at)}" for mark in timeline.marks)
    return (
        '<!doctype html><html lang="en"><head><meta charset="utf-8">'
        f'<meta name="viewport" content="width=device-width"><title>{title}</title>'
        f"<style>{_STYLE}</style></head><body><h1>{title}</h1>"
        f"<p>{_when(timeline.begin)} to {timeline.upto} at {_when(timeline.end)}</p>"
        f"{_key(colours)}{omitted}"
        '<div class="drawing" tabindex="0" role="group" aria-label="The timeline, drawn">'
        f"{_drawing(timeline, colours)}</div>"
        f"{f'<p>{marks}</p>' if marks else ''}{_table(timeline)}</body></html>\n"
    )


def _key(colours: dict[str, str]) -> str:
    """With more agents than colours, some share one."""
    names: dict[str, list[str]] = {}
    for agent, colour in colours.items():
        names.setdefault(f'fill="{colour}"', []).append(agent)
    shown = {'class="waiting"': ["waiting"], 'class="assigned"': ["assigned"], **names}
    return (
        '<ul class="key">'
        + "".join(
            '<li><svg viewBox="0 0 12 12" aria-hidden="true">'
            f'<rect x=".5" y=".5" width="11" height="11" rx="2" {look}/>'
            f"</svg>{escape(', '.join(some))}</li>"
            for look, some in shown.items()
        )
        + "</ul>"
    )


def _drawing(timeline: Timeline, colours: dict[str, str]) -> str:
    height = TOP + len(timeline.rows) * (BAR + GAP) + BOTTOM
    when = f"{_when(timeline.begin)} to {_when(timeline.end)}"
    told = f"{len(timeline.rows)} tasks from {when}; the table below tells the same"
    parts = [f'<svg role="img" aria-label="{told}" viewBox="0 0 {WIDTH} {height}">']
    for at, text in _ticks(timeline):
        x = _x(timeline, at)
        parts.append(_line(x, height, "grid", text))
        parts += [_text(x, y, text, "soft", "middle") for y in (TOP - 12, height - 8)]
    for place, row in enumerate(timeline.rows):
        parts += _row(timeline, row, TOP + place * (BAR + GAP), colours)
    parts += _marks(timeline, height)
    look = "cut" if timeline.upto == "the cut" else "end"
    parts.append(_line(_x(timeline, timeline.end), height, look, f"{timeline.upto}, {_when(timeline.end)}"))
    parts.append("</svg>")
    return "".join(parts)


def _marks(timeline: Timeline, height: int) -> Iterator[str]:
    """Each with a line; its name where there is room for it. All are told below."""
    taken = [0.0] * LANES
    for mark in timeline.marks:
        x = _x(timeline, mark.at)
        yield _line(x, height, "mark", f"{mark.text} {_when(mark.at)}")
        width = len(mark.text) * LETTER
        begin = min(x + 3, WIDTH - width)
        lane = next((lane for lane in range(LANES) if taken[lane] <= begin), None)
        if lane is not None:
            taken[lane] = begin + width + 4
            yield _text(begin, 14 + 16 * lane, mark.text, "soft")


def _row(timeline: Timeline, row: Row, y: int, colours: dict[str, str]) -> Iterator[str]:
    yield _text(0, y + 13, _short(row.task_id, NAME - 10), title=row.task_id)
    for segment in row.segments:
        begin, end = _x(timeline, segment.begin), _x(timeline, segment.end or timeline.end)
        width = max(end - begin, 1.5)
        yield _box(begin, y, width, _look(segment, colours), _told(row, segment))
        agent = segment.agent or ""
        if segment.state == "running" and agent and len(agent) * LETTER + 8 <= width:
            yield _text(begin + 5, y + 13, agent, "in")
    ended = [segment.end for segment in row.segments if segment.end is not None]
    if row.state in BAD and ended:
        yield _box(_x(timeline, max(ended)), y, 4, f'class="{BAD[row.state]}"', row.state)
    yield _text(WIDTH - ENDING + 10, y + 13, row.state, BAD.get(row.state, ""))


def _look(segment: Segment, colours: dict[str, str]) -> str:
    if segment.state == "running":
        return f'fill="{colours.get(segment.agent or "", COLOURS[0])}"'
    return 'class="assigned"' if segment.state == "assigned" else 'class="waiting"'


def _told(row: Row, segment: Segment) -> str:
    agent = f" with {segment.agent}" if segment.agent else ""
    until = _when(segment.end) if segment.end else "then"
    return f"{row.task_id} {segment.state}{agent}, {_when(segment.begin)} to {until}"


def _table(timeline: Timeline) -> str:
    rows = []
    for row in timeline.rows:
        for segment in row.segments:
            until = _when(segment.end) if segment.end else ""
            cells = (row.task_id, segment.state, segment.agent or "", _when(segment.begin), until)
            rows.append("<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in cells) + "</tr>")
        if row.state and (not row.segments or row.segments[-1].end is not None):
            end = _when(row.segments[-1].end) if row.segments and row.segments[-1].end else ""
            rows.append(
                f"<tr><td>{escape(row.task_id)}</td><td>{escape(row.state)}</td><td></td><td>{end}</td><td></td></tr>"
            )
    head = "".join(f'<th scope="col">{name}</th>' for name in ("Task", "State", "Agent", "From", "To"))
    return f"<details><summary>As a table</summary><table><tr>{head}</tr>{''.join(rows)}</table></details>"


def _ticks(timeline: Timeline) -> Iterator[tuple[datetime, str]]:
    """Round moments, some of them, in UTC; with their days where there is more than one."""
    span = timeline.end - timeline.begin
    step = next((one for one in _STEPS if span / one <= _MOST_TICKS), None)
    if not span or step is None:
        return
    one_day = timeline.begin.date() == timeline.end.date()
    number = (timeline.begin - _EPOCH) // step + 1
    while (at := _EPOCH + number * step) < timeline.end:
        if step >= timedelta(days=1):
            yield at, f"{at:%Y-%m-%d}"
        else:
            time = f"{at:%H:%M}" if step >= timedelta(minutes=1) else f"{at:%H:%M:%S}"
            if step < timedelta(seconds=1):
                time = f"{at:%H:%M:%S.%f}".rstrip("0")
            yield at, time if one_day else f"{at:%m-%d} {time}"
        number += 1


def _line(x: float, height: int, look: str, title: str) -> str:
    """From top to bottom."""
    ends = f'x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 6}" y2="{height - BOTTOM + 6}"'
    return f'<line {ends} class="{look}"><title>{escape(title)}</title></line>'


def _text(x: float, y: int, text: str, look: str = "", anchor: str = "start", title: str | None = None) -> str:
    told = "" if title is None else f"<title>{escape(title)}</title>"
    style = f' class="{look}"' if look else ""
    return f'<text x="{x:.1f}" y="{y}" text-anchor="{anchor}"{style}>{escape(text)}{told}</text>'


def _box(x: float, y: int, width: float, look: str, title: str) -> str:
    size = f'x="{x:.1f}" y="{y}" width="{width:.1f}" height="{BAR}" rx="2"'
    return f"<rect {size} {look}><title>{escape(title)}</title></rect>"


def _short(text: str, width: float) -> str:
    """Its beginning and its end, as ids often begin alike."""
    most = int(width / LETTER)
    if len(text) <= most:
        return text
    return f"{text[: most - most // 3 - 1]}…{text[-(most // 3) :]}"


def _x(timeline: Timeline, at: datetime) -> float:
    span = timeline.end - timeline.begin
    part = (at - timeline.begin) / span if span else 0.0
    return NAME + min(max(part, 0.0), 1.0) * (WIDTH - NAME - ENDING)


def _when(at: datetime) -> str:
    return at.isoformat(sep=" ", timespec="seconds").removesuffix("+00:00") + "Z"
