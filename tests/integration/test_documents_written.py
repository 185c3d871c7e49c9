"""Documents as they are written: what they are found by, first and last, and the counts of their states beside them."""

from collections import Counter
from collections.abc import AsyncIterator
from decimal import Decimal
from typing import Any

import pytest

from infrastructure.checking import PostgresKept
from infrastructure.read_model_writer import PostgresReadModelWriter
from projections.batch import Batch, RenderedDocument
from projections.documents import RENDERINGS
from tests.support.read_side import ReadSide, read_side
from tests.support.stories import at

Own = tuple[Any, ...]
FOUND_BY: dict[str, tuple[Own, Own]] = {
    "workflow": (
        ("d1", "1", "low", at(1), at(2), at(3), at(4), at(5), at(6)),
        ("d2", "2", "high", at(11), at(12), None, at(14), None, at(16)),
    ),
    "task": (
        ("w1", "d1", "a1", "low", at(1), at(2), at(3), at(4), at(5), at(6)),
        ("w2", "d2", None, "high", at(11), None, at(13), at(14), None, at(16)),
    ),
    "agent": (("type-1", "node-1", '["c1"]', 1, 2, at(1), at(2)), ("type-2", None, '["c1", "c2"]', 3, 4, at(3), at(4))),
    "pool": ((at(1), *map(Decimal, range(1, 7))), (None, *map(Decimal, range(11, 17)))),
    "system": ((), ()),
}
"""What a document of each kind is found by, and what another is, or the same one later."""


@pytest.fixture
async def side(database_url: str, tenant: str, redis_url: str) -> AsyncIterator[ReadSide]:
    async with read_side(database_url, tenant, redis_url) as side:
        yield side


@pytest.fixture
async def writer(side: ReadSide) -> AsyncIterator[PostgresReadModelWriter]:
    async with side.writing() as writer:
        yield writer


def a_document(kind: str, id: str, position: int, state: str, own: Own) -> RenderedDocument:
    return RenderedDocument(kind, id, position, state, own, b'{"position": %d}' % position)


class Written:
    """Batches, one after the other, of documents that are given."""

    def __init__(self, writer: PostgresReadModelWriter) -> None:
        self._writer = writer
        self._end = 0

    async def __call__(self, *documents: RenderedDocument) -> dict[tuple[str, str], int]:
        """The counts that are left then."""
        start, self._end = self._end, self._end + 10
        batch = Batch(start, self._end, at(self._end), behind=False)
        batch.documents += documents
        return {place: count for place, count in (await self._writer.write(batch)).items() if count}


@pytest.mark.parametrize("kind", list(RENDERINGS))
async def test_it_is_found_by_what_it_says_first_and_last(
    side: ReadSide, writer: PostgresReadModelWriter, kind: str
) -> None:
    written, (before, after) = Written(writer), FOUND_BY[kind]
    names = ", ".join(("id", "position", "state", *RENDERINGS[kind].columns, "document::text"))
    shown = [_shown(kind, own) for own in (before, after)]
    await written(a_document(kind, "x", 1, "s1", before), a_document(kind, "y", 2, "s2", after))
    assert await side.rows(f"SELECT {names} FROM {kind}s ORDER BY id") == [
        ("x", 1, "s1", *shown[0], '{"position": 1}'),
        ("y", 2, "s2", *shown[1], '{"position": 2}'),
    ]
    await written(a_document(kind, "x", 13, "s3", after), a_document(kind, "y", 2, "s4", before))
    assert await side.rows(f"SELECT {names} FROM {kind}s ORDER BY id") == [
        ("x", 13, "s3", *shown[1], '{"position": 13}'),
        ("y", 2, "s2", *shown[1], '{"position": 2}'),
    ], "and nothing older takes the place of what is there"


def _shown(kind: str, own: Own) -> Own:
    """Capabilities come as JSON and are kept as a list."""
    return tuple(["c1", "c2"][: value.count("c")] if str(value).startswith("[") else value for value in own)


