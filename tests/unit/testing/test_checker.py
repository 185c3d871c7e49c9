"""The checker finds each kind of forgery, and nothing where all is as promised."""

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

import pytest

from domain import pool
from dora_state.testing.checker import PROMISES, Checker
from dora_state.testing.history import Asked, Began, Followed, Read, Told
from tests.support.command_world import at_once
from tests.support.forged_moves import NOW, progressed
from tests.support.forgeries import FORGERIES
from tests.support.forging import ask_before, follower_at, insert, let_go_within_a_command, say_of
from tests.support.told_story import Story


@pytest.fixture
def story() -> Story:
    return Story()


def test_what_happened_as_promised_is_found_so(story: Story) -> None:
    assert story.promises_broken() == set()
    story.forget(story.done)
    story.forget(story.refused)
    assert story.promises_broken() == set()  # of unknown fate


def test_who_is_told_of_a_conflict_may_ask_again_by_the_same_id(story: Story) -> None:
    """A conflict is not recorded, and the versions that are named are no part of what is asked."""
    place = story.history.index(story.asked(story.done))
    stale = replace(story.asked(story.done), expected={"task-t": 1})
    story.history[place:place] = [stale, Told("a", story.done, "conflict")] * 2
    assert story.promises_broken() == set()


def test_who_asks_again_for_another_version_gets_the_first_answer(story: Story) -> None:
    told = story.history[story.told(story.done)]
    story.history += [replace(story.asked(story.done), expected={"task-t": 7}), told]
    assert story.promises_broken() == set()


def test_who_asks_for_something_else_by_a_known_id_is_told_that_it_is_invalid(story: Story) -> None:
    other = replace(story.asked(story.done), client="c", type="CancelTask", expected={})
    story.history += [other, Told("c", story.done, "invalid")]
    assert story.promises_broken() == set()


@pytest.mark.parametrize("content", ["", "other outputs"])
@pytest.mark.parametrize("outcome", ["refused", "accepted"])
def test_who_asks_for_the_same_type_by_a_known_id_is_told_that_it_is_invalid_if_it_is_something_else(
    story: Story, outcome: str, content: str
) -> None:
    known = story.done if outcome == "accepted" else story.refused
    story.history += [replace(story.asked(known), client="c", content=content), Told("c", known, "invalid")]
    assert story.promises_broken() == (
        set() if content else {"twice", "invented"} if known == story.done else {"twice"}
    )


@pytest.mark.parametrize("expected", [{"task-t": 3, "agent-agent": 2}, {"workflow-wf": 0}, {"agent-b": 0}])
def test_what_is_refused_may_have_expected_what_was_at_one_moment(story: Story, expected: dict[str, int]) -> None:
    story.history += [Asked("knows nothing", "x", "StartTask", expected), Told("knows nothing", "x", "refused")]
    assert story.promises_broken() == set()


@pytest.mark.parametrize("expected", [{"task-t": 3}, {"task-t": 5}, {"task-t": 4, "agent-agent": 2}])
def test_who_names_another_version_than_what_is_there_may_be_in_conflict(
    story: Story, expected: dict[str, int]
) -> None:
    story.history += [Asked("a", "x", "StartTask", expected), Told("a", "x", "conflict")]
    assert story.promises_broken() == set()


def test_who_does_not_know_of_what_is_there_may_be_in_conflict_with_what_was_before_it(story: Story) -> None:
    story.history += [Asked("c", "x", "CompleteTask", {"task-t": 4}), Told("c", "x", "conflict")]
    assert story.promises_broken() == set()


def test_who_knows_of_what_was_there_until_the_end_of_the_log_may_be_in_conflict_with_its_end(story: Story) -> None:
    story.history += [
        replace(story.asked(story.done), client="c"),
        Told("c", story.done, "accepted", {"task-t": 3, "workflow-wf": 5, "agent-agent": 2}, 10),
        Asked("c", "x", "CompleteWorkflow", {"workflow-wf": 5}),
        Told("c", "x", "conflict"),
    ]
    assert story.promises_broken() == set()


