"""The checker finds each kind of forgery, and nothing where all is as promised."""

import dataclasses
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import orjson
import pytest

from commands.envelope import Envelope
from commands.messages import Command
from commands.messages import task as tasks
from commands.messages import workflow as workflows
from domain.log import RecordedEvent
from dora_state.testing.checker import PROMISES, Checker
from dora_state.testing.history import Asked, Followed, Read, Record, Recorder, Told, read_history
from tests.support.command_world import World, add_task, assign, at_once, create_workflow, register_agent


class Story:
    """A short life, its log and its history: what two clients, a follower and a reader wrote down."""

    def __init__(self) -> None:
        self.world = World()
        self.history: list[Record] = []
        self.do(create_workflow())
        self.do(add_task("t"))
        self.do(workflows.StartWorkflow(workflow_id="wf"))
        self.do(register_agent())
        self.do(tasks.ScheduleTask(task_id="t"))
        self.done = self.do(assign("t"), expected={"task-t": 2})
        self.refused = self.do(tasks.CompleteTask(task_id="t"))
        self.do(tasks.StartTask(task_id="t"))
        self.log = list(self.world.log.events)
        self.end = len(self.log)
        for event in self.log:
            self.history.append(Followed("follower", event.position, str(event.event_id)))
        versions = {event.stream_id: event.version for event in self.log} | {"agent-b": 0}
        self.reading = Read("reader", versions, as_of=self.end, min_position=3)
        self.history.append(self.reading)

    def do(self, command: Command, expected: dict[str, int] | None = None) -> str:
        """Asked by two clients, as of one that did not hear the answer."""
        command_id = uuid4()
        envelope = Envelope(command_id, command, "tester", "conversation", expected_version=None)
        self.history.append(Asked("a", str(command_id), type(command).type, expected or {}))
        answer = self.world.commit(envelope)[0]
        told = Told("a", str(command_id), answer.outcome, answer.versions, answer.position)
        self.history += [told, dataclasses.replace(told, client="b")]
        return str(command_id)

    def told(self, command_id: str) -> int:
        """Where the answer to it stands in the history."""
        return next(
            place for place, one in enumerate(self.history) if isinstance(one, Told) and one.command_id == command_id
        )

    def forget(self, command_id: str) -> None:
        """Whoever asked was killed before it was told."""
        self.history = [one for one in self.history if not (isinstance(one, Told) and one.command_id == command_id)]

    def change(self, place: int, **changes: Any) -> None:
        self.log[place] = dataclasses.replace(self.log[place], **changes)

    def retell(self, command_id: str, **changes: Any) -> None:
        place = self.told(command_id)
        self.history[place] = dataclasses.replace(self.history[place], **changes)

    def ask_otherwise(self, command_id: str, expected: dict[str, int]) -> None:
        for place, one in enumerate(self.history):
            if isinstance(one, Asked) and one.command_id == command_id:
                self.history[place] = dataclasses.replace(one, expected=expected)

    def promises_broken(self, others: tuple[str, ...] = ()) -> set[str]:
        async def events() -> AsyncIterator[RecordedEvent]:
            for event in self.log:
                yield event

        found = at_once(Checker(others=others).check(events(), self.history))
        assert all(fault.says.endswith(".") for fault in found)
        return {fault.promise for fault in found}


@pytest.fixture
def story() -> Story:
    return Story()


def test_what_happened_as_promised_is_found_so(story: Story) -> None:
    assert story.promises_broken() == set()
    story.forget(story.done)
    story.forget(story.refused)
    assert story.promises_broken() == set()  # of unknown fate


def test_what_others_do_is_no_invention_of_theirs(story: Story) -> None:
    story.forget(story.done)
    story.history = [one for one in story.history if not isinstance(one, Asked) or one.command_id != story.done]
    assert story.promises_broken() == {"invented"}
    assert story.promises_broken(("tester",)) == set()


def drop_last_command(story: Story) -> None:
    while True:
        event = story.log.pop()
        story.history = [
            one for one in story.history if not (isinstance(one, Followed) and one.position == event.position)
        ]
        if story.log[-1].following == 0:
            break
    story.history.remove(story.reading)


