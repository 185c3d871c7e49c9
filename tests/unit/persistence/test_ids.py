"""Originator ids become stream ids and come back."""

from uuid import UUID, uuid4

import pytest
from eventsourcing.persistence import DataError
from hypothesis import given
from hypothesis import strategies as st

from infrastructure.persistence.ids import originator_id, stream_id


@given(st.uuids() | st.text())
def test_an_id_comes_back_as_it_was(given_id: UUID | str) -> None:
    again = originator_id(stream_id(given_id))

    assert again == given_id
    assert type(again) is type(given_id)


def test_a_uuid_is_another_originator_than_its_text() -> None:
    one = uuid4()

    assert stream_id(one) != stream_id(str(one))


def test_what_is_no_id_is_refused() -> None:
    with pytest.raises(DataError, match="1 is no originator id"):
        stream_id(1)  # type: ignore[arg-type]
    with pytest.raises(DataError, match="task-1 is none of an eventsourcing application's"):
        originator_id("task-1")
