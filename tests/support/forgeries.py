"""Forgeries of a story: of its log (forged_logs.py), of what followers and readers wrote down (forged_onlookers.py),
and here of what clients did.
"""

from dataclasses import replace

from dora_state.testing.history import Asked, Told
from tests.support.forged_logs import OF_THE_LOG
from tests.support.forged_onlookers import OF_ONLOOKERS
from tests.support.forging import (
    NEVER,
    accept_another_type,
    ask,
    ask_after_all_is_known,
    ask_before,
    ask_for_another_type,
    ask_for_nothing,
    ask_for_other_types,
    ask_in_others_names,
    ask_twice_and_tell_of_a_conflict,
    ask_twice_for_what_never_was,
    know_and_be_in_conflict,
    tell_all_that_it_is_invalid,
    tell_of_a_conflict,
    tell_that_it_is_invalid,
    tell_that_what_was_accepted_is_invalid,
)
from tests.support.told_story import Forgery

FORGERIES: dict[str, Forgery] = {
    **OF_THE_LOG,
    **OF_ONLOOKERS,
    "an answer names another position": (
        "lost",
        "was told 1 and .*, and the log has",
        lambda story: story.retell(story.done, position=1),
    ),
    "an answer names another version": (
        "lost",
        "was told .*'task-t': 9}, and the log has",
        lambda story: story.retell(story.done, versions={"task-t": 9}),
    ),
    "two answers differ": (
        "twice",
        "answered in different ways: refused at None, refused at None, invalid at None",
        lambda story: ask(story, Told("b", story.refused, "invalid")),
    ),
    "two that differ were answered by one id": (
        "twice",
        r"answered to different content \(CompleteTask and FailTask\)",
        lambda story: ask(story, Asked("c", story.refused, "FailTask"), Told("c", story.refused, "refused")),
    ),
    "two of one type that differ were answered by one id": (
        "twice",
        r"answered to different content \(CompleteTask and CompleteTask\)",
        lambda story: ask(
            story,
            Asked("c", story.refused, "CompleteTask", content="other outputs"),
            Told("c", story.refused, "refused"),
        ),
    ),
    "what was answered is in conflict later": (
        "twice",
        "answered conflict, and otherwise before",
        lambda story: ask(
            story, Asked("a", story.refused, "CompleteTask", NEVER), Told("a", story.refused, "conflict")
        ),
    ),
    "what was in conflict is answered without being asked again": (
        "twice",
        "answered conflict, and otherwise .* without being asked again",
        lambda story: ask(story, Asked("c", "x", "StartTask"), Told("c", "x", "conflict"), Told("c", "x", "unchanged")),
    ),
    "a refused command is in the log": (
        "invented",
        "was answered refused, and is at",
        lambda story: story.retell(story.done, outcome="refused"),
    ),
    "a command in conflict is in the log": (
        "invented",
        "was answered conflict, and is at .*, and nobody had asked again",
        tell_of_a_conflict,
    ),
    "a command that was asked for twice, is in conflict and is in the log": (
        "invented",
        "was answered conflict, and is at .*, and nobody had asked again",
        ask_twice_and_tell_of_a_conflict,
    ),
    "a command is in the log as one of another type": (
        "invented",
        "is a AssignTask at .*; asked was for CancelTask",
        ask_for_another_type,
    ),
    "an answer is to one of another type than is in the log": (
        "invented",
        "was answered accepted as a CancelTask, and is a AssignTask",
        accept_another_type,
    ),
    "an answer to what nobody asked": (
        "invented",
        "was answered, and nobody had asked",
        lambda story: ask(story, Told("b", "x", "refused")),
    ),
    "all who asked are told that it is invalid": (
        "invented",
        "was answered invalid to all who asked for a AssignTask, and is at",
        tell_all_that_it_is_invalid,
    ),
    "what was accepted is invalid for the same content": (
        "twice",
        "answered in different ways: accepted at .*, invalid at None",
        tell_that_what_was_accepted_is_invalid,
    ),
    "a refusal has a position": (
        "lost",
        "was answered refused at 13 with {}, which has neither",
        lambda story: ask(story, Asked("c", "x", "StartTask"), Told("c", "x", "refused", {}, 13)),
    ),
    "what changed nothing has versions": (
        "lost",
        r"was answered unchanged at None with {'task-t': 4}, which has neither",
        lambda story: ask(story, Asked("c", "x", "StartTask"), Told("c", "x", "unchanged", {"task-t": 4})),
    ),
    "a command that nobody asked for": (
        "invented",
        "is in the log, and nobody had asked",
        ask_for_nothing,
    ),
    "a version that was not there was expected": (
        "expected",
        "expected task-t at 7, and was recorded at 2",
        lambda story: story.ask_otherwise(story.done, NEVER),
    ),
    "a version of what was only read was expected, and was not there": (
        "expected",
        "expected agent-agent at 2, and was recorded at 1",
        lambda story: story.ask_otherwise(story.scheduled, {"task-t": 1, "agent-agent": 2}),
    ),
    "one was refused that expected what never was": (
        "expected",
        r"answered refused, and expected {'task-t': 7}, which was not so from position",
        lambda story: story.ask_otherwise(story.refused, NEVER),
    ),
    "one found nothing to do that expected what never was at one moment": (
        "expected",
        r"answered unchanged, and expected .*, which was not so from position",
        lambda story: ask(
            story,
            Asked("c", "x", "StartTask", {"task-t": 1, "agent-agent": 2}),
            Told("c", "x", "unchanged"),
        ),
    ),
    "one was refused that expected what its client knew to be past": (
        "expected",
        r"answered refused, and expected {'task-t': 1}, which was not so from position 13 to 13",
        lambda story: ask(story, Asked("a", "x", "StartTask", {"task-t": 1}), Told("a", "x", "refused")),
    ),
    "one found nothing to do that expected what its client knew to be past": (
        "expected",
        r"answered unchanged, and expected {'task-t': 1}, which was not so from position 13 to 13",
        lambda story: ask(story, Asked("a", "x", "StartTask", {"task-t": 1}), Told("a", "x", "unchanged")),
    ),
    "one was refused that expected what never was, by one who knows nothing": (
        "expected",
        r"answered refused, and expected {'task-t': 7}, which was not so from position 0 to 13",
        lambda story: ask(story, Asked("c", "x", "StartTask", NEVER), Told("c", "x", "refused")),
    ),
    "one was in conflict, and then refused on what never was": (
        "expected",
        r"answered refused, and expected {'task-t': 7}, which was not so from position 0 to 13",
        lambda story: ask(
            story,
            Asked("c", "x", "StartTask", {"task-t": 3}),
            Told("c", "x", "conflict"),
            Asked("c", "x", "StartTask", NEVER),
            Told("c", "x", "refused"),
        ),
    ),
    "one was told that it is invalid, and is in the log": (
        "invented",
        "was answered invalid, and is at 8",
        tell_that_it_is_invalid,
    ),
    "nobody asked for what is in the log, but for other types by its id": (
        "invented",
        "is a AssignTask at 8; asked was for CancelTask and StartTask",
        ask_for_other_types,
    ),
    "one is recorded in another's name than of those who asked": (
        "invented",
        "was asked for by ann and bob, and is recorded as of tester",
        ask_in_others_names,
    ),
    "one is in conflict that named nothing": (
        "expected",
        "answered conflict, and named no version",
        lambda story: ask(story, Asked("c", "x", "StartTask"), Told("c", "x", "conflict")),
    ),
    "one is in conflict with what always was": (
        "expected",
        r"answered conflict, and {'agent-b': 0} was so from position 0 to 13",
        lambda story: ask(story, Asked("c", "x", "StartTask", {"agent-b": 0}), Told("c", "x", "conflict")),
    ),
    "one is in conflict with what its client knew last": (
        "expected",
        r"answered conflict, and {'task-t': 4} was so from position 13 to 13",
        lambda story: ask(story, Asked("a", "x", "CompleteTask", {"task-t": 4}), Told("a", "x", "conflict")),
    ),
    "one is in conflict with what was so until its client went on": (
        "expected",
        r"answered conflict, and {'task-t': 3} was so from position 10 to 10",
        lambda story: ask_before(
            story, "StartTask", Asked("a", "x", "StartTask", {"task-t": 3}), Told("a", "x", "conflict")
        ),
    ),
    "one is in conflict, and then accepted on what was so all the time": (
        "expected",
        r"answered conflict, and {'task-t': 2} was so from position 7 to 7",
        lambda story: ask_before(story, "AssignTask", story.asked(story.done), Told("a", story.done, "conflict")),
    ),
    "one was refused that expected what its client did only later": (
        "expected",
        r"answered refused, and expected {'task-t': 4}, which was not so from position 10 to 10",
        lambda story: ask_before(
            story, "StartTask", Asked("a", "x", "StartTask", {"task-t": 4}), Told("a", "x", "refused")
        ),
    ),
    "one was refused that expected what its client did next": (
        "expected",
        r"answered refused, and expected {'workflow-wf': 3}, which was not so from position 3 to 3",
        lambda story: ask_before(
            story, "StartWorkflow", Asked("a", "x", "CancelWorkflow", {"workflow-wf": 3}), Told("a", "x", "refused")
        ),
    ),
    "one who knows what comes after it is told a conflict of what is in the log": (
        "twice",
        "answered conflict, and was at 6, where its client knew of position 13",
        lambda story: ask(
            story,
            replace(story.asked(story.scheduled), expected={"task-t": 2}),
            Told("a", story.scheduled, "conflict"),
        ),
    ),
    "one who knows of it is told a conflict of what is in the log": (
        "twice",
        "answered conflict, and was at 4, where its client knew of position 4",
        know_and_be_in_conflict,
    ),
    "one is recorded before what its client knew when it asked": (
        "order",
        "was asked for after its client was told of position 13, and is at",
        ask_after_all_is_known,
    ),
    "one asked again for another version is answered, and neither was there": (
        "expected",
        "expected task-t at 8, and was recorded at 2",
        ask_twice_for_what_never_was,
    ),
}
