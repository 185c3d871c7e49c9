"""The task board: how many tasks there are, in columns by state, agent, definition, priority or workflow; exact."""

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Unpack

from domain.errors import InvalidInput
from domain.text import shown
from projections.lists.asking import PRIORITIES, Asking, checked, chosen
from projections.lists.tasks import FILTERS, STATES, TaskFilter
from projections.pages import DEFAULT_LIMIT, bounded, fingerprint, keys_of, marked
from projections.questions import counted

FACETS = {"agent": "agent_id", "definition": "definition_id", "priority": "priority", "workflow": "workflow_id"}
COLUMNS = ("state", *FACETS)


@dataclass(frozen=True, slots=True)
class Column:
    """`value` is that by which the board is; None for tasks that no agent has. `counts` are by state, those of
    nothing left out.
    """

    value: str | None
    total: int
    counts: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class Board:
    """Some columns, and the mark with which those that follow are asked for. `total` and `counts` are of all."""

    by: str
    columns: list[Column]
    total: int
    counts: Mapping[str, int]
    next: str | None


class Boards(Asking):
    @counted("board")
    async def board(
        self, by: str = "state", *, mark: str | None = None, limit: int = DEFAULT_LIMIT, **only: Unpack[TaskFilter]
    ) -> Board:
        """Columns by state are in the order of a task's life and those by priority the heaviest first, without a mark.

        Others come by their values. By workflow, one of which no task passes the filters is there all the same.

        Raises InvalidInput, and InvalidPage for a mark of something else.
        """
        if by not in COLUMNS:
            asked = shown(by)
            raise InvalidInput(f"There is no board by {asked}; there are boards by {', '.join(COLUMNS)}.", by=asked)
        given = checked(only, FILTERS)
        states = chosen("state", given.get("state"), STATES)
        priority = given.get("priority")
        if priority is not None and not isinstance(priority, str):
            raise InvalidInput("A board is of one priority or of all; give one, or leave it out.")
        chosen("priority", priority, PRIORITIES)
        given["state"] = states
        whole = sum_of(await self._counted("state", given, None, None))
        if by == "state":
            columns = [Column(state, whole[state], {state: whole[state]}) for state in states]
            return Board(by, columns, whole.total(), dict(whole), None)
        if by == "priority":
            found = dict(await self._counted(by, given, None, None))
            columns = [_column(one, found[one]) for one in PRIORITIES if one in found]
            return Board(by, columns, whole.total(), dict(whole), None)
        asked = fingerprint("board", by, given)
        keys = keys_of(mark, asked, 1)
        size = bounded(limit)
        counted = await self._counted(by, given, keys[0] if keys else None, size + 1)
        columns = [_column(value, counts) for value, counts in counted]
        following = marked(asked, columns[size - 1].value or "") if len(columns) > size else None
        return Board(by, columns[:size], whole.total(), dict(whole), following)

    async def _counted(
        self, by: str, given: Mapping[str, Any], mark: str | None, limit: int | None
    ) -> list[tuple[str, dict[str, int]]]:
        """Values with their counts by state, from the smallest table that knows them."""
        facets = {facet: given[column] for facet, column in FACETS.items() if column in given}
        facts = {"states": given["state"], "mark": mark, "limit": limit}
        used = facets.keys() | ({by} - {"state"})
        if len(used) <= 1:
            facet = next(iter(used), "priority")
            rows = await self._store.rows("lists/board_of_facets", facet=facet, value=facets.get(facet), **facts)
        else:
            facts |= {column: given.get(column) for column in FACETS.values()}
            words = {"facet": FACETS["priority" if by == "state" else by]}
            if "workflow" in facets:
                rows = await self._store.rows("lists/board_of_workflow", words, **facts)
            elif by == "workflow":
                rows = await self._store.rows("lists/board_by_workflow", **facts)
            else:
                rows = await self._store.rows("lists/board_of_cells", words, **facts)
        return [(value, in_order(counts or {})) for value, counts in rows]


def _column(value: str, counts: Mapping[str, int]) -> Column:
    return Column(value or None, sum(counts.values()), counts)


def in_order(counts: Mapping[str, int]) -> dict[str, int]:
    return {state: counts[state] for state in STATES if counts.get(state)}


def sum_of(found: Sequence[tuple[str, Mapping[str, int]]]) -> Counter[str]:
    total: Counter[str] = Counter()
    for _, counts in found:
        total.update(counts)
    return Counter(in_order(total))
