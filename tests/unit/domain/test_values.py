"""The bounds of the small types: what they take, keep and refuse."""

import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta, timezone
from decimal import Decimal
from fractions import Fraction
from typing import Any

import orjson
import pytest
from pydantic import TypeAdapter, ValidationError

from domain.values import (
    Count,
    Id,
    Json,
    JsonObject,
    Percentage,
    PositiveCount,
    Quantity,
    Resources,
    Seconds,
    Text,
    Time,
    iso,
    parse_quantity,
)

ID: TypeAdapter[str] = TypeAdapter(Id)
TEXT: TypeAdapter[str] = TypeAdapter(Text)
TIME: TypeAdapter[datetime] = TypeAdapter(Time)
JSON: TypeAdapter[Any] = TypeAdapter(Json)
JSON_OBJECT: TypeAdapter[Any] = TypeAdapter(JsonObject)
QUANTITY: TypeAdapter[str] = TypeAdapter(Quantity)


@pytest.mark.parametrize("text", ["a", "a" * 255, "wf/1#2", "Übung", "日本", "a b", "😀" * 255, "'; DROP"])
def test_an_id_is_kept_as_it_was_given(text: str) -> None:
    assert ID.validate_python(text) == text


@pytest.mark.parametrize(
    "text",
    [
        *("", "a" * 256, " a", "a ", " ", "\u00a0a", "\ud800", "a\udfff"),
        *("a\x00", "\x00", "a\nb", "a\tb", "a\x1b[0m", "a\x7f", "a\x85", "a\u2028b"),
    ],
)
def test_an_id_is_refused_that_is_empty_too_long_blank_at_an_end_or_not_printable(text: str) -> None:
    with pytest.raises(ValidationError):
        ID.validate_python(text)


@pytest.mark.parametrize("value", [1, None, True, ["a"]])
def test_an_id_is_text(value: object) -> None:
    with pytest.raises(ValidationError):
        ID.validate_python(value)


@pytest.mark.parametrize("text", ["a", "two\nlines\twith a tab\r\n", "x" * 10_000, " "])
def test_free_text_may_have_lines_and_tabs(text: str) -> None:
    assert TEXT.validate_python(text) == text


@pytest.mark.parametrize("text", ["", "x" * 10_001, "a\x00", "a\x1b", "\ud800", "a\x9f"])
def test_free_text_is_refused_that_is_empty_too_long_or_has_control_characters(text: str) -> None:
    with pytest.raises(ValidationError):
        TEXT.validate_python(text)


@pytest.mark.parametrize(
    ("given", "utc"),
    [
        ("2024-01-17T10:00:00Z", datetime(2024, 1, 17, 10, tzinfo=UTC)),
        ("2024-01-17T10:00:00.123456+05:30", datetime(2024, 1, 17, 4, 30, 0, 123456, tzinfo=UTC)),
        ("2024-01-17T00:30:00-01:00", datetime(2024, 1, 17, 1, 30, tzinfo=UTC)),
        (datetime(2024, 1, 17, 10, tzinfo=timezone(timedelta(hours=2))), datetime(2024, 1, 17, 8, tzinfo=UTC)),
        ("9999-12-31T23:59:59.999999Z", datetime.max.replace(tzinfo=UTC)),
        ("0001-01-01T00:00:00Z", datetime.min.replace(tzinfo=UTC)),
    ],
)
def test_a_time_is_kept_in_utc_to_the_microsecond(given: object, utc: datetime) -> None:
    kept = TIME.validate_python(given)
    assert kept == utc
    assert kept.utcoffset() == timedelta(0)
    assert TIME.validate_json(TIME.dump_json(kept)) == utc


@pytest.mark.parametrize(
    "value",
    [
        *("2024-01-17T10:00:00", "2024-01-17", datetime(2024, 1, 17), "10:00Z", "", "now", "NaN", "1705485600"),
        *("2024-13-01T00:00:00Z", "2024-02-30T00:00:00Z", "2024-01-17T25:00:00Z", "2024-01-17T10:00:00+25:00"),
        *("0001-01-01T00:00:00+01:00", "9999-12-31T23:59:59-01:00", "2024-01-17T10:00:00Z; x", "\x00", True, None),
    ],
)
def test_a_time_without_a_zone_or_out_of_range_and_nonsense_are_refused(value: object) -> None:
    with pytest.raises(ValidationError):
        TIME.validate_python(value)


