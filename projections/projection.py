"""The projections: what is kept beside the log under one name, by one runner, and rebuilt as one."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Projection:
    """`version` rises whenever the same events come to give other rows: what an earlier one wrote is then built anew.

    `documents` are the tables of documents by id, `facts` those of rows by the position of the event that they tell of,
    `sums` those that follow from the others whatever the batches were, and `more` whatever else follows from events.
    """

    name: str
    version: int
    documents: tuple[str, ...] = ()
    facts: tuple[str, ...] = ()
    sums: tuple[str, ...] = ()
    more: tuple[str, ...] = ()

    @property
    def tables(self) -> tuple[str, ...]:
        return self.documents + self.facts + self.sums + self.more


STATES = Projection(
    name="states",
    version=1,
    documents=("workflows", "tasks", "agents", "pools", "systems"),
    facts=("attempts", "completions"),
    sums=("counts", "task_facets", "task_cells", "rates", "reservations"),
    more=("kept_counts", "dead_letters"),
)
"""The five documents, ended attempts, counts, rates, and the reservations of all pools."""

ACTIONS = Projection(name="actions", version=1, facts=("actions",))
"""Who asked for what."""

PROJECTIONS = {projection.name: projection for projection in (STATES, ACTIONS)}