def test_who_asks_again_after_more_is_known_gets_the_first_answer(story: Story) -> None:
    story.history += [story.asked(story.done), story.history[story.told(story.done)]]
    assert story.promises_broken() == set()


def test_who_is_told_of_a_position_may_ask_for_what_comes_next(story: Story) -> None:
    place = story.history.index(story.asked(story.done))
    before = next(event.position for event in story.log if story.done in event.metadata.decode()) - 1
    story.history.insert(place, Told("a", story.scheduled, "accepted", {"task-t": 2}, before))
    assert "order" not in story.promises_broken()
    story.history.insert(place, Told("a", story.scheduled, "accepted", {"task-t": 2}, before + 1))
    assert "order" in story.promises_broken()


def test_what_was_read_at_some_moment_may_be_of_any_since_the_one_that_was_asked_for(story: Story) -> None:
    for position in (0, story.end):
        story.history.append(replace(story.reading, as_of=None, min_position=position))
    assert story.promises_broken() == set()


def test_heartbeats_are_accepted_and_are_not_in_the_log(story: Story) -> None:
    for outcome in ("accepted", "accepted", "refused"):
        story.history += [Asked("a", "beat", "Heartbeat"), Told("a", "beat", outcome)]
    assert story.promises_broken() == set()
    story.history.append(Told("a", "beat", "accepted", {"agent-agent": 3}, story.end))
    assert story.promises_broken() == {"lost"}


def test_a_heartbeat_that_was_not_recorded_may_be_in_conflict_the_next_time(story: Story) -> None:
    beat = Asked("a", "beat", "Heartbeat", {"agent-agent": 2})
    ask_before(story, "StartTask", beat, Told("a", "beat", "accepted"))
    assert story.promises_broken() == set()
    story.history += [beat, Told("a", "beat", "conflict")]
    assert story.promises_broken() == set()


def test_a_follower_may_begin_later_and_go_on_where_it_was(story: Story) -> None:
    end = story.log[-1]
    story.history += [
        Began("f2", story.end),
        Began("f3", story.end - 1),
        Began("f3", story.end - 1),
        Followed("f3", story.end, str(end.event_id)),
        Began("f3", story.end),
    ]
    assert story.promises_broken() == set()


def test_who_follows_may_be_let_go_between_any_two_commands_after_it_came_as_far_as_it_must(story: Story) -> None:
    story.followed_to = 7
    for position in (13, 12, 11):
        story.history.remove(follower_at(story, position))
    assert story.promises_broken() == set()


def test_a_follower_that_was_killed_within_a_command_goes_on_there(story: Story) -> None:
    let_go_within_a_command(story)
    assert story.promises_broken() == {"divided"}
    story.history.append(Began("follower", 11))
    story.history += [Followed("follower", event.position, str(event.event_id)) for event in story.log[11:]]
    assert story.promises_broken() == set()


def test_what_is_in_the_log_is_counted_by_the_type_of_its_command_but_for_that_of_others(story: Story) -> None:
    insert(story, None, progressed(1.0), progressed(2.0))
    say_of(story, 3, command_type=None)
    say_of(story, 4, actor="worker")
    checker = Checker(others=("worker",))
    at_once(checker.check(story.events(), ()))
    once = ("CreateWorkflow", "AddTask", "ScheduleTask", "AssignTask", "StartTask")
    assert checker.counts.recorded == {**dict.fromkeys(once, 1), "Forged": 2}


@pytest.mark.parametrize("said", [b'{"command_id":"x","actor":["tester"]}', b'{"command_id":"x","actor":{}}'])
def test_an_actor_may_be_told_in_any_shape_and_is_none_of_the_others_then(story: Story, said: bytes) -> None:
    story.change(3, metadata=said)
    assert "invented" in story.promises_broken(frozenset({"tester"}))


def test_a_follower_of_a_log_in_which_nothing_is_may_have_got_nothing(story: Story) -> None:
    story.log, story.history = [], [Began("follower")]
    assert story.promises_broken() == set()


def test_what_others_do_is_no_invention_of_theirs(story: Story) -> None:
    story.forget(story.done)
    story.history = [one for one in story.history if not isinstance(one, Asked) or one.command_id != story.done]
    assert story.promises_broken() == {"invented"}
    assert story.promises_broken(("tester",)) == set()


