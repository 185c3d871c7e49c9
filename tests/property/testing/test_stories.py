"""Stories that hypothesis draws hold; and forged anywhere, they don't."""

from dataclasses import replace

from hypothesis import HealthCheck, assume, given, settings
from hypothesis import strategies as st

from dora_state.testing.checker import Checker, Fault
from dora_state.testing.histories import Story, stories
from dora_state.testing.history import Asked, Followed, Read, Told
from tests.support.command_world import at_once

few = settings(max_examples=max(20, settings().max_examples // 4), suppress_health_check=[HealthCheck.too_slow])


def faults(story: Story) -> list[Fault]:
    return at_once(Checker().check(story.log(), story.history))


def promises(story: Story) -> set[str]:
    return {fault.promise for fault in faults(story)}


@few
@given(stories())
def test_the_checker_finds_no_fault_in_a_story(story: Story) -> None:
    assert faults(story) == []


@few
@given(stories(), st.integers(0, 10**6))
def test_an_event_that_is_left_out_anywhere_is_missed(story: Story, which: int) -> None:
    del story.events[which % len(story.events)]
    assert {"positions", "lost", "followers"} & promises(story)


@few
@given(stories(), st.integers(0, 10**6), st.integers(1, 3))
def test_an_answer_that_names_another_position_is_found(story: Story, which: int, off: int) -> None:
    accepted = [one for one in story.history if isinstance(one, Told) and one.position is not None]
    told = accepted[which % len(accepted)]
    assert told.position is not None
    story.history[story.history.index(told)] = replace(told, position=told.position + off)
    assert promises(story) & {"lost", "twice"}


@few
@given(stories(), st.integers(0, 10**6))
def test_a_command_that_nobody_asked_for_is_found(story: Story, which: int) -> None:
    asked = [one for one in story.history if isinstance(one, Asked)]
    forgotten = asked[which % len(asked)].command_id
    recorded = any(f'"{forgotten}"'.encode() in event.metadata for event in story.events)
    told = any(isinstance(one, Told) and one.command_id == forgotten for one in story.history)
    assume(recorded or told)
    story.history = [one for one in story.history if not (isinstance(one, Asked) and one.command_id == forgotten)]
    assert "invented" in promises(story)


@few
@given(stories(), st.integers(0, 10**6))
def test_an_event_that_a_follower_missed_is_found(story: Story, which: int) -> None:
    followed = [one for one in story.history if isinstance(one, Followed)]
    story.history.remove(followed[which % len(followed)])
    assert "followers" in promises(story)


@few
@given(stories(), st.integers(0, 10**6))
def test_what_was_read_within_any_command_is_found(story: Story, which: int) -> None:
    within = [event.position for event in story.events if event.following]
    position = within[which % len(within)]
    versions = dict.fromkeys((event.stream_id for event in story.events), 0)
    versions |= {event.stream_id: event.version for event in story.events[:position]}
    story.history.append(Read("reader", versions))
    assert promises(story) == {"divided"}


NO_METADATA = st.one_of(st.binary(max_size=20), st.sampled_from([b"null", b"1", b'"x"', b"[{}]", b'{"command_id":1}']))


@few
@given(stories(), st.integers(0, 10**6), NO_METADATA)
def test_metadata_that_is_spoilt_anywhere_is_found(story: Story, which: int, spoilt: bytes) -> None:
    place = which % len(story.events)
    story.events[place] = replace(story.events[place], metadata=spoilt)
    assert "invented" in promises(story)