@pytest.fixture
def elsewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """This machine is nine hours ahead."""
    monkeypatch.setenv("TZ", "JST-9")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("elsewhere")
def test_a_time_is_kept_and_told_in_utc_wherever_the_machine_is() -> None:
    kept = TIME.validate_python("2024-01-17T12:00:00+02:00")
    assert (kept.hour, kept.utcoffset()) == (10, timedelta(0))
    assert iso(datetime(2024, 1, 17, 12, tzinfo=timezone(timedelta(hours=2)))) == "2024-01-17T10:00:00Z"


@pytest.mark.parametrize("number", [0, 1705485600, 1705485600.5, -1, 10**18])
def test_a_number_is_no_time(number: float) -> None:
    """A number of seconds is not a time that a person can check."""
    with pytest.raises(ValidationError):
        TIME.validate_python(number)
    with pytest.raises(ValidationError):
        TIME.validate_json(str(number))


@pytest.mark.parametrize(
    ("text", "exact"),
    [
        ("2", Fraction(2)),
        ("0", Fraction(0)),
        ("500m", Fraction(1, 2)),
        ("4Gi", Fraction(4 * 2**30)),
        ("4G", Fraction(4 * 10**9)),
        ("1.5Ki", Fraction(1536)),
        ("1e3", Fraction(1000)),
        ("1E3", Fraction(1000)),
        ("1E", Fraction(10**18)),
        ("1Ei", Fraction(2**60)),
        ("100n", Fraction(1, 10**7)),
        ("3u", Fraction(3, 10**6)),
        ("7k", Fraction(7000)),
        ("0.1", Fraction(1, 10)),
        ("999999999999999999999999", Fraction(10**24 - 1)),
    ],
)
def test_a_quantity_is_parsed_exactly(text: str, exact: Fraction) -> None:
    assert Fraction(parse_quantity(text)) == exact
    assert QUANTITY.validate_python(text) == text


@pytest.mark.parametrize(
    "text", ["0.1234567890123456789012345678901", "123456789012345678.12345678901n", "1.00000000000000000000000001Gi"]
)
def test_a_quantity_that_is_taken_is_never_rounded(text: str) -> None:
    """More digits than can be kept are refused, or kept."""
    number = text.rstrip("nGi")
    factor = {"n": Fraction(1, 10**9), "Gi": Fraction(2**30), "": Fraction(1)}[text[len(number) :]]
    try:
        value = parse_quantity(text)
    except ValueError:
        return
    assert Fraction(value) == Fraction(number) * factor


@pytest.mark.parametrize(
    "text",
    [
        *("4Gx", "", " ", "-1", "-500m", "NaN", "Infinity", "inf", "sNaN", "1_000", "1,000", "1 Gi", " 1", "1 "),
        *("Gi", ".", "1gi", "1K", "1mi", "1KiB", "1GiGi", "1e", "1ee3", "--1", "0x10", "\u0663", "\uff11", "1\n"),
        *("1\x00", "\ud800", "\u00b2", "1e25", "1e300", "999999999999E", "9" * 41, "0." + "0" * 60 + "1"),
        "1e99999999999999999999",
    ],
)
def test_what_is_not_a_quantity_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="is not a quantity"):
        parse_quantity(text)
    with pytest.raises(ValidationError):
        QUANTITY.validate_python(text)


@pytest.mark.parametrize("text", ["1e9999999", "1e999999k", "1e999999999Ei", "9e9999999"])
def test_a_quantity_beyond_every_exponent_is_refused_as_one(text: str) -> None:
    with pytest.raises(ValueError, match="is not a quantity"):
        parse_quantity(text)


