"""A benchmark's rows: written for programs, printed for people."""

from dataclasses import asdict, dataclass
from pathlib import Path

import orjson
from rich.console import Console
from rich.table import Table

RESULTS = Path(__file__).parent / "results"


@dataclass(frozen=True, slots=True)
class Row:
    """One figure. `against` is the peer's, of the same run; `ratio` is value / against."""

    benchmark: str
    case: str
    metric: str
    value: float
    unit: str
    against: float | None = None
    ratio: float | None = None
    goal: float | None = None
    met: bool | None = None


def report(name: str, rows: list[Row]) -> None:
    """Write `results/latest-NAME.json` and print a table."""
    RESULTS.mkdir(exist_ok=True)
    (RESULTS / f"latest-{name}.json").write_bytes(
        orjson.dumps([asdict(row) for row in rows], option=orjson.OPT_INDENT_2)
    )
    table = Table("benchmark", "case", "metric", "value", "unit", "against", "ratio")
    for row in rows:
        against = "" if row.against is None else f"{row.against:,.0f}"
        ratio = "" if row.ratio is None else f"{row.ratio:.2f}"
        table.add_row(row.benchmark, row.case, row.metric, f"{row.value:,.0f}", row.unit, against, ratio)
    Console().print(table)
