"""A short life that was told as it was, for tests of the checker to forge."""

import dataclasses
import re
from collections.abc import AsyncIterator, Callable, Container, Iterator
from typing import Any
from uuid import uuid4

import orjson

from commands.envelope import Envelope
from commands.messages import Command
from commands.messages import task as tasks
from commands.messages import workflow as workflows
from domain.folding import FOLDER
from domain.log import RecordedEvent, Stretch
from dora_state.testing.checker import Checker, Fault
from dora_state.testing.contents import content, recorded_content
from dora_state.testing.history import Asked, Began, Followed, Read, Record, Told
from projections.documents import RENDERINGS
from projections.documents.values import decode
from tests.support.command_world import World, add_task, assign, at_once, create_workflow, register_agent


def followed(follower: str, event: RecordedEvent) -> Followed:
    return Followed(follower, event.position, str(event.event_id), recorded_content(event))


class Story:
    """A short life, its log and its history: what two clients, a follower and a reader wrote down."""

    def __init__(self) -> None:
        self.world = World()
        self.history: list[Record] = []
        self.followed_to: int | None = None
        self.do(create_workflow())
        self.do(add_task("t"))
        self.do(workflows.StartWorkflow(workflow_id="wf"))
        self.do(register_agent())
        self.scheduled = self.do(tasks.ScheduleTask(task_id="t"), expected={"agent-agent": 1, "task-t": 1})
        self.done = self.do(assign("t"), expected={"task-t": 2})
        self.refused = self.do(tasks.CompleteTask(task_id="t"))
        self.do(tasks.StartTask(task_id="t"))
        self.log = list(self.world.log.events)
        self.end = len(self.log)
        self.history.append(Began("follower"))
        for event in self.log:
            self.history.append(followed("follower", event))
        versions = {event.stream_id: event.version for event in self.log} | {"agent-b": 0}
        self.reading = Read("reader", versions, as_of=self.end, min_position=3, contents=dict(self.contents()))
        self.history.append(self.reading)

    def contents(self) -> Iterator[tuple[str, str]]:
        """Of what there is in the end, as documents."""
        for stream_id in dict.fromkeys(event.stream_id for event in self.log):
            stream = [event for event in self.log if event.stream_id == stream_id]
            kind, last = stream_id.partition("-")[0], stream[-1]
            events = [(event.type, event.schema_version, event.data) for event in stream]
            state = FOLDER.go_on(stream_id, Stretch(None, events, None)).state
            body = RENDERINGS[kind].render(state, last.version, last.position, last.recorded_at)
            yield stream_id, content(kind, decode(body))

    def do(self, command: Command, expected: dict[str, int] | None = None) -> str:
        """Asked by two clients, as of one that did not hear the answer."""
        command_id = uuid4()
        envelope = Envelope(command_id, command, "tester", "conversation", expected_version=None)
        self.history.append(Asked("a", str(command_id), type(command).type, expected or {}, actor="tester"))
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

    def command_ids(self) -> set[str]:
        """Those of the history and of the log."""
        told = (orjson.loads(event.metadata) for event in self.log if event.metadata.startswith(b'{"'))
        return {one.command_id for one in self.history if isinstance(one, Asked | Told)} | {
            metadata["command_id"] for metadata in told
        }

    def asked(self, command_id: str) -> Asked:
        return next(one for one in self.history if isinstance(one, Asked) and one.command_id == command_id)

    def change(self, place: int, **changes: Any) -> None:
        self.log[place] = dataclasses.replace(self.log[place], **changes)

    def retell(self, command_id: str, **changes: Any) -> None:
        place = self.told(command_id)
        self.history[place] = dataclasses.replace(self.history[place], **changes)

    def ask_otherwise(self, command_id: str, expected: dict[str, int]) -> None:
        for place, one in enumerate(self.history):
            if isinstance(one, Asked) and one.command_id == command_id:
                self.history[place] = dataclasses.replace(one, expected=expected)

    async def events(self) -> AsyncIterator[RecordedEvent]:
        for event in self.log:
            yield event

    def faults(self, others: Container[str] = ()) -> list[Fault]:
        found = at_once(Checker(others=others, followed_to=self.followed_to).check(self.events(), self.history))
        assert all(fault.says.endswith(".") for fault in found)
        named = {match[1] for fault in found if (match := re.match(r"Command (\S+) ", fault.says))}
        assert named <= self.command_ids()
        return found

    def promises_broken(self, others: Container[str] = ()) -> set[str]:
        return {fault.promise for fault in self.faults(others)}


Forgery = tuple[str, str, Callable[[Story], None]]
"""The promise that it breaks, words of the fault, and how it is done."""
