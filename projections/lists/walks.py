"""By what a list is sorted, and the walks through an index that make one page of it.

Tasks and workflows have few states and priorities. A page is merged from a walk for each of them, every one of which
begins at its place in an index and takes no more than the page may need: so the first page and the thousandth cost
the same, whatever the filters let through.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from domain.errors import InvalidInput
from domain.text import shown
from domain.values import MAX_ID_LENGTH, Priority
from projections.documents.values import Document
from projections.errors import InvalidPage
from projections.pages import keys_of, mark_time, marked


@dataclass(frozen=True, slots=True)
class Order:
    """`key` is a column that is a time and a key of the documents; `ranks` go before it, by priority, the lowest
    first.
    """

    key: str
    descending: bool
    ranks: Mapping[str, int]

    @property
    def words(self) -> dict[str, str]:
        """For the statement that has places for them."""
        return {
            "key": self.key,
            "direction": "DESC" if self.descending else "ASC",
            "beyond": "<" if self.descending else ">",
        }

    @property
    def start(self) -> str:
        """A moment before all others in this order."""
        return "infinity" if self.descending else "-infinity"

    def rank(self, priority: str) -> int:
        return self.ranks.get(priority, 0)

    def mark(self, asked: str, document: Document, id: str) -> str:
        return marked(asked, str(self.rank(document["priority"])), document[self.key], document[id])


@dataclass(frozen=True, slots=True)
class Place:
    """Where the page before ended."""

    rank: int
    at: str
    id: str


def order_of(what: str, sort: str, keys: Mapping[str, str], weights: Mapping[Priority, int]) -> Order:
    """The order that a name asks for; `-` in front turns it round. Raises InvalidInput."""
    descending = sort.startswith("-")
    name = sort.removeprefix("-")
    if name not in keys:
        raise InvalidInput(
            f"{what} are not sorted by {name[:MAX_ID_LENGTH]!r}: use one of {', '.join(keys)}, or - and one of them for"
            " the other way round.",
            sort=shown(sort),
        )
    ranks: dict[str, int] = {}
    if name == "priority":
        # The heaviest comes first, and last where it is turned round.
        ranks = {priority: weight if descending else -weight for priority, weight in weights.items()}
    return Order(keys[name], descending, ranks)


def place_of(mark: str | None, asked: str) -> Place | None:
    """Raises InvalidPage."""
    keys = keys_of(mark, asked, 3)
    if keys is None:
        return None
    rank, at, id = keys
    try:
        return Place(int(rank), mark_time(at).isoformat(), id)
    except ValueError as error:
        raise InvalidPage(mark=mark) from error


def walks(order: Order, states: Sequence[str], priorities: Sequence[str], place: Place | None) -> dict[str, list[Any]]:
    """One for each state and priority that is not behind the place already, as columns."""
    made = []
    for priority in priorities:
        rank = order.rank(priority)
        if place is not None and rank < place.rank:
            continue
        at, id = (place.at, place.id) if place is not None and rank == place.rank else (order.start, "")
        made += [(state, priority, rank, at, id) for state in states]
    names = ("states", "priorities", "ranks", "from_at", "from_id")
    return {name: [walk[number] for walk in made] for number, name in enumerate(names)}