def test_who_was_told_of_no_position_knows_of_none(story: Story) -> None:
    story.history[:0] = [Asked("a", "x", "CompleteTask"), Told("a", "x", "refused")]
    assert story.promises_broken() == set()


def test_who_did_not_ask_may_be_told_of_a_conflict(story: Story) -> None:
    conflict = Told("a", "x", "conflict")
    story.history += [Asked("a", "x", "StartTask", {"task-t": 3}), conflict, replace(conflict, client="b")]
    assert story.promises_broken() == set()


def test_in_whose_name_is_asked_need_not_be_said(story: Story) -> None:
    story.history = [replace(one, actor="") if isinstance(one, Asked) else one for one in story.history]
    assert story.promises_broken() == set()


def test_the_events_of_a_transaction_may_be_of_several_steps(story: Story) -> None:
    for place, step in ((-2, 0), (-1, 1)):
        say_of(story, place, step=step)
    assert "divided" not in story.promises_broken()


def test_a_stream_may_have_a_dash_in_its_name(story: Story) -> None:
    insert(story, None, ("pool-p-1", pool.PoolCreated(at=NOW, pool_id="p-1", total={"cpu": "2"})))
    assert story.promises_broken() == {"invented", "followers", "reads"}  # as nobody knows of it


def test_who_did_not_say_where_it_began_follows_from_the_beginning(story: Story) -> None:
    story.history += [replace(follower_at(story, event.position), follower="f") for event in story.log]
    assert story.promises_broken() == set()


@pytest.mark.parametrize("as_of", [0, None])
def test_nothing_may_be_read_before_there_is_anything(story: Story, as_of: int | None) -> None:
    story.history.append(Read("r", {"workflow-wf": 0}, as_of=as_of))
    assert story.promises_broken() == set()


@pytest.mark.parametrize("version", [-1, 5])
def test_what_never_was_is_told_once(story: Story, version: int) -> None:
    story.history.append(Read("r", {"task-t": version, "workflow-wf": 1}))
    says = f"r was shown task-t at {version}, which never was."
    assert [fault.says for fault in story.faults() if fault.promise == "reads"] == [says]


@pytest.mark.parametrize(
    ("told", "last"),
    [
        ((), "unknown"),
        (("failed",), "failed"),
        (("failed", "conflict"), "conflict"),
        (("refused", "failed"), "refused"),
        (("unchanged",), "unchanged"),
    ],
)
def test_commands_are_counted_by_what_is_known_of_them_last(story: Story, told: Sequence[str], last: str) -> None:
    story.history.append(Asked("a", "x", "StartTask", {"task-t": 4}))
    story.history += [Told("a", "x", outcome) for outcome in told]
    checker = Checker()
    at_once(checker.check(story.events(), story.history))
    assert checker.counts.outcomes == Counter(accepted=7, refused=1) + Counter([last])
    assert (checker.counts.commands, checker.counts.events) == (9, 13)


def test_what_followers_got_and_readers_were_shown_is_counted(story: Story) -> None:
    story.history += [Read("r", {}), Read("r", {}, as_of=13, min_position=1)]
    checker = Checker()
    at_once(checker.check(story.events(), story.history))
    assert (checker.counts.followed, checker.counts.reads, checker.counts.own_reads) == (13, 3, 2)


def test_what_comes_after_an_event_that_fits_nothing_is_looked_at_all_the_same(story: Story) -> None:
    story.change(4, type="TaskStarted")
    story.change(-1, version=9)
    assert {"invariants", "versions"} <= story.promises_broken()


@pytest.mark.parametrize("forgery", FORGERIES)
def test_a_forgery_is_caught(story: Story, forgery: str) -> None:
    promise, words, forge = FORGERIES[forgery]
    forge(story)
    found = story.faults()
    assert [fault for fault in found if fault.promise == promise and re.search(words, fault.says)], found


def test_each_promise_has_its_forgery() -> None:
    assert {promise for promise, _, _ in FORGERIES.values()} == PROMISES.keys()
