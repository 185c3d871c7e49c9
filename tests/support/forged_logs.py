"""Forgeries of a story's log, as in forgeries.py, with those of forged_moves.py."""

from datetime import timedelta

from domain.pool import ResourcesReserved
from tests.support.command_world import BEGINNING
from tests.support.forged_moves import OF_MOVES, POOL_CREATED
from tests.support.forging import (
    append_again,
    begin_within_a_command,
    drop_last_command,
    insert,
    of_another_command,
    record_in_anothers_name,
    say,
    say_of,
    start_again,
)
from tests.support.told_story import Forgery

TOO_MUCH = ("pool-p", ResourcesReserved(at=BEGINNING, reservation_id="r", resources={"cpu": "3"}))

OF_THE_LOG: dict[str, Forgery] = {
    **OF_MOVES,
    "an acknowledged command is gone": ("lost", r"\(StartTask\) was accepted and is not in the log", drop_last_command),
    "a command is there twice": ("twice", "is at position .* and again at", append_again),
    "an event is there twice": (
        "twice",
        "Event .* is at position 3 and again at 4",
        lambda story: story.change(3, event_id=story.log[2].event_id),
    ),
    "an event whose metadata is no JSON": (
        "invented",
        "The metadata of position 4 names no command",
        lambda story: story.change(3, metadata=b"{"),
    ),
    "an event whose metadata is no object": (
        "invented",
        "The metadata of position 4 names no command",
        lambda story: story.change(3, metadata=b"[]"),
    ),
    "an event of no command": (
        "invented",
        "The metadata of position 4 names no command",
        lambda story: story.change(3, metadata=b'{"command_id":null}'),
    ),
    "an event of no type of command": (
        "invented",
        "The metadata of position 4 names no type of command",
        lambda story: say_of(story, 3, command_type=None),
    ),
    "an event of nobody": (
        "invented",
        "The metadata of position 4 names .* no actor",
        lambda story: say_of(story, 3, actor=None),
    ),
    "an event whose actor is no text": (
        "invented",
        "The metadata of position 4 names .* no actor",
        lambda story: say_of(story, 3, actor=["tester"]),
    ),
    "all is recorded in another's name": (
        "invented",
        "was asked for by tester, and is recorded as of somebody else",
        record_in_anothers_name,
    ),
    "a part of a command is in another's name": (
        "divided",
        "Position 13 has other metadata than what it follows",
        lambda story: say_of(story, -1, actor="somebody else"),
    ),
    "a position is left out": (
        "positions",
        "is followed by",
        lambda story: story.change(-1, position=story.end + 1),
    ),
    "a version is left out": ("versions", "has version 9 after", lambda story: story.change(-1, version=9)),
    "a clock went back": (
        "times",
        "was recorded at .*, before",
        lambda story: story.change(3, recorded_at=story.log[3].recorded_at - timedelta(days=1)),
    ),
    "a command has two times": (
        "times",
        "Position 13 was recorded at .*, and its command at",
        lambda story: story.change(-1, recorded_at=story.log[-1].recorded_at + timedelta(seconds=1)),
    ),
    "a command has the time of the one before": (
        "times",
        "Position 4 was recorded at .*, as the command before it",
        lambda story: story.change(3, recorded_at=story.log[2].recorded_at),
    ),
    "a command is torn": ("divided", "is of another command than those it follows", of_another_command),
    "a command has no end": (
        "divided",
        "The log ends at position .*, within a command",
        lambda story: story.change(-1, following=1),
    ),
    "a command has another number of events than it says": (
        "divided",
        "says . follow, after .",
        begin_within_a_command,
    ),
    "a decision that nobody could take": ("invariants", "After position .*, task-t: ", start_again),
    "a task says that it is another": (
        "invariants",
        "After position 3, task-t: its workflow does not know it",
        lambda story: say(story, 1, task_id="u"),
    ),
    "a task requires one that is not there": (
        "invariants",
        r"After position 3, task-t: t requires \['u'\], of which its workflow knows nothing",
        lambda story: say(story, 2, requires=["u"]),
    ),
    "an agent has a task without the capability for it": (
        "invariants",
        "task-t: its agent can't do it",
        lambda story: say(story, 1, capabilities=["read"]),
    ),
    "an agent has more tasks than slots": (
        "invariants",
        "agent-agent: 1 of 0 slots are taken",
        lambda story: say(story, 4, max_concurrent_tasks=0),
    ),
    "a pool lends more than it has": (
        "invariants",
        "pool-p: 3 of cpu is beyond the limit",
        lambda story: insert(story, None, POOL_CREATED, TOO_MUCH),
    ),
    "an event that fits nothing": (
        "invariants",
        "workflow-wf, version 1: A stored event TaskStarted does not have the shape of its type",
        lambda story: story.change(0, type="TaskStarted"),
    ),
}
