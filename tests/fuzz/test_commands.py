"""Whatever comes in, the edge says InvalidInput or gives an envelope that can be decided and stored."""

import contextlib
import json
from datetime import UTC, datetime
from typing import Any
from uuid import uuid4

from hypothesis import given
from hypothesis import strategies as st

from commands.answers import digest
from commands.edge import Edge
from commands.envelope import Envelope
from commands.messages import COMMANDS
from domain.errors import InvalidInput
from dora_state.testing.commands import any_command, submission
from tests.support.command_world import BEGINNING, World

EDGE = Edge(tenant="bank", new_id=uuid4, clock=lambda: datetime(2030, 1, 1, tzinfo=UTC), default_actor="tester")
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.floats()
    | st.text()
    | st.sampled_from(["4Gx", "2024-01-01T00:00:00"]),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=12,
)
FIELDS = sorted({field for command in COMMANDS.values() for field in command.model_fields})


def check(value: Any) -> Envelope | None:
    with contextlib.suppress(InvalidInput):
        return EDGE.check(value)
    return None


@given(VALUES)
def test_any_value_is_an_envelope_or_invalid(value: Any) -> None:
    check(value)


@given(st.binary() | st.text().map(str.encode) | VALUES.map(lambda value: json.dumps(value).encode()))
def test_any_bytes_are_an_envelope_or_invalid(raw: bytes) -> None:
    with contextlib.suppress(InvalidInput):
        EDGE.parse(raw)


@given(
    st.sampled_from(sorted(COMMANDS)),
    st.dictionaries(st.sampled_from(FIELDS), VALUES),
    st.dictionaries(
        st.sampled_from(["actor", "command_id", "occurred_at", "expected_version", "tenant", "correlation_id"]), VALUES
    ),
)
def test_any_data_of_a_command_is_an_envelope_or_invalid(name: str, data: dict[str, Any], more: dict[str, Any]) -> None:
    envelope = check({**more, "type": name, "data": data})
    if envelope is not None:
        digest(envelope)


@given(st.data())
def test_one_spoilt_field_of_a_good_command_is_an_envelope_that_can_be_decided_or_invalid(data: st.DataObject) -> None:
    command = data.draw(any_command(BEGINNING))
    good = submission(command)
    taken = check(good)
    assert taken is not None
    assert taken.command == command
    field = data.draw(st.sampled_from(sorted(type(command).model_fields)))
    envelope = check(good | {"data": good["data"] | {field: data.draw(VALUES)}})
    if envelope is not None:
        (answer,) = World().commit(envelope)
        assert answer.outcome in ("accepted", "unchanged", "refused")
