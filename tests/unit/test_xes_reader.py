"""Reading an XES log: what its events are, and what is refused."""

import gzip
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path

import pytest

from infrastructure.xes.errors import XesError
from infrastructure.xes.reader import (
    MAX_DEPTH,
    MAX_ELEMENT,
    MAX_NAMES,
    MAX_TOKEN,
    MAX_VALUE,
    XesEvent,
    XesItem,
    XesOddity,
    XesTrace,
    read_xes,
)
from infrastructure.xes.source import CHUNK, XesSource, sha256_of
from infrastructure.xes.values import XesValue, parse_time, parse_value
from tests.support.xes_logs import HEAD, LoggedEvent, LoggedTrace, attribute, xes

Read = Callable[[str | bytes], list[XesItem]]


@pytest.fixture
def read(tmp_path: Path) -> Read:
    def read_text(text: str | bytes) -> list[XesItem]:
        path = tmp_path / "log.xes"
        path.write_bytes(text.encode() if isinstance(text, str) else text)
        with XesSource(path) as source:
            return list(read_xes(source))

    return read_text


def in_event(content: str) -> str:
    return f"{HEAD}<trace><event>{content}</event></trace></log>"


def only_event(items: list[XesItem]) -> XesEvent:
    (event,) = (item for item in items if isinstance(item, XesEvent))
    return event


def refused(read: Read, text: str | bytes) -> XesError:
    with pytest.raises(XesError) as caught:
        read(text)
    error = caught.value
    assert error.message.count("; ") == 1, "one sentence: the facts; what to do next"
    assert error.message.endswith(".")
    assert "log.xes" in error.message
    return error


def test_events_come_in_file_order_and_their_trace_after_them(read: Read) -> None:
    text = xes(
        LoggedTrace("1", (LoggedEvent("A"), LoggedEvent("B", resource="7")), {"amount": 5}),
        LoggedTrace(None),
        LoggedTrace("2", (LoggedEvent("C"),)),
    )
    time = datetime(2011, 10, 1, tzinfo=UTC)
    assert read(text) == [
        XesEvent("A", "complete", time, None, {}),
        XesEvent("B", "complete", time, "7", {}),
        XesTrace("1", {"amount": 5}),
        XesTrace(None, {}),
        XesEvent("C", "complete", time, None, {}),
        XesTrace("2", {}),
    ]


def test_an_event_may_lack_everything(read: Read) -> None:
    assert read(in_event("")) == [XesEvent(None, None, None, None, {}), XesTrace(None, {})]


def test_a_transition_is_lowered_and_a_blank_resource_is_none(read: Read) -> None:
    event = only_event(read(xes(LoggedTrace("1", (LoggedEvent("A", " Ate_ABORT ", resource="  "),)))))
    assert (event.transition, event.resource) == ("ate_abort", None)


def test_a_name_is_text_whatever_its_type(read: Read) -> None:
    text = f"{HEAD}<trace><event>{attribute('concept:name', '007', 'int')}</event>"
    items = read(text + f"{attribute('concept:name', '0012', 'int')}</trace></log>")
    assert (only_event(items).activity, items[-1]) == ("007", XesTrace("0012", {}))


def test_trace_attributes_may_come_after_its_events(read: Read) -> None:
    assert read(f"{HEAD}<trace><event/>{attribute('concept:name', 'late')}</trace></log>")[-1] == XesTrace("late", {})


@pytest.mark.parametrize(
    ("head", "prefix"),
    [
        ("<log>", ""),
        ('<log xmlns="http://www.xes-standard.org/">', ""),
        ('<xes:log xmlns:xes="http://www.xes-standard.org/">', "xes:"),
        ('<x:log xmlns:x="http://code.deckfour.org/xes" xmlns:other="urn:other">', "x:"),
    ],
)
def test_any_namespace_of_the_root_is_that_of_the_log(read: Read, head: str, prefix: str) -> None:
    body = (
        f"<{prefix}trace><{prefix}event><{prefix}string key='concept:name' value='A'/></{prefix}event>"
        f"</{prefix}trace></{prefix}log>"
    )
    assert only_event(read(head + body)).activity == "A"


def test_elements_of_other_namespaces_are_no_events(read: Read) -> None:
    text = '<log xmlns:o="urn:other"><o:trace><o:event/></o:trace><trace><o:event/></trace></log>'
    assert read(text) == [XesTrace(None, {})]