@pytest.mark.parametrize("text", ["0e9999999", "0e999999999"])
def test_a_zero_with_a_huge_exponent_stays_short(text: str) -> None:
    try:
        value = parse_quantity(text)
    except ValueError:
        return
    assert value == 0
    assert len(f"{value:f}") < 100


def test_resources_are_quantities_by_known_kinds() -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(Resources)
    assert adapter.validate_python({"cpu": "2", "gpu": "1"}) == {"cpu": "2", "gpu": "1"}
    for wrong in ({"cpu": "x"}, {"power": "1"}, {"cpu": 2}, {"cpu": None}):
        with pytest.raises(ValidationError):
            adapter.validate_python(wrong)


@pytest.mark.parametrize(
    "value", [None, True, 0, -1, 1.5, "", "a\nb", [], {}, {"a": [1, {"b": None}]}, {"": 1}, 2**63 - 1, -(2**63), 1e308]
)
def test_json_is_kept_as_it_was_given(value: Any) -> None:
    kept = JSON.validate_json(JSON.dump_json(JSON.validate_python(value)))
    assert (kept, type(kept)) == (value, type(value))


@pytest.mark.parametrize("place", [lambda x: x, lambda x: [x], lambda x: {"a": {"b": [1, x]}}])
@pytest.mark.parametrize("value", [float("nan"), float("inf"), float("-inf"), "a\x00", "\x1b", "\ud800", {"a\x00": 1}])
def test_json_that_cannot_be_stored_or_shown_is_refused_at_any_depth(value: Any, place: Any) -> None:
    with pytest.raises(ValidationError):
        JSON.validate_python(place(value))


@pytest.mark.parametrize("value", [{1: 2}, (1, 2), {1}, object(), b"x", Decimal(1), datetime(2024, 1, 1, tzinfo=UTC)])
def test_what_is_not_json_is_refused(value: object) -> None:
    with pytest.raises(ValidationError):
        JSON.validate_python(value)


@pytest.mark.parametrize("number", [2**64, -(2**63) - 1, 10**400, 10**5000], ids=lambda n: f"{n.bit_length()} bits")
def test_a_number_that_other_readers_could_not_read_back_is_refused(number: int) -> None:
    """Beyond 64 bits orjson refuses to write and rounds when it reads, and beyond 4300 digits decoding fails."""
    try:
        kept = JSON.validate_python({"n": number})
    except ValidationError:
        return
    assert orjson.loads(orjson.dumps(kept)) == {"n": number}


def nested(levels: int, kind: str) -> Any:
    value: Any = [] if kind == "list" else {}
    for _ in range(levels - 1):
        value = [value] if kind == "list" else {"a": value}
    return value


@pytest.mark.parametrize("kind", ["list", "object"])
def test_json_nests_to_32_levels_and_no_deeper(kind: str) -> None:
    assert JSON.validate_python(nested(32, kind)) == nested(32, kind)
    for levels in (33, 200):
        with pytest.raises(ValidationError):
            JSON.validate_python(nested(levels, kind))
    with pytest.raises(ValidationError):
        JSON.validate_json("[" * 100_000)


@pytest.mark.parametrize("value", [[], "a", 1, None])
def test_a_json_object_is_an_object(value: Any) -> None:
    with pytest.raises(ValidationError):
        JSON_OBJECT.validate_python(value)


@pytest.mark.parametrize(
    ("kind", "good", "bad"),
    [
        (Percentage, [0, 100, 12.5], [-0.1, 100.1, float("nan"), float("inf")]),
        (Count, [0, 10**9], [-1, 10**9 + 1, 1.5]),
        (PositiveCount, [1, 10**9], [0, -1]),
        (Seconds, [0.001, 3_155_760_000], [0, -1, 3_155_760_001, float("nan"), float("inf")]),
    ],
)
def test_numbers_have_bounds(kind: Any, good: list[float], bad: list[float]) -> None:
    adapter: TypeAdapter[Any] = TypeAdapter(kind)
    for value in good:
        assert adapter.validate_python(value) == value
    for value in bad:
        with pytest.raises(ValidationError):
            adapter.validate_python(value)
