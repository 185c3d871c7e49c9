"""A timeline as one page of HTML that needs nothing from elsewhere: no scripts, no fonts, no pictures."""

from datetime import datetime
from html import escape

from projections.timelines import Row, Timeline

WIDTH, NAME, BAR, GAP, TOP = 1100, 220, 18, 6, 40
COLOURS = ("#2a78d6", "#b3458c", "#2f8f5b", "#c07a1f", "#6a5acd", "#a33c32", "#1e8a8a", "#7a6a2a")
WAITING, ASSIGNED = "#d5d9de", "#a9b4c2"
STATES = {"failed": "#a33c32", "timed_out": "#a33c32", "cancelled": "#777777"}
_STYLE = (
    "body{font:14px/1.4 system-ui,sans-serif;margin:24px;color:#1c2733;background:#fff}"
    "svg text{font:12px system-ui,sans-serif;fill:#1c2733}"
    ".dim{fill:#6b7785}h1{font-size:20px;margin:0 0 4px}p{margin:4px 0 16px;color:#4a5663}"
    ".key span{display:inline-block;width:12px;height:12px;margin:0 6px 0 16px;border-radius:2px}"
)


def page(timeline: Timeline) -> str:
    """Everything in it that came from outside is escaped."""
    agents = dict.fromkeys(agent for row in timeline.rows for agent in row.agents)
    colours = {agent: COLOURS[place % len(COLOURS)] for place, agent in enumerate(agents)}
    title = escape(f"{timeline.kind.capitalize()} {timeline.id}")
    key = "".join(
        f'<span style="background:{colour}"></span>{escape(name)}'
        for name, colour in {"waiting": WAITING, "assigned": ASSIGNED, **colours}.items()
    )
    omitted = f"<p>{timeline.omitted} earlier tasks are left out.</p>" if timeline.omitted else ""
    return (
        f'<!doctype html><html lang="en"><head><meta charset="utf-8"><title>{title}</title>'
        f"<style>{_STYLE}</style></head><body><h1>{title}</h1>"
        f"<p>{_when(timeline.begin)} to {timeline.upto} at {_when(timeline.end)}</p>"
        f"{_drawing(timeline, colours)}{omitted}"
        f'<p class="key">{key}</p></body></html>\n'
    )


def _drawing(timeline: Timeline, colours: dict[str, str]) -> str:
    height = TOP + len(timeline.rows) * (BAR + GAP) + 24
    parts = [f'<svg role="img" width="{WIDTH}" height="{height}" viewBox="0 0 {WIDTH} {height}">']
    for place, row in enumerate(timeline.rows):
        parts += _row(timeline, row, TOP + place * (BAR + GAP), colours)
    for mark in timeline.marks:
        x = _x(timeline, mark.at)
        told = f"{mark.text} {_when(mark.at)}"
        parts.append(_line(x, height, 'stroke="#6b7785" stroke-dasharray="2 3"', told))
        parts.append(f'<text class="dim" x="{x + 3:.1f}" y="{TOP - 12}">{escape(mark.text)}</text>')
    stroke = "#a33c32" if timeline.upto == "the cut" else "#6b7785"
    moment = f"{timeline.upto}, {_when(timeline.end)}"
    parts.append(_line(_x(timeline, timeline.end), height, f'stroke="{stroke}" stroke-width="2"', moment))
    parts.append("</svg>")
    return "".join(parts)


def _line(x: float, height: int, stroke: str, title: str) -> str:
    """From top to bottom."""
    ends = f'x1="{x:.1f}" x2="{x:.1f}" y1="{TOP - 8}" y2="{height - 20}"'
    return f"<line {ends} {stroke}><title>{escape(title)}</title></line>"


def _row(timeline: Timeline, row: Row, y: int, colours: dict[str, str]) -> list[str]:
    parts = [f'<text x="0" y="{y + 13}">{escape(row.task_id[:32])}<title>{escape(row.task_id)}</title></text>']
    for segment in row.segments:
        begin, end = _x(timeline, segment.begin), _x(timeline, segment.end or timeline.end)
        colour = ASSIGNED if segment.state == "assigned" else WAITING
        if segment.state == "running":
            colour = colours.get(segment.agent or "", COLOURS[0])
        until = _when(segment.end) if segment.end else "then"
        agent = f" with {segment.agent}" if segment.agent else ""
        told = f"{row.task_id} {segment.state}{agent}, {_when(segment.begin)} to {until}"
        parts.append(_box(begin, y, max(end - begin, 1.5), colour, told))
    ended = [segment.end for segment in row.segments if segment.end is not None]
    if row.state in STATES and ended:
        parts.append(_box(_x(timeline, max(ended)), y, 4, STATES[row.state], row.state))
    return parts


def _box(x: float, y: int, width: float, colour: str, title: str) -> str:
    size = f'x="{x:.1f}" y="{y}" width="{width:.1f}" height="{BAR}" rx="2"'
    return f'<rect {size} fill="{colour}"><title>{escape(title)}</title></rect>'


def _x(timeline: Timeline, at: datetime) -> float:
    span = timeline.end - timeline.begin
    part = (at - timeline.begin) / span if span else 0.0
    return NAME + min(max(part, 0.0), 1.0) * (WIDTH - NAME - 40)


def _when(at: datetime) -> str:
    return at.isoformat(sep=" ", timespec="seconds").removesuffix("+00:00") + "Z"
