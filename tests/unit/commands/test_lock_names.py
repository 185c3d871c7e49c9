"""A lock is named by the kind and the id of what it is on."""

import pytest

from commands.locks import stream_of
from domain.errors import InvalidInput


@pytest.mark.parametrize(
    ("name", "stream_id"),
    [("workflow:wf-1", "workflow-wf-1"), ("task:a:b", "task-a:b"), ("system:system", "system-system")],
)
def test_a_name_gives_the_stream(name: str, stream_id: str) -> None:
    assert stream_of(name) == stream_id


@pytest.mark.parametrize(
    "name", ["workflow", "workflow:", ":wf", "order:1", "", "workflow: wf", "workflow:" + "x" * 300]
)
def test_what_names_nothing_is_refused_in_a_sentence(name: str) -> None:
    with pytest.raises(InvalidInput, match=r"^There is no lock .*\.$") as caught:
        stream_of(name)
    assert caught.value.facts["lock"] == name[:80]


def test_a_name_is_text() -> None:
    with pytest.raises(InvalidInput, match="must be text"):
        stream_of(7)  # type: ignore[arg-type]  # the name comes from a caller's program
