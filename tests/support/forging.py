"""How a story is forged, where that takes more than a line."""

import dataclasses
from collections import Counter
from datetime import timedelta
from uuid import uuid4

import orjson

from domain.aggregate import Event
from domain.all_events import CATALOGUE
from dora_state.testing.history import Asked, Began, Followed, Read, Record, Told
from tests.support.told_story import Story

NEVER = {"task-t": 7}
"""A version that was never there."""


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


def say_of(story: Story, place: int, **said: object) -> None:
    """Something else in the metadata of an event; what is None is not said."""
    metadata = orjson.loads(story.log[place].metadata) | said
    kept = {name: value for name, value in metadata.items() if value is not None}
    story.change(place, metadata=orjson.dumps(kept))


def record_in_anothers_name(story: Story) -> None:
    for place in range(len(story.log)):
        say_of(story, place, actor="somebody else")


def cut_within_a_command(story: Story) -> None:
    place = next(place for place, event in enumerate(story.log) if event.following)
    story.history.append(Read("reader", {}, as_of=story.log[place].position))


def show_half_a_command(story: Story) -> None:
    """To a reader who is not told which moment that is."""
    place = next(place for place, event in enumerate(story.log) if event.following)
    versions = dict.fromkeys((event.stream_id for event in story.log), 0)
    versions |= {event.stream_id: event.version for event in story.log[: place + 1]}
    story.history.append(Read("reader", versions))


def show_what_has_no_end(story: Story) -> None:
    story.change(-1, following=1)
    story.history.append(Read("r", {"task-t": 4, "workflow-wf": 6}))


def let_go_at_once(story: Story) -> None:
    story.change(0, following=1)
    story.followed_to = 0
    story.history.append(Began("f", 1))


def let_go_within_a_command(story: Story) -> None:
    """A follower, after it had come as far as it must."""
    story.followed_to = [event.position for event in story.log if event.following == 0][-2]
    for event in story.log[story.followed_to + 1 :]:
        story.history.remove(follower_at(story, event.position))


def start_again(story: Story) -> None:
    """The task starts a second time, which no decision would give."""
    started = next(event for event in story.log if event.type == "TaskCompleted" or event.type == "TaskStarted")
    place = story.log.index(started)
    data = next(event.data for event in story.log if event.type == "TaskScheduled")
    story.change(place, type="TaskScheduled", data=data)


def insert(story: Story, before: str | None, *told: tuple[str, Event]) -> None:
    """Commands of one event each, as if nothing had been decided: before the command of a type, or at the end."""
    place = next(
        (place for place, one in enumerate(story.log) if orjson.loads(one.metadata)["command_type"] == before),
        len(story.log),
    )
    story.log[place:place] = [
        dataclasses.replace(
            story.log[0],
            event_id=uuid4(),
            stream_id=stream_id,
            type=event.type,
            schema_version=event.schema_version,
            data=CATALOGUE.encode(event),
            metadata=orjson.dumps({"command_id": str(uuid4()), "command_type": "Forged"}),
            following=0,
        )
        for stream_id, event in told
    ]
    versions: Counter[str] = Counter()
    at = story.log[0].recorded_at
    for place, one in enumerate(story.log):
        versions[one.stream_id] += 1
        story.change(place, position=place + 1, version=versions[one.stream_id], recorded_at=at)
        at += timedelta(0) if one.following else timedelta(microseconds=1)


def say(story: Story, place: int, **said: object) -> None:
    """Something else in the data of an event."""
    story.change(place, data=orjson.dumps(orjson.loads(story.log[place].data) | said))


def ask(story: Story, *asked: Record) -> None:
    story.history += asked


def ask_before(story: Story, type: str, *asked: Record) -> None:
    """Before the first command of a type was asked for."""
    place = next(place for place, one in enumerate(story.history) if isinstance(one, Asked) and one.type == type)
    story.history[place:place] = asked


def begin_within_a_command(story: Story) -> None:
    place = next(place for place, event in enumerate(story.log) if event.following > 1)
    story.change(place + 1, following=story.log[place].following)


def swap(story: Story) -> None:
    """The log has two events of other streams the other way round than a follower got them."""
    story.log[0], story.log[1] = (
        dataclasses.replace(story.log[0], event_id=story.log[1].event_id),
        dataclasses.replace(story.log[1], event_id=story.log[0].event_id),
    )


def tell_of_a_conflict(story: Story) -> None:
    story.forget(story.done)
    ask(story, Told("a", story.done, "conflict"))


def ask_twice_and_tell_of_a_conflict(story: Story) -> None:
    """As one that was killed after it had asked, and then is told that what it did itself is in its way."""
    story.forget(story.done)
    ask(story, story.asked(story.done), Told("a", story.done, "conflict"))


def ask_for_another_type(story: Story) -> None:
    story.forget(story.done)
    asked = story.asked(story.done)
    story.history[story.history.index(asked)] = dataclasses.replace(asked, type="CancelTask")


def ask_for_other_types(story: Story) -> None:
    ask_for_another_type(story)
    ask(story, Asked("c", story.done, "StartTask"))


def ask_in_others_names(story: Story) -> None:
    asked = story.asked(story.done)
    story.history[story.history.index(asked)] = dataclasses.replace(asked, actor="bob")
    ask(story, dataclasses.replace(asked, client="c", actor="ann"))


def ask_after_all_is_known(story: Story) -> None:
    """By the same client, who cannot have asked for what is in the log before what it was told of."""
    asked, told = story.asked(story.done), story.history[story.told(story.done)]
    story.forget(story.done)
    story.history.remove(asked)
    ask(story, asked, told)


def tell_all_that_it_is_invalid(story: Story) -> None:
    story.forget(story.done)
    ask(
        story,
        Told("a", story.done, "invalid"),
        Asked("c", story.done, "AssignTask", content="another agent"),
        Told("c", story.done, "invalid"),
    )


def know_and_be_in_conflict(story: Story) -> None:
    asked = next(one for one in story.history if isinstance(one, Asked) and one.type == "StartWorkflow")
    asked = dataclasses.replace(asked, client="c")
    told = Told("c", asked.command_id, "accepted", {"workflow-wf": 3}, 4)
    again = dataclasses.replace(asked, expected={"workflow-wf": 2})
    ask(story, asked, told, again, Told("c", asked.command_id, "conflict"))


def tell_that_it_is_invalid(story: Story) -> None:
    story.forget(story.done)
    ask(story, Told("a", story.done, "invalid"))


def tell_that_what_was_accepted_is_invalid(story: Story) -> None:
    ask(
        story,
        Asked("c", story.done, "AssignTask", content="another agent"),
        Told("c", story.done, "invalid"),
        Told("a", story.done, "invalid"),
    )


def accept_another_type(story: Story) -> None:
    story.forget(story.done)
    ask(story, Asked("c", story.done, "CancelTask"), Told("c", story.done, "accepted", {}, 1))


def ask_for_nothing(story: Story) -> None:
    story.forget(story.done)
    story.history.remove(story.asked(story.done))


def ask_twice_for_what_never_was(story: Story) -> None:
    story.ask_otherwise(story.done, NEVER)
    ask(story, Asked("a", story.done, "AssignTask", {"task-t": 8}))


def follower_at(story: Story, position: int) -> Followed:
    return next(one for one in story.history if isinstance(one, Followed) and one.position == position)
