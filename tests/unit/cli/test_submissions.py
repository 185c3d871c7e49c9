"""How the input of `submit` is cut into single submissions."""

import json
import tracemalloc

import pytest
from hypothesis import given
from hypothesis import strategies as st

from dora_state.cli.submissions import LONGEST, Piece, Splitter

ONE = b'{"type": "A", "data": {"x": "}],\\"["}}'
TWO = b'{"type": "B", "data": {}}'


def split(content: bytes, size: int | None = None) -> list[Piece]:
    splitter = Splitter()
    step = size or max(len(content), 1)
    pieces = [piece for start in range(0, len(content), step) for piece in splitter.feed(content[start : start + step])]
    return pieces + list(splitter.finish())


def found(content: bytes) -> list[tuple[int, bytes]]:
    pieces = split(content)
    assert all(piece.problem is None for piece in pieces)
    return [(piece.line, piece.raw) for piece in pieces]


@pytest.mark.parametrize(
    ("content", "expected"),
    [
        (b"", []),
        (b"\n \n", []),
        (ONE, [(1, ONE)]),
        (b"\xef\xbb\xbf" + ONE, [(1, ONE)]),
        (ONE + b"\n\n" + TWO, [(1, ONE), (3, TWO)]),
        (ONE + b"\r\n" + TWO + b"\r\n", [(1, ONE), (2, TWO)]),
        (b"\n\n" + ONE + b"\n" + TWO, [(3, ONE), (4, TWO)]),
        (b"[]", []),
        (b"[" + ONE + b",\n " + TWO + b"]\n", [(1, ONE), (2, TWO)]),
        (b"\n[\n" + ONE + b"\n,\n" + TWO + b"\n]", [(3, ONE), (5, TWO)]),
        (b"[" + ONE + b"]\n" + TWO, [(1, ONE), (2, TWO)]),
        (ONE + b"\n[1, 2]", [(1, ONE), (2, b"[1, 2]")]),
    ],
)
def test_lines_and_arrays_are_cut_into_their_submissions(content: bytes, expected: list[tuple[int, bytes]]) -> None:
    assert found(content) == expected


def test_one_object_over_several_lines_is_one_submission() -> None:
    content = json.dumps(json.loads(ONE), indent=2).encode()
    assert found(b"\n" + content + b"\n") == [(2, content)]


def test_a_line_that_is_cut_off_does_not_take_the_next_ones_with_it() -> None:
    for cut_off in (ONE[:10], b"{", b'{"type": "A', b"nonsense"):
        assert found(cut_off + b"\n" + TWO + b"\n" + ONE) == [(1, cut_off), (2, TWO), (3, ONE)]


def test_a_broken_element_does_not_take_the_next_ones_with_it() -> None:
    assert found(b"[nonsense, " + ONE + b"]") == [(1, b"nonsense"), (1, ONE)]


def test_an_array_without_end_is_told_after_what_it_has() -> None:
    pieces = split(b"[" + ONE + b",\n" + TWO)
    assert [piece.raw for piece in pieces[:2]] == [ONE, TWO]
    assert pieces[2].problem is not None
    assert pieces[2].line == 2


def test_an_overlong_element_that_does_not_end_is_told_once() -> None:
    (long,) = split(b"[" * (LONGEST + 2), 65_536)
    assert long.problem is not None
    assert f"{LONGEST + 1} bytes" in long.problem


@pytest.mark.parametrize(("before", "after"), [(b"", b"\n" + ONE), (b"[", b",\n" + ONE + b"]")])
def test_an_overlong_submission_is_told_with_its_size_and_not_kept(before: bytes, after: bytes) -> None:
    overlong = b'{"type": "' + b"x" * LONGEST + b'"}'
    long, following = split(before + overlong + after)
    assert long.raw == b""
    assert long.problem is not None
    assert str(len(overlong)) in long.problem
    assert (following.line, following.raw) == (2, ONE)


def test_an_endless_line_is_not_kept_in_memory() -> None:
    tracemalloc.start()
    try:
        splitter = Splitter()
        for _ in range(40):
            assert list(splitter.feed(b"[" + b"x" * LONGEST)) == []
        kept, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert kept < 3 * LONGEST


@given(
    st.lists(st.sampled_from([ONE, TWO, b"{", b"nonsense", b'"\\', b"[", b"]", b",", b"", b" "]), max_size=8),
    st.sampled_from([b"\n", b",", b"\r\n"]),
    st.integers(min_value=1, max_value=50),
)
def test_how_the_bytes_arrive_makes_no_difference(parts: list[bytes], joint: bytes, size: int) -> None:
    content = joint.join(parts)
    assert split(content, size) == split(content)
