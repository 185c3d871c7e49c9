"""Forgeries of what followers and readers of a story wrote down, as in forgeries.py."""

from dataclasses import replace
from uuid import UUID

from dora_state.testing.history import Began, Followed, Read
from tests.support.forging import (
    ask,
    cut_within_a_command,
    follower_at,
    let_go_at_once,
    let_go_within_a_command,
    show_half_a_command,
    show_what_has_no_end,
    swap,
)
from tests.support.told_story import Forgery

OF_ONLOOKERS: dict[str, Forgery] = {
    "a reader saw half a command": ("divided", "which is within a command", cut_within_a_command),
    "a follower got what is before the log": (
        "followers",
        "f got another event at 0 than the log has",
        lambda story: story.history.append(Followed("f", 0, str(story.log[-1].event_id))),
    ),
    "a follower was let go within the first command": ("divided", "f ended at position 1,", let_go_at_once),
    "a follower was let go within the last command, which has no end": (
        "divided",
        "follower ended at position 13, which is within a command",
        lambda story: story.change(-1, following=1),
    ),
    "a reader who was not told of which moment saw the last command, which has no end": (
        "divided",
        "which was so only from position 13 to 13, within a command",
        show_what_has_no_end,
    ),
    "a reader was shown what is not there yet": (
        "reads",
        "was shown position 1000 of a log that ends at",
        lambda story: story.history.append(Read("r", {}, as_of=1000)),
    ),
    "a reader was shown what is before the log": (
        "reads",
        "was shown position -1 of a log that ends at",
        lambda story: story.history.append(Read("r", {}, as_of=-1)),
    ),
    "a reader who was not told of which moment saw half a command": (
        "divided",
        "which was so only from position 2 to 2, within a command",
        show_half_a_command,
    ),
    "a follower was let go within a command": (
        "divided",
        "follower ended at position 11, which is within a command",
        let_go_within_a_command,
    ),
    "a follower missed an event": (
        "followers",
        "follower got position 5 after 3",
        lambda story: story.history.remove(follower_at(story, 4)),
    ),
    "a follower got an event twice": (
        "followers",
        "follower got position 4 after",
        lambda story: story.history.append(follower_at(story, 4)),
    ),
    "a follower got another event": (
        "followers",
        "follower got another event at 1 than the log has",
        swap,
    ),
    "a follower got an event as it is not": (
        "followers",
        "f2 got another event at 13 than the log has",
        lambda story: ask(story, Began("f2", 12), replace(follower_at(story, 13), follower="f2", content="0" * 16)),
    ),
    "a follower got what is not in the log": (
        "followers",
        "follower got another event at .* than the log has",
        lambda story: story.history.append(Followed("follower", story.end + 1, str(UUID(int=0)))),
    ),
    "a follower stands still": (
        "followers",
        "follower came to position .* of",
        lambda story: story.history.remove(follower_at(story, story.end)),
    ),
    "a follower got nothing": (
        "followers",
        "f2 came to position 0 of",
        lambda story: story.history.append(Began("f2")),
    ),
    "a follower goes on elsewhere than it was": (
        "followers",
        "follower went on after position 2, and was at",
        lambda story: story.history.append(Began("follower", 2)),
    ),
    "a follower began beyond the log": (
        "followers",
        "f2 began after position 999, of a log that ends at",
        lambda story: story.history.append(Began("f2", 999)),
    ),
    "a reader saw what was not so": (
        "reads",
        "was shown task-t at version 1 as of position .*, where it was at",
        lambda story: story.history.append(Read("r", {"task-t": 1}, as_of=story.end)),
    ),
    "a reader saw a version as it was not": (
        "reads",
        "was shown task-t at 2 as it was not then",
        lambda story: story.history.append(Read("r", {"task-t": 2}, contents={"task-t": "0" * 16})),
    ),
    "a reader saw what another version says": (
        "reads",
        "was shown task-t at 2 as it was not then",
        lambda story: story.history.append(
            Read("r", {"task-t": 2}, contents={"task-t": story.reading.contents["task-t"]})
        ),
    ),
    "a reader saw something of what was not there": (
        "reads",
        "was shown agent-b at 0 as it was not then",
        lambda story: story.history.append(Read("r", {}, contents={"agent-b": "0" * 16})),
    ),
    "a reader saw what never was": (
        "reads",
        "was shown task-t at 99, which never was",
        lambda story: story.history.append(Read("r", {"task-t": 99})),
    ),
    "a reader saw what was less than nothing": (
        "reads",
        "was shown task-t at -1, which never was",
        lambda story: story.history.append(Read("r", {"task-t": -1})),
    ),
    "a reader saw what was at two moments": (
        "reads",
        "was shown .*, which never was so at one moment",
        lambda story: story.history.append(Read("r", {"workflow-wf": 6, "task-t": 1, "agent-agent": 3})),
    ),
    "a reader missed its own write": (
        "own_writes",
        "asked for position .* and was shown task-t at version 1, not",
        lambda story: story.history.append(Read("r", {"task-t": 1}, min_position=story.end)),
    ),
    "a reader asked for what is not there, and was shown something": (
        "own_writes",
        "asked for position 1000 of a log that ends at 13",
        lambda story: story.history.append(Read("r", {"task-t": 4}, min_position=1000)),
    ),
    "a reader was shown an earlier moment": (
        "own_writes",
        "asked for position .* and was shown 1[.]",
        lambda story: story.history.append(Read("r", {}, as_of=1, min_position=story.end)),
    ),
}
