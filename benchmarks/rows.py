"""A benchmark's rows: written for programs, printed for people."""

import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import orjson
from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. `against` is the peer's, of the same run; `ratio` is value / against.

    `goal` is what the ratio must reach (or stay below, where less is better), the value itself where there is no
    `against`; `met` says whether it did.
    """

    benchmark: str
    case: str
    metric: str
    value: float
    unit: str
    against: float | None = None
    ratio: float | None = None
    goal: float | None = None
    met: bool | None = None


def row(
    benchmark: str,
    case: str,
    metric: str,
    unit: str,
    values: Sequence[float],
    against: Sequence[float] = (),
    *,
    at_least: float | None = None,
    at_most: float | None = None,
) -> Row:
    """Medians of the rounds, held against a goal."""
    value = statistics.median(values)
    peer = statistics.median(against) if against else None
    ratio = value / peer if peer else None
    judged = ratio if ratio is not None else value
    goal = at_least if at_least is not None else at_most
    met = None if goal is None else judged >= goal if at_least is not None else judged <= goal
    return Row(benchmark, case, metric, value, unit, peer, None if ratio is None else round(ratio, 3), goal, met)


def report(name: str, rows: list[Row]) -> None:
    """Write `results/latest-NAME.json` and print a table."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"latest-{name}.json").write_bytes(
        orjson.dumps([asdict(row) for row in rows], option=orjson.OPT_INDENT_2)
    )
    table = Table("case", "metric", "value", "unit", "against", "ratio", "goal", "met", title=name)
    for one in rows:
        table.add_row(
            one.case,
            one.metric,
            _shown(one.value),
            one.unit,
            _shown(one.against),
            _shown(one.ratio),
            _shown(one.goal),
            "" if one.met is None else "yes" if one.met else "NO",
        )
    console = Console()
    # A pipe has no width of its own.
    (console if console.is_terminal else Console(width=150)).print(table)


def _shown(figure: float | None) -> str:
    return "" if figure is None else f"{figure:,.0f}" if figure >= 100 else f"{figure:.2f}"