def test_nested_attributes_lists_and_containers_are_kept(read: Read) -> None:
    event = only_event(
        read(
            in_event(
                "<string key='s' value='v'><int key='i' value='1'><boolean key='b' value='true'/></int>"
                "</string>"
                "<list key='l'><values><int key='a' value='1'/><int key='a' value='2'/></values></list>"
                "<list key='m'><string key='x' value='y'/></list>"
                "<container key='c'><float key='f' value='1.5'/></container><container key='empty'/>"
                "<string key='concept:name' value='A'><string key='why' value='w'/></string>"
                "<date key='time:timestamp' value='2011-10-01T00:00:00Z'><string key='of' value='x'/></date>"
            )
        )
    )
    time = datetime(2011, 10, 1, tzinfo=UTC)
    assert (event.activity, event.time) == ("A", time)
    assert event.attributes == {
        "s": {"value": "v", "nested": {"i": {"value": 1, "nested": {"b": True}}}},
        "l": [{"a": 1}, {"a": 2}],
        "m": [{"x": "y"}],
        "c": {"f": 1.5},
        "empty": {},
        "concept:name": {"value": "A", "nested": {"why": "w"}},
        "time:timestamp": {"value": time, "nested": {"of": "x"}},
    }


def test_what_is_left_out_is_told_with_its_line(read: Read) -> None:
    text = "<log>\n<event/>\n<trace>\n<string value='x'/></trace></log>"
    assert read(text) == [
        XesOddity("event outside trace", 2),
        XesOddity("attribute without key", 4),
        XesTrace(None, {}),
    ]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2011-10-01T00:38:44.546+02:00", datetime(2011, 9, 30, 22, 38, 44, 546_000, UTC)),
        ("2011-10-01T00:38:44Z", datetime(2011, 10, 1, 0, 38, 44, 0, UTC)),
        ("2011-10-01T00:38:44.1Z", datetime(2011, 10, 1, 0, 38, 44, 100_000, UTC)),
        (" 2011-10-01T00:38:44.123456999-05:30 ", datetime(2011, 10, 1, 6, 8, 44, 123_456, UTC)),
        ("2011-10-01T00:38:44.546", None),
        ("2011-10-01", None),
        ("2011-02-30T00:00:00Z", None),
        ("0001-01-01T00:00:00+01:00", None),
        ("yesterday", None),
        ("", None),
    ],
)
def test_a_time_is_utc_to_the_microsecond_and_needs_a_zone(text: str, expected: datetime | None) -> None:
    assert parse_time(text) == expected


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        ("string", " as it is ", " as it is "),
        ("id", "12", "12"),
        ("int", " -12 ", -12),
        ("int", "9223372036854775807", 2**63 - 1),
        ("int", "9223372036854775808", "9223372036854775808"),
        ("int", "1_000", "1_000"),
        ("int", "9" * 5000, "9" * 5000),
        ("float", "1e3", 1000.0),
        ("float", ".5", 0.5),
        ("float", "NaN", "NaN"),
        ("float", "-INF", "-INF"),
        ("float", "1e999", "1e999"),
        ("boolean", "TRUE", True),
        ("boolean", "0", False),
        ("boolean", "maybe", "maybe"),
        ("date", "2011-10-01T00:00:00Z", datetime(2011, 10, 1, tzinfo=UTC)),
        ("date", "2011-10-01T00:00:00", "2011-10-01T00:00:00"),
        ("string", None, None),
    ],
)
def test_text_that_is_no_value_of_its_type_is_kept_as_text(kind: str, text: str | None, expected: XesValue) -> None:
    value = parse_value(kind, text)
    assert value == expected
    assert type(value) is type(expected)


def test_a_gzipped_log_of_several_members_reads_as_the_plain_one(tmp_path: Path, read: Read) -> None:
    text = xes(LoggedTrace("1", (LoggedEvent(),))).encode()
    packed = gzip.compress(text[:50]) + gzip.compress(text[50:])
    assert read(packed) == read(text)
    path = tmp_path / "misleading.txt"
    path.write_bytes(packed)
    with XesSource(path) as source:
        list(read_xes(source))
        assert (source.bytes_read, source.size, source.sha256) == (len(packed), len(packed), sha256_of(path))


def test_other_encodings_are_read(read: Read) -> None:
    text = xes(LoggedTrace("é", (LoggedEvent(),))).replace("UTF-8", "UTF-16")
    assert read(text.encode("utf-16"))[-1] == XesTrace("é", {})


def test_a_value_of_the_greatest_length_is_read(read: Read) -> None:
    event = only_event(read(in_event(attribute("long", "x" * MAX_VALUE))))
    assert event.attributes == {"long": "x" * MAX_VALUE}


