"""Lists of documents that are large: a page ends before it is too much to be made, and nothing is left out."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from domain.workflow import WorkflowCreated
from projections.pages import Page
from projections.ports import StoredDocument
from tests.support.read_side import ReadSide, read_side
from tests.support.stories import at

MANY = 40
LARGE = 1_000_000


@pytest.fixture
async def side(database_url: str, tenant: str, redis_url: str) -> AsyncIterator[ReadSide]:
    async with read_side(database_url, tenant, redis_url) as side:
        for number in range(MANY):
            event = WorkflowCreated(
                at=at(number),
                workflow_id=f"w{number:02}",
                definition_id="d",
                definition_version="1",
                context={"text": "x" * LARGE},
            )
            side.log.tell((f"workflow-w{number:02}", event))
        await side.project()
        yield side


@pytest.mark.parametrize("sort", ["created", "id"])
async def test_a_page_ends_at_its_bytes_and_the_next_goes_on_from_there(side: ReadSide, sort: str) -> None:
    pages: list[Page] = []
    mark: str | None = None
    while not pages or mark is not None:
        pages.append(await side.lists().workflows(sort=sort, mark=mark, limit=1_000))
        mark = pages[-1].next
    assert [document["workflow_id"] for page in pages for document in page.items] == [f"w{n:02}" for n in range(MANY)]
    assert [len(page.items) for page in pages] == [16, 16, 8]


async def test_no_more_is_taken_from_the_database_than_one_beyond_the_page(
    side: ReadSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    documents, taken = side.store.documents, []

    async def counted(*asked: Any, **facts: Any) -> list[StoredDocument]:
        found = await documents(*asked, **facts)
        taken.append(len(found))
        return found

    monkeypatch.setattr(side.store, "documents", counted)
    await side.lists().workflows(limit=1_000)
    assert taken == [17]


async def test_a_page_of_few_is_whole_whatever_they_hold(side: ReadSide) -> None:
    page = await side.lists().workflows(sort="created", limit=3)
    assert [document["workflow_id"] for document in page.items] == ["w00", "w01", "w02"]
    assert page.next is not None