async def test_states_are_counted_of_each_kind_by_itself(side: ReadSide, writer: PostgresReadModelWriter) -> None:
    """Of one id in all kinds, and of another that stays as it is."""
    written, there = Written(writer), dict[tuple[str, str], str]()

    def counted() -> dict[tuple[str, str], int]:
        return dict(Counter((kind, state) for (kind, _), state in there.items()))

    def of(kind: str, id: str, position: int, state: str) -> RenderedDocument:
        there[kind, id] = state
        return a_document(kind, id, position, state, FOUND_BY[kind][0])

    assert await written(*(of(kind, id, 1, f"{id}1") for kind in RENDERINGS for id in "xy")) == counted()
    for step, kind in enumerate(RENDERINGS, start=2):
        assert await written(of(kind, "x", step, "x2")) == counted()
        assert await written(of(kind, "x", step + 10, "x2"), of(kind, "y", step, "x2")) == counted()
        for position in (0, step + 10):
            assert await written(a_document(kind, "x", position, "older", FOUND_BY[kind][0])) == counted()
        assert await written(of(kind, "z", step, "x1"), of(kind, "y", step + 20, "y1")) == counted()
    kept = PostgresKept(side.pool)
    assert await kept.miscounted() == []


async def test_tasks_are_counted_by_whatever_they_are_found_by(side: ReadSide, writer: PostgresReadModelWriter) -> None:
    written = Written(writer)

    def task(
        id: str, position: int, state: str, workflow: str, definition: str, agent: str | None, priority: str
    ) -> Any:
        return a_document(
            "task", id, position, state, (workflow, definition, agent, priority, *FOUND_BY["task"][0][4:])
        )

    async def facets() -> dict[tuple[Any, ...], int]:
        rows = await side.rows("SELECT facet, value, state, count FROM task_facets WHERE count <> 0")
        return {tuple(row[:3]): row[3] for row in rows}

    async def cells() -> dict[tuple[Any, ...], int]:
        rows = await side.rows(
            "SELECT agent_id, definition_id, priority, state, count FROM task_cells WHERE count <> 0"
        )
        return {tuple(row[:4]): row[4] for row in rows}

    await written(task("t", 1, "s", "w1", "d1", None, "low"), task("u", 2, "s", "w1", "d2", "a1", "low"))
    expected = {
        ("agent", "", "s"): 1,
        ("agent", "a1", "s"): 1,
        ("definition", "d1", "s"): 1,
        ("definition", "d2", "s"): 1,
        ("priority", "low", "s"): 2,
        ("workflow", "w1", "s"): 2,
    }
    assert await facets() == expected
    assert await cells() == {("", "d1", "low", "s"): 1, ("a1", "d2", "low", "s"): 1}
    of_the_other = [
        ("agent", "a1", "s"),
        ("definition", "d2", "s"),
        ("priority", "low", "s"),
        ("workflow", "w1", "s"),
    ]
    changes = (("e", "w1", "d1", None), ("s", "w2", "d1", None), ("s", "w1", "d3", None), ("s", "w1", "d1", "a2"))
    for step, (state, workflow, definition, agent) in enumerate(changes, start=3):
        for priority in ("low", "high"):
            position = 2 * step + (priority == "high")
            await written(task("t", position, state, workflow, definition, agent, priority))
            of_it = [("agent", agent or ""), ("definition", definition), ("priority", priority), ("workflow", workflow)]
            assert await facets() == dict(Counter([*((*facet, state) for facet in of_it), *of_the_other]))
            assert await cells() == dict(
                Counter([(agent or "", definition, priority, state), ("a1", "d2", "low", "s")])
            )
            for earlier in (1, position):
                await written(task("t", earlier, "older", "older", "older", "older", "low"))
                assert ("workflow", "older", "older") not in await facets()
    assert await PostgresKept(side.pool).miscounted() == []
