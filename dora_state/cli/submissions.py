"""Cuts what comes into `submit` into single submissions, in bounded memory, whatever the bytes are.

Two forms: JSON lines, and JSON arrays of objects (after an array, lines go on). A single object over several
lines is a third, as long as it is the whole input and no longer than one command may be. A broken piece is
told with its line, and what comes after it goes on.
"""

import re
from collections.abc import Iterator
from dataclasses import dataclass

import orjson

LONGEST = 1_048_576
"""Bytes that one submission may have; of a longer one nothing is kept but the fact."""
_BLANK = b" \t\r\n"
_BYTE_ORDER_MARK = b"\xef\xbb\xbf"
_SIGNS = re.compile(rb'["\\{}\[\],]')


@dataclass(frozen=True, slots=True)
class Piece:
    """One submission as it came, or what is wrong with that stretch. `line` is where it begins, from 1."""

    line: int
    raw: bytes
    problem: str | None = None


def _is_object(raw: bytes) -> bool:
    try:
        return isinstance(orjson.loads(raw), dict)
    except orjson.JSONDecodeError:
        return False


def _leading_lines(raw: bytes) -> int:
    """How many lines are blank before it begins."""
    return raw.count(b"\n", 0, len(raw) - len(raw.lstrip(_BLANK)))


class Splitter:
    """Give it bytes with `feed`, in chunks of any size, and tell it the end with `finish`."""

    def __init__(self) -> None:
        self._head: bytearray | None = bytearray()
        self._parts: _Lines | _Elements = _Lines(1)

    def feed(self, chunk: bytes) -> Iterator[Piece]:
        if self._head is None:
            yield from self._split(chunk)
            return
        self._head += chunk
        if self._form_is_known():
            yield from self._begin()

    def finish(self) -> Iterator[Piece]:
        """What is left at the end of the input."""
        if self._head is not None:
            whole = self._without_mark()
            if _is_object(whole):
                yield Piece(1 + _leading_lines(whole), whole.strip())
                return
            yield from self._begin()
        yield from self._parts.finish()

    def _form_is_known(self) -> bool:
        """Unless the first line is a whole submission or a bracket, one object of several lines is possible."""
        head = self._without_mark().lstrip(_BLANK)
        if head.startswith(b"[") or len(self._head or b"") > LONGEST:
            return True
        line, newline, _ = head.partition(b"\n")
        return bool(newline) and (not line.startswith(b"{") or _is_object(line))

    def _without_mark(self) -> bytes:
        return bytes(self._head or b"").removeprefix(_BYTE_ORDER_MARK)

    def _begin(self) -> Iterator[Piece]:
        head, self._head = self._without_mark(), None
        if head.lstrip(_BLANK).startswith(b"["):
            lines = _leading_lines(head)
            self._parts = _Elements(1 + lines)
            head = head.lstrip(_BLANK)[1:]
        yield from self._split(head)

    def _split(self, chunk: bytes) -> Iterator[Piece]:
        yield from self._parts.feed(chunk)
        if isinstance(self._parts, _Elements) and self._parts.rest is not None:
            rest, self._parts = self._parts.rest, _Lines(self._parts.line)
            yield from self._parts.feed(rest)


class _Collected:
    """The bytes of one piece, as many as it may have."""

    def __init__(self, line: int) -> None:
        self.line = line
        self._bytes = bytearray()
        self._length = 0

    @property
    def begun(self) -> bool:
        return self._length > 0

    def add(self, some: bytes) -> None:
        self._length += len(some)
        if self._length <= LONGEST:
            self._bytes += some
        else:
            self._bytes.clear()

    def pieces(self) -> Iterator[Piece]:
        if self._length > LONGEST:
            yield Piece(self.line, b"", f"The command has {self._length} bytes and the limit is {LONGEST}; send less.")
        elif raw := bytes(self._bytes.strip(_BLANK)):
            yield Piece(self.line, raw)


class _Lines:
    def __init__(self, line: int) -> None:
        self._collected = _Collected(line)

    def feed(self, chunk: bytes) -> Iterator[Piece]:
        first, *others = chunk.split(b"\n")
        self._collected.add(first)
        for some in others:
            yield from self._collected.pieces()
            self._collected = _Collected(self._collected.line + 1)
            self._collected.add(some)

    def finish(self) -> Iterator[Piece]:
        yield from self._collected.pieces()


class _Elements:
    """The elements of an array whose bracket was read: cut at its commas, strings and nesting minded."""

    def __init__(self, line: int) -> None:
        self.line = line
        self.rest: bytes | None = None
        """What comes after the array, once that has ended."""
        self._collected = _Collected(line)
        self._depth = 0
        self._in_string = False
        self._escaped = False

    def feed(self, chunk: bytes) -> Iterator[Piece]:
        if self._escaped and chunk:
            self._take(chunk[:1])
            self._escaped = False
            chunk = chunk[1:]
        start = 0
        skip_until = 0
        for found in _SIGNS.finditer(chunk):
            at, sign = found.start(), found.group()
            if at < skip_until:
                continue
            if self._in_string:
                if sign == b"\\":
                    skip_until = at + 2
                elif sign == b'"':
                    self._in_string = False
            elif sign == b'"':
                self._in_string = True
            elif sign in b"{[":
                self._depth += 1
            elif sign in b"}]" and self._depth > 0:
                self._depth -= 1
            elif self._depth == 0 and sign in b",]":
                self._take(chunk[start:at])
                yield from self._collected.pieces()
                self._collected = _Collected(self.line)
                start = at + 1
                if sign == b"]":
                    self.rest = chunk[start:]
                    return
        self._take(chunk[start:])
        self._escaped = self._in_string and skip_until > len(chunk)

    def finish(self) -> Iterator[Piece]:
        last = tuple(self._collected.pieces())
        yield from last
        if self.rest is None and not any(piece.problem for piece in last):
            yield Piece(self.line, b"", "The array has no end: the input seems to be cut off here.")

    def _take(self, some: bytes) -> None:
        if not self._collected.begun:
            blanks = len(some) - len(some.lstrip(_BLANK))
            self.line += some.count(b"\n", 0, blanks)
            self._collected.line = self.line
            some = some[blanks:]
        self._collected.add(some)
        self.line += some.count(b"\n")
