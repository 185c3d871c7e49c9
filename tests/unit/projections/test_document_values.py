"""How values are written in documents."""

from datetime import timedelta
from decimal import Decimal
from typing import Any

import pytest

from projections.documents.values import encode, number, percent
from tests.support.told_log import START


@pytest.mark.parametrize(
    ("value", "written"),
    [(Decimal("2.0"), 2), (Decimal("0.5"), 0.5), (Decimal("4.294967296"), 4.294967296), (Decimal("1E+20"), 1e20)],
)
def test_a_decimal_is_written_as_the_same_number(value: Decimal, written: Any) -> None:
    assert number(value) == written
    assert type(number(value)) is type(written)


def test_a_percentage_of_nothing_is_zero() -> None:
    assert percent(3, 0) == 0


def test_times_are_written_in_utc_with_a_z() -> None:
    assert encode({"at": START + timedelta(microseconds=5)}) == b'{"at":"2024-01-17T10:00:00.000005Z"}'


def test_an_integer_beyond_64_bits_is_written_all_the_same() -> None:
    assert encode({"n": 2**80, "at": START, "who": "Ä"}) == (
        b'{"n":1208925819614629174706176,"at":"2024-01-17T10:00:00Z","who":"\xc3\x84"}'
    )