def test_the_bound_of_an_element_counts_each_event_and_each_trace_for_itself(read: Read) -> None:
    large = attribute("k", "x" * (MAX_ELEMENT // 8 - 200)) * 5
    assert len(read(f"<log>{large}{large}<trace>{large}<event>{large}</event><event/></trace></log>")) == 3
    split = f"<log><trace>{large}<event/>{large}</trace></log>"
    assert refused(read, split).reason == "element_too_large"


LAUGHS = '<!DOCTYPE log [<!ENTITY a "ha"><!ENTITY b "&a;&a;">]><log><trace><string key="k" value="&b;"/></trace></log>'
EXTERNAL = '<!DOCTYPE log [<!ENTITY e SYSTEM "file:///etc/hostname">]><log>&e;</log>'
SMALL = xes(LoggedTrace("1", (LoggedEvent(),)))


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        (LAUGHS, "doctype"),
        (EXTERNAL, "doctype"),
        ('<!DOCTYPE log SYSTEM "http://example.org/log.dtd"><log/>', "doctype"),
        ("<log>&unknown;</log>", "not_xml"),
        ("", "not_xml"),
        ("hello, world", "not_xml"),
        ("<log><trace></log>", "not_xml"),
        ("<log/>and more", "not_xml"),
        ('<?xml version="1.0" encoding="klingon"?><log/>', "not_xml"),
        ("<html><body/></html>", "not_xes"),
        (SMALL[:-8], "ends_early"),
        (SMALL[: SMALL.index("<event>") + 20], "ends_early"),
        ("<log><trace>" + "<a>" * MAX_DEPTH, "too_deep"),
        (in_event("<list key='l'>" * 1_000_000), "too_deep"),
        (in_event(attribute("k", "x" * (MAX_VALUE + 1))), "value_too_long"),
        (in_event(attribute("k", "x" * MAX_VALUE) * 9), "element_too_large"),
        (in_event("<id key=''/>" * (MAX_ELEMENT // 100 + 1)), "element_too_large"),
        ("<log><!--" + "x" * (MAX_TOKEN + 2 * CHUNK), "token_too_long"),
        ("<log><string key='k' value='" + "x" * (MAX_TOKEN + 2 * CHUNK), "token_too_long"),
        ("<log>" + "".join(f"<n{n}/>" for n in range(MAX_NAMES + CHUNK // 4)), "too_many_names"),
        ("<log>" + "".join(f"<n xmlns:p{n}='u'/>" for n in range(MAX_NAMES + CHUNK // 4)), "too_many_names"),
        ("<log>" + "".join(f"<{'n' * 1_000_000}{n}/>" for n in range(9)), "too_many_names"),
    ],
)
def test_a_hostile_or_broken_log_is_refused_in_one_sentence(read: Read, text: str, reason: str) -> None:
    error = refused(read, text)
    assert error.reason == reason
    assert isinstance(error.facts["line"], int)


def test_what_an_entity_would_expand_to_is_never_read(read: Read) -> None:
    assert "ha" not in refused(read, LAUGHS).message.split()


def test_a_refusal_names_the_line(read: Read) -> None:
    error = refused(read, "<log>\n\n<trace></log>")
    assert error.facts["line"] == 3
    assert "line 3" in error.message


PACKED = gzip.compress(SMALL.encode())
FLIPPED = PACKED[:40] + bytes([PACKED[40] ^ 0xFF]) + PACKED[41:]


@pytest.mark.parametrize(
    ("packed", "reason"),
    [
        (PACKED[:-20], "ends_early"),
        (PACKED[:2], "ends_early"),
        (PACKED[:-8] + b"\0\0\0\0" + PACKED[-4:], "broken_gzip"),
        (PACKED + b"garbage", "broken_gzip"),
        (b"\x1f\x8b" + b"\xff" * 100, "broken_gzip"),
        (FLIPPED, "broken_gzip"),
        (gzip.compress(PACKED), "not_xml"),
    ],
)
def test_broken_gzip_is_refused_in_one_sentence(read: Read, packed: bytes, reason: str) -> None:
    assert refused(read, packed).reason == reason


def test_a_gzip_bomb_is_unpacked_a_piece_at_a_time(tmp_path: Path) -> None:
    path = tmp_path / "bomb.xes.gz"
    path.write_bytes(gzip.compress(b"<log>" + b" " * (20 * 1024 * 1024)))
    with XesSource(path) as source:
        assert max(map(len, source.chunks())) <= CHUNK


def test_a_file_that_is_not_there_or_is_a_directory_is_refused(tmp_path: Path) -> None:
    for path in (tmp_path / "absent.xes", tmp_path):
        with pytest.raises(XesError, match=r"can't be read .*; check its name") as caught:
            XesSource(path)
        assert caught.value.reason == "file_unreadable"
