"""Every command comes out of another process's hands as it was: its answer is found by what it says."""

from datetime import UTC, datetime
from decimal import Decimal
from uuid import uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commands import answers, transfer
from commands.envelope import Envelope
from commands.messages import Command
from commands.messages.agent import Heartbeat
from commands.messages.pool import ChangePolicies
from dora_state.testing.commands import any_command
from tests.support.command_world import create_workflow

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)
texts = st.text(st.characters(exclude_categories=["Cs"]), min_size=1, max_size=40)


TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
notes = st.none() | st.fixed_dictionaries({"authenticated": texts, "credential": texts})


@given(any_command(NOW), texts, st.none() | texts, st.none() | st.datetimes(timezones=st.just(UTC)), notes)
def test_a_command_is_the_same_after_the_journey(
    command: Command, actor: str, cause: str | None, occurred_at: datetime | None, note: dict[str, object] | None
) -> None:
    trace = TRACEPARENT if note is None else None
    one = Envelope(uuid4(), command, actor, actor[::-1], cause, occurred_at, note=note, traceparent=trace)
    packed = transfer.to_bytes(one)
    if isinstance(command, Heartbeat):
        assert packed is None
        return
    assert packed is not None
    there = transfer.from_bytes(packed)
    assert there == one
    assert answers.digest(there) == answers.digest(one)


def test_a_number_that_json_has_none_for_is_the_same_after_the_journey() -> None:
    one = Envelope(uuid4(), ChangePolicies(pool_id="p", overcommit={"cpu": Decimal("1.10")}), "a", "c")
    packed = transfer.to_bytes(one)
    assert packed is not None
    assert transfer.from_bytes(packed) == one


def test_what_could_not_be_answered_stays() -> None:
    command = create_workflow()
    assert transfer.to_bytes(Envelope(uuid4(), command, "a", "c", expected_version=0)) is None
    shortest = transfer.to_bytes(Envelope(uuid4(), command, "a", "c"))
    assert shortest is not None
    longest = "a" * (transfer.MAX_BYTES - len(shortest) + 1)
    assert len(transfer.to_bytes(Envelope(uuid4(), command, longest, "c")) or b"") == transfer.MAX_BYTES
    assert transfer.to_bytes(Envelope(uuid4(), command, f"{longest}a", "c")) is None


@pytest.mark.parametrize("packed", [b"", b"{", b"[]", b"1", b"null", b"{}", b'{"command_id":1}', b'{"type":"Nothing"}'])
def test_what_is_no_envelope_is_said_to_be_none(packed: bytes) -> None:
    with pytest.raises(ValueError, match=r"\w"):
        transfer.from_bytes(packed)
