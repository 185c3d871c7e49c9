"""Commands that hypothesis draws are taken by every way in, as they were drawn."""

from datetime import UTC, datetime
from uuid import uuid4

from hypothesis import given, settings

from commands.edge import Edge
from commands.messages import Command
from dora_state.testing.commands import any_command, busy_house, submission

NOW = datetime(2030, 1, 1, tzinfo=UTC)
EDGE = Edge(tenant="bank", new_id=uuid4, clock=lambda: NOW, default_actor="tester")


@settings(max_examples=max(500, settings().max_examples))
@given(any_command(NOW))
def test_the_edge_takes_every_command(command: Command) -> None:
    assert EDGE.check(submission(command)).command == command


def test_the_edge_takes_a_busy_house() -> None:
    for command in busy_house():
        assert EDGE.check(submission(command)).command == command
