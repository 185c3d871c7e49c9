"""What happens to commands besides what they ask for: they come again, name versions, and meet another process."""

from dataclasses import replace
from uuid import uuid4

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, precondition, rule

from commands.envelope import Envelope
from commands.messages import Command, agent, pool, workflow
from commands.messages.transaction import Transaction
from dora_state.testing.commands import any_command
from tests.support.command_world import envelope
from tests.support.invariants import check_world
from tests.support.model_agreement import ModelledWorld
from tests.support.time_travel import keep_snapshots

NOT_REPEATABLE = (pool.Reserve, workflow.RollBackWorkflow)
"""A reservation is a new one each time; a rollback takes slots and time limits afresh."""
off = st.sampled_from([0, 0, 0, -1, 1])
"""By how much a version is wrong."""


class Again(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self.world = ModelledWorld(cache_size=6)  # small, so that aggregates are loaded again and again
        self.sent: list[Envelope] = []

    def do(self, command: Command, expected: int | None = None) -> None:
        """Do it, ask the same id again, and do it once more under a new id."""
        given = envelope(command, expected=expected)
        (answer,) = self.world.commit(given)
        assert answer.outcome in ("accepted", "unchanged", "refused", "conflict"), answer
        check_world(self.world)
        if isinstance(command, agent.Heartbeat) or answer.outcome == "conflict":
            return
        self.sent.append(given)
        before = self.world.everything()
        (again,) = self.world.commit(given)
        assert again == replace(answer, repeated=True)
        if not isinstance(command, NOT_REPEATABLE):
            (another,) = self.world.commit(replace(given, command_id=uuid4(), expected_version=None))
            assert another.outcome in ("unchanged", "refused")
        assert self.world.everything() == before

    @rule(data=st.data(), wrong=off)
    def anything_that_names_a_version(self, data: st.DataObject, wrong: int) -> None:
        command = data.draw(any_command(self.world.clock()))
        if not isinstance(command, agent.Heartbeat):
            self.do(command, max(self.world.house.version(command.stream_id) + wrong, 0))

    @rule(data=st.data(), wrong=off, others=st.lists(st.sampled_from(["task-t1", "agent-a1", "pool-p2"]), unique=True))
    def several_that_name_versions(self, data: st.DataObject, wrong: int, others: list[str]) -> None:
        commands = [data.draw(any_command(self.world.clock())) for _ in range(2)]
        told = tuple(one for one in commands if not isinstance(one, agent.Heartbeat))
        if told:
            expected = {one: max(self.world.house.version(one) + wrong, 0) for one in others}
            self.world.commit(envelope(Transaction(commands=told, expected=expected)))

    @precondition(lambda self: bool(self.sent))
    @rule(which=st.integers(0, 30))
    def an_old_command_comes_again(self, which: int) -> None:
        (answer,) = self.world.commit(self.sent[-1 - which % len(self.sent)])
        assert answer.repeated

    @precondition(lambda self: bool(self.sent))
    @rule(data=st.data(), which=st.integers(0, 30))
    def an_old_id_comes_with_another_command(self, data: st.DataObject, which: int) -> None:
        before, command = self.sent[-1 - which % len(self.sent)], data.draw(any_command(self.world.clock()))
        if command != before.command and not isinstance(command, agent.Heartbeat):
            (answer,) = self.world.commit(replace(before, command=command))
            assert answer.problem is not None
            assert (answer.outcome, answer.problem.code) == ("invalid", "command_id_reused")

    @rule()
    def another_process_goes_on(self) -> None:
        """It knows what there was when it last wrote."""
        self.world.change_places()

    @rule(spacing=st.sampled_from([1, 3]))
    def snapshots_are_taken(self, spacing: int) -> None:
        keep_snapshots(self.world.log, spacing)

    @rule()
    def snapshots_are_deleted(self) -> None:
        self.world.log.snapshots.clear()