def append_again(story: Story) -> None:
    """The last command once more, as if it had not been known."""
    last = [event for event in story.log if event.metadata == story.log[-1].metadata]
    for event in last:
        versions = [one.version for one in story.log if one.stream_id == event.stream_id]
        twin = dataclasses.replace(event, event_id=uuid4(), position=len(story.log) + 1, version=max(versions) + 1)
        story.log.append(twin)
        story.history.append(Followed("follower", twin.position, str(twin.event_id)))


def of_another_command(story: Story) -> None:
    """An event in the midst of a command that is another's."""
    place = next(place for place, event in enumerate(story.log) if event.following)
    metadata = orjson.loads(story.log[place + 1].metadata) | {"command_id": str(uuid4())}
    story.change(place + 1, metadata=orjson.dumps(metadata))


def cut_within_a_command(story: Story) -> None:
    place = next(place for place, event in enumerate(story.log) if event.following)
    story.history.append(Read("reader", {}, as_of=story.log[place].position))


def start_again(story: Story) -> None:
    """The task starts a second time, which no decision would give."""
    started = next(event for event in story.log if event.type == "TaskCompleted" or event.type == "TaskStarted")
    place = story.log.index(started)
    data = next(event.data for event in story.log if event.type == "TaskScheduled")
    story.change(place, type="TaskScheduled", data=data)


FORGERIES: dict[str, tuple[str, Callable[[Story], None]]] = {
    "an acknowledged command is gone": ("lost", drop_last_command),
    "an answer names another position": ("lost", lambda story: story.retell(story.done, position=1)),
    "an answer names another version": ("lost", lambda story: story.retell(story.done, versions={"task-t": 9})),
    "a command is there twice": ("twice", append_again),
    "two answers differ": (
        "twice",
        lambda story: story.history.append(Told("b", story.refused, "invalid")),
    ),
    "a refused command is in the log": ("invented", lambda story: story.retell(story.done, outcome="refused")),
    "an answer to what nobody asked": ("invented", lambda story: story.history.append(Told("b", "x", "refused"))),
    "a position is left out": ("positions", lambda story: story.change(-1, position=story.end + 1)),
    "a version is left out": ("versions", lambda story: story.change(-1, version=9)),
    "a clock went back": (
        "times",
        lambda story: story.change(3, recorded_at=story.log[3].recorded_at - timedelta(days=1)),
    ),
    "a command is torn": ("divided", of_another_command),
    "a command has no end": ("divided", lambda story: story.change(-1, following=1)),
    "a reader saw half a command": ("divided", cut_within_a_command),
    "a version that was not there was expected": (
        "expected",
        lambda story: story.ask_otherwise(story.done, {"task-t": 7}),
    ),
    "a follower missed an event": ("followers", lambda story: story.history.remove(follower_at(story, 4))),
    "a follower got an event twice": ("followers", lambda story: story.history.append(follower_at(story, 4))),
    "a follower got another event": (
        "followers",
        lambda story: story.history.append(Followed("f2", 1, str(UUID(int=0)))),
    ),
    "a follower stands still": ("followers", lambda story: story.history.remove(follower_at(story, story.end))),
    "a reader saw what was not so": (
        "reads",
        lambda story: story.history.append(Read("r", {"task-t": 1}, as_of=story.end)),
    ),
    "a reader saw what never was": ("reads", lambda story: story.history.append(Read("r", {"task-t": 99}))),
    "a reader missed its own write": (
        "own_writes",
        lambda story: story.history.append(Read("r", {"task-t": 1}, min_position=story.end)),
    ),
    "a reader was shown an earlier moment": (
        "own_writes",
        lambda story: story.history.append(Read("r", {}, as_of=1, min_position=story.end)),
    ),
    "a decision that nobody could take": ("invariants", start_again),
}


def follower_at(story: Story, position: int) -> Followed:
    return next(one for one in story.history if isinstance(one, Followed) and one.position == position)


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forgery_is_caught(story: Story, forgery: str) -> None:
    promise, forge = FORGERIES[forgery]
    forge(story)
    assert promise in story.promises_broken()


def test_each_promise_has_its_forgery() -> None:
    assert {promise for promise, _ in FORGERIES.values()} == PROMISES.keys()


def test_a_history_is_read_as_it_was_written_up_to_where_its_client_was_killed(story: Story, tmp_path: Path) -> None:
    with Recorder(tmp_path / "a") as write:
        write(*story.history[:5])
        write(story.history[5])
    with (tmp_path / "a").open("ab") as file:
        file.write(b'{"record":"to')
    assert list(read_history([tmp_path / "a"])) == story.history[:6]
